import asyncio
from pathlib import Path

import pytest
import uvloop

from zato_lite import clock
from zato_lite.clock import Alarm, SystemClock


@pytest.fixture(params=["kernel", "napping"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> SystemClock:
    if request.param == "napping":
        monkeypatch.setattr(clock, "_HAS_TIMERS", False)
    return SystemClock()


async def rung(system: SystemClock, instants: list[int]) -> list[tuple[int, int]]:
    """Instants that were asked for, and when they were woken."""
    woken: list[tuple[int, int]] = []
    all_there = asyncio.Event()

    def wake(instant: int) -> None:
        woken.append((instant, system.now()))
        if len(woken) == len(instants):
            all_there.set()

    for instant in instants:
        system.call_at(instant, lambda instant=instant: wake(instant))  # type: ignore[misc]
    await asyncio.wait_for(all_there.wait(), 10)
    return woken


@pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_nobody_is_woken_early_and_by_the_kernel_in_order(
    system: SystemClock, new_loop: object
) -> None:
    async def ask() -> list[tuple[int, int]]:
        now = system.now()
        return await rung(system, [now + after for after in (30_300, 100, -5, 700, 2_500, 700)])

    with asyncio.Runner(loop_factory=new_loop) as runner:  # type: ignore[arg-type]
        woken = runner.run(ask())

    assert all(at >= instant for instant, at in woken)
    if clock._HAS_TIMERS:  # naps of several alarms end in the order that the loop sees fit
        assert sorted(woken) == woken


async def test_one_that_is_called_off_is_not_woken(system: SystemClock) -> None:
    woken: list[str] = []
    soon = system.now() + 500

    first = system.call_at(soon, lambda: woken.append("first"))
    first.cancel()
    first.cancel()
    await rung(system, [soon + 1_000])

    assert woken == []


async def test_nothing_is_left_open_when_nobody_waits() -> None:
    system = SystemClock()
    before = _open_files()

    alarms: list[Alarm] = [system.call_at(system.now() + 60_000_000, print) for _ in range(3)]
    during = _open_files()
    for alarm in alarms:
        alarm.cancel()

    assert during == before + 1
    assert _open_files() == before


async def test_a_waker_may_ask_for_the_next_one(system: SystemClock) -> None:
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
