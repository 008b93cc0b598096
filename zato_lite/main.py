"""Main loop of a serving process: runs until a signal, and restarts if a service ends it."""

import asyncio
import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from zato_lite import config, log, log_files
from zato_lite.app import App, open_app
from zato_lite.errors import ConfigError
from zato_lite.http.server import Server, check_address_free
from zato_lite.loop import new_loop
from zato_lite.offenders import offenders_paused
from zato_lite.server import open_server
from zato_lite.service.containment import contain_tasks, protect
from zato_lite.service.watchdog import Watchdog
from zato_lite.signals import Signals
from zato_lite.store.postgres_url import shown
from zato_lite.systemd import notify, watchdog_interval
from zato_lite.workers import sign_of

_TASKS_S = 1.0
"""Seconds that tasks left by services may take to end, before they are abandoned."""

_THREADS_S = 1.0
"""Seconds that threads left by services may take to end, before they are abandoned."""

_TICK_S = 1.0
"""Seconds between signs of life to systemd and to the supervisor of workers."""

_CACHE = ("cache.url", "cache.password", "cache.timeout")
"""Settings of the shared cache that a reload applies."""

_MIN_PAUSE_S, _MAX_PAUSE_S = 0.5, 60.0
"""Seconds before the second restart in a row, and maximum after doubling."""

_COLLECT_AFTER = (50_000, 20, 20)
"""Thresholds of garbage collection: it took 15 % of the time of a run, whose objects are freed by
reference counting, and walked all modules several times during a start."""

_FIXED = frozenset({"log.access", "log.slow_ms"})
"""Settings of the log that need a restart."""

_log = logging.getLogger(__name__)


def run(project: Path, settings: config.Settings) -> int:
    """Serve a project until a signal; return the exit status.

    If a service cancels all tasks, the server is closed and opened again, after a pause that
    grows with each repetition. The store is not affected.
    """
    gc.set_threshold(*_COLLECT_AFTER)
    _set_up_log(project, settings)
    signals = Signals(settings.server.grace)
    restarts = Restarts()
    while True:
        try:
            return _exit_status(*_run(_serve(project, settings, signals, restarts)))
        except (SystemExit, KeyboardInterrupt, asyncio.CancelledError) as error:
            by = repr(error)  # a service's, not the user's: signals are handled
        pause = restarts.pause()
        _log.critical(
            "server task ended by a service; restarting",
            extra={"by": by, "restarts": restarts.count, "pause_s": pause},
        )
        if not signals.sleep(pause):
            return _exit_status(0)
        settings = config.tolerant(settings)


def _run(main: Coroutine[Any, Any, int]) -> tuple[int, bool]:
    """Run a coroutine in a new event loop; return its result, and True if it leaves tasks.

    Tasks that resist cancellation are abandoned. If a callback of a service raises out of the
    loop, the loop is run again: its tasks and timers are still there.
    """
    loop = new_loop()
    contain_tasks(loop)
    stops = log.Repeats()
    task = loop.create_task(main)
    protect(task)
    has_left = False
    try:
        while not task.done():
            try:
                loop.run_until_complete(task)
            except BaseException as error:  # noqa: BLE001 - a service's callback may raise anything
                if not task.done() and stops.again(by := repr(error)):
                    extra = {"by": by, "so_far": stops.count}
                    _log.critical("event loop restarted after a service stopped it", extra=extra)
    finally:
        has_left = _end_tasks(loop)
        if not has_left:
            loop.close()
    return task.result(), has_left


def _end_tasks(loop: asyncio.AbstractEventLoop) -> bool:
    """Cancel the tasks that are left; return True if some resist."""
    resist = False
    if left := asyncio.all_tasks(loop):
        for task in left:
            task.cancel()
        _, resisting = loop.run_until_complete(asyncio.wait(left, timeout=_TASKS_S))
        resist = bool(resisting)
    closing = loop.create_task(loop.shutdown_asyncgens())
    _, resisting = loop.run_until_complete(asyncio.wait([closing], timeout=_TASKS_S))
    return resist or bool(resisting)


async def _serve(
    project: Path, settings: config.Settings, signals: Signals, restarts: "Restarts"
) -> int:
    server = settings.server
    check_address_free(
        server.host,
        server.port,
        unix=Path(server.unix_socket) if server.unix_socket else None,
        reuse_port=server.workers > 1,
    )
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    signals.notify(loop, stop.set)
    async with (
        Watchdog() as dog,
        open_app(project, settings) as app,
        open_server(app, lag=lambda: dog.lag, restarts=lambda: restarts.count) as listening,
    ):
        reloader = Reloader(project, app, listening)
        signals.notify(loop, stop.set, reloader.reload)
        _log_start(app, listening)
        _freeze_objects()
        with offenders_paused(app.registry, app.jobs), signs_of_life(loop, signals):
            notify("READY=1")
            await stop.wait()
            _log.info("stopping", extra={"grace_s": server.grace})
            notify("STOPPING=1")
            # Together, because both share the grace period.
            await asyncio.gather(listening.close(server.grace), app.scheduler.drain())
    return 0


def _log_start(app: App, listening: Server) -> None:
    internal = sum(1 for entry in app.registry if entry.is_internal)
    _log.info(
        "serving",
        extra={
            "url": listening.url,
            "services": len(app.registry) - internal,
            "internal_services": internal,
            "store": shown(app.settings.store.url),
        },
    )
    if len(app.registry) == internal:
        services = app.settings.services.folder
        hint = "add a file to it, or create a project: zato-lite init FOLDER"
        _log.warning("no services deployed", extra={"folder": services, "hint": hint})


@contextmanager
def signs_of_life(loop: asyncio.AbstractEventLoop, signals: Signals) -> Iterator[None]:
    """Show systemd and the workers' supervisor that the loop runs, while the block lasts."""
    interval = watchdog_interval()
    sign = sign_of(os.environ)
    timer: asyncio.TimerHandle | None = None

    def tick() -> None:
        nonlocal timer
        timer = loop.call_later(min(_TICK_S, interval or _TICK_S), tick)
        signals.keep()
        if interval is not None:
            notify("WATCHDOG=1")
        if sign is not None:
            with suppress(OSError):  # the supervisor has gone, with its folder
                os.utime(sign)

    tick()
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()


class Reloader:
    """Reloads the certificate, ``[log]``, ``[outgoing]`` and ``[user]`` at SIGHUP.

    Resources that need ``[user]`` are opened again. Other settings that have changed are named in
    the log: they need a restart.
    """

    def __init__(self, project: Path, app: App, listening: Server) -> None:
        self._project, self._app, self._listening = project, app, listening
        self._settings = _loaded(project)
        self._closing: set[asyncio.Task[None]] = set()

    def reload(self) -> None:
        """Read the settings and the certificate again; wrong ones change nothing."""
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        self._listening.renew()
        settings = _loaded(self._project)
        if settings is not None:
            before, self._settings = self._settings or config.Settings(), settings
            if settings.log != before.log:
                _set_up_log(self._project, settings)
            if settings.user != before.user:
                self._app.invoker.replace_config(settings.user)
            self._app.reopen_resources()
            self._reconnect(settings)
            changed = config.differences(before, settings)
            waiting = [name for name in changed if name in _FIXED or not _is_reloaded(name)]
            extra = {"changed": changed, "need_a_restart": waiting}
            _log.info("settings reloaded", extra=extra)
        notify("READY=1")

    def _reconnect(self, settings: config.Settings) -> None:
        """Replace connections; those that are in use are closed after their last invocation."""
        connections = self._app.invoker.connections
        try:
            old = connections.replace(settings.outgoing, settings.cache)
        except ConfigError as error:
            _log.error("connections not replaced", extra={"why": str(error)})
            return
        task = asyncio.get_running_loop().create_task(connections.retire(old))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _is_reloaded(name: str) -> bool:
    return name.startswith(("log.", "outgoing.", "user", *_CACHE))


def _set_up_log(project: Path, settings: config.Settings) -> None:
    chosen = settings.log
    is_full = chosen.tracebacks == "full"
    log.set_up(log.Settings(chosen.level, chosen.format, is_full=is_full))
    folder, workers = project / chosen.folder, settings.server.workers
    log_files.keep_lines(folder, chosen.keep_mb, processes=workers, is_full=is_full)


def _loaded(project: Path) -> config.Settings | None:
    try:
        return config.load_project(project)
    except ConfigError as error:
        _log.error("settings not reloaded", extra={"why": str(error)})
        return None


def _freeze_objects() -> None:
    """Exclude objects made at the start from garbage collection."""
    gc.collect()
    gc.freeze()


class Restarts:
    """Count of restarts, and the pause before the next one."""

    def __init__(self) -> None:
        self.count = 0
        self._began = time.monotonic()
        self._pause = 0.0

    def pause(self) -> float:
        """Count a restart; return the seconds to wait: 0 at first, longer if restarts repeat."""
        self.count += 1
        now = time.monotonic()
        lasted = now - self._began - self._pause
        if lasted > _MAX_PAUSE_S:
            self._pause = 0.0
        elif self.count > 1:
            self._pause = min(max(self._pause * 2, _MIN_PAUSE_S), _MAX_PAUSE_S)
        self._began = now
        return self._pause


def _exit_status(status: int, has_left_tasks: bool = False) -> int:
    """Return the status; exit here if services would keep the process alive."""
    until = time.monotonic() + _THREADS_S
    current = threading.current_thread()
    others = [thread for thread in threading.enumerate() if thread is not current]
    for thread in others:
        if not thread.daemon:
            thread.join(max(0.0, until - time.monotonic()))
    left = [thread.name for thread in others if thread.is_alive() and not thread.daemon]
    if left or has_left_tasks:
        extra = {"threads": left, "tasks": has_left_tasks}
        _log.warning("work of services abandoned", extra=extra)
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status
