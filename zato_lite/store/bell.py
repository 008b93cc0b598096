"""Bell: notifications between the nodes of a PostgreSQL store.

A notification that is lost costs time only: nodes also poll.
"""

import asyncio
import logging
import os
import secrets
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from select import select
from threading import Event, Thread

from zato_lite.errors import ZatoLiteError
from zato_lite.store.postgres_connection import PostgresConnection, PostgresError, connect
from zato_lite.store.postgres_session import BACKOFF_S, MAX_BACKOFF_S
from zato_lite.store.postgres_url import Location
from zato_lite.store.sql import claim_setting

Listener = Callable[[str], None]

_MAX_RINGS = 1_000
"""Texts kept while the database is away; the oldest go first, as nodes also poll."""

_SETTING = "bell"
"""Name of the setting with the random part of the channel's name."""

_log = logging.getLogger("zato_lite.store")


class Bell:
    """Thread that listens for notifications and sends them, over a separate connection."""

    def __init__(self, location: Location, stopping: Event) -> None:
        self._location, self._stopping = location, stopping
        self._listener: Listener | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rings: deque[str] = deque(maxlen=_MAX_RINGS)
        self._woken, self._wake = -1, -1
        self._thread: Thread | None = None

    def listen(self, listener: Listener) -> None:
        """Have ``listener`` called in the running loop with each text that is rung.

        It is called with an empty text when some may have been missed.
        """
        self._listener, self._loop = listener, asyncio.get_running_loop()
        self._start()

    def ring(self, text: str) -> None:
        """Send a text to all nodes, after the present transaction at the earliest."""
        self._rings.append(text)
        self._start()
        self._wake_up()

    def stop(self) -> None:
        """End the thread, after ``stopping`` is set."""
        if self._thread is not None:
            self._wake_up()
            self._thread.join()
            os.close(self._wake)
            os.close(self._woken)
            self._thread = None

    def _start(self) -> None:
        if self._thread is None:
            self._woken, self._wake = os.pipe()
            os.set_blocking(self._wake, False)
            self._thread = Thread(target=self._run, name="store-bell", daemon=True)
            self._thread.start()

    def _wake_up(self) -> None:
        with suppress(BlockingIOError):  # nobody has read the bytes before: one is enough
            os.write(self._wake, b"!")

    def _run(self) -> None:
        delay = BACKOFF_S
        while not self._stopping.is_set():
            try:
                connection = connect(self._location, "listen")
                delay = BACKOFF_S
                self._attend(connection)
            except (PostgresError, ZatoLiteError, OSError, ValueError) as error:
                # ValueError: a notification that is not text.
                _log.debug("notifications interrupted", extra={"error": str(error)})
                self._stopping.wait(delay)
                delay = min(2 * delay, MAX_BACKOFF_S)

    def _attend(self, connection: PostgresConnection) -> None:
        try:
            channel = channel_of(connection)
            connection.listen(channel)
            self._tell("")
            while not self._stopping.is_set():
                self._send(connection, channel)
                for text in dict.fromkeys(connection.heard()):
                    self._tell(text)
                readable, _, _ = select([connection.fileno(), self._woken], [], [])
                if self._woken in readable:
                    os.read(self._woken, 4096)
            self._send(connection, channel)
        finally:
            connection.close()

    def _send(self, connection: PostgresConnection, channel: str) -> None:
        texts: dict[str, None] = {}  # each once, in the order of the rings
        while self._rings:
            texts[self._rings.popleft()] = None
        for text in texts:
            connection.execute("SELECT pg_notify(?, ?)", (channel, text))

    def _tell(self, text: str) -> None:
        if self._listener is not None and self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._listener, text)


def channel_of(connection: PostgresConnection) -> str:
    """Return the store's channel, whose name the first node chooses.

    Every role of a database may listen and notify, and must not be able to guess the name.
    """
    return f"zato_lite_{claim_setting(connection, _SETTING, secrets.token_hex(16))}"
