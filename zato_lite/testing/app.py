"""A whole app for tests: real rooms, a store in memory, and time that is moved by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from zato_lite.app import App, open_app
from zato_lite.config import Server, Settings, Store
from zato_lite.service.base import Service
from zato_lite.testing.clock import ManualClock

_ROUNDS = 3


class Sandbox:
    """An app whose clock stands still until ``advance``."""

    def __init__(self, app: App, clock: ManualClock) -> None:
        self.app, self.clock = app, clock

    async def invoke(self, service: str | type[Service[Any, Any]], payload: Any = None) -> Any:
        """Invoke a service; what it answers, or its error raised."""
        return await self.app.invoker.invoke(service, payload)

    async def advance(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0
    ) -> None:
        """Let time pass from one slot to the next, so that each job runs at its own."""
        seconds += ((days * 24 + hours) * 60 + minutes) * 60
        until = self.clock.now() + round(seconds * 1_000_000)
        await self.settle()
        while (now := self.clock.now()) < until:
            known = (await self.app.jobs.next_due(now), self.app.scheduler.next_start, until)
            step = min(instant for instant in known if instant is not None)
            self.clock.advance(milliseconds=(max(step, now + 1) - now) / 1000)
            await self.settle()

    async def settle(self) -> None:
        """Start what is due, and wait until all that runs has ended."""
        # The store answers in order: after a few rounds what the scheduler's own loop had asked
        # has been answered too, and it has set its next alarm.
        for _ in range(_ROUNDS):
            await self.app.scheduler.tick()
            await self.app.scheduler.wait_until_idle()
            await asyncio.sleep(0)


@asynccontextmanager
async def sandbox(
    *services: type[Service[Any, Any]],
    project: Path | None = None,
    clock: ManualClock | None = None,
    settings: Settings | None = None,
) -> AsyncIterator[Sandbox]:
    """An app with the services given, those of ``project`` if there is one, and all built-in ones.

    ``async with sandbox(Report) as it: assert await it.invoke(Report) == …``
    """
    clock = clock or ManualClock()
    chosen = settings or Settings(store=Store("sqlite:///:memory:"), server=Server(grace=0.0))
    async with open_app(project, chosen, clock) as app:
        for cls in services:
            app.registry.add(cls)
        yield Sandbox(app, clock)
