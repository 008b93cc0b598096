"""Which processes are alive: each holds a lock on a file that the kernel frees when it dies."""

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path


class NodeLocks:
    """Lock files beside a database file; without one, this process is alone.

    A lock is freed at the very end of a process, however it ends, and never before; so a dead
    node is known at once, and a slow one is not taken for dead.
    """

    def __init__(self, database: str) -> None:
        self._database = None if database == ":memory:" else database
        self._held: dict[int, int] = {}

    def take(self, node: int) -> None:
        """Hold the node's lock until it is released or the process ends."""
        if self._database is None:
            self._held[node] = -1
            return
        opened = os.open(self._path(node), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(opened, fcntl.LOCK_EX)
        self._held[node] = opened

    def release(self, node: int) -> None:
        """Give the lock up, and take its file away."""
        opened = self._held.pop(node, -1)
        if opened >= 0:
            self._path(node).unlink(missing_ok=True)
            os.close(opened)

    def alive(self, nodes: Iterable[int]) -> list[int]:
        """Those of the nodes whose processes live."""
        return [node for node in nodes if node in self._held or self._is_held(node)]

    def _is_held(self, node: int) -> bool:
        if self._database is None:
            return False
        try:
            opened = os.open(self._path(node), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            self._path(node).unlink(missing_ok=True)
            return False
        finally:
            os.close(opened)

    def _path(self, node: int) -> Path:
        return Path(f"{self._database}-node-{node}")
