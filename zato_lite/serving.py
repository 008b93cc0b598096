"""Serving: an app with its HTTP edge, from the start until a signal says to stop."""

import _thread
import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from types import FrameType
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
from zato_lite.http.observe import Metrics, Sample
from zato_lite.http.server import Server, Tls, serve
from zato_lite.observe import Sources, metrics
from zato_lite.service.containment import contain
from zato_lite.service.watchdog import Watchdog

_LAST_WORDS_S = 5.0

_OWN = frozenset({"zato", "docs", "metrics", "healthz", "readyz", "openapi.json", "dashboard"})
"""First pieces of the server's own paths."""

_ECHO_S = 0.5
"""A terminal tells a worker to stop, and so does its parent: that is one word."""

_SETTLED_S = 5.0
"""Of what is deployed within this time, the remains are collected at once."""

_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 60.0
_STEP_S = 0.1

_log = logging.getLogger(__name__)


def run(project: Path, settings: config.Settings) -> int:
    """Serve until told to stop; the exit status.

    A service that stops the loop under everybody stops nothing for good: what is kept is kept,
    and all is opened again, after a pause that grows if it happens again and again.
    """
    log.set_up(log.Settings(settings.log.level, settings.log.format))
    ending = Ending(settings.server.grace)
    restarts = Restarts()
    while True:
        try:
            return _left(_run(_serve(project, settings, ending, restarts)))
        except RuntimeError as error:
            if "loop stopped" not in str(error).lower():
                raise
        except (SystemExit, KeyboardInterrupt, asyncio.CancelledError):
            pass  # not the user's: signals are handled
        pause = restarts.pause()
        _log.critical(
            "a service stopped the event loop; starting again",
            extra={"restarts": restarts.count, "pause_s": pause},
        )
        if not ending.sleep(pause):
            return _left(0)


def _run(main: Coroutine[Any, Any, int]) -> int:
    """Run it in a loop of its own; a task that will not be cancelled is left behind.

    A loop that was stopped under it has everything that was in it still, and goes on.
    """
    loop = uvloop.new_event_loop()
    contain(loop)
    task = loop.create_task(main)
    try:
        while True:
            try:
                return loop.run_until_complete(task)
            except BaseException as error:  # noqa: BLE001 - whatever a callback may raise
                if task.done():
                    return task.result()
                _log.critical("the event loop was stopped; it goes on", extra={"by": repr(error)})
    finally:
        if left := asyncio.all_tasks(loop):
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.wait(left, timeout=_LAST_WORDS_S))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _serve(
    project: Path, settings: config.Settings, ending: "Ending", restarts: "Restarts"
) -> int:
    stop = asyncio.Event()
    ending.tell(asyncio.get_running_loop(), stop.set)
    async with (
        Watchdog() as dog,
        open_app(project, settings) as app,
        open_server(app, restarts=restarts, lag=lambda: dog.lag) as server,
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
        # At once, not one after the other: both have the same time.
        await asyncio.gather(server.close(settings.server.grace), app.scheduler.drain())
    return 0


@asynccontextmanager
async def open_server(
    app: App,
    environ: Mapping[str, str] = os.environ,
    *,
    restarts: "Restarts | None" = None,
    lag: Callable[[], float] = lambda: 0.0,
) -> AsyncIterator[Server]:
    """The HTTP edge of an app; prints the admin's password if it had to make one up."""
    server = app.settings.server
    async with (
        open_edge(app, environ, lag=lag, more=[(restarts or Restarts()).samples]) as http,
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
        ) as listening,
    ):
        yield listening


@asynccontextmanager
async def open_edge(
    app: App,
    environ: Mapping[str, str] = os.environ,
    *,
    lag: Callable[[], float] = lambda: 0.0,
    more: Iterable[Metrics] = (),
) -> AsyncIterator[HttpApp]:
    """What answers requests to an app, whoever brings them; what is mounted in it is started.

    Args:
        app: the application.
        environ: where the first password may be.
        lag: how many seconds the loop was late at most, lately.
        more: metrics besides the app's own.
    """
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
            app.invoker.begin,
            app.registry,
            authenticator,
            allowed_hosts=server.allowed_hosts,
            channels=server.channels,
            routes=mounts,
            events=app.events,
            readiness=app.is_ready,
            self_audited=[e.name for e in app.registry if issubclass(e.cls, Change)],
            time_limit=server.request_timeout or None,
            metrics=[metrics(figures), *more],
        )
        app.on_deployed.extend(
            [http.reload, lambda: app.events.publish("deployment", {}), collect_soon()]
        )
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


def collect_soon(after: float = _SETTLED_S) -> Callable[[], None]:
    """Called at each deployment: frees the classes that it replaced, which are in circles.

    That is once, some seconds after the first of many, as it holds everything up for a moment.
    """
    loop = asyncio.get_running_loop()
    coming: asyncio.TimerHandle | None = None

    def collect() -> None:
        nonlocal coming
        coming = None
        began = time.monotonic()
        freed = gc.collect()
        took = round((time.monotonic() - began) * 1000, 1)
        _log.debug("collected after deployment", extra={"objects": freed, "took_ms": took})

    def deployed() -> None:
        nonlocal coming
        coming = coming or loop.call_later(after, collect)

    return deployed


class Restarts:
    """How often all was opened again, and how long to wait before the next time."""

    def __init__(self) -> None:
        self.count = 0
        self._began = time.monotonic()
        self._pause = 0.0

    def pause(self) -> float:
        """Count one; the seconds to wait: none at first, and longer if it soon comes again."""
        self.count += 1
        now = time.monotonic()
        lasted = now - self._began - self._pause
        if lasted > _LONGEST_PAUSE_S:
            self._pause = 0.0
        elif self.count > 1:
            self._pause = min(max(self._pause * 2, _PAUSE_S), _LONGEST_PAUSE_S)
        self._began = now
        return self._pause

    async def samples(self) -> list[Sample]:
        """For ``/metrics``."""
        text = "How often a service stopped the loop, and all was opened again."
        return [Sample("zato_lite_restarts_total", "counter", text, self.count)]


class Ending:
    """When the process is told to end, whichever loop runs then hears of it; and it does end.

    Signals are taken by Python, not by the loop, which a service may hold up. When ``grace`` and a
    little more has passed, the process ends as after a crash: nothing that is kept is lost.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._told_at: float | None = None
        self._stop: tuple[asyncio.AbstractEventLoop, Callable[[], object]] | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told)

    def tell(self, loop: asyncio.AbstractEventLoop, stop: Callable[[], object]) -> None:
        """This is to be called, in the loop, when it is told; at once, if it was."""
        self._stop = loop, stop
        if self._told_at is not None:
            stop()

    def sleep(self, seconds: float) -> bool:
        """Wait, but not for longer than until it is told; whether all is to go on."""
        until = time.monotonic() + seconds
        while self._told_at is None and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _STEP_S))
        return self._told_at is None

    def _told(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._told_at is None:
            self._told_at = now
            _thread.start_new_thread(self._end_at_last, ())  # takes no lock that may be held here
            if self._stop is not None:
                loop, stop = self._stop
                with suppress(RuntimeError):  # it is closed; the next one will ask
                    loop.call_soon_threadsafe(stop)
        elif now - self._told_at > _ECHO_S:
            os._exit(1)  # told twice: at once, as after a crash; nothing that is kept is lost

    def _end_at_last(self) -> None:
        time.sleep(self._grace + _LAST_WORDS_S)
        os.write(2, b"zato-lite: the time to stop is over; something holds it up\n")
        os._exit(1)


def _left(status: int) -> int:
    """The status; if threads of services would keep the process from ending, it ends here."""
    until = time.monotonic() + _LAST_WORDS_S / 5
    others = [it for it in threading.enumerate() if it is not threading.current_thread()]
    for thread in others:
        if not thread.daemon:
            thread.join(max(0.0, until - time.monotonic()))
    if left := [thread.name for thread in others if thread.is_alive() and not thread.daemon]:
        _log.warning("threads of services are left behind", extra={"threads": left})
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
