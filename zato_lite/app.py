"""The composition root: the only module that knows everybody."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec

from zato_lite import config
from zato_lite.builtin.accounts import CredentialIssuer
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
from zato_lite.http.auth import Authenticator
from zato_lite.http.endpoints.monitoring import Readiness
from zato_lite.http.events import EventLog
from zato_lite.http.passwords import Passwords, new_key
from zato_lite.monitoring import readiness, with_events
from zato_lite.scheduler.calendars import Calendars
from zato_lite.scheduler.commands import JobCommands
from zato_lite.scheduler.history import RunHistory
from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.service.entry import Entry
from zato_lite.service.invoker import Invoker
from zato_lite.service.needs import AsyncInvocations, Locks
from zato_lite.service.registry import Registry
from zato_lite.service.supervisor import Supervisor
from zato_lite.store.accounts import Accounts, NewKey
from zato_lite.store.audit import AuditLog
from zato_lite.store.backup import (
    Backups,
    backup_name,
    check_file,
    copy_file,
    restore_file,
    timestamp,
)
from zato_lite.store.locks import Locks as StoredLocks
from zato_lite.store.sqlite import open_store
from zato_lite.zato.finder import install

_NOWHERE = Path("no-project")
_SQLITE = "sqlite:///"
_MEMORY = ":memory:"

_PATIENCE_S = 10.0
"""What a declared schedule lacks is looked for so often."""

_log = logging.getLogger(__name__)


class App(NamedTuple):
    """Everything that is running.

    Attributes:
        problems: what could not be deployed or applied at the start, each in a line.
        on_deployed: called when services were deployed or removed later on.
        events: what happens, for whoever listens. is_ready: why work cannot be taken.
        queued: how many writes and reads wait for the store.
    """

    settings: config.Settings
    clock: Clock
    registry: Registry
    invoker: Invoker
    jobs: JobCommands
    scheduler: Scheduler
    accounts: Accounts
    audit_log: AuditLog
    keys: "KeyRing"
    problems: tuple[str, ...]
    on_deployed: list[Callable[[], None]]
    events: EventLog
    is_ready: Readiness
    queued: Callable[[], tuple[int, int]]


def settings(project: Path, **overrides: Any) -> config.Settings:
    """The settings of a project, with those of the command line over them; None is not given.

    Raises:
        ConfigError: lists all that is wrong.
    """
    found = config.load(project / config.PLACE)
    places = {
        "host": "server",
        "port": "server",
        "workers": "server",
        "store": "store",
        "reload": "services",
    }
    for option, value in overrides.items():
        if value is not None:
            table = places[option]
            field = "url" if option == "store" else option
            changed = msgspec.structs.replace(getattr(found, table), **{field: value})
            found = msgspec.structs.replace(found, **{table: changed})
    return found


class KeyRing:
    """Issuer of credentials; `forget` has the HTTP edge authenticate every caller again."""

    def __init__(self) -> None:
        self.authenticator: Authenticator | None = None
        self._passwords: Passwords | None = None

    @property
    def passwords(self) -> Passwords:
        """The hasher of passwords; its threads start with the first use."""
        if self._passwords is None:
            self._passwords = Passwords()
        return self._passwords

    async def hash(self, password: str) -> str:
        """Return the hash of a password."""
        return await self.passwords.hash(password)

    def new_key(self) -> NewKey:
        """Return a new random API key."""
        return new_key()

    def forget(self) -> None:
        """Authenticate all callers again: credentials were changed."""
        if self.authenticator is not None:
            self.authenticator.forget()

    def close(self) -> None:
        """Stop the threads that hash passwords."""
        if self._passwords is not None:
            self._passwords.close()


@asynccontextmanager
async def open_app(
    project: Path | None, settings: config.Settings, clock: Clock | None = None
) -> AsyncIterator[App]:
    """All rooms, opened in order and closed in the other; services and jobs of the project in.

    Without a project there are the built-in services only.

    Raises:
        ConfigError, StoreError: the store cannot be used; nothing is open then.
    """
    clock = clock or SystemClock()
    name = settings.server.name or socket.gethostname()
    async with AsyncExitStack() as stack:
        path = _store(project or Path(), settings)
        database = await stack.enter_async_context(open_store(path, clock))
        registry = Registry()
        make_invoker = await _door(settings, stack)
        invoker = make_invoker(
            registry,
            resources={
                Clock: clock,
                Locks: StoredLocks(database, clock),
                config.Notify: settings.notify,
            },
            clock=clock,
            server_name=name,
            config=settings.user,
        )
        stack.callback(invoker.close)
        events = EventLog(now=clock.now)
        scheduler = Scheduler(
            database,
            with_events(invoker.run, events),
            clock,
            capacity=settings.scheduler.capacity,
            node_name=name,
            grace=settings.server.grace,
            locks=database.locks,
        )
        jobs = JobCommands(database, scheduler, clock)
        deployer = _deployer(project or _NOWHERE, settings, registry, clock)
        stack.callback(deployer.close)
        accounts, audit_log = Accounts(database), AuditLog(database)
        keys = KeyRing()
        stack.callback(keys.close)
        invoker.resources.update(
            {
                JobCommands: jobs,
                RunHistory: RunHistory(database, scheduler, clock),
                Calendars: Calendars(database, scheduler),
                AsyncInvocations: jobs,
                Deployer: deployer,
                Accounts: accounts,
                AuditLog: audit_log,
                CredentialIssuer: keys,
                Backups: Backups(database, _backups(project, settings), clock),
            }
        )
        deploy(registry)
        is_ready = readiness(scheduler, lambda: database.trouble, settings.scheduler.enabled)
        app = App(
            settings, clock, registry, invoker, jobs, scheduler, accounts, audit_log, keys, (),
            [], events, is_ready, lambda: database.queued,
        )  # fmt: skip
        if project is not None:
            app = app._replace(problems=tuple(await _deploy(project, app, deployer, stack)))
        if settings.scheduler.enabled:
            await stack.enter_async_context(scheduler)
        yield app


async def _door(settings: config.Settings, stack: AsyncExitStack) -> Callable[..., Invoker]:
    """What makes the invoker: one whose invocations are traced, if that is wanted.

    Raises:
        ConfigError: OpenTelemetry is not installed.
    """
    if not settings.observe.otel:
        return Invoker
    try:
        from zato_lite.tracing import TracedInvoker, tracing  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        text = "OpenTelemetry is not installed; pip install 'zato-lite[otel]'"
        raise ConfigError(f"[observe] otel: {text} ({error})") from error
    return partial(TracedInvoker, await stack.enter_async_context(tracing()))


def check(project: Path) -> tuple[list[str], int]:
    """What is wrong with a project's settings, services and jobs, and how many services it has."""
    mistakes: list[str] = []
    found = config.Settings()
    try:
        found = settings(project)
    except ConfigError as error:
        mistakes += str(error).splitlines()
    registry = Registry()
    deploy(registry)
    internal = len(registry)
    try:
        deployer = _deployer(project, found, registry, SystemClock())
        mistakes += asyncio.run(_check_folder(deployer, registry))
    except ConfigError as error:
        mistakes.append(str(error))
    try:
        parse((project / found.scheduler.jobs_file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        pass
    except (ZatoLiteError, OSError) as error:
        mistakes.append(f"{found.scheduler.jobs_file}: {error}")
    return mistakes, len(registry) - internal


def check_store(project: Path, settings: config.Settings, *, is_full: bool) -> Sequence[str]:
    """What is wrong with the file of a project's store, whether a server has it open or not.

    Raises:
        ConfigError, StoreError: there is no such file, or it cannot be opened.
    """
    return check_file(_stored(project, settings), is_full=is_full)


def back_up(project: Path, settings: config.Settings, target: Path | None, clock: Clock) -> Path:
    """Copy a project's store, whether a server has it open or not; the path of the copy.

    Raises:
        ConfigError, StoreError: there is no store, or the copy cannot be written.
    """
    path = _stored(project, settings)
    made = target or project / settings.store.backups / backup_name(clock.now())
    copy_file(path, made)
    return made


def restore(project: Path, settings: config.Settings, backup: Path, clock: Clock) -> Path | None:
    """Put a backup in the place of a project's store; where what was there is kept, if any was.

    Raises:
        ConfigError, StoreError: a server has the store open, or the backup is not sound.
    """
    path = _file_of(project, settings)
    was_there = path.exists()
    aside = path.with_name(f"{path.name}.before-{timestamp(clock.now())}")
    restore_file(path, backup, aside)
    return aside if was_there else None


def _file_of(project: Path, settings: config.Settings) -> Path:
    path = _store(project, settings)
    if path == _MEMORY:
        raise ConfigError("[store] url: a store in memory has no file")
    return Path(path)


def _stored(project: Path, settings: config.Settings) -> Path:
    path = _file_of(project, settings)
    if not path.is_file():
        raise ConfigError(f"[store] url: there is no file {path}")
    return path


def _backups(project: Path | None, settings: config.Settings) -> Path | None:
    return None if project is None else project / settings.store.backups


def _store(project: Path, settings: config.Settings) -> str:
    """The path of the database, its folder made.

    Raises:
        ConfigError: the URL is of no store that there is.
    """
    url = settings.store.url
    if not url.startswith(_SQLITE):
        raise ConfigError(f"[store] url: {url!r} does not begin with {_SQLITE}")
    path = url.removeprefix(_SQLITE)
    if path == _MEMORY:
        return path
    place = project / path
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"[store] url: {url!r}: {error}") from error
    return str(place)


def _deployer(
    project: Path, settings: config.Settings, registry: Registry, clock: Clock
) -> Deployer:
    """Asks services for what they declare, before they are deployed.

    Raises:
        ConfigError: the settings have a channel that is none.
    """
    install()  # services written for Zato find what they import
    channels = [routes.parse_channel(text) for text in settings.server.channels]

    def review(entry: Entry) -> Iterator[Claim]:
        yield from routes.claims_of(routes.channels_of(entry.cls))
        yield from claims_of(entry, clock.now())

    return Deployer(
        registry,
        project / settings.services.folder,
        accepts_uploads=settings.services.accepts_uploads,
        reviews=[review],
        taken={"[server] channels": routes.claims_of(channels)},
    )


async def _deploy(project: Path, app: App, deployer: Deployer, stack: AsyncExitStack) -> list[str]:
    """Deploy the project's services and jobs, and keep the services as their files are."""
    problems = await _deploy_folder(deployer)
    problems += await _reconcile(app, deployer)
    problems += await _apply_jobs(project / app.settings.scheduler.jobs_file, app.invoker)
    await stack.enter_async_context(_followed(app, deployer))
    if app.settings.services.reload:
        await stack.enter_async_context(watching(deployer))
    return problems


async def _deploy_folder(deployer: Deployer) -> list[str]:
    """Deploy the services of a folder; a line for each file that cannot be."""
    if not deployer.folder.is_dir():
        return [f"{deployer.folder} is no folder: there are no services of your own"]
    await deployer.deploy()
    return [f"{shown(path)}: {failure.message}" for path, failure in deployer.failures.items()]


async def _check_folder(deployer: Deployer, registry: Registry) -> list[str]:
    """Deploy the services of a folder; a line for everything that is wrong with its files."""
    problems = await _deploy_folder(deployer)
    declared = definitions(registry)
    known = Known([str(it.fields.get("calendar")) for it in declared], registry.entries)
    mistakes = reconciled((), declared, SystemClock().now(), known).mistakes
    deployer.close()
    return problems + [f"{shown(it.source)}: {it.message}" for it in mistakes]


@asynccontextmanager
async def _followed(app: App, deployer: Deployer) -> AsyncIterator[None]:
    """Tell who has to know whenever services were deployed or removed."""
    changed = asyncio.Event()

    def tell(_: object) -> None:
        changed.set()
        for listener in app.on_deployed:
            try:
                listener()
            except Exception:  # noqa: BLE001 - the others are to know all the same
                _log.exception("deployment not followed")

    deployer.on_change.append(tell)
    async with Supervisor("declared schedules", lambda: _keep_reconciled(app, deployer, changed)):
        yield


async def _keep_reconciled(app: App, deployer: Deployer, changed: asyncio.Event) -> None:
    """Bring the jobs in line whenever services change; while a declaration is wrong, now and then.

    What it lacks may come to be: a calendar, or a service of another file.
    """
    has_mistakes = bool(deployer.remarks)
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S if has_mistakes else None):
                await changed.wait()
        changed.clear()
        try:
            has_mistakes = bool(await _reconcile(app, deployer))
        except ZatoLiteError:
            _log.exception("declared schedules not applied")
            has_mistakes = True


async def _reconcile(app: App, deployer: Deployer) -> list[str]:
    """Bring the jobs in line with what classes declare; a line for each declaration that is wrong.

    Those that are right are followed.
    """
    declared = definitions(app.registry)
    before = await app.jobs.declared()
    if not declared and not before:
        return _remark(deployer, ())
    same_names = await app.jobs.named([it.job for it in declared])
    rows = {row.id: row for row in (*before, *same_names)}.values()
    needs_calendars = any("calendar" in it.fields for it in declared)
    stored = cast("Calendars", app.invoker.resources[Calendars])
    calendars = await stored.calendars() if needs_calendars else ()
    known = Known(calendars, app.registry.entries)
    creates, edits, mistakes = reconciled(rows, declared, app.clock.now(), known)
    if creates or edits:
        await app.jobs.apply(creates, edits)
        _log.info(
            "declared schedules applied",
            extra={"jobs_created": [job.name for job in creates], "jobs_changed": len(edits)},
        )
    return _remark(deployer, mistakes)


def _remark(deployer: Deployer, mistakes: Iterable[Mistake]) -> list[str]:
    """Keep what is wrong where files are asked about; a line for each."""
    before = deployer.remarks
    found: dict[Path, str] = {}
    for source, message in mistakes:
        path = Path(source)
        found[path] = f"{found[path]}; {message}" if path in found else message
    deployer.remarks = {path: Failure(path, words, words) for path, words in found.items()}
    for path, remark in deployer.remarks.items():
        if before.get(path) != remark:
            _log.error(
                "declared schedule is wrong", extra={"source": shown(path), "why": remark.message}
            )
    return [f"{shown(path)}: {words}" for path, words in found.items()]


async def _apply_jobs(path: Path, invoker: Invoker) -> list[str]:
    """Bring the jobs in line with the project's file; a line if it cannot be used."""
    try:
        document = await asyncio.to_thread(path.read_text, "utf-8")
    except FileNotFoundError:
        return []
    try:
        done = await invoker.invoke("zato.scheduler.job.apply", {"document": document})
    except ZatoLiteError as error:
        _log.error("jobs file not applied", extra={"file": str(path), "why": str(error)})
        return [f"{path}: {error}"]
    if done["created"] or done["updated"]:
        updated = [it["name"] for it in done["updated"]]
        _log.info(
            "jobs file applied",
            extra={"file": str(path), "jobs_created": done["created"], "jobs_updated": updated},
        )
    return []
