"""Proxy between a node and PostgreSQL that drops, delays, and loses answers on request.

It listens on a Unix socket of PostgreSQL's name in a folder of its own, and forwards bytes.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from threading import Event, Thread
from typing import Literal

Mode = Literal["pass", "refuse", "delay", "mute", "lose"]
"""Forward all; refuse and cut connections; delay bytes; forward no answers; lose some answers."""

DELAY_S = 0.3
"""Seconds by which bytes are late in mode ``delay``."""

LOST = 0.05
"""Part of the answers that are lost, with their connection, in mode ``lose``."""

SOCKET = ".s.PGSQL.5432"


class Proxy:
    """A thread that forwards connections of one node.

    Attributes:
        mode: what happens to bytes and connections from now on.
    """

    def __init__(self, folder: Path, target: Path) -> None:
        folder.mkdir(exist_ok=True, parents=True)
        self.folder, self._target = folder, target / SOCKET
        self.mode: Mode = "pass"
        self._random = random.Random(1)
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._is_ready = Event()
        Thread(target=self._run, daemon=True).start()
        self._is_ready.wait()

    def set_mode(self, mode: Mode) -> None:
        """Change the mode; ``refuse`` also cuts the connections that there are."""
        self.mode = mode
        if mode == "refuse":
            self._loop.call_soon_threadsafe(self._cut_all)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        path = str(self.folder / SOCKET)
        self._loop.run_until_complete(asyncio.start_unix_server(self._serve, path))
        self._is_ready.set()
        self._loop.run_forever()

    def _cut_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self.mode == "refuse":
                return
            to_reader, to_writer = await asyncio.open_unix_connection(str(self._target))
            self._writers.add(to_writer)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._forward(reader, to_writer, self._ask))
                    group.create_task(self._forward(to_reader, writer, self._answer))
            finally:
                self._writers.discard(to_writer)
                to_writer.transport.abort()
        except (OSError, ExceptionGroup):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        may_pass: Callable[[], Awaitable[bool]],
    ) -> None:
        while data := await reader.read(65_536):
            if await may_pass():
                writer.write(data)
                await writer.drain()
        raise ConnectionResetError

    async def _ask(self) -> bool:
        if self.mode == "delay":
            await asyncio.sleep(DELAY_S)
        return True

    async def _answer(self) -> bool:
        if self.mode == "lose" and self._random.random() < LOST:
            raise ConnectionResetError
        while self.mode == "mute":  # noqa: ASYNC110 - until the test says otherwise
            await asyncio.sleep(0.05)
        return True
