"""Sandbox: a complete application for tests, with a store in memory and a manual clock."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace

from zato_lite.app import App, open_app
from zato_lite.builtin.reconcile import Known, definitions, reconciled
from zato_lite.clock import to_datetime, to_instant
from zato_lite.config import Observe, Settings, Store, load_project
from zato_lite.deploy.deployer import Deployer
from zato_lite.errors import ConfigError, JobNotFoundError
from zato_lite.scheduler.history import RunHistory
from zato_lite.service.base import Service
from zato_lite.service.invoker import Invoker
from zato_lite.testing.callers import Answer, Callers, Client, invoke
from zato_lite.testing.clock import DEFAULT_START, ManualClock
from zato_lite.testing.crashes import CrashableScheduler, CrashPoint
from zato_lite.testing.fakes import Fakes, microseconds_of
from zato_lite.testing.http import HttpClient
from zato_lite.testing.records import LedgerEntry, Run, entry_of, run_of

_ROUNDS = 3


class Sandbox:
    """Application whose clock stands still until ``advance``."""

    def __init__(self, app: App, clock: ManualClock, callers: Callers) -> None:
        self.app, self.clock, self._callers = app, clock, callers

    @property
    def now(self) -> datetime:
        """The time of the clock, aware, in UTC."""
        return to_datetime(self.clock.now())

    async def invoke(
        self, service: str | type[Service[Any, Answer]], payload: Any = None, **fields: Any
    ) -> Answer:
        """Invoke a service; return its answer or raise its error.

        Args:
            service: its name or its class.
            payload: its payload; the default is the other keyword arguments.
            fields: the payload, when none is given.
        """
        return await invoke(self.app, service, payload, fields)

    def as_(self, role: str, patterns: Iterable[str] = ()) -> Client:
        """Return a caller with a role, and with patterns of the services that it may invoke.

        Args:
            role: its role; without one that is known, the error lists them.
            patterns: as ``["crm.*"]``; none for all services.
        """
        return self._callers.client(role, tuple(patterns))

    @property
    def http(self) -> HttpClient:
        """A client of the real edge, with the credentials of an admin."""
        return self._callers.client("admin").http

    async def advance(
        self,
        until: str | timedelta | datetime | None = None,
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> None:
        """Move the clock from slot to slot, so that each run starts at its own slot.

        Args:
            until: a duration, as ``"3d"`` or ``"1 h 30 min"``, or an aware datetime.
            days: further time, as are ``hours``, ``minutes`` and ``seconds``.
            hours: see ``days``.
            minutes: see ``days``.
            seconds: see ``days``.
        """
        seconds += ((days * 24 + hours) * 60 + minutes) * 60
        end = _end(until, self.clock.now()) + round(seconds * 1_000_000)
        if end < self.clock.now():
            raise ValueError(f"{to_datetime(end):%Y-%m-%d %H:%M:%S} UTC has passed already")
        await self.settle()
        while (now := self.clock.now()) < end:
            scheduler, due = self._scheduler, await self.app.jobs.next_due(now)
            known = (due, scheduler.next_start, scheduler.next_wake, end)
            step = min(instant for instant in known if instant is not None)
            self.clock.advance(milliseconds=(max(step, now + 1) - now) / 1000)
            scheduler.executor.expire(self.clock.now())
            await self.settle()

    async def settle(self) -> None:
        """Start due runs and wait until all have finished, except those that wait for the clock.

        A scheduler that has crashed starts again, and recovers its runs.
        """
        # The store answers in order: after a few rounds it has also answered the scheduler's
        # dispatcher, which has set its next alarm.
        scheduler, rounds = self._scheduler, 0
        while rounds < _ROUNDS:
            rounds += 1
            await scheduler.tick()
            await scheduler.wait_until_idle()
            await asyncio.sleep(0)
            if scheduler.is_dead:
                await scheduler.revive()
                rounds = 0

    async def runs(self, job: str | None = None) -> list[Run]:
        """Return the runs of a job, or all runs, oldest first; those that are due end before."""
        await self.settle()
        history, job_id = self._history, await self._id_of(job)
        rows, _ = await history.history(job_id, limit=sys.maxsize)
        found = []
        for row in reversed(rows):
            has_more = row.attempt > 1 and row.job_id
            found.append(
                run_of(row, await history.attempts(row.job_id, row.number) if has_more else ())
            )
        return found

    async def ledger(self, job: str | None = None) -> list[LedgerEntry]:
        """Return the slots of a job, or of all jobs, that got no run, oldest first."""
        await self.settle()
        rows, _ = await self._history.ledger(await self._id_of(job), limit=sys.maxsize)
        return [entry_of(row) for row in reversed(rows)]

    def crash(self, *, at: CrashPoint, job: str | None = None) -> None:
        """Crash the scheduler when the next run reaches a point; it starts again in ``settle``.

        Args:
            at: ``before_begin``: the run is claimed, and its service has not begun;
                ``after_handle``: its service has ended; ``before_save``: its result is known, and
                not stored.
            job: the name of the run's job; without one, any run.
        """
        self._scheduler.arm(at, job)

    @property
    def _scheduler(self) -> CrashableScheduler:
        return cast("CrashableScheduler", self.app.scheduler)

    @property
    def _history(self) -> RunHistory:
        return cast("RunHistory", self.app.invoker.resources[RunHistory])

    async def _id_of(self, job: str | None) -> int | None:
        if job is None:
            return None
        try:
            return (await self.app.jobs.get_by_name(job)).id
        except JobNotFoundError:
            known = [row.job.name for row in (await self.app.jobs.list())[0]]
            raise JobNotFoundError(f"job {job!r} not found; the jobs are {known}") from None


@asynccontextmanager
async def sandbox(
    *classes: type[Service[Any, Any]],
    project: Path | None = None,
    at: datetime | None = None,
    clock: ManualClock | None = None,
    settings: Settings | None = None,
    resources: Mapping[Any, object] | None = None,
    outgoing: Mapping[str, Any] | None = None,
    services: Mapping[Any, Any] | None = None,
    every_run_twice: bool = False,
) -> AsyncIterator[Sandbox]:
    """Open an application with these services, those of ``project``, and the built-in ones.

    ``async with sandbox(Report) as it: assert await it.invoke(Report) == …``

    Args:
        classes: classes of services.
        project: the folder of a project.
        at: the time at the start, aware.
        clock: the clock.
        settings: the settings; by default those of the project, with a store in memory.
        resources: objects in place of the project's resources, by type, or by ``(type, name)``.
        outgoing: fakes in place of outgoing connections: ``{"rest.crm": answer}``, where
            ``answer`` is a function, async or not, from a ``RestRequest`` to a ``RestResponse``.
        services: fakes in place of services, by name or class: a class, a function, async or not,
            from the input to the answer, ``fails(…)``, ``slow(…)``, an exception, or any other
            value, the answer.
        every_run_twice: drop the result of each run's first attempt, as a crash does: the service
            is invoked again. Jobs that are not repeated after a crash are left out.

    Raises:
        ConfigError: the project has mistakes, and no settings were given: each is listed.
    """
    clock = clock or ManualClock(DEFAULT_START)
    if at is not None:
        clock.set(_instant(at))

    async def sleep(service: Service[Any, Any], microseconds: int) -> None:
        await scheduler.sleep(service, microseconds)

    fakes = Fakes(services or {}, sleep)

    async def add_services(invoker: Invoker) -> None:
        invoker.resources.update(resources or {})
        deployer: Deployer = invoker.resources[Deployer]
        deployer.resources.replacements = [*(resources or {})]
        fakes.install(invoker.registry)
        for cls in classes:
            invoker.registry.add(cls)

    chosen = _settings_of(project) if settings is None else settings
    make = partial(CrashableScheduler, runs_twice=every_run_twice)
    opening = open_app(
        project, chosen, clock, add_services, outgoing=outgoing, make_scheduler=make
    )
    async with opening as app, AsyncExitStack() as stack:
        scheduler = cast("CrashableScheduler", app.scheduler)
        if app.problems and settings is None:
            raise ConfigError("\n".join(app.problems))
        fakes.add_missing(app.registry)
        if project is None:
            await _create_declared_jobs(app)
        try:
            yield Sandbox(app, clock, Callers(app, stack))
            if point := scheduler.executor.crash_at:
                raise AssertionError(f"no run has reached the crash at {point!r}")
        finally:
            if scheduler.is_dead:
                await scheduler.crash()


async def _create_declared_jobs(app: App) -> None:
    """Create the jobs that classes declare, as a project does for those of its files."""
    known = Known((), app.registry.entries)
    found = reconciled((), definitions(app.registry), app.clock.now(), known)
    if found.mistakes:
        raise ConfigError("\n".join(mistake.message for mistake in found.mistakes))
    await app.jobs.create(found.creates)


def _settings_of(project: Path | None) -> Settings:
    """Return the settings of a project, but for a process that is a test."""
    found = Settings() if project is None else load_project(project)
    return replace(
        found,
        store=Store("sqlite:///:memory:"),
        server=replace(found.server, grace=0.0),
        services=replace(found.services, reload=False),
        observe=Observe(),
    )


def _end(until: str | timedelta | datetime | None, now: int) -> int:
    match until:
        case None:
            return now
        case datetime():
            return _instant(until)
        case _:
            return now + microseconds_of(until)


def _instant(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone; add tzinfo=UTC or tzinfo=ZoneInfo(…)")
    return to_instant(moment)
