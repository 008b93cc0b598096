"""Random lives of a scheduler: each slot has exactly one run or ledger entry, always."""

import asyncio
import random
from typing import Any

import msgspec
import pytest

from tests.checker import Due, Effect, Gap, Run, grid, violations
from tests.scheduler.conftest import Harness
from zato_lite.service.message import Invocation
from zato_lite.store.opening import OpenStore
from zato_lite.store.sqlite import open_store
from zato_lite.testing.clock import ManualClock
from zato_lite.timetable.job import SECOND

POLICIES: list[dict[str, Any]] = [
    {},
    {"on_overlap": "queue_all"},
    {"on_overlap": "queue_one", "max_retries": 1, "retry_delay_ms": 700},
    {"on_overlap": "allow"},
    {"on_overlap": "cancel_running"},
    {"on_missed": "run_all", "on_overlap": "queue_all"},
    {"on_missed": "skip", "on_crash": "fail"},
    {"jitter_ms": 900},
    {"repeats": 8},
]


class Life:
    """A harness in which each step is drawn at random."""

    def __init__(self, store: OpenStore, clock: ManualClock, seed: int) -> None:
        self.random = random.Random(seed)
        self.store, self.clock = store, clock
        self.effects: list[Effect] = []
        self.periods: dict[int, tuple[int, int]] = {}
        self.harness = Harness(store, clock, grace=0.0)
        self.gate = asyncio.Event()

    async def begin(self) -> None:
        self.harness = Harness(self.store, self.clock, grace=0.0)
        self.gate = asyncio.Event()
        self.gate.set()
        self.harness.services["s"] = self.service
        await self.harness.scheduler.__aenter__()

    async def service(self, invocation: Invocation) -> None:
        job = invocation.job
        assert job is not None
        slot = round(job.slot.timestamp() * 1e6)
        if await self.is_scheduled(job.run_id):
            effect = Effect(job.id, slot, job.attempt, job.token, self.clock.now())
            self.effects.append(effect)
        await self.gate.wait()
        if self.random.random() < 0.2:
            raise ValueError("bad luck")

    async def is_scheduled(self, run_id: int) -> bool:
        row = await self.harness.history.run_by_id(run_id)
        return row is not None and row.kind == "scheduled"

    async def create(self, number: int) -> None:
        period = self.random.choice([1, 1, 2, 3, 5]) * SECOND
        start = self.clock.now() + self.random.randrange(1, 3 * SECOND)
        job_id = await self.harness.create(
            name=f"j{number}",
            trigger=self.harness.every(period // SECOND, start),
            **POLICIES[number % len(POLICIES)],
        )
        self.periods[job_id] = (start, period)

    async def step(self) -> None:  # noqa: C901 - one case for each thing that may happen
        job_id = self.random.choice(list(self.periods))
        jobs = self.harness.jobs
        match self.random.randrange(16):
            case 0:
                await self.harness.scheduler.crash()
                await self.begin()
            case 1:
                await self.harness.scheduler.drain()
                self.clock.advance(seconds=self.random.choice([0, 1, 7, 40]))
                await self.begin()
            case 2:
                self.gate.clear()
            case 3 | 4 | 5:
                self.gate.set()
            case 6:
                await jobs.pause(job_id)
            case 7:
                await jobs.resume(job_id)
            case 8:
                await jobs.execute(job_id)
            case 9:
                await self.harness.edit(job_id, extra=str(self.random.random()))
            case 10:
                rows, _ = await self.harness.history.history(job_id, limit=1)
                if rows:
                    await jobs.cancel_run(job_id, rows[0].number)
            case _:
                await self.harness.advance(self.random.choice([0.1, 0.45, 0.55, 1.0, 2.5]))

    async def end(self) -> None:
        self.gate.set()
        for job_id in self.periods:  # a pause would hold what has not started
            trigger = (await self.harness.jobs.get(job_id)).job.trigger
            ended = msgspec.structs.replace(trigger, end=self.clock.now() + 1)
            await self.harness.edit(job_id, trigger=ended, is_active=True, pause_note=None)
        for _ in range(12):
            await self.harness.advance(1)
            await self.harness.scheduler.wait_until_idle()
        await self.harness.scheduler.drain()

    async def account(self) -> tuple[list[Due], list[Run], list[Gap]]:
        rows, _ = await self.harness.history.history(limit=100_000)
        runs = [
            Run(
                row.job_id,
                row.slot,
                row.attempt,
                row.token,
                row.started_at,
                None if row.outcome == "running" else row.outcome,
            )
            for row in rows
            if row.kind == "scheduled"
        ]
        entries, _ = await self.harness.history.ledger(limit=100_000)
        gaps = [Gap(e.job_id, e.first, e.last, e.count, e.outcome) for e in entries]
        due = []
        for job_id, (start, period) in self.periods.items():
            row = await self.harness.jobs.get(job_id)
            until = row.cursor
            if row.job.repeats is not None and row.started >= row.job.repeats:
                until = max((r.slot for r in runs if r.job == job_id), default=0)
            due.append(Due(job_id, grid(start, period, start - 1, until)))
        return due, runs, gaps


@pytest.mark.parametrize("seed", range(12))
async def test_each_slot_is_answered_for_once_whatever_happens(seed: int) -> None:
    clock = ManualClock()
    async with open_store(":memory:", clock) as store:
        life = Life(store, clock, seed)
        await life.begin()
        for number in range(9):
            await life.create(number)

        for _ in range(80):
            await life.step()
        await life.end()

        assert violations(*await life.account(), life.effects) == []
