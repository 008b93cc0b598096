"""Real servers that die and come back: F1, F2 and F3 of the benchmarks, with the checker."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.crashes import PERIOD, create, wrongs
from tests.faults.process import Server

pytestmark = pytest.mark.e2e


def now() -> int:
    return time.time_ns() // 1000  # noqa: TID251 - real processes


def wait_until(is_so: Callable[[], bool], patience: float = 20.0) -> None:
    give_up = time.monotonic() + patience
    while not is_so():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.kill()


def test_of_two_servers_on_one_store_each_slot_is_run_by_one_even_when_one_is_killed(
    server: Server,
) -> None:
    other = Server(server.folder)
    server.start()
    other.start()
    start = now() // PERIOD * PERIOD + PERIOD
    starts = {create(server, f"mark-{number}", start): start for number in range(20)}

    wait_until(lambda: len(server.seen()) >= 40)
    other.kill()
    killed_at = now()
    wait_until(lambda: server.seen()[-1].slot > killed_at + 2 * PERIOD)
    stopped_at = now()
    server.stop()

    assert wrongs(server, starts, stopped_at) == []


def test_what_was_in_flight_is_run_again_and_a_downtime_gets_what_the_policy_says(
    server: Server,
) -> None:
    server.start()
    start = now() // PERIOD * PERIOD + PERIOD
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
    time.sleep(3)
    server.start()
    up_again = now()
    wait_until(lambda: slow <= {effect.job for effect in server.seen("ended")})
    stopped_at = now()
    server.stop()

    assert wrongs(server, dict.fromkeys(policies.values(), start), stopped_at) == []
    made_up = {
        policy: len(
            {
                effect.slot
                for effect in server.seen()
                if effect.job == job
                and effect.at > killed_at
                and killed_at < effect.slot < up_again - 2 * PERIOD
            }
        )
        for policy, job in policies.items()
    }
    assert made_up["run_all"] >= 1
    assert made_up["skip"] == made_up["run_once"] == 0


def test_a_service_that_takes_the_process_with_it_three_times_is_put_in_quarantine(
    server: Server,
) -> None:
    server.start()
    start = now() // PERIOD * PERIOD + PERIOD
    mark = create(server, "mark", start)
    bomb = create(server, "bomb", start, job_type="one_time", service="faults.exit")

    for _ in range(2):
        server.wait(10)
        server.launch()  # it may die before it has answered anything
    server.wait(10)
    server.start()
    marks = len(server.seen())
    wait_until(lambda: len(server.seen()) > marks + 2)
    stopped_at = now()
    server.stop()

    runs, _ = server.history([bomb])
    assert [(run.outcome, run.attempt) for run in runs] == [("lost", 3)]
    assert [effect.attempt for effect in server.seen() if effect.job == bomb] == [1, 2, 3]
    assert wrongs(server, {mark: start}, stopped_at) == []


def test_a_damaged_store_is_refused_in_words_and_left_as_it_is(server: Server) -> None:
    server.database.parent.mkdir()
    server.database.write_bytes(b"no database at all" * 1000)

    server.launch()
    process = server.process
    server.wait(10)

    assert process is not None
    assert process.returncode not in {0, None}
    assert "damaged" in server.output.read_text()
    assert "Traceback" not in server.output.read_text()
    assert server.database.read_bytes() == b"no database at all" * 1000
