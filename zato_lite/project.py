"""Project: deploys a folder of services and a jobs file, and keeps jobs in line with both."""

import asyncio
import difflib
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from zato_lite import config
from zato_lite.builtin.accounts import CredentialIssuer
from zato_lite.builtin.jobs_file import JobsFile
from zato_lite.builtin.reconcile import Known, Mistake, claims_of, definitions, reconciled
from zato_lite.clock import Clock
from zato_lite.deploy.deployer import Deployer
from zato_lite.deploy.files import shown
from zato_lite.deploy.loader import Failure, line_of
from zato_lite.deploy.ownership import Claim
from zato_lite.deploy.watcher import watching
from zato_lite.errors import ConfigError, ZatoLiteError
from zato_lite.file_sections import FileSections
from zato_lite.http import routes
from zato_lite.http.key_ring import KeyRing
from zato_lite.scheduler.calendars import Calendars
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.attribute_dict import Config
from zato_lite.service.base import Service
from zato_lite.service.entry import Entry
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import SYSTEM_PRINCIPAL, ChannelType, Invocation
from zato_lite.service.moments import started, stopped
from zato_lite.service.registry import Registry
from zato_lite.service.supervisor import Supervisor
from zato_lite.store.accounts import Accounts
from zato_lite.store.patience import when_unlocked
from zato_lite.zato.finder import install
from zato_lite.zato.review import explain_import, remarks_of

_RECHECK_S = 10.0
"""Seconds between checks for a calendar or service that a declared schedule lacks."""

_STOP_S = 10.0
"""Seconds that each service of ``on_stop`` may take."""

_log = logging.getLogger(__name__)


def make_deployer(
    folder: Path,
    settings: config.Settings,
    registry: Registry,
    clock: Clock,
    *,
    user: Callable[[], Config],
    is_rehearsal: bool,
) -> Deployer:
    """Return a deployer that checks what services declare: channels and schedules.

    Args:
        folder: the project's.
        settings: the settings.
        registry: receives the services.
        clock: gives the time to schedules.
        user: returns the user's settings, for resources.
        is_rehearsal: True to open no resources.

    Raises:
        ConfigError: a channel in the settings is not valid.
    """
    install()  # services written for Zato import its modules
    channels = [routes.parse_channel(text) for text in settings.server.channels]

    def review(entry: Entry) -> Iterator[Claim]:
        entry.remarks = remarks_of(entry.cls, registry.__contains__)
        yield from routes.claims_of(routes.channels_of(entry.cls))
        yield from claims_of(entry, clock.now())

    return Deployer(
        registry,
        folder / settings.services.folder,
        accepts_uploads=settings.services.accepts_uploads,
        reviews=[review],
        explain=explain_import,
        taken={"[server] channels": routes.claims_of(channels)},
        config=user,
        opens_resources=not is_rehearsal,
    )


class Project:
    """The services, declared schedules and jobs file of a project, applied to a running app.

    Attributes:
        problems: errors found when it was opened, each in a line.
        on_deployed: called when services were deployed or removed later on.
        jobs_file: the jobs file.
        channels: services by REST channel, of the settings and of the jobs file.
    """

    def __init__(
        self,
        folder: Path,
        settings: config.Settings,
        deployer: Deployer,
        invoker: Invoker,
        clock: Clock,
        *,
        is_rehearsal: bool = False,
    ) -> None:
        self.problems: tuple[str, ...] = ()
        self._is_rehearsal = is_rehearsal
        self.on_deployed: list[Callable[[], None]] = []
        self._reload = settings.services.reload
        self._refuses = settings.scheduler.jobs_file_errors == "refuse"
        self._deployer, self._invoker, self._clock = deployer, invoker, clock
        self._registry = invoker.registry
        self._jobs = cast("JobCommands", invoker.resources[JobCommands])
        self._calendars = cast("Calendars", invoker.resources[Calendars])
        self._has_changed, self._is_deployed = asyncio.Event(), asyncio.Event()
        self._started: set[str] = set()
        path = folder / settings.scheduler.jobs_file
        self.channels = dict(settings.server.channels)
        sections = FileSections(
            self._registry,
            settings.server.channels,
            self.channels,
            cast("Accounts", invoker.resources[Accounts]),
            keys=cast("KeyRing", invoker.resources[CredentialIssuer]),
            connections=invoker.connections,
            changed=self._notify,
        )
        self.jobs_file = JobsFile(
            path,
            self._jobs,
            self._calendars,
            services=self._registry,
            clock=clock,
            others=sections,
        )

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Deploy everything, and follow changes of the files as long as the block lasts."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._deployer.resources.close)
            problems = await _deploy_folder(self._deployer)
            problems += await when_unlocked(self._reconcile)
            try:
                await when_unlocked(partial(self.jobs_file.apply, refuses=self._refuses))
            except ConfigError as error:
                raise ConfigError("\n".join([*problems, str(error)])) from error
            problems += self.jobs_file.mistakes
            if not self._is_rehearsal:
                problems += await self._start_services()
                stack.push_async_callback(self._stop_services)
                await stack.enter_async_context(
                    Supervisor("services of the start", self._start_later_services)
                )
            self.problems = tuple(problems)
            self._deployer.on_change.append(self._follow)
            self._is_deployed.set()  # a resource may have opened since
            await stack.enter_async_context(
                Supervisor("declared schedules", self._keep_reconciled)
            )
            if self._reload:
                await stack.enter_async_context(watching(self._deployer))
                await stack.enter_async_context(Supervisor("jobs file", self.jobs_file.follow))
            yield

    async def _start_services(self) -> list[str]:
        """Invoke the services for the start that have not been invoked; return failures."""
        due = [each for each in started(self._registry) if each.name not in self._started]
        self._started.update(each.name for each in due)
        return await self._invoke_all(due, "startup", None)

    async def _start_later_services(self) -> None:
        while True:
            await self._is_deployed.wait()
            self._is_deployed.clear()
            await self._start_services()

    async def _stop_services(self) -> None:
        await self._invoke_all(stopped(self._registry), "shutdown", _STOP_S)

    async def _invoke_all(
        self, entries: Iterable[Entry], channel: ChannelType, seconds: float | None
    ) -> list[str]:
        """Invoke services one after the other; return a line for each that failed."""
        failed = []
        for entry in entries:
            outcome = await self._invoker.run(
                Invocation(entry.name, channel=channel, timeout=seconds)
            )
            if (error := outcome.error) is not None:
                extra = {"service": entry.name, "channel": channel, "cid": outcome.cid}
                _log.error("service failed", exc_info=error, extra=extra)
                failed.append(f"{shown(entry.source)}: {entry.name}: {error!r}")
        return failed

    def _follow(self, _: object) -> None:
        self._has_changed.set()
        self._is_deployed.set()
        self._notify()

    def _notify(self) -> None:
        for listener in self.on_deployed:
            try:
                listener()
            except Exception:  # noqa: BLE001 - the other listeners must be called all the same
                _log.exception("deployment listener failed")

    async def _keep_reconciled(self) -> None:
        """Reconcile when services have changed; while there are mistakes, now and then too.

        Jobs of the jobs file that had mistakes are tried again: a service or a calendar may exist
        by now. So are resources that did not open.
        """
        resources = self._deployer.resources
        has_mistakes = bool(self._deployer.remarks or self.jobs_file.mistakes)
        while True:
            try:
                is_due = has_mistakes or bool(resources.faults)
                async with asyncio.timeout(_RECHECK_S if is_due else None):
                    await self._has_changed.wait()
            except TimeoutError:
                if resources.faults:
                    await self._deployer.reopen()
            self._has_changed.clear()
            try:
                has_mistakes = bool(await self._reconcile())
                await self.jobs_file.apply_wrong()
                has_mistakes = has_mistakes or bool(self.jobs_file.mistakes)
            except ZatoLiteError:
                _log.exception("declared schedules or jobs file not applied")
                has_mistakes = True

    async def _reconcile(self) -> list[str]:
        """Bring jobs in line with declared schedules; return a line for each that is wrong."""
        withheld = [each.entry for each in self._registry.withheld.values()]
        declared = definitions([*self._registry, *withheld])
        before = await self._jobs.declared()
        without = [*_without_handle(self._deployer.folder), *_remarks(self._registry)]
        if not declared and not before:
            return self._remark(without)
        same_names = await self._jobs.named([definition.job for definition in declared])
        rows = {row.id: row for row in (*before, *same_names)}.values()
        needs_calendars = any("calendar" in definition.fields for definition in declared)
        calendars = await self._calendars.calendars() if needs_calendars else ()
        known = Known(calendars, self._registry.entries)
        creates, edits, mistakes = reconciled(rows, declared, self._clock.now(), known)
        if creates or edits:
            await self._jobs.apply(creates, edits, by=SYSTEM_PRINCIPAL)
            _log.info(
                "declared schedules applied",
                extra={"jobs_created": [job.name for job in creates], "jobs_changed": len(edits)},
            )
        return self._remark((*without, *mistakes))

    def _remark(self, mistakes: Iterable[Mistake]) -> list[str]:
        """Show mistakes in the status of their files; return a line for each file."""
        before = self._deployer.remarks
        found: dict[Path, str] = {}
        for source, message in mistakes:
            path = Path(source)
            found[path] = f"{found[path]}; {message}" if path in found else message
        remarks = {path: Failure(path, text, text) for path, text in found.items()}
        self._deployer.remarks = remarks
        for path, remark in remarks.items():
            if before.get(path) != remark:
                extra = {"source": shown(path), "why": remark.message}
                _log.error("declaration refused", extra=extra)
        return [f"{shown(path)}: {text}" for path, text in found.items()]


async def _deploy_folder(deployer: Deployer) -> list[str]:
    """Deploy the services of a folder; return a line for each file that failed."""
    if not deployer.folder.is_dir():
        return [f"services folder not found: {deployer.folder}"]
    await deployer.deploy()
    failures = [*deployer.failures.items(), *deployer.resources.faults.items()]
    return [f"{shown(path)}: {failure.message}" for path, failure in failures]


def _remarks(registry: Registry) -> Iterator[Mistake]:
    """Yield what deployed services use that does not exist, once for each file."""
    withheld = (each.entry for each in registry.withheld.values())
    found = {(entry.source, text) for entry in (*registry, *withheld) for text in entry.remarks}
    yield from (Mistake(source, text) for source, text in sorted(found))


def _without_handle(folder: Path) -> Iterator[Mistake]:
    """Yield the classes of a folder's services that cannot be deployed: they have no handle.

    A class that another one derives from may leave ``handle`` to it.
    """
    real = folder.resolve()
    for cls in _subclasses(Service):
        if _is_complete(cls):
            continue
        module = sys.modules.get(cls.__module__)
        path = Path(getattr(module, "__file__", None) or "")
        is_current = getattr(module, cls.__qualname__, None) is cls
        if not (is_current and path.is_relative_to(real)):
            continue
        near = difflib.get_close_matches("handle", vars(cls), 1, 0.7)
        hint = f", but `{near[0]}`" if near else ""
        text = f"{line_of(cls)}class {cls.__qualname__} has no method `handle`{hint}"
        yield Mistake(str(folder / path.relative_to(real)), text)


def _is_complete(cls: type[Any]) -> bool:
    """Return True for a service, for a base of others, and for one that is not to be deployed."""
    return bool(
        cls.__subclasses__()
        or cls.__dict__.get("DONT_DEPLOY")
        or cls.handle is not Service.handle
        or any(name.startswith("handle_") for name in dir(cls))
    )


def _subclasses(cls: type[Any]) -> Iterator[type[Any]]:
    subclasses: list[type[Any]] = cls.__subclasses__()
    for each in subclasses:
        yield each
        yield from _subclasses(each)
