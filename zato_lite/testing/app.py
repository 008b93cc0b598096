"""Sandbox: a complete application for tests, with a store in memory and a manual clock."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from zato_lite.app import App, open_app
from zato_lite.config import Server, Settings, Store
from zato_lite.deploy.deployer import Deployer
from zato_lite.service.base import Service
from zato_lite.service.invoker import Invoker
from zato_lite.testing.clock import ManualClock

_ROUNDS = 3


class Sandbox:
    """Application whose clock stands still until ``advance``."""

    def __init__(self, app: App, clock: ManualClock) -> None:
        self.app, self.clock = app, clock

    async def invoke(self, service: str | type[Service[Any, Any]], payload: Any = None) -> Any:
        """Invoke a service; return its answer or raise its error."""
        return await self.app.invoker.invoke(service, payload)

    async def advance(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0
    ) -> None:
        """Move the clock from slot to slot, so that each run starts at its own slot."""
        seconds += ((days * 24 + hours) * 60 + minutes) * 60
        until = self.clock.now() + round(seconds * 1_000_000)
        await self.settle()
        while (now := self.clock.now()) < until:
            known = (await self.app.jobs.next_due(now), self.app.scheduler.next_start, until)
            step = min(instant for instant in known if instant is not None)
            self.clock.advance(milliseconds=(max(step, now + 1) - now) / 1000)
            await self.settle()

    async def settle(self) -> None:
        """Start due runs and wait until all have finished."""
        # The store answers in order: after a few rounds it has also answered the scheduler's
        # dispatcher, which has set its next alarm.
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
    resources: Mapping[Any, object] | None = None,
    outgoing: Mapping[str, Any] | None = None,
) -> AsyncIterator[Sandbox]:
    """Open an application with these services, those of ``project``, and the built-in ones.

    ``async with sandbox(Report) as app: assert await app.invoke(Report) == …``

    Args:
        services: classes of services.
        project: the folder of a project.
        clock: the clock.
        settings: the settings; by default those of a store in memory.
        resources: objects in place of the project's resources, by type, or by ``(type, name)``.
        outgoing: fakes in place of outgoing connections: ``{"rest.crm": answer}``, where
            ``answer`` is a function, async or not, from a ``RestRequest`` to a ``RestResponse``.
    """
    clock = clock or ManualClock()
    chosen = settings or Settings(store=Store("sqlite:///:memory:"), server=Server(grace=0.0))

    async def add_services(invoker: Invoker) -> None:
        invoker.resources.update(resources or {})
        deployer: Deployer = invoker.resources[Deployer]
        deployer.resources.replacements = [*(resources or {})]
        for cls in services:
            invoker.registry.add(cls)

    async with open_app(project, chosen, clock, add_services, outgoing=outgoing) as app:
        yield Sandbox(app, clock)
