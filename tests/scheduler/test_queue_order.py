"""Queued runs start one after another, in the order of their slots, whichever node has them."""

import asyncio
import random

import pytest

from tests.scheduler.conftest import Harness, Place, open_harness
from zato_lite.service.message import Invocation
from zato_lite.store.sql import execute, fetch_value
from zato_lite.testing.clock import ManualClock
from zato_lite.timetable.job import SECOND


class Timeline:
    """The starts and ends of a job's runs, on all nodes."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self.slots: list[float] = []

    async def take(self, harness: Harness, seconds: float, invocation: Invocation) -> None:
        assert invocation.job is not None
        self.running += 1
        self.most = max(self.most, self.running)
        self.slots.append(invocation.job.slot.timestamp())
        try:
            await _sleep(harness, seconds)
        finally:
            self.running -= 1


async def _sleep(harness: Harness, seconds: float) -> None:
    done = asyncio.Event()
    harness.clock.call_at(harness.clock.now() + round(seconds * SECOND), done.set)
    await done.wait()


def serve(harness: Harness, timeline: Timeline, seconds: float) -> None:
    async def service(invocation: Invocation) -> None:
        await timeline.take(harness, seconds, invocation)

    harness.services["s"] = service


@pytest.mark.parametrize("seed", range(4))
async def test_runs_of_two_nodes_do_not_overlap_and_keep_their_order(
    place: Place, seed: int
) -> None:
    dice, clock, timeline = random.Random(seed), ManualClock(), Timeline()
    async with (
        open_harness(place, clock) as first,
        open_harness(place, clock) as second,
    ):
        for harness in (first, second):
            serve(harness, timeline, 1.3)
        await first.create(on_overlap="queue_all", repeats=8)
        for _ in range(200):
            clock.advance(seconds=0.1)
            for harness in dice.sample([first, second], 2):
                await harness.scheduler.tick()
                await harness.settle()
        outcomes = await first.outcomes()

    assert outcomes == ["ok"] * 8
    assert timeline.most == 1
    assert timeline.slots == sorted(timeline.slots)


async def test_runs_of_a_dead_node_keep_their_place(place: Place) -> None:
    clock, timeline = ManualClock(), Timeline()
    async with open_harness(place, clock) as survivor:
        serve(survivor, timeline, 1.3)
        async with open_harness(place, clock) as dying:
            serve(dying, timeline, 1.3)
            await survivor.scheduler.tick()
            await survivor.create(on_overlap="queue_all", repeats=6)
            await dying.advance(1)  # slot 1 on the node that dies
            for _ in range(4):
                await survivor.advance(0.5)
            await dying.scheduler.crash()
            timeline.running = 0
        for _ in range(200):
            await survivor.advance(0.1)
        runs = await survivor.runs()

    assert [run.outcome for run in runs] == ["ok"] * 6
    assert timeline.most == 1
    assert timeline.slots == sorted(timeline.slots)


async def test_a_wait_for_another_node_costs_no_commit_and_no_claim(place: Place) -> None:
    clock, timeline = ManualClock(), Timeline()
    async with (
        open_harness(place, clock) as first,
        open_harness(place, clock) as second,
    ):
        serve(first, timeline, 60)
        serve(second, timeline, 60)
        await first.create(on_overlap="queue_all", repeats=2)
        await first.advance(1)
        await second.advance(1)
        newest = "SELECT value FROM sequence WHERE name = 'token'"
        before = await second.store.read(lambda c: fetch_value(c, newest))
        for _ in range(30):
            await second.advance(1)
            await first.advance(0)
        after = await second.store.read(lambda c: fetch_value(c, newest))
        await first.store.write(lambda c: execute(c, "SELECT 1"))

    assert after == before
    assert len(timeline.slots) == 1


async def test_a_node_is_idle_while_it_waits_for_another_one(place: Place) -> None:
    clock, timeline = ManualClock(), Timeline()
    async with (
        open_harness(place, clock) as first,
        open_harness(place, clock) as second,
    ):
        serve(first, timeline, 60)
        serve(second, timeline, 60)
        await first.create(on_overlap="queue_all", repeats=2)
        clock.advance(seconds=1)
        async with asyncio.timeout(10):
            while not timeline.slots:  # either node may be the first to claim
                await first.store.write(lambda c: None)
        waiting = second if first.scheduler.in_flight else first
        for _ in range(3):
            clock.advance(seconds=1)
            await asyncio.wait_for(waiting.scheduler.wait_until_idle(), 5)

        assert len(timeline.slots) == 1
