"""Composition root: the only module that knows all others; builds the app from its parts."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from zato_lite import config
from zato_lite.builtin.accounts import CredentialIssuer
from zato_lite.builtin.audited import UseRecorder
from zato_lite.builtin.deploy import deploy
from zato_lite.clock import Clock
from zato_lite.deploy.deployer import Deployer
from zato_lite.errors import ConfigError
from zato_lite.http.endpoints.monitoring import Readiness
from zato_lite.http.events import EventLog
from zato_lite.http.key_ring import KeyRing
from zato_lite.monitoring import EventPublisher, readiness, warnings, with_events
from zato_lite.outgoing.connections import Connections
from zato_lite.outgoing.crypto import cipher_of
from zato_lite.project import Project, make_deployer
from zato_lite.scheduler.bulk import BulkCommands
from zato_lite.scheduler.calendars import Calendars
from zato_lite.scheduler.commands import JobCommands
from zato_lite.scheduler.history import RunHistory
from zato_lite.scheduler.job_lists import JobLists
from zato_lite.scheduler.principals import Principals, refuse_denied
from zato_lite.scheduler.scheduler import RIGHTS_EVERY_S, Scheduler
from zato_lite.service.idempotency import StoredAnswers
from zato_lite.service.invoker import Invoker
from zato_lite.service.needs import AsyncInvocations, EventPosition, Locks, UseLog
from zato_lite.service.registry import Registry
from zato_lite.service.shared_cache import CacheStore
from zato_lite.service.supervisor import Supervisor
from zato_lite.shared_events import SharedEvents
from zato_lite.store.accounts import Accounts
from zato_lite.store.answers import Answers
from zato_lite.store.audit import AuditLog
from zato_lite.store.backup import Backups
from zato_lite.store.cache import StoredCache
from zato_lite.store.health import Commits
from zato_lite.store.locks import Locks as StoredLocks
from zato_lite.store.opening import OpenStore, clock_of, open_database
from zato_lite.store.private import prepare_backups
from zato_lite.store.sessions import PasswordCodes, SessionLimits, Sessions

Prepare = Callable[[Invoker], Awaitable[object]]

_NO_PROJECT = Path("no-project")
"""Folder of a deployer that has nothing to deploy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A running application: its parts, as the HTTP edge and the command line need them.

    Attributes:
        is_ready: returns the reasons why the app cannot take work.
        channels: services by configured REST channel.
        warnings: returns what needs attention although the app can take work.
        commits: returns figures of the store's commits.
        queued: returns the numbers of writes and reads that wait for the store.
        folder: the project's.
        data: the folder of the store; None for a store in memory.
        problems: files and jobs that could not be deployed at the start, each in a line.
        on_deployed: called when services were deployed or removed later on.
        reopen_resources: opens resources again whose settings have changed.
    """

    settings: config.Settings
    clock: Clock
    registry: Registry
    invoker: Invoker
    jobs: JobCommands
    scheduler: Scheduler
    accounts: Accounts
    audit_log: AuditLog
    sessions: Sessions
    codes: PasswordCodes
    keys: KeyRing
    events: EventLog
    is_ready: Readiness
    commits: Callable[[], Commits]
    queued: Callable[[], tuple[int, int]]
    folder: Path | None = None
    data: Path | None = None
    problems: tuple[str, ...] = ()
    warnings: Callable[[], Mapping[str, str]] = dict
    channels: Mapping[str, str] = field(default_factory=dict)
    on_deployed: list[Callable[[], None]] = field(default_factory=list)
    reopen_resources: Callable[[], object] = dict


@asynccontextmanager
async def open_app(
    folder: Path | None,
    settings: config.Settings,
    clock: Clock | None = None,
    prepare: Prepare | None = None,
    *,
    is_rehearsal: bool = False,
    outgoing: Mapping[str, Any] | None = None,
    make_scheduler: Callable[..., Scheduler] = Scheduler,
) -> AsyncIterator[App]:
    """Open an app, and deploy the services and jobs of a project.

    Args:
        folder: the project's; without one there are only the built-in services.
        settings: the settings.
        clock: by default the system's, or the database's if machines share the store.
        prepare: called before the project is deployed.
        is_rehearsal: open no resources, and invoke no services for the start and the stop.
        outgoing: fakes in place of outgoing connections, by ``rest.NAME``.
        make_scheduler: makes the scheduler; tests have one that they can crash.

    Raises:
        ConfigError, StoreError: the store cannot be used, or the jobs file has mistakes; nothing
            is left open.
    """
    clock = clock or clock_of(settings.store)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(folder, settings.store, clock))
        connections = Connections(folder or Path(), outgoing)
        stack.push_async_callback(connections.close)
        invoker = await _invoker(database, settings, clock, stack, connections)
        connections.replace(settings.outgoing, settings.cache)
        invoker.max_cached = settings.cache.max_value
        invoker.cipher = cipher_of(settings.crypto, folder or Path())
        events = EventLog(now=clock.now)
        keys = KeyRing()
        stack.callback(keys.close)
        principals = Principals(clock, keys.forget)
        scheduler = _scheduler(
            database,
            invoker,
            events,
            settings,
            clock,
            principals=principals,
            make=make_scheduler,
        )
        deployer = make_deployer(
            folder or _NO_PROJECT,
            settings,
            invoker.registry,
            clock,
            user=lambda: invoker.config,
            is_rehearsal=is_rehearsal,
        )
        stack.callback(deployer.close)
        resources = _resources(database, scheduler, clock, folder, settings, principals=principals)
        invoker.resources.update({**resources, Deployer: deployer, CredentialIssuer: keys})
        invoker.resources[EventPosition] = events
        shared = SharedEvents(events, scheduler.send, lambda: scheduler.node_id)
        scheduler.on_message = shared.hear
        stack.callback(shared.close)
        invoker.resources[UseLog] = UseRecorder(resources[AuditLog], invoker.registry, clock)
        deploy(invoker.registry)
        if prepare is not None:
            await prepare(invoker)
        project = None
        if folder is not None:
            project = Project(
                folder, settings, deployer, invoker, clock, is_rehearsal=is_rehearsal
            )
            await stack.enter_async_context(project.opened())
        following = Supervisor("rights", scheduler.follow_rights, max_delay_s=RIGHTS_EVERY_S)
        await stack.enter_async_context(following)
        if settings.scheduler.enabled:
            await stack.enter_async_context(scheduler)
        yield _make_app(
            settings,
            clock,
            database,
            invoker,
            scheduler,
            resources=resources,
            keys=keys,
            events=events,
            project=project,
            deployer=deployer,
            folder=folder,
        )


def _make_app(
    settings: config.Settings,
    clock: Clock,
    database: OpenStore,
    invoker: Invoker,
    scheduler: Scheduler,
    *,
    resources: Mapping[type, Any],
    keys: KeyRing,
    events: EventLog,
    project: Project | None,
    deployer: Deployer,
    folder: Path | None,
) -> App:
    own_warnings = warnings(lambda: database.health.slow, lambda: scheduler.clock_warning)
    return App(
        settings=settings,
        clock=clock,
        registry=invoker.registry,
        invoker=invoker,
        jobs=resources[JobCommands],
        scheduler=scheduler,
        accounts=resources[Accounts],
        audit_log=resources[AuditLog],
        sessions=resources[Sessions],
        codes=PasswordCodes(database),
        data=database.folder,
        folder=folder,
        keys=keys,
        events=events,
        is_ready=readiness(
            scheduler,
            lambda: database.trouble,
            settings.scheduler.enabled,
            deployer.resources.troubles,
        ),
        reopen_resources=deployer.reopen_soon,
        commits=lambda: database.health.figures,
        queued=lambda: database.queued,
        problems=project.problems if project else (),
        warnings=lambda: {**_warnings(project, deployer), **own_warnings()},
        channels=settings.server.channels if project is None else project.channels,
        on_deployed=project.on_deployed if project else [],
    )


def _warnings(project: Project | None, deployer: Deployer) -> Mapping[str, str]:
    found = {}
    if count := 0 if project is None else len(project.jobs_file.mistakes):
        found["jobs_file"] = f"{count} mistake{'s' * (count > 1)}, see the log"
    if count := len(deployer.resources.faults):
        found["resources"] = f"faults in {count} file{'s' * (count > 1)}, see the log"
    return found


def _scheduler(
    database: OpenStore,
    invoker: Invoker,
    events: EventLog,
    settings: config.Settings,
    clock: Clock,
    *,
    principals: Principals,
    make: Callable[..., Scheduler],
) -> Scheduler:
    name = _node_name(settings)
    publisher = EventPublisher(events, name, clock)
    scheduler = make(
        database,
        with_events(refuse_denied(invoker.run), events, name, clock),
        clock,
        capacity=settings.scheduler.capacity,
        node_name=name,
        grace=settings.server.grace,
        locks=database.locks,
        principals=principals,
        commit_seconds=lambda: database.health.p95,
        observer=publisher,
        services=lambda: [entry.name for entry in invoker.registry],
    )
    publisher.in_flight = lambda: scheduler.in_flight
    return scheduler


def _resources(
    database: OpenStore,
    scheduler: Scheduler,
    clock: Clock,
    folder: Path | None,
    settings: config.Settings,
    *,
    principals: Principals,
) -> dict[type, Any]:
    """Return the objects on the store that services may need, by type."""
    backups = None if folder is None else folder / settings.store.backups
    if backups is not None:
        prepare_backups(backups)
    jobs = JobCommands(database, scheduler, clock)
    return {
        JobCommands: jobs,
        RunHistory: RunHistory(database, scheduler, clock),
        JobLists: JobLists(database, scheduler, clock),
        Calendars: Calendars(database, scheduler),
        BulkCommands: BulkCommands(database, scheduler, clock),
        AsyncInvocations: jobs,
        StoredAnswers: Answers(database),
        Accounts: Accounts(database, scheduler.announce_rights),
        Principals: principals,
        AuditLog: AuditLog(database),
        Sessions: Sessions(database, session_limits(settings.server)),
        Backups: Backups(database, backups, clock),
    }


def session_limits(server: config.Server) -> SessionLimits:
    """Return the limits of sessions that the settings say."""
    idle, lifetime = server.session_idle, server.session_lifetime
    return SessionLimits(round(idle * 1_000_000), round(lifetime * 1_000_000))


def _node_name(settings: config.Settings) -> str:
    return settings.server.name or socket.gethostname()


async def _invoker(
    database: OpenStore,
    settings: config.Settings,
    clock: Clock,
    stack: AsyncExitStack,
    connections: Connections,
) -> Invoker:
    make = await _invoker_class(settings, stack)
    invoker = make(
        Registry(),
        resources={
            Clock: clock,
            Connections: connections,
            CacheStore: StoredCache(database, clock, settings.cache.max_items),
            Locks: StoredLocks(database, clock),
            config.Notify: settings.notify,
        },
        clock=clock,
        server_name=_node_name(settings),
        config=settings.user,
    )
    stack.callback(invoker.close)
    return invoker


async def _invoker_class(
    settings: config.Settings, stack: AsyncExitStack
) -> Callable[..., Invoker]:
    """Return the invoker's class: one that traces invocations, if the settings ask for it.

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
