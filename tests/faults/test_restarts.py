"""Restarts of real servers: F1, F2 and F3 of the benchmarks, with the checker."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.crashes import PERIOD, create, wrongs
from tests.faults.process import Server

AHEAD_S = 4
DOWN_S = 3


def now() -> int:
    return time.time_ns() // 1000  # noqa: TID251 - real processes


def first_slot() -> int:
    """Return a full second before which all jobs of a test are created, also if it is busy."""
    return (now() // PERIOD + AHEAD_S) * PERIOD


def wait_until(is_so: Callable[[], bool], patience: float = 60.0) -> None:
    give_up = time.monotonic() + patience
    while not is_so():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.kill()


def test_two_servers_on_one_store_run_each_slot_once_even_when_one_is_killed(
    server: Server,
) -> None:
    other = Server(server.folder)
    server.start()
    other.start()
    start = first_slot()
    starts = {create(server, f"mark-{number}", start): start for number in range(20)}

    wait_until(lambda: len(server.seen()) >= 40)
    other.kill()
    killed_at = now()
    wait_until(lambda: server.seen()[-1].slot > killed_at + 2 * PERIOD)
    stopped_at = now()
    server.stop()

    assert wrongs(server, starts, stopped_at) == []


def test_runs_in_flight_run_again_and_missed_slots_get_the_result_of_their_policy(
    server: Server,
) -> None:
    server.start()
    start = first_slot()
    slow = {
        create(server, f"slow-{n}", start, job_type="one_time", service="faults.slow")
        for n in range(20)
    }
    policies = {
        policy: create(server, policy, start, on_missed=policy)
        for policy in ("run_once", "run_all", "skip")
    }

    wait_until(lambda: slow <= {effect.job for effect in server.seen()})
    server.kill()
    killed_at = now()
    time.sleep(DOWN_S)
    server.start()
    # Slots that had passed before the launch, but for the last, which may be the newest one due.
    missed = range(killed_at + 1, server.launches[-1] - PERIOD)

    def caught_up(policy: str) -> set[int]:
        job = policies[policy]
        effects = [effect for effect in server.seen() if effect.job == job]
        return {
            effect.slot for effect in effects if effect.at > killed_at and effect.slot in missed
        }

    wait_until(lambda: slow <= {effect.job for effect in server.seen("ended")})
    wait_until(lambda: len(caught_up("run_all")) >= DOWN_S - 2)
    stopped_at = now()
    server.stop()

    assert wrongs(server, dict.fromkeys(policies.values(), start), stopped_at) == []
    assert caught_up("skip") == caught_up("run_once") == set()


def test_a_service_that_kills_its_process_three_times_is_put_in_quarantine(
    server: Server,
) -> None:
    server.start()
    start = first_slot()
    mark = create(server, "mark", start)
    bomb = create(server, "bomb", start, job_type="one_time", service="faults.exit")

    for _ in range(2):
        server.wait(60)
        server.launch()  # it may die before it has answered anything
    server.wait(60)
    server.start()
    marks = len(server.seen())
    wait_until(lambda: len(server.seen()) > marks + 2)
    stopped_at = now()
    server.stop()

    runs, _ = server.history([bomb])
    assert [(run.outcome, run.attempt) for run in runs] == [("lost", 3)]
    assert [effect.attempt for effect in server.seen() if effect.job == bomb] == [1, 2, 3]
    assert wrongs(server, {mark: start}, stopped_at) == []


def test_a_damaged_store_is_refused_with_an_explanation_and_left_unchanged(server: Server) -> None:
    server.database.parent.mkdir()
    server.database.write_bytes(b"no database at all" * 1000)

    server.launch()
    process = server.process
    server.wait(60)

    assert process is not None
    assert process.returncode not in {0, None}
    assert "damaged" in server.output.read_text()
    assert "Traceback" not in server.output.read_text()
    assert server.database.read_bytes() == b"no database at all" * 1000
