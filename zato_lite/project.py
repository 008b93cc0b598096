"""Project: deploys a folder of services and a jobs file, and keeps jobs in line with both."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import cast

from zato_lite import config
from zato_lite.builtin.deploy import deploy
from zato_lite.builtin.enmasse import parse
from zato_lite.builtin.reconcile import Known, Mistake, claims_of, definitions, reconciled
from zato_lite.clock import Clock, SystemClock
from zato_lite.deploy.deployer import Deployer
from zato_lite.deploy.files import shown
from zato_lite.deploy.loader import Failure
from zato_lite.deploy.ownership import Claim
from zato_lite.deploy.watcher import watching
from zato_lite.errors import ConfigError, ZatoLiteError
from zato_lite.http import routes
from zato_lite.scheduler.calendars import Calendars
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.entry import Entry
from zato_lite.service.invoker import Invoker
from zato_lite.service.registry import Registry
from zato_lite.service.supervisor import Supervisor
from zato_lite.zato.finder import install

_RECHECK_S = 10.0
"""Seconds between checks for a calendar or service that a declared schedule lacks."""

_log = logging.getLogger(__name__)


def make_deployer(
    folder: Path, settings: config.Settings, registry: Registry, clock: Clock
) -> Deployer:
    """Return a deployer that checks what services declare: channels and schedules.

    Raises:
        ConfigError: a channel in the settings is not valid.
    """
    install()  # services written for Zato import its modules
    channels = [routes.parse_channel(text) for text in settings.server.channels]

    def review(entry: Entry) -> Iterator[Claim]:
        yield from routes.claims_of(routes.channels_of(entry.cls))
        yield from claims_of(entry, clock.now())

    return Deployer(
        registry,
        folder / settings.services.folder,
        accepts_uploads=settings.services.accepts_uploads,
        reviews=[review],
        taken={"[server] channels": routes.claims_of(channels)},
    )


class Project:
    """The services, declared schedules and jobs file of a project, applied to a running app.

    Attributes:
        problems: errors found when it was opened, each in a line.
        on_deployed: called when services were deployed or removed later on.
    """

    def __init__(
        self,
        folder: Path,
        settings: config.Settings,
        deployer: Deployer,
        invoker: Invoker,
        clock: Clock,
    ) -> None:
        self.problems: tuple[str, ...] = ()
        self.on_deployed: list[Callable[[], None]] = []
        self._jobs_file = folder / settings.scheduler.jobs_file
        self._reload = settings.services.reload
        self._deployer, self._invoker, self._clock = deployer, invoker, clock
        self._registry = invoker.registry
        self._jobs = cast("JobCommands", invoker.resources[JobCommands])
        self._calendars = cast("Calendars", invoker.resources[Calendars])
        self._has_changed = asyncio.Event()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Deploy everything, and follow changes of the files as long as the block lasts."""
        problems = await _deploy_folder(self._deployer)
        problems += await self._reconcile()
        problems += await self._apply_jobs_file()
        self.problems = tuple(problems)
        self._deployer.on_change.append(self._follow)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(
                Supervisor("declared schedules", self._keep_reconciled)
            )
            if self._reload:
                await stack.enter_async_context(watching(self._deployer))
            yield

    def _follow(self, _: object) -> None:
        self._has_changed.set()
        for listener in self.on_deployed:
            try:
                listener()
            except Exception:  # noqa: BLE001 - the other listeners must be called all the same
                _log.exception("deployment listener failed")

    async def _keep_reconciled(self) -> None:
        """Reconcile when services have changed; while a declaration is wrong, now and then too."""
        has_mistakes = bool(self._deployer.remarks)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_RECHECK_S if has_mistakes else None):
                    await self._has_changed.wait()
            self._has_changed.clear()
            try:
                has_mistakes = bool(await self._reconcile())
            except ZatoLiteError:
                _log.exception("declared schedules not applied")
                has_mistakes = True

    async def _reconcile(self) -> list[str]:
        """Bring jobs in line with declared schedules; return a line for each that is wrong."""
        declared = definitions(self._registry)
        before = await self._jobs.declared()
        if not declared and not before:
            return self._remark(())
        same_names = await self._jobs.named([definition.job for definition in declared])
        rows = {row.id: row for row in (*before, *same_names)}.values()
        needs_calendars = any("calendar" in definition.fields for definition in declared)
        calendars = await self._calendars.calendars() if needs_calendars else ()
        known = Known(calendars, self._registry.entries)
        creates, edits, mistakes = reconciled(rows, declared, self._clock.now(), known)
        if creates or edits:
            await self._jobs.apply(creates, edits)
            _log.info(
                "declared schedules applied",
                extra={"jobs_created": [job.name for job in creates], "jobs_changed": len(edits)},
            )
        return self._remark(mistakes)

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
                _log.error("declared schedule refused", extra=extra)
        return [f"{shown(path)}: {text}" for path, text in found.items()]

    async def _apply_jobs_file(self) -> list[str]:
        """Bring jobs in line with the jobs file; return a line if the file is wrong."""
        path = self._jobs_file
        try:
            document = await asyncio.to_thread(path.read_text, "utf-8")
        except FileNotFoundError:
            return []
        try:
            done = await self._invoker.invoke("zato.scheduler.job.apply", {"document": document})
        except ZatoLiteError as error:
            _log.error("jobs file not applied", extra={"file": str(path), "why": str(error)})
            return [f"{path}: {error}"]
        created, updated = done["created"], [item["name"] for item in done["updated"]]
        if created or updated:
            extra = {"file": str(path), "jobs_created": created, "jobs_updated": updated}
            _log.info("jobs file applied", extra=extra)
        return []


def check(folder: Path) -> tuple[list[str], int]:
    """Return the mistakes in a project's settings, services and jobs, and its service count."""
    mistakes: list[str] = []
    settings = config.Settings()
    try:
        settings = config.load_project(folder)
    except ConfigError as error:
        mistakes += str(error).splitlines()
    registry = Registry()
    deploy(registry)
    built_in = len(registry)
    try:
        deployer = make_deployer(folder, settings, registry, SystemClock())
        mistakes += asyncio.run(_check_folder(deployer, registry))
    except ConfigError as error:
        mistakes.append(str(error))
    jobs_file = settings.scheduler.jobs_file
    try:
        parse((folder / jobs_file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        pass
    except (ZatoLiteError, OSError) as error:
        mistakes.append(f"{jobs_file}: {error}")
    return mistakes, len(registry) - built_in


async def _check_folder(deployer: Deployer, registry: Registry) -> list[str]:
    problems = await _deploy_folder(deployer)
    declared = definitions(registry)
    known = Known([str(it.fields.get("calendar")) for it in declared], registry.entries)
    mistakes = reconciled((), declared, SystemClock().now(), known).mistakes
    deployer.close()
    return problems + [f"{shown(it.source)}: {it.message}" for it in mistakes]


async def _deploy_folder(deployer: Deployer) -> list[str]:
    """Deploy the services of a folder; return a line for each file that failed."""
    if not deployer.folder.is_dir():
        return [f"services folder not found: {deployer.folder}"]
    await deployer.deploy()
    return [f"{shown(path)}: {failure.message}" for path, failure in deployer.failures.items()]
