"""A scrape of any worker shows the sums of all, also of those that were killed."""

import os
import signal
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import until
from tests.faults.process import Server

pytestmark = pytest.mark.e2e

PINGS = ("zato_lite_service_invocations_total", "zato.ping")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.options += ["--workers", "2"]
    server.start(30.0)
    yield server
    server.kill()


def scrape(server: Server) -> dict[tuple[str, ...], float] | None:
    """Return all samples, or None if the worker that got the connection has been killed."""
    try:
        status, text = server._request("GET", "/metrics")
    except (OSError, HTTPException):
        return None
    assert status == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def pings(server: Server) -> float:
    found: dict[tuple[str, ...], float] = until(lambda: scrape(server))
    return found.get(PINGS, 0.0)


def test_any_worker_shows_the_sums_of_all_and_counters_never_decrease(server: Server) -> None:
    def both_workers() -> set[int | None] | None:
        found = {process_of(server) for _ in range(20)} - {None}
        return found if len(found) == 2 else None

    workers = until(both_workers)
    until(lambda: pings(server) == 1)  # the request that found the server started
    for _ in range(30):
        server.invoke("zato.ping")
    until(lambda: pings(server) == 31)
    assert {pings(server) for _ in range(10)} == {31}

    os.kill(min(workers), signal.SIGKILL)

    shown = [pings(server) for _ in range(20)]
    until(lambda: (found := both_workers()) and found != workers)
    shown += [pings(server) for _ in range(20)]
    assert set(shown) == {31}
    server.invoke("zato.ping")
    until(lambda: pings(server) == 32)
    assert server.stop() == 0


def process_of(server: Server) -> int | None:
    try:
        pid: int = server.invoke("faults.process")
    except (OSError, HTTPException):
        return None
    return pid
