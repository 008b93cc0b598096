"""A real server over PostgreSQL: jobs run, survive, and no password is seen anywhere."""

import base64
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from tests.e2e.conftest import naive, until
from tests.faults.process import Server

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]

JOB = "zato.scheduler.job"
PASSWORD = "s@cret+of/ours"  # noqa: S105


@pytest.fixture
def server(tmp_path: Path, postgres_url: str) -> Iterator[Server]:
    server = Server(tmp_path)
    settings(server, f"url = '{postgres_url}'", "password = '${DATABASE_PASSWORD}'")
    server.environment["DATABASE_PASSWORD"] = PASSWORD
    server.start()
    yield server
    server.kill()


def settings(server: Server, *lines: str) -> None:
    (server.folder / "config").mkdir(exist_ok=True)
    text = "\n".join(["[store]", *lines, ""])
    (server.folder / "config" / "zato-lite.toml").write_text(text)


def often(name: str) -> dict[str, Any]:
    start = datetime.now(UTC) - timedelta(hours=1)  # noqa: TID251 - real processes
    return {"name": name, "service": "zato.ping", "job_type": "interval_based",
            "start_date": naive(start), "milliseconds": 200}  # fmt: skip


def rows_of(server: Server, job_id: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]]
    found = server.invoke(f"{JOB}.get-history", {"id": job_id, "page_size": 200})["rows"]
    return found


def test_jobs_run_and_survive_a_kill_of_the_server_and_of_its_connections(
    server: Server, postgres_url: str
) -> None:
    job_id = server.invoke(f"{JOB}.create", often("often"))["id"]
    until(lambda: len(rows_of(server, job_id)) > 3)

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'zato-lite %' AND query LIKE '%%'"
        )
    before = len(rows_of(server, job_id))
    until(lambda: len(rows_of(server, job_id)) > before + 3)
    server.kill()
    server.start()
    again = len(rows_of(server, job_id))
    until(lambda: len(rows_of(server, job_id)) > again + 3)

    rows = rows_of(server, job_id)
    slots = [row["planned_fire_time_iso"] for row in rows]
    assert len(set(slots)) == len(slots)
    assert {row["outcome"] for row in rows} <= {"ok", "running"}
    assert server.invoke("zato.store.check", {})["problems"] == []
    assert server.stop() == 0
    assert PASSWORD not in server.output.read_text()


def test_the_password_is_in_no_log_and_no_command_line(tmp_path: Path) -> None:
    server = Server(tmp_path)
    settings(server, f"url = 'postgresql://ann:{quote(PASSWORD, safe='')}@127.0.0.1:9/x'")
    server.launch()
    assert server.process is not None
    command = Path(f"/proc/{server.process.pid}/cmdline").read_text()
    status = server.process.wait(30)

    output = server.output.read_text()
    assert status == 3
    assert output.startswith("zato-lite: postgresql://ann@127.0.0.1:9/x cannot be used: ")
    assert PASSWORD not in output + command
    assert quote(PASSWORD, safe="") not in output + command


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "zato_lite", *arguments, "--project", str(folder)]
    environment = {**os.environ, "DATABASE_PASSWORD": PASSWORD}
    return subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False, env=environment
    )


def test_a_password_on_the_command_line_is_refused(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()

    done = run(tmp_path, "serve", "--store", "postgresql://ann:geheim@localhost/x")

    assert done.returncode == 2
    assert "ZATO_LITE_STORE__PASSWORD" in done.stderr
    assert "geheim" not in done.stdout + done.stderr


def test_commands_for_files_name_the_programs_of_postgres(server: Server, tmp_path: Path) -> None:
    (tmp_path / "backup.dump").touch()

    backup = run(tmp_path, "db", "backup")
    restore = run(tmp_path, "db", "restore", str(tmp_path / "backup.dump"))
    check = run(tmp_path, "db", "check", "--full", "--json")

    assert backup.returncode == restore.returncode == 2
    assert "pg_dump" in backup.stderr
    assert "pg_restore" in restore.stderr
    assert json.loads(check.stdout) == {"is_ok": True, "problems": []}


def test_servers_that_start_together_on_an_empty_database_make_one_admin(
    tmp_path: Path, postgres_url: str
) -> None:
    servers = [Server(tmp_path / name) for name in "abc"]
    for each in servers:
        settings(each, f"url = '{postgres_url}'")
        each.environment["ZATO_LITE_ADMIN_PASSWORD"] = ""
        each.launch()
    try:
        until(lambda: all(_answers(each) for each in servers), 40)
        files = [each.folder / "data" / "admin-password" for each in servers]
        made = [file.read_text().strip() for file in files if file.exists()]
        answers = [_sign_in(each, made[0]) for each in servers]
    finally:
        for each in servers:
            each.kill()

    assert len(made) == 1
    assert answers == [200, 200, 200]
    assert not any("Traceback" in each.output.read_text() for each in servers)


def _answers(server: Server) -> bool:
    assert server.process is not None
    assert server.process.poll() is None, server.output.read_text()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/readyz") as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _sign_in(server: Server, password: str) -> int:
    url = f"http://127.0.0.1:{server.port}/zato/api/invoke/zato.ping"
    basic = base64.b64encode(f"admin.invoke:{password}".encode()).decode()
    asked = urllib.request.Request(url, headers={"Authorization": f"Basic {basic}"})
    with urllib.request.urlopen(asked) as answer:  # noqa: S310
        return int(answer.status)
