import asyncio
import time
from pathlib import Path

import pytest
import uvloop

from zato_lite import clock
from zato_lite.clock import Alarm, DatabaseClock, SystemClock


@pytest.fixture(params=["kernel", "polling", "database"])
def system(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> SystemClock | DatabaseClock:
    if request.param == "polling":
        monkeypatch.setattr(clock, "IS_AVAILABLE", False)
    if request.param == "database":
        database = DatabaseClock()
        database.observe(1_000_000_000_000_000)  # another year than this machine's
        return database
    return SystemClock()


async def ring(system: SystemClock | DatabaseClock, instants: list[int]) -> list[tuple[int, int]]:
    """Set alarms; return their instants and the times of the calls."""
    called: list[tuple[int, int]] = []
    all_called = asyncio.Event()

    def wake(instant: int) -> None:
        called.append((instant, system.now()))
        if len(called) == len(instants):
            all_called.set()

    for instant in instants:
        system.call_at(instant, lambda instant=instant: wake(instant))  # type: ignore[misc]
    await asyncio.wait_for(all_called.wait(), 10)
    return called


@pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_alarms_are_never_early_and_kernel_alarms_are_in_order(
    system: SystemClock | DatabaseClock, new_loop: object
) -> None:
    async def ask() -> list[tuple[int, int]]:
        now = system.now()
        return await ring(system, [now + after for after in (30_300, 100, -5, 700, 2_500, 700)])

    with asyncio.Runner(loop_factory=new_loop) as runner:  # type: ignore[arg-type]
        called = runner.run(ask())

    assert all(at >= instant for instant, at in called)
    if vars(clock)["IS_AVAILABLE"]:  # otherwise the loop decides the order of equal alarms
        assert sorted(called) == called


async def test_a_cancelled_alarm_is_not_called(system: SystemClock | DatabaseClock) -> None:
    called: list[str] = []
    soon = system.now() + 500

    first = system.call_at(soon, lambda: called.append("first"))
    first.cancel()
    first.cancel()
    await ring(system, [soon + 1_000])

    assert called == []


async def test_the_timer_is_closed_when_all_alarms_are_cancelled() -> None:
    system = SystemClock()
    before = _open_files()

    alarms: list[Alarm] = [system.call_at(system.now() + 60_000_000, print) for _ in range(3)]
    during = _open_files()
    for alarm in alarms:
        alarm.cancel()

    assert during == before + 1
    assert _open_files() == before


async def test_an_alarm_may_set_the_next_one(system: SystemClock | DatabaseClock) -> None:
    done = asyncio.Event()
    count = 0

    def again() -> None:
        nonlocal count
        count += 1
        if count == 5:
            done.set()
        else:
            system.call_at(system.now() + 200, again)

    again()
    await asyncio.wait_for(done.wait(), 10)

    assert count == 5


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_clock_of_a_database_is_this_machines_until_it_was_observed() -> None:
    assert abs(DatabaseClock().now() - SystemClock().now()) < 1_000_000


def test_the_quickest_answer_says_the_time_and_none_makes_it_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monotonic = 5_000_000
    monkeypatch.setattr(time, "monotonic_ns", lambda: monotonic * 1000)
    database = DatabaseClock()
    truth = 1_000_000_000

    database.observe(truth + monotonic - 900)  # the answer took 900 microseconds
    first = database.now()
    database.observe(truth + monotonic - 100)
    second = database.now()
    monotonic += 1_000_000
    database.observe(truth + monotonic - 5_000)
    third = database.now()
    monotonic += DatabaseClock.WINDOW_US
    database.observe(truth + monotonic - 700)

    assert first == truth + 5_000_000 - 900
    assert second == truth + 5_000_000 - 100
    assert third == truth + 6_000_000 - 100
    assert database.now() == truth + monotonic - 700


@pytest.mark.parametrize("step", [3_600_000_000, -3_600_000_000, 50_000])
def test_a_step_of_the_databases_clock_is_followed(
    monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(time, "monotonic_ns", lambda: 7_000)
    database = DatabaseClock()
    database.observe(10_000_000_000)

    database.observe(10_000_000_000 + step)

    assert database.now() == 10_000_000_000 + step


async def test_alarms_follow_a_step_of_the_databases_clock() -> None:
    database = DatabaseClock()
    database.observe(1_000_000_000_000_000)
    woken = asyncio.Event()
    database.call_at(database.now() + 3_600_000_000, woken.set)

    database.observe(database.now() + 3_600_000_000)

    await asyncio.wait_for(woken.wait(), 5)
