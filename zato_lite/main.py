"""The process that serves: from its start until a signal, through whatever services do to it."""

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

_LAST_WORDS_S = 5.0

_ECHO_S = 0.5
"""A terminal tells a worker to stop, and so does its parent: that is one word."""

_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 60.0
_STEP_S = 0.1

_log = logging.getLogger(__name__)


def run(project: Path, settings: config.Settings) -> int:
    """Serve until told to stop; the exit status.

    A service that cancels every task that there is ends nothing for good: what is kept is kept,
    and all is opened again, after a pause that grows if it happens again and again.
    """
    log.set_up(log.Settings(settings.log.level, settings.log.format))
    ending = Ending(settings.server.grace)
    restarts = Restarts()
    while True:
        try:
            return _left(_run(_serve(project, settings, ending, restarts)))
        except (SystemExit, KeyboardInterrupt, asyncio.CancelledError) as error:
            by = repr(error)  # a service's, not the user's: signals are handled
        pause = restarts.pause()
        _log.critical(
            "a service ended the server's own task; starting again",
            extra={"by": by, "restarts": restarts.count, "pause_s": pause},
        )
        if not ending.sleep(pause):
            return _left(0)


def _run(main: Coroutine[Any, Any, int]) -> int:
    """Run it in a loop of its own; a task that will not be cancelled is left behind.

    A loop that was stopped under it has everything that was in it still, and goes on.
    """
    loop = uvloop.new_event_loop()
    contain_tasks(loop)
    stops = log.Repeats()
    task = loop.create_task(main)
    try:
        while True:
            try:
                return loop.run_until_complete(task)
            except BaseException as error:  # noqa: BLE001 - whatever a callback may raise
                if task.done():
                    return task.result()
                if stops.again(by := repr(error)):
                    fields = {"by": by, "so_far": stops.count}
                    _log.critical("event loop restarted after a service stopped it", extra=fields)
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
    server = settings.server
    check_address_free(
        server.host,
        server.port,
        unix=Path(server.unix_socket) if server.unix_socket else None,
        reuse_port=server.workers > 1,
    )
    stop = asyncio.Event()
    ending.tell(asyncio.get_running_loop(), stop.set)
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
        _spare_the_collector()
        await stop.wait()
        _log.info("stopping", extra={"grace_s": server.grace})
        # At once, not one after the other: both have the same time.
        await asyncio.gather(listening.close(server.grace), app.scheduler.drain())
    return 0


def _spare_the_collector() -> None:
    """Let the garbage collector leave alone what has come to stay, and look less often.

    Its walks were 15 % of what a fire costs; what a fire leaves behind is freed by counting.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


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
