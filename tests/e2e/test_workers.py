"""Two workers on one port and store: each slot runs once, and a killed worker is replaced."""

import base64
import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import naive, until
from tests.faults.process import PASSWORD, Server

pytestmark = pytest.mark.e2e


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "zato-lite.toml").write_text("[server]\nworkers = 2\n")
    server.start()
    yield server
    server.kill()


def test_two_workers_run_each_slot_once_and_one_that_is_killed_is_replaced(
    server: Server,
) -> None:
    def ask(service: str, **sent: Any) -> Any:
        """Invoke a service; repeat it if the connection was one of the killed worker's."""
        return until(lambda: _answer(server, service, sent))

    def nodes() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = ask("zato.scheduler.status")["nodes"]
        return found

    both = until(lambda: (found := nodes())[1:] and found, 30)
    start = datetime.now(UTC) - timedelta(hours=1)  # noqa: TID251 - real processes
    job = {"name": "often", "service": "zato.ping", "job_type": "interval_based",
           "start_date": naive(start), "milliseconds": 500}  # fmt: skip
    job_id = server.invoke("zato.scheduler.job.create", job)["id"]

    def runs(least: int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]]
        rows = ask("zato.scheduler.job.get-history", id=job_id, page_size=200)["rows"]
        return rows if len(rows) >= least else []

    before = len(until(lambda: runs(4), 30))
    os.kill(both[0]["pid"], signal.SIGKILL)
    rows = until(lambda: runs(before + 6), 30)

    slots = [row["planned_fire_time_iso"] for row in rows]
    assert len(set(slots)) == len(slots)
    until(lambda: len({node["pid"] for node in nodes()} - {both[0]["pid"]}) == 2, 30)
    assert server.stop() == 0


def _answer(server: Server, service: str, sent: dict[str, Any]) -> Any:
    try:
        return server.invoke(service, sent)
    except (OSError, HTTPException):
        return None


def test_one_stream_has_the_events_of_all_workers(server: Server) -> None:
    until(lambda: len(server.invoke("zato.scheduler.status")["nodes"]) == 2, 30)
    start = datetime.now(UTC) - timedelta(hours=1)  # noqa: TID251 - real processes
    basic = base64.b64encode(f"admin.invoke:{PASSWORD}".encode()).decode()
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    path = "/zato/events?kinds=run-ended"
    connection.request("GET", path, headers={"Authorization": f"Basic {basic}"})
    stream = connection.getresponse()
    jobs = {
        server.invoke(
            "zato.scheduler.job.create",
            {"name": f"often {number}", "service": "faults.process", "milliseconds": 500,
             "job_type": "interval_based", "start_date": naive(start)},
        )["id"]
        for number in range(10)
    }  # fmt: skip

    heard: set[tuple[int, int]] = set()
    workers: set[int] = set()
    while len(workers) < 2 or {job_id for job_id, _ in heard} != jobs:
        line = stream.readline().decode()
        if line.startswith("data: "):
            event = json.loads(line.removeprefix("data: "))
            if "run" in event:
                key = event["job_id"], event["run"]
                assert key not in heard, "an event came twice"
                heard.add(key)
                asked = {"id": key[0], "current_run": key[1]}
                detail = server.invoke("zato.scheduler.job.get-run-detail", asked)
                workers.add(detail["record"]["node"])
    connection.close()

    assert len(workers) == 2
