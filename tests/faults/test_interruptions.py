"""Services that stop the event loop or cancel all tasks: runs in flight finish all the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.crashes import PERIOD, create
from tests.faults.process import Server
from tests.faults.test_restarts import now, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.kill()


def slow_run(server: Server, **fields: Any) -> int:
    """Start a run of three seconds; return its job."""
    start = now() // PERIOD * PERIOD + PERIOD
    job = create(server, "slow", start, job_type="one_time", service="faults.slow", **fields)
    wait_until(lambda: any(effect.job == job for effect in server.seen()))
    return job


@pytest.mark.parametrize("rude", ["faults.stop-loop", "faults.exit-later"])
def test_a_run_continues_when_a_service_stops_the_loop(server: Server, rude: str) -> None:
    server.start()
    job = slow_run(server)

    for _ in range(3):
        server.send(rude)
    wait_until(lambda: bool(server.seen("ended")))
    code = server.stop()

    runs, _ = server.history([job])
    assert [(run.outcome, run.attempt) for run in runs] == [("ok", 1)]
    assert code == 0


def test_a_run_gets_another_attempt_when_a_service_cancels_all_tasks(server: Server) -> None:
    server.start()
    job = slow_run(server)

    server.send("faults.cancel-all")
    wait_until(lambda: bool(server.seen("ended")))
    code = server.stop()

    runs, _ = server.history([job])
    assert [(run.outcome, run.attempt) for run in runs] == [("ok", 2)]
    assert [effect.attempt for effect in server.seen()] == [1, 2]
    assert server.query("SELECT outcome FROM attempt") == [("lost",)]
    assert code == 0


def test_a_run_interrupted_by_a_stop_gets_another_attempt_after_the_next_start(
    server: Server,
) -> None:
    server.environment["ZATO_LITE_SERVER__GRACE"] = "0.2"
    server.start()
    job = slow_run(server)

    code = server.stop()
    server.start()
    wait_until(lambda: bool(server.seen("ended")))
    server.stop()

    runs, _ = server.history([job])
    assert code == 0
    assert [(run.outcome, run.attempt) for run in runs] == [("ok", 2)]
    assert server.query("SELECT outcome FROM attempt") == [("cancelled",)]
