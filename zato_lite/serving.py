"""Serving: an app with its HTTP edge, from the start until a signal says to stop."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import uvloop

from zato_lite import config, log
from zato_lite.app import App, open_app, settings
from zato_lite.builtin.change import Change
from zato_lite.errors import ConfigError
from zato_lite.http.app import HttpApp
from zato_lite.http.asgi import AsgiApp, living, mounted, opening
from zato_lite.http.auth import Authenticator, first_admin
from zato_lite.http.incoming import Limits
from zato_lite.http.server import Server, Tls, serve
from zato_lite.observe import Sources, metrics
from zato_lite.service.containment import contain
from zato_lite.service.watchdog import Watchdog

_LAST_WORDS_S = 5.0

_OWN = frozenset({"zato", "docs", "metrics", "healthz", "readyz", "openapi.json", "dashboard"})
"""First pieces of the server's own paths."""

_ECHO_S = 0.5
"""A terminal tells a worker to stop, and so does its parent: that is one word."""

_log = logging.getLogger(__name__)


def run(project: Path, settings: config.Settings) -> int:
    """Serve until told to stop; the exit status.

    A service that stops the loop under everybody stops nothing for good: what is kept is kept,
    and all is opened again.
    """
    log.set_up(log.Settings(settings.log.level, settings.log.format))
    while True:
        try:
            return _run(_serve(project, settings))
        except RuntimeError as error:
            if "loop stopped" not in str(error).lower():
                raise
        except (SystemExit, KeyboardInterrupt, asyncio.CancelledError):
            pass  # not the user's: signals are handled
        _log.critical("a service stopped the event loop; starting again")


def _run(main: Coroutine[Any, Any, int]) -> int:
    """Run it in a loop of its own; a task that will not be cancelled is left behind."""
    loop = uvloop.new_event_loop()
    contain(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        if left := asyncio.all_tasks(loop):
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.wait(left, timeout=_LAST_WORDS_S))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _serve(project: Path, settings: config.Settings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    told_at = 0.0

    def told_to_stop() -> None:
        nonlocal told_at
        if not stop.is_set():
            told_at = loop.time()
            stop.set()
        elif loop.time() - told_at > _ECHO_S:
            os._exit(1)  # told twice: at once, as after a crash; nothing that is kept is lost

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop)
    async with (
        Watchdog() as dog,
        open_app(project, settings) as app,
        open_server(app, lag=lambda: dog.lag) as server,
    ):
        internal = sum(1 for entry in app.registry if entry.is_internal)
        _log.info(
            "serving",
            extra={
                "url": server.url,
                "services": len(app.registry) - internal,
                "internal_services": internal,
                "store": settings.store.url,
            },
        )
        _spare_the_collector()
        await stop.wait()
        _log.info("stopping", extra={"grace_s": settings.server.grace})
    return 0


@asynccontextmanager
async def open_server(
    app: App, environ: Mapping[str, str] = os.environ, *, lag: Callable[[], float] = lambda: 0.0
) -> AsyncIterator[Server]:
    """The HTTP edge of an app; prints the admin's password if it had to make one up."""
    server = app.settings.server
    async with (
        open_edge(app, environ, lag=lag) as http,
        serve(
            http,
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
        ) as listening,
    ):
        yield listening


@asynccontextmanager
async def open_edge(
    app: App, environ: Mapping[str, str] = os.environ, *, lag: Callable[[], float] = lambda: 0.0
) -> AsyncIterator[HttpApp]:
    """What answers requests to an app, whoever brings them; what is mounted in it is started."""
    passwords = app.keys.passwords
    if made_up := await first_admin(app.people, passwords, environ):
        _tell(f"The password of admin.invoke, shown this once: {made_up}")
    session_key = await app.people.claim_setting("http.session-key", os.urandom(32).hex())
    authenticator = Authenticator(
        app.people, passwords, app.clock, session_key=bytes.fromhex(session_key)
    )
    app.keys.authenticator = authenticator
    server = app.settings.server
    figures = Sources(app.jobs, app.scheduler, app.invoker, app.clock, app.queued, lag)
    async with AsyncExitStack() as stack:
        mounts = []
        for path, mount in server.mounts.items():
            other = _imported(path, mount)
            state = await stack.enter_async_context(living(other))
            role = None if mount.role == "anybody" else mount.role
            mounts.append(mounted(other, path, role, state))
        http = HttpApp(
            app.invoker.run,
            app.registry,
            authenticator,
            allowed_hosts=server.allowed_hosts,
            channels=server.channels,
            routes=mounts,
            events=app.events,
            readiness=app.is_ready,
            self_audited=[e.name for e in app.registry if issubclass(e.cls, Change)],
            time_limit=server.request_timeout or None,
            metrics=[metrics(figures)],
        )
        app.on_deployed.extend([http.reload, lambda: app.events.publish("deployment", {})])
        yield http


def application(project: Path = Path(), environ: Mapping[str, str] = os.environ) -> AsgiApp:
    """A project's whole server as an ASGI application, for another server or another application.

    It is opened at the start that the other one tells of, or else by the first request.
    """
    place = project.resolve()

    @asynccontextmanager
    async def opened() -> AsyncIterator[HttpApp]:
        async with open_app(place, settings(place)) as app, open_edge(app, environ) as http:
            yield http

    return opening(opened)


def _imported(path: str, mount: config.Mount) -> AsgiApp:
    """The application that is to be mounted.

    Raises:
        ConfigError: it cannot be, or not there.
    """
    where = f"[server.mounts] {path!r}"
    if not path.startswith("/") or path.endswith("/") or path.split("/")[1] in _OWN:
        raise ConfigError(f"{where}: a path like /shop, and none of the server's own")
    module, _, name = mount.app.partition(":")
    try:
        found: AsgiApp = getattr(import_module(module), name or "app")
    except Exception as error:
        raise ConfigError(f"{where}: {mount.app!r} cannot be imported: {error!r}") from error
    return found


def _spare_the_collector() -> None:
    """Let the garbage collector leave alone what has come to stay, and look less often.

    Its walks were 15 % of what a fire costs; what a fire leaves behind is freed by counting.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
