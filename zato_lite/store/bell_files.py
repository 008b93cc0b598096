"""Bells of the nodes on one SQLite file: a socket beside it, by which others wake a node.

A ring that is lost costs time only: nodes also look each second. So it does where a system has no
such sockets, as on some network file systems.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zato_lite.store.private import FILE

Listener = Callable[[str], None]

MAX_TEXT = 60_000
"""Bytes of a ring."""

_MAX_PATH = 100
"""Bytes of a socket's path that every system accepts."""

_MAX_HEARD = 1_000
"""Rings that are read together."""


class FileBells:
    """The bells of the nodes whose lock files are beside a database file.

    Args:
        path_of: returns a node's lock file; the socket is beside it.
    """

    def __init__(self, path_of: Callable[[int], Path]) -> None:
        self._path_of = path_of
        self._own: dict[int, socket.socket] = {}
        self._sender: socket.socket | None = None

    def listen(self, node: int, listener: Listener) -> None:
        """Have ``listener`` called in the running loop with each text that is rung at the node."""
        own = _socket()
        with suppress(OSError):  # on Linux, the file gets the mode of the socket
            os.fchmod(own.fileno(), FILE)
        try:
            with _address(self._path_of(node)) as address:
                own.bind(address)
                Path(address).chmod(FILE)
        except OSError:
            own.close()
            return
        self._own[node] = own
        asyncio.get_running_loop().add_reader(own, _hear, own, listener)

    def ring(self, node: int, text: str) -> None:
        """Send a text to a node; if it does not listen, or its queue is full, nothing happens."""
        self._sender = self._sender or _socket()
        with suppress(OSError), _address(self._path_of(node)) as address:
            self._sender.sendto(text.encode(), address)

    def silence(self, node: int) -> None:
        """Stop listening."""
        if (own := self._own.pop(node, None)) is not None:
            with suppress(RuntimeError):  # the loop is closed
                asyncio.get_running_loop().remove_reader(own)
            own.close()
        if not self._own and self._sender is not None:
            self._sender.close()
            self._sender = None

    def remove(self, node: int) -> None:
        """Delete the socket of a node that has ended."""
        with suppress(OSError):
            _beside(self._path_of(node)).unlink(missing_ok=True)


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.setblocking(False)
    return made


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}-bell")


@contextmanager
def _address(lock_file: Path) -> Iterator[str]:
    """Yield the path of a node's socket; on Linux, a long one by the number of its folder."""
    path = _beside(lock_file)
    if len(os.fsencode(path)) <= _MAX_PATH or sys.platform != "linux":
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _hear(own: socket.socket, listener: Listener) -> None:
    """Hand over the texts that have come, each once."""
    texts: dict[str, None] = {}
    with suppress(OSError):  # all are read
        for _ in range(_MAX_HEARD):
            texts[own.recv(MAX_TEXT).decode("utf-8", "replace")] = None
    for text in texts:
        listener(text)
