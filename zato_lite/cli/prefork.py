"""More processes of one server on one machine: they share the port and the store.

Each is a node like any other: whichever claims a slot runs it, and the runs of one that dies are
taken over by the others. The kernel spreads the connections (SO_REUSEPORT, Linux).
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import click

from zato_lite.config import METRICS_FILE

_PATIENCE_S = 60.0
_STEP_S = 0.05
_REST_S = 1.0
"""Before a worker that died is started anew: one that cannot start is not to be a storm."""


def serve(arguments: Sequence[str], count: int, host: str, port: int) -> int:
    """Run ``count`` processes of ``zato-lite serve`` until told to stop; the exit status.

    The first one is up before the others start: it makes the admin's password, brings the schema
    up to date and applies the jobs file. One that dies is started anew.
    """
    with tempfile.TemporaryDirectory(prefix="zato-lite-metrics-") as folder:
        command = [sys.executable, "-m", "zato_lite", "serve", *arguments]
        workers = _Workers(command, Path(folder))
        first = workers.start()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, workers.tell)
        if not _is_up(first, host, port):
            return first.wait() or 1
        while len(workers.running) < count:
            workers.start()
        while not workers.are_stopping:
            time.sleep(_REST_S)
            workers.replace()
        return max(abs(worker.wait()) for worker in workers.running)


class _Workers:
    """The processes, and whether they have been told to stop."""

    def __init__(self, command: Sequence[str], metrics: Path) -> None:
        self._command, self._metrics = command, metrics
        self._files: dict[int, str] = {}
        self.running: list[subprocess.Popen[bytes]] = []
        self.are_stopping = False

    def start(self, metrics_file: str = "") -> subprocess.Popen[bytes]:
        """Start a worker; one that replaces another inherits its file of metrics."""
        file = metrics_file or str(self._metrics / f"{len(self.running)}.json")
        environ = {**os.environ, METRICS_FILE: file}
        worker = subprocess.Popen(self._command, env=environ)  # noqa: S603 - this very program
        self.running.append(worker)
        self._files[worker.pid] = file
        return worker

    def tell(self, number: int, frame: FrameType | None) -> None:
        """Pass a signal on."""
        self.are_stopping = self.are_stopping or number != signal.SIGHUP
        for worker in self.running:
            worker.send_signal(number)

    def replace(self) -> None:
        """Start one for each that has ended, unless they are to end."""
        for worker in [it for it in self.running if it.poll() is not None]:
            if not self.are_stopping:
                click.echo(f"worker {worker.pid} ended with {worker.returncode}", err=True)
                self.running.remove(worker)
                self.start(self._files.pop(worker.pid))


def _is_up(worker: subprocess.Popen[bytes], host: str, port: int) -> bool:
    """Wait until the worker takes connections; False if it ended instead."""
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until and worker.poll() is None:
        try:
            socket.create_connection((host, port), 1).close()
        except OSError:
            time.sleep(_STEP_S)
        else:
            return True
    return False
