"""Server: an app with its HTTP edge, on its own port or within another ASGI server."""

import asyncio
import gc
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from zato_lite import config
from zato_lite.app import App, open_app
from zato_lite.builtin.audited import AuditedService
from zato_lite.dashboard.pages import HOME, dashboard_routes
from zato_lite.errors import ConfigError, UnavailableError
from zato_lite.http.app import HttpApp
from zato_lite.http.asgi import AsgiApp, Message, Receive, Send, asgi_app
from zato_lite.http.auth import Authenticator
from zato_lite.http.cors import CorsPolicy
from zato_lite.http.endpoints.openapi import ApiInfo
from zato_lite.http.first_start import (
    FILE_NAME,
    apply_environment,
    generate_admin,
    invitation,
    invite_admin,
)
from zato_lite.http.mount import lifespan, mount_route
from zato_lite.http.parser import Limits
from zato_lite.http.routes import Route
from zato_lite.http.server import Server, Tls, serve
from zato_lite.http.static import static_route
from zato_lite.http.uploads import UploadFolder
from zato_lite.metrics import Exposition, Sources, worker_file
from zato_lite.scheduler.history import RunHistory
from zato_lite.service.base import Service
from zato_lite.service.supervisor import Supervisor
from zato_lite.store.private import FILE, restrict

_OWN_PATHS = frozenset(
    {"zato", "docs", "metrics", "healthz", "readyz", "openapi.json", "dashboard"}
)
"""First segments of the server's own paths, which mounts cannot use."""

_COLLECT_AFTER_S = 5.0
"""Seconds between a deployment and the collection of garbage that it left."""

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_server(
    app: App,
    environ: Mapping[str, str] = os.environ,
    *,
    lag: Callable[[], float] = lambda: 0.0,
    restarts: Callable[[], int] = int,
) -> AsyncIterator[Server]:
    """Serve an app on its own port; the arguments are those of ``open_edge``."""
    server = app.settings.server
    async with (
        open_edge(app, environ, lag=lag, restarts=restarts) as http,
        serve(
            http.begin,
            server.host,
            server.port,
            clock=app.clock,
            limits=Limits(
                body=server.max_body,
                connections=server.max_connections,
                per_address=server.max_connections_per_address,
            ),
            grace=server.grace,
            tls=Tls(Path(server.certificate), Path(server.key)) if server.certificate else None,
            unix=Path(server.unix_socket) if server.unix_socket else None,
            trusted_proxies=server.trusted_proxies,
            reuse_port=server.workers > 1,
            plan_body=http.plan_body,
            note_refusal=http.note_refusal,
        ) as listening,
    ):
        await _show_invitation(app, environ, listening.url)
        yield listening


@asynccontextmanager
async def open_edge(
    app: App,
    environ: Mapping[str, str] = os.environ,
    *,
    lag: Callable[[], float] = lambda: 0.0,
    restarts: Callable[[], int] = int,
) -> AsyncIterator[HttpApp]:
    """Open the HTTP edge of an app and start the applications mounted in it.

    Without an admin and a terminal, it generates the admin's password and writes it to a file.

    Args:
        app: the application.
        environ: may contain the admin's first password.
        lag: returns the recent maximum delay of the event loop in seconds.
        restarts: returns the number of restarts within this process.
    """
    passwords = app.keys.passwords
    if app.data is not None:
        restrict(app.data / FILE_NAME, FILE)
    has_admin = await apply_environment(app.accounts, passwords, environ)
    authenticator = Authenticator(app.accounts, app.audit_log, passwords, app.clock, app.sessions)
    app.keys.authenticator = authenticator
    server = app.settings.server
    exposition = Exposition(_sources(app, lag, restarts), worker_file(environ))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(authenticator.key_uses.close)
        if not (has_admin or sys.stdout.isatty() or config.FOLLOWER in environ):
            folder = app.data or Path(stack.enter_context(TemporaryDirectory()))
            await generate_admin(app.accounts, passwords, folder)
        uploads = UploadFolder(_upload_folder(app, stack))
        stack.callback(uploads.close)
        folders = [open_static(app.folder or Path(), *item) for item in server.folders.items()]
        mounts = [await _open_mount(*item, stack) for item in server.mounts.items()]
        http = HttpApp(
            app.invoker.begin,
            app.registry,
            authenticator,
            allowed_hosts=server.allowed_hosts,
            channels=app.channels,
            routes=[*dashboard_routes(), *folders, *mounts],
            cors=cors_policy(server),
            info=ApiInfo(server.api_title, server.api_version, server.api_description),
            home=HOME,
            uploads=uploads,
            max_body=server.max_body,
            events=app.events,
            readiness=app.is_ready,
            warnings=app.warnings,
            self_audited=[e.name for e in app.registry if issubclass(e.cls, AuditedService)],
            time_limit=server.request_timeout or None,
            codes=app.codes,
            read_ahead=app.invoker.read_ahead,
            develops=app.folder if server.dev else None,
            slow_s=_slow_s(app.settings.log),
            withheld=lambda: [each.entry for each in app.registry.withheld.values()],
            render_metrics=exposition.render,
        )
        app.on_deployed.extend(
            [http.reload, lambda: app.events.publish("deployment", {}), collect_soon()]
        )
        if exposition.is_shared:
            saving = Supervisor("worker metrics", lambda: exposition.save_repeatedly(http.latency))
            await stack.enter_async_context(saving)
        yield http


def _slow_s(log: config.Log) -> float | None:
    """Return the seconds from which the access log has a request; None if it is off."""
    return None if log.access == "off" else log.slow_ms / 1000 if log.access == "slow" else 0.0


def _upload_folder(app: App, stack: AsyncExitStack) -> Path:
    """Return the folder of uploads: beside the store, or of a store in memory a temporary one."""
    if app.data is not None:
        return app.data / "uploads"
    return Path(stack.enter_context(TemporaryDirectory()))


def _sources(app: App, lag: Callable[[], float], restarts: Callable[[], int]) -> Sources:
    history = cast("RunHistory", app.invoker.resources[RunHistory])
    return Sources(
        history, app.scheduler, app.invoker, app.clock, app.queued, lag, restarts, app.commits
    )


async def _open_mount(path: str, mount: config.Mount, stack: AsyncExitStack) -> Route:
    """Start a mounted application, to be stopped by the stack; return its route."""
    other = import_mount(path, mount)
    state = await stack.enter_async_context(lifespan(other))
    return mount_route(other, path, None if mount.role == "anybody" else mount.role, state)


class Application:
    """A project's whole server as an ASGI application for another server or application.

    It is opened by the lifespan startup event, or by the first request if there is none.
    """

    def __init__(self, project: Path = Path(), environ: Mapping[str, str] = os.environ) -> None:
        self._folder, self._environ = project.resolve(), environ
        self._app: App | None = None
        self._asgi = asgi_app(self._opened)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or handle the events of the lifespan."""
        await self._asgi(scope, receive, send)

    async def invoke(self, service: str | type[Service[Any, Any]], payload: Any = None) -> Any:
        """Invoke a service on behalf of the system and return its answer, or raise its error.

        Raises:
            UnavailableError: the server is not open.
        """
        if self._app is None:
            raise UnavailableError("the server is not open; pass it the lifespan's events")
        return await self._app.invoker.invoke(service, payload)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[HttpApp]:
        async with (
            open_app(self._folder, config.load_project(self._folder)) as app,
            open_edge(app, self._environ) as http,
        ):
            await _show_invitation(app, self._environ, "")
            self._app = app
            try:
                yield http
            finally:
                self._app = None


def application(project: Path = Path(), environ: Mapping[str, str] = os.environ) -> Application:
    """Return a project's whole server as an ASGI application."""
    return Application(project, environ)


def import_mount(path: str, mount: config.Mount) -> AsgiApp:
    """Return the application to be mounted.

    Raises:
        ConfigError: it cannot be imported, or its path is not valid.
    """
    where = f"[server.mounts] {path!r}"
    _check_path(path, where, "a mount")
    module, _, name = mount.app.partition(":")
    try:
        found: AsgiApp = getattr(import_module(module), name or "app")
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{where}: {mount.app!r} cannot be imported: {error!r}") from error
    return found


def open_static(project: Path, path: str, static: config.Static) -> Route:
    """Return the route of a static folder.

    Raises:
        ConfigError: the folder does not exist, or the path is not valid.
    """
    where = f"[server.folders] {path!r}"
    _check_path(path, where, "a folder")
    folder = (project / static.folder).resolve()
    if not folder.is_dir():
        raise ConfigError(f"{where}: folder {str(folder)!r} does not exist")
    return static_route(folder, path, None if static.role == "anybody" else static.role)


def _check_path(path: str, where: str, what: str) -> None:
    """Refuse a path that is not valid, or the server's own."""
    if not path.startswith("/") or path.endswith("/") or path.split("/")[1] in _OWN_PATHS:
        raise ConfigError(
            f"{where}: not a valid path for {what}; use /name, except the server's own paths"
        )


def cors_policy(server: config.Server) -> CorsPolicy:
    """Return the policy for pages of other origins.

    Raises:
        ConfigError: any origin could act with its users' passwords.
    """
    return CorsPolicy(
        frozenset(origin.lower() for origin in server.cors_origins),
        server.cors_methods,
        server.cors_headers,
        server.cors_exposed,
        server.cors_credentials,
        server.cors_max_age,
    ).checked()


def collect_soon(after: float = _COLLECT_AFTER_S) -> Callable[[], None]:
    """Return a listener that frees the classes that deployments have replaced.

    Classes are in reference cycles. As a collection blocks the loop for a moment, it is made once
    for all deployments within ``after`` seconds.
    """
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None

    def collect() -> None:
        nonlocal timer
        timer = None
        began = time.monotonic()
        freed = gc.collect()
        took = round((time.monotonic() - began) * 1000, 1)
        _log.debug("garbage collected", extra={"objects": freed, "took_ms": took})

    def deployed() -> None:
        nonlocal timer
        timer = timer or loop.call_later(after, collect)

    return deployed


async def _show_invitation(app: App, environ: Mapping[str, str], url: str) -> None:
    """Show the addresses of a server on a terminal, and the link to set the first password."""
    if not sys.stdout.isatty() or config.FOLLOWER in environ:
        return
    base = url.replace("://0.0.0.0:", "://127.0.0.1:").replace("://[::]:", "://[::1]:")
    base = "" if base.startswith("unix:") else base
    words = welcome(base) if base else ""
    if (link := await invite_admin(app.accounts, app.codes, app.clock)) is not None:
        words += invitation(base + link)
    sys.stdout.write(words)
    sys.stdout.flush()


def welcome(base: str) -> str:
    """Return the words that show the addresses of a server on a terminal."""
    return f"\n    Dashboard  {base}/\n    Services   {base}/docs\n    Stop       Ctrl+C\n"
