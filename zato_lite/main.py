"""Main loop of a serving process: runs until a signal, and restarts if a service ends it."""

import _thread
import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import uvloop

from zato_lite import config, log
from zato_lite.app import open_app
from zato_lite.http.server import check_address_free
from zato_lite.server import open_server
from zato_lite.service.containment import contain_tasks
from zato_lite.service.watchdog import Watchdog

_SHUTDOWN_MARGIN_S = 5.0
"""Seconds after the grace period until the process exits in spite of unfinished work."""

_ECHO_S = 0.5
"""Seconds within which signals count as one: terminal and parent may both signal a worker."""

_MIN_PAUSE_S, _MAX_PAUSE_S = 0.5, 60.0
"""Seconds before the second restart in a row, and maximum after doubling."""

_POLL_S = 0.1
"""Seconds between checks for a signal during a pause."""

_log = logging.getLogger(__name__)


def run(project: Path, settings: config.Settings) -> int:
    """Serve a project until a signal; return the exit status.

    If a service cancels all tasks, the server is closed and opened again, after a pause that
    grows with each repetition. The store is not affected.
    """
    log.set_up(log.Settings(settings.log.level, settings.log.format))
    shutdown = Shutdown(settings.server.grace)
    restarts = Restarts()
    while True:
        try:
            return _exit_status(_run(_serve(project, settings, shutdown, restarts)))
        except (SystemExit, KeyboardInterrupt, asyncio.CancelledError) as error:
            by = repr(error)  # a service's, not the user's: signals are handled
        pause = restarts.pause()
        _log.critical(
            "server task ended by a service; restarting",
            extra={"by": by, "restarts": restarts.count, "pause_s": pause},
        )
        if not shutdown.sleep(pause):
            return _exit_status(0)


def _run(main: Coroutine[Any, Any, int]) -> int:
    """Run a coroutine in a new event loop; tasks that resist cancellation are abandoned.

    If a service stops the loop, it is run again: its tasks and timers are still there.
    """
    loop = uvloop.new_event_loop()
    contain_tasks(loop)
    stops = log.Repeats()
    task = loop.create_task(main)
    try:
        while True:
            try:
                return loop.run_until_complete(task)
            except BaseException as error:  # noqa: BLE001 - a callback of a service may raise anything
                if task.done():
                    return task.result()
                if stops.again(by := repr(error)):
                    extra = {"by": by, "so_far": stops.count}
                    _log.critical("event loop restarted after a service stopped it", extra=extra)
    finally:
        if left := asyncio.all_tasks(loop):
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.wait(left, timeout=_SHUTDOWN_MARGIN_S))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _serve(
    project: Path, settings: config.Settings, shutdown: "Shutdown", restarts: "Restarts"
) -> int:
    server = settings.server
    check_address_free(
        server.host,
        server.port,
        unix=Path(server.unix_socket) if server.unix_socket else None,
        reuse_port=server.workers > 1,
    )
    stop = asyncio.Event()
    shutdown.notify(asyncio.get_running_loop(), stop.set)
    async with (
        Watchdog() as dog,
        open_app(project, settings) as app,
        open_server(app, lag=lambda: dog.lag, restarts=lambda: restarts.count) as listening,
    ):
        internal = sum(1 for entry in app.registry if entry.is_internal)
        _log.info(
            "serving",
            extra={
                "url": listening.url,
                "services": len(app.registry) - internal,
                "internal_services": internal,
                "store": settings.store.url,
            },
        )
        _tune_garbage_collection()
        await stop.wait()
        _log.info("stopping", extra={"grace_s": server.grace})
        # Together, because both share the grace period.
        await asyncio.gather(listening.close(server.grace), app.scheduler.drain())
    return 0


def _tune_garbage_collection() -> None:
    """Exclude objects made at the start from garbage collection, and collect less often.

    Collections took 15 % of the time of a run, whose objects are freed by reference counting.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


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


class Shutdown:
    """Shutdown: receives signals, notifies the running loop, and enforces the time limit.

    Signals are handled by Python instead of the loop, which a service may block. When ``grace``
    and a margin have passed, the process exits as in a crash, which the store survives.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._signalled_at: float | None = None
        self._stop: tuple[asyncio.AbstractEventLoop, Callable[[], object]] | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def notify(self, loop: asyncio.AbstractEventLoop, stop: Callable[[], object]) -> None:
        """Have a function called in the loop at the first signal; now, if one was received."""
        self._stop = loop, stop
        if self._signalled_at is not None:
            stop()

    def sleep(self, seconds: float) -> bool:
        """Wait for some seconds; return False, earlier, if a signal was received."""
        until = time.monotonic() + seconds
        while self._signalled_at is None and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _POLL_S))
        return self._signalled_at is None

    def _receive(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._signalled_at is None:
            self._signalled_at = now
            _thread.start_new_thread(
                self._enforce, ()
            )  # without locks, which the interrupted code may hold
            if self._stop is not None:
                loop, stop = self._stop
                with suppress(RuntimeError):  # the loop is closed; the next one calls notify()
                    loop.call_soon_threadsafe(stop)
        elif now - self._signalled_at > _ECHO_S:
            os._exit(1)  # a second signal: exit immediately, as in a crash

    def _enforce(self) -> None:
        time.sleep(self._grace + _SHUTDOWN_MARGIN_S)
        limit = f"{self._grace + _SHUTDOWN_MARGIN_S:g}"
        os.write(2, f"zato-lite: shutdown timed out after {limit} s; exiting\n".encode())
        os._exit(1)


def _exit_status(status: int) -> int:
    """Return the status; exit here if threads of services would keep the process alive."""
    until = time.monotonic() + _SHUTDOWN_MARGIN_S / 5
    current = threading.current_thread()
    others = [thread for thread in threading.enumerate() if thread is not current]
    for thread in others:
        if not thread.daemon:
            thread.join(max(0.0, until - time.monotonic()))
    if left := [thread.name for thread in others if thread.is_alive() and not thread.daemon]:
        _log.warning("threads of services abandoned", extra={"threads": left})
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status
