"""APScheduler 3 as a peer: AsyncIOScheduler, jobs that are coroutines, in memory or on SQLite.

In its fastest setup: no job is dropped for being late, SQLite is in WAL mode with
synchronous=NORMAL (zato-lite has FULL), dormant jobs are put in the table in bulk, and no history
is kept because it has none.
"""

import asyncio
import logging
import pickle
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.util import datetime_to_utc_timestamp
from sqlalchemy import event

from bench.scheduler import record


async def one_time(slot_ns: int) -> None:
    record.note(slot_ns)


async def steady(phase_ns: int) -> None:
    record.note_phase(phase_ns)


async def dormant(payload: str) -> None:
    raise AssertionError(payload)


async def marked(name: str) -> None:
    record.effect(name, record.now_ns() // 1_000_000_000 * 1_000_000)


async def slow(name: str, slot_us: int) -> None:
    record.effect(name, slot_us)
    await asyncio.sleep(3)
    record.effect(name, slot_us, word="ended")


def moment(instant_us: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=instant_us)


class APScheduler:
    """The calls a user would make."""

    def __init__(self, folder: Path, kind: str, *, paused: bool) -> None:
        self.kind, self.paused = kind, paused
        self.scheduler = AsyncIOScheduler(
            timezone=UTC,
            jobstores={"default": self._store(folder)},
            job_defaults={"misfire_grace_time": None, "coalesce": True},
        )
        self.lead_s = 3.0
        self.adds_per_second = 3_000 if kind == "memory" else 500
        logging.getLogger("apscheduler").setLevel(logging.ERROR)

    def _store(self, folder: Path) -> MemoryJobStore | SQLAlchemyJobStore:
        if self.kind == "memory":
            return MemoryJobStore()
        store = SQLAlchemyJobStore(url=f"sqlite:///{folder / 'jobs.db'}")

        @event.listens_for(store.engine, "connect")
        def _(connection, _record) -> None:  # noqa: ANN001
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")

        return store

    async def __aenter__(self) -> Self:
        self.scheduler.start(paused=self.paused)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Do nothing: the process exits, and with it the scheduler."""

    async def add_one_time(self, slots: list[int]) -> None:
        for slot in slots:
            self.scheduler.add_job(one_time, "date", run_date=moment(slot), args=[slot * 1000])
            await asyncio.sleep(0)

    async def add_steady(self, starts: list[int]) -> None:
        self.scheduler.pause()  # or it would be busy with the first while the last are added
        for number, start in enumerate(starts):
            self.scheduler.add_job(
                steady, "interval", seconds=1, start_date=moment(start), args=[start * 1000]
            )
            if number % 50 == 0:
                await asyncio.sleep(0)
        self.scheduler.resume()

    def hourly(self, count: int) -> list[dict[str, Any]]:
        first = moment(time.time_ns() // 1000 + 3_600_000_000)
        return [
            {"id": f"job-{number}", "start_date": first, "args": ["x" * 40]}
            for number in range(count)
        ]

    async def add_each(self, jobs: list[dict[str, Any]]) -> None:
        for job in jobs:
            self.scheduler.add_job(dormant, "interval", hours=1, **job)

    async def add_dormant(self, count: int) -> None:
        """Far in the future, in bulk where it is kept in a table."""
        first = moment(time.time_ns() // 1000 + 30 * 86_400_000_000)
        if self.kind == "memory":
            for number in range(count):
                self.scheduler.add_job(
                    dormant, "interval", hours=1, start_date=first, id=f"d{number}", args=["x"]
                )
            return
        store: SQLAlchemyJobStore = self.scheduler._jobstores["default"]  # noqa: SLF001
        self.scheduler.add_job(
            dormant, "interval", hours=1, start_date=first, id="d", args=["x" * 40]
        )
        state = store.lookup_job("d").__getstate__()
        stamp = datetime_to_utc_timestamp(state["next_run_time"])
        with store.engine.begin() as connection:
            for begin in range(0, count, 10_000):
                rows = []
                for number in range(begin, min(count, begin + 10_000)):
                    blob = pickle.dumps({**state, "id": f"d{number}"}, store.pickle_protocol)
                    rows.append({"id": f"d{number}", "next_run_time": stamp, "job_state": blob})
                connection.execute(store.jobs_t.insert(), rows)

    async def add_marked(self, names: list[str], start: int) -> None:
        for name in names:
            self.scheduler.add_job(
                marked,
                "interval",
                seconds=1,
                start_date=moment(start),
                id=name,
                args=[name],
                replace_existing=True,
            )

    async def add_slow(self, names: list[str], start: int) -> None:
        for name in names:
            self.scheduler.add_job(
                slow, "date", run_date=moment(start), id=name, args=[name, start]
            )
