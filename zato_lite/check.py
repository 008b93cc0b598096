"""Check of a project: what a server would refuse or leave out, found by starting it in memory."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import cast

from msgspec.structs import replace

from zato_lite import config
from zato_lite.app import open_app
from zato_lite.errors import ConfigError, StoreError, UnavailableError, ZatoLiteError
from zato_lite.scheduler.calendars import Calendars
from zato_lite.scheduler.commands import JobCommands
from zato_lite.server import cors_policy, import_mount, open_static
from zato_lite.service.invoker import Invoker
from zato_lite.store.jobs import find, get_calendars
from zato_lite.store.opening import query_store
from zato_lite.store.rows import JobRow
from zato_lite.timetable.calendar import Calendar

_MAX_JOBS = 100_000


def check(folder: Path) -> tuple[list[str], int]:
    """Return the mistakes in a project's settings, services and jobs, and its service count.

    The project is opened as ``serve`` opens it, on a store in memory with the calendars and the
    jobs of the project's store.
    """
    mistakes: list[str] = []
    settings = config.Settings()
    try:
        settings = config.load_project(folder)
    except ConfigError as error:
        mistakes += str(error).splitlines()
    try:
        found, services = asyncio.run(_open(folder, settings))
    except ZatoLiteError as error:
        return [*mistakes, *str(error).splitlines()], 0
    return mistakes + found, services


async def _open(folder: Path, settings: config.Settings) -> tuple[list[str], int]:
    """Return the mistakes that opening a project finds, and its service count."""
    calendars, rows = _stored(folder, settings)

    async def copy_store(invoker: Invoker) -> None:
        for calendar in calendars.values():
            await cast("Calendars", invoker.resources[Calendars]).save_calendar(calendar)
        if rows:
            await cast("JobCommands", invoker.resources[JobCommands]).create(
                [row.job for row in rows]
            )

    rehearsal = replace(
        settings,
        store=replace(settings.store, url="sqlite:///:memory:"),
        scheduler=replace(settings.scheduler, enabled=False, jobs_file_errors="skip"),
        services=replace(settings.services, reload=False),
    )
    async with open_app(folder, rehearsal, prepare=copy_store, is_rehearsal=True) as app:
        mistakes = list(app.problems)
        server = settings.server
        parts: list[Callable[[], object]] = [
            *(partial(import_mount, *mount) for mount in server.mounts.items()),
            *(partial(open_static, folder, *static) for static in server.folders.items()),
            partial(cors_policy, server),
        ]
        for part in parts:
            try:
                part()
            except ConfigError as error:
                mistakes.append(str(error))
        return mistakes, sum(1 for entry in app.registry if not entry.is_internal)


def _stored(
    folder: Path, settings: config.Settings
) -> tuple[Mapping[str, Calendar], list[JobRow]]:
    """Return the calendars and jobs of the project's store; none if it cannot be read."""
    try:
        found = query_store(folder, settings.store, lambda c: find(c, "", "", _MAX_JOBS, 0))
        if found is None:
            return {}, []
        return query_store(folder, settings.store, get_calendars) or {}, [*found[0]]
    except (StoreError, UnavailableError):
        return {}, []
