"""Offenders: pauses services that repeatedly reach for what belongs to the server."""

import asyncio
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context

from zato_lite.errors import ZatoLiteError
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.interference import interferences
from zato_lite.service.message import SYSTEM_PRINCIPAL
from zato_lite.service.registry import Registry
from zato_lite.service.watchdog import service_in

_log = logging.getLogger(__name__)


@contextmanager
def offenders_paused(registry: Registry, jobs: JobCommands) -> Iterator[None]:
    """Pause each offender while the block lasts: refuse its invocations, pause its jobs.

    The jobs stay paused in the store. The service is active again after a restart, or when
    ``zato.service.edit`` activates it.
    """
    loop = asyncio.get_running_loop()
    work: set[asyncio.Task[None]] = set()

    def start(service: str, deed: str) -> None:
        task = loop.create_task(_pause(service, deed, jobs), context=Context())
        work.add(task)
        task.add_done_callback(work.discard)

    def repeated(service: str, deed: str) -> None:
        if service in registry and not registry.get(service).is_internal:
            registry.get(service).is_active = False
            loop.call_soon_threadsafe(start, service, deed, context=Context())

    interferences.culprit = lambda: service_in(sys._getframe())  # noqa: SLF001 - the only way
    interferences.on_repeated = repeated
    try:
        yield
    finally:
        interferences.culprit, interferences.on_repeated = str, None


async def _pause(service: str, deed: str, jobs: JobCommands) -> None:
    times = interferences.counts[service]
    note = f"paused: {service} {deed}, for the {times}. time; zato.service.edit activates it"
    paused = []
    try:
        rows, _ = await jobs.list(service=service)
        for row in rows:
            if row.job.is_active:
                await jobs.pause(row.id, note, by=SYSTEM_PRINCIPAL)
                paused.append(row.job.name)
    except ZatoLiteError:
        _log.exception("jobs of an offender not paused", extra={"service": service})
    fields = {"service": service, "deed": deed, "times": times, "jobs_paused": paused}
    _log.critical("service paused", extra=fields)
