import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Barrier
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
import pytest

from zato_lite.scheduler import completer, scheduler
from zato_lite.scheduler.calendars import Calendars
from zato_lite.scheduler.commands import JobCommands
from zato_lite.scheduler.history import RunHistory
from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.service.message import Invocation, Outcome
from zato_lite.store.nodes import NodeLocks
from zato_lite.store.opening import OpenStore
from zato_lite.store.postgres import READERS, PostgresStore, open_postgres
from zato_lite.store.rows import JobRow, RunRow
from zato_lite.store.sqlite import open_store
from zato_lite.testing.clock import ManualClock
from zato_lite.timetable.job import SECOND, Interval, Job, OneTime

Place = Path | str
"""Path of a file, or the URL of a PostgreSQL schema."""

Service = Callable[[Invocation], Awaitable[Any]]


_local: WeakKeyDictionary[OpenStore, NodeLocks] = WeakKeyDictionary()
"""Nodes that follow each other on a database server, without its seconds of watching."""


class Harness:
    """A scheduler over a store; its services are functions, its clock is moved by the test."""

    def __init__(self, store: OpenStore, clock: ManualClock, **options: Any) -> None:
        self.store, self.clock = store, clock
        self.calls: list[Invocation] = []
        self.services: dict[str, Service] = {}
        self.gates: dict[str, asyncio.Event] = {}
        if not isinstance(store.locks, NodeLocks):
            options.setdefault("locks", _local.setdefault(store, NodeLocks(":memory:")).alone())
        self.scheduler = Scheduler(store, self.run, clock, **options)
        self.jobs = JobCommands(store, self.scheduler, clock)
        self.history = RunHistory(store, self.scheduler, clock)
        self.calendars = Calendars(store, self.scheduler)

    async def run(self, invocation: Invocation) -> Outcome:
        self.calls.append(invocation)
        service = self.services.get(invocation.service, _nothing)
        try:
            return Outcome(cid="c", payload=await service(invocation))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - as the invoker does
            return Outcome(cid="c", error=error)

    def block(self, service: str) -> asyncio.Event:
        """Make a service wait until the returned event is set."""
        event = asyncio.Event()

        async def wait(invocation: Invocation) -> str:
            await event.wait()
            return "done"

        self.services[service] = wait
        return event

    def fail(self, service: str, words: str = "broken") -> None:
        async def fail(invocation: Invocation) -> None:
            raise ValueError(words)

        self.services[service] = fail

    async def advance(self, seconds: float = 0) -> None:
        """Let time pass, and everything happen that waits for nothing else."""
        self.clock.advance(seconds=seconds)
        await self.scheduler.tick()
        await self.settle()

    async def settle(self) -> None:
        """Wait until only blocked runs are in flight, and all other results are saved."""
        for _ in range(4 if self.store.is_in_memory else 12):
            self.scheduler.save_results()
            if not self.store.is_in_memory:
                await self._wait_for_reads()
            await self.store.write(lambda c: None)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def _wait_for_reads(self) -> None:
        """Wait for the reads before this; each thread of a store's readers reads alone."""
        barrier = Barrier(1)
        if isinstance(self.store, PostgresStore):
            barrier = Barrier(READERS)
            for _ in range(READERS - 1):
                self.store._put_read(lambda _: barrier.wait(5), lambda *_: None)
        await self.store.read(lambda _: barrier.wait(5))

    async def wait_for(self, condition: Callable[[], bool], *, rest: bool = True) -> None:
        """Wait until a condition holds, then until idle; give up after a while."""
        for _ in range(2_000):
            if condition():
                break
            await self.store.write(lambda c: None)
        if rest:
            await self.scheduler.wait_until_idle()

    async def create(self, **fields: Any) -> int:
        return (await self.jobs.create([self.job(**fields)]))[0]

    def job(self, **fields: Any) -> Job:
        given: dict[str, Any] = {"name": "report", "service": "s", "trigger": self.every(1)}
        return Job(**(given | fields))

    def every(self, seconds: int, start: int | None = None) -> Interval:
        begin = self.clock.now() + seconds * SECOND if start is None else start
        return Interval(start=begin, seconds=seconds)

    def once(self, seconds: float = 1) -> OneTime:
        return OneTime(start=self.clock.now() + int(seconds * SECOND))

    async def runs(self, job_id: int | None = None) -> list[RunRow]:
        """Runs, oldest first."""
        rows, _ = await self.history.history(job_id, limit=100_000)
        return list(rows)[::-1]

    async def outcomes(self, job_id: int | None = None) -> list[str]:
        return [run.outcome for run in await self.runs(job_id)]

    async def edit(self, job_id: int, **fields: Any) -> JobRow:
        return await self.jobs.edit(job_id, lambda job: msgspec.structs.replace(job, **fields))


async def _nothing(invocation: Invocation) -> None:
    return None


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
async def store(request: pytest.FixtureRequest, clock: ManualClock) -> AsyncIterator[OpenStore]:
    if request.param == "postgres":
        async with open_postgres(request.getfixturevalue("postgres_url"), clock) as opened:
            yield opened
    else:
        async with open_store(":memory:", clock) as opened:
            yield opened


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry after a millisecond; to be requested before ``harness``."""
    for module in (completer, scheduler):
        monkeypatch.setattr(module, "RETRY_S", 0.001)


@pytest.fixture
async def harness(store: OpenStore, clock: ManualClock) -> AsyncIterator[Harness]:
    harness = Harness(store, clock, grace=0.0)
    async with harness.scheduler:
        yield harness


@pytest.fixture(params=["file", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return a store that several harnesses can open: a file, or the URL of a schema."""
    if request.param == "file":
        return tmp_path / "z.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@asynccontextmanager
async def open_harness(place: Place, clock: ManualClock, **options: Any) -> AsyncIterator[Harness]:
    """A harness over a store, as a process would have it."""
    async with (
        open_store(place, clock) if isinstance(place, Path) else open_postgres(place, clock)
    ) as store:
        harness = Harness(store, clock, grace=0.0, locks=store.locks, **options)
        async with harness.scheduler:
            yield harness


def record(message: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("s", logging.INFO, "s.py", 1, message, values, None)
