"""zato-lite as a user runs it: services in files, the composition root, SQLite on disk."""

import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Self

import msgspec

from bench.scheduler import record
from zato_lite.app import open_app
from zato_lite.config import Settings

SERVICES = '''
import asyncio

from bench.scheduler import record
from zato_lite import Service

CREATE = "zato.scheduler.job.create"


class Note(Service):
    name = "bench.note"

    async def handle(self):
        record.seen.append((record.now_ns(), self.job.slot))


class Mark(Service):
    name = "bench.mark"

    async def handle(self):
        record.effect(self.job.name, round(self.job.slot.timestamp() * 1e6), self.job.attempt)


class Slow(Service):
    name = "bench.slow"

    async def handle(self):
        slot = round(self.job.slot.timestamp() * 1e6)
        record.effect(self.job.name, slot, self.job.attempt)
        await asyncio.sleep(3)
        record.effect(self.job.name, slot, self.job.attempt, word="ended")


class Never(Service):
    name = "bench.never"

    async def handle(self):
        raise AssertionError(self.request.input)


class Each(Service):
    """Awaits them together, one call each."""

    name = "bench.each"

    async def handle(self):
        await asyncio.gather(*(self.invoke(CREATE, job) for job in self.request.payload))
'''


class ZatoLite:
    """The calls a user would make."""

    def __init__(self, folder: Path, *, paused: bool) -> None:
        self.folder = folder
        (folder / "services").mkdir(exist_ok=True)
        (folder / "services" / "bench_services.py").write_text(SERVICES)
        settings = Settings()
        scheduler = msgspec.structs.replace(settings.scheduler, enabled=not paused)
        self.settings = msgspec.structs.replace(settings, scheduler=scheduler)
        self.lead_s = 3.0
        self.adds_per_second = 20_000
        self.stack = AsyncExitStack()
        logging.basicConfig(level=logging.WARNING)

    async def __aenter__(self) -> Self:
        self.app = await self.stack.enter_async_context(open_app(self.folder, self.settings))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stack.aclose()

    async def add_one_time(self, slots: list[int]) -> None:
        await self._create_many(
            definition(f"once-{slot}-{number}", "bench.note", slot, job_type="one_time")
            for number, slot in enumerate(slots)
        )

    async def add_steady(self, starts: list[int]) -> None:
        await self._create_many(
            definition(f"steady-{number}", "bench.note", start, seconds=1)
            for number, start in enumerate(starts)
        )

    def hourly(self, count: int) -> list[dict[str, Any]]:
        return list(self._hourly("hourly", count))

    async def add_each(self, jobs: list[dict[str, Any]]) -> None:
        await self.app.invoker.invoke("bench.each", jobs)

    async def add_bulk(self, jobs: list[dict[str, Any]]) -> None:
        await self.app.invoker.invoke("zato.scheduler.job.create-many", {"jobs": jobs})

    async def add_dormant(self, count: int) -> None:
        await self._create_many(self._hourly("dormant", count, ahead_s=30 * 86_400))

    async def add_marked(self, names: list[str], start: int) -> None:
        await self._create_many(definition(n, "bench.mark", start, seconds=1) for n in names)

    async def add_slow(self, names: list[str], start: int) -> None:
        await self._create_many(
            definition(n, "bench.slow", start, job_type="one_time") for n in names
        )

    def _hourly(self, prefix: str, count: int, ahead_s: int = 3_600) -> Iterator[dict[str, Any]]:
        first = record.now_ns() // 1000 + ahead_s * 1_000_000
        for number in range(count):
            name = f"{prefix}-{number}"
            yield definition(name, "bench.never", first, hours=1, extra='{"filler": "xxxxxxxxxx"}')

    async def _create_many(self, definitions: Iterator[dict[str, Any]]) -> None:
        while some := list(islice(definitions, 1_000)):
            payload = {"jobs": some}
            await self.app.invoker.invoke("zato.scheduler.job.create-many", payload)


def definition(name: str, service: str, start_us: int, **more: Any) -> dict[str, Any]:
    moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=start_us)
    return {
        "cluster_id": 1,
        "name": name,
        "is_active": True,
        "service": service,
        "job_type": "interval_based",
        "start_date": moment.isoformat(),
        **more,
    }
