"""Signals of a serving process: only its owner stops it, and SIGHUP reloads."""

import _thread
import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from zato_lite.service.interference import is_interference

SHUTDOWN_MARGIN_S = 5.0
"""Seconds after the grace period until a process whose loop is blocked exits."""

SAVING_MARGIN_S = 15.0
"""Further seconds for a process whose loop still runs: it may wait for a slow store."""

_ECHO_S = 0.5
"""Seconds within which signals count as one: terminal and parent may both signal a worker."""

_POLL_S = 0.1
"""Seconds between checks for a signal during a pause."""

_ANSWER_S = 1.0
"""Seconds that a loop may take to show that it runs."""

_log = logging.getLogger(__name__)
_set_handler = signal.signal


class Signals:
    """Receives signals, notifies the running loop, and enforces the time limit of a shutdown.

    Signals are handled by Python instead of the loop, which a service may block. SIGTERM and
    SIGINT stop the process; SIGHUP, which a closing terminal sends too, makes it reload. When
    ``grace`` and a margin have passed, the process exits as in a crash, which the store survives.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._signalled_at: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: Callable[[], object] = bool
        self._reload: Callable[[], object] = bool
        self._handlers: dict[signal.Signals, Callable[[int, FrameType | None], None]] = {
            signal.SIGTERM: self._receive,
            signal.SIGINT: self._receive,
            signal.SIGHUP: self._receive_reload,
        }
        for number, handler in self._handlers.items():
            _set_handler(number, handler)
        signal.signal = self._guarded  # for services

    def notify(
        self,
        loop: asyncio.AbstractEventLoop,
        stop: Callable[[], object],
        reload: Callable[[], object] = bool,
    ) -> None:
        """Have functions called in the loop: at the first stop, or now, and at each reload."""
        self._loop, self._stop, self._reload = loop, stop, reload
        if self._signalled_at is not None:
            stop()

    def keep(self) -> None:
        """Set the handlers again if other code has changed them; in the main thread."""
        for number, handler in self._handlers.items():
            if signal.getsignal(number) != handler:
                _set_handler(number, handler)
                _log.error("signal handler restored", extra={"signal": number.name})

    def sleep(self, seconds: float) -> bool:
        """Wait for some seconds; return False, earlier, if a signal was received."""
        until = time.monotonic() + seconds
        while self._signalled_at is None and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _POLL_S))
        return self._signalled_at is None

    def _guarded(self, signalnum: int, handler: Any) -> Any:
        """Set a handler as ``signal.signal`` does, except a service's for the server's signals."""
        number = signal.Signals(signalnum)
        if number in self._handlers and is_interference(f"changed the handler of {number.name}"):
            return signal.getsignal(number)
        return _set_handler(signalnum, handler)

    def _call(self, function: Callable[[], object]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed; the next one calls notify()
                self._loop.call_soon_threadsafe(function)

    def _receive_reload(self, number: int, frame: FrameType | None) -> None:
        self._call(self._reload)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._signalled_at is None:
            self._signalled_at = now
            _thread.start_new_thread(
                self._enforce, ()
            )  # without locks, which the interrupted code may hold
            self._call(self._stop)
        elif now - self._signalled_at > _ECHO_S:
            os._exit(1)  # a second signal: exit immediately, as in a crash

    def _enforce(self) -> None:
        limit = self._grace + SHUTDOWN_MARGIN_S
        time.sleep(limit)
        if self._is_loop_running():
            time.sleep(SAVING_MARGIN_S)
            limit += SAVING_MARGIN_S
        os.write(2, f"zato-lite: shutdown timed out after {limit:g} s; exiting\n".encode())
        os._exit(1)

    def _is_loop_running(self) -> bool:
        answers: list[bool] = []
        self._call(lambda: answers.append(True))
        until = time.monotonic() + _ANSWER_S
        while not answers and time.monotonic() < until:
            time.sleep(_POLL_S)
        return bool(answers)
