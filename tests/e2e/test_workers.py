"""Two workers on one port and store: each slot runs once, and a killed worker is replaced."""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import naive, until
from tests.faults.process import Server

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
