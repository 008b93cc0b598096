"""The composition root: the only module that knows everybody."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from zato_lite import config
from zato_lite.builtin.declared import definitions, reconciled
from zato_lite.builtin.deploy import deploy
from zato_lite.builtin.enmasse import parse
from zato_lite.builtin.security import Credentials, NewKey
from zato_lite.clock import Clock, SystemClock
from zato_lite.errors import BadInputError, ConfigError, ZatoLiteError
from zato_lite.http.auth import Authenticator, Passwords, new_key
from zato_lite.http.events import EventLog
from zato_lite.http.observe import Readiness
from zato_lite.observe import readiness, told
from zato_lite.scheduler.jobs import Jobs
from zato_lite.scheduler.loop import Scheduler
from zato_lite.service.deployment import Deployer
from zato_lite.service.invoker import Invoker
from zato_lite.service.ports import AsyncInvocations, Locks
from zato_lite.service.registry import Registry
from zato_lite.service.reload import watch
from zato_lite.store.locks import Locks as StoredLocks
from zato_lite.store.people import People
from zato_lite.store.sqlite import open_store
from zato_lite.zato.finder import install

_NOWHERE = Path("no-project")
SETTINGS = Path("config/zato-lite.toml")
_SQLITE = "sqlite:///"
_MEMORY = ":memory:"

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
    jobs: Jobs
    scheduler: Scheduler
    people: People
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
    found = config.load(project / SETTINGS)
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
    """Makes passwords' hashes and keys for whoever asks; forgets what was known of callers."""

    def __init__(self) -> None:
        self.authenticator: Authenticator | None = None
        self._passwords: Passwords | None = None

    @property
    def passwords(self) -> Passwords:
        """Hashes and compares; made when it is wanted first."""
        if self._passwords is None:
            self._passwords = Passwords()
        return self._passwords

    async def hash(self, password: str) -> str:
        """What is kept of a password."""
        return await self.passwords.hash(password)

    def new_key(self) -> NewKey:
        """A key that nobody has had before."""
        return NewKey(*new_key())

    def forget(self) -> None:
        """Ask for everybody's credentials again."""
        if self.authenticator is not None:
            self.authenticator.forget()

    def close(self) -> None:
        """End what hashes."""
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
            told(invoker.run, events),
            clock,
            capacity=settings.scheduler.capacity,
            node_name=name,
            grace=settings.server.grace,
            locks=database.locks,
        )
        jobs = Jobs(database, scheduler, clock)
        deployer = _deployer(project or _NOWHERE, settings, registry)
        people = People(database)
        keys = KeyRing()
        stack.callback(keys.close)
        invoker.resources.update(
            {
                Jobs: jobs,
                AsyncInvocations: jobs,
                Deployer: deployer,
                People: people,
                Credentials: keys,
            }
        )
        deploy(registry)
        is_ready = readiness(scheduler, lambda: database.is_broken, settings.scheduler.enabled)
        app = App(
            settings, clock, registry, invoker, jobs, scheduler, people, keys, (), [], events,
            is_ready, lambda: database.queued,
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
    mistakes += asyncio.run(_deploy_folder(_deployer(project, found, registry)))
    try:
        parse((project / found.scheduler.jobs_file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        pass
    except (ZatoLiteError, OSError) as error:
        mistakes.append(f"{found.scheduler.jobs_file}: {error}")
    return mistakes, len(registry) - internal


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


def _deployer(project: Path, settings: config.Settings, registry: Registry) -> Deployer:
    install()  # services written for Zato find what they import
    return Deployer(
        registry,
        project / settings.services.folder,
        accepts_uploads=settings.services.accepts_uploads,
    )


async def _deploy(project: Path, app: App, deployer: Deployer, stack: AsyncExitStack) -> list[str]:
    """Deploy the project's services and jobs, and keep the services as their files are."""
    problems = await _deploy_folder(deployer)
    problems += await _reconcile(app)
    problems += await _apply_jobs(project / app.settings.scheduler.jobs_file, app.invoker)
    if app.settings.services.reload and deployer.folder.is_dir():
        watching = asyncio.create_task(_keep_deployed(deployer, app))
        stack.push_async_callback(_cancelled, watching)
    return problems


async def _deploy_folder(deployer: Deployer) -> list[str]:
    """Deploy the services of a folder; a line for each file that cannot be."""
    if not deployer.folder.is_dir():
        return [f"{deployer.folder} is no folder: there are no services of your own"]
    await deployer.deploy()
    return [f"{path}: {failure.message}" for path, failure in deployer.failures.items()]


async def _keep_deployed(deployer: Deployer, app: App) -> None:
    """Deploy what changes in the folder, and tell who has to know."""
    changed = asyncio.Event()

    async def follow() -> None:
        while True:
            await changed.wait()
            changed.clear()
            for listener in app.on_deployed:
                listener()
            await _reconcile(app)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follow())
        tasks.create_task(watch(deployer, lambda _: changed.set()))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def _reconcile(app: App) -> list[str]:
    """Bring the jobs in line with what classes declare; a line if a declaration is wrong."""
    declared = definitions(app.registry)
    before = await app.jobs.declared()
    if not declared and not before:
        return []
    same_names = await app.jobs.named([str(it["name"]) for it in declared])
    rows = {row.id: row for row in (*before, *same_names)}.values()
    try:
        creates, edits = reconciled(rows, declared, app.clock.now())
    except BadInputError as error:
        _log.error("declared schedules not applied", extra={"why": str(error)})
        return [str(error)]
    if creates or edits:
        await app.jobs.apply(creates, edits)
        _log.info(
            "declared schedules applied",
            extra={"jobs_created": [job.name for job in creates], "jobs_changed": len(edits)},
        )
    return []


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
