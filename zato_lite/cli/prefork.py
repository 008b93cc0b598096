"""Prefork: supervises worker processes that share a port and a store on one machine.

Each worker is a node: jobs run on the node that claims them, and other nodes recover the runs of
a worker that dies. The kernel distributes connections (SO_REUSEPORT, Linux).
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

_START_S = 60.0
"""Seconds that the first worker may take to start."""

_POLL_S = 0.05
"""Seconds between attempts to connect to the first worker."""

_RESTART_S = 1.0
"""Seconds between restarts of workers that ended, lest a broken one restarts in a loop."""


def serve(arguments: Sequence[str], count: int, host: str, port: int) -> int:
    """Run ``count`` processes of ``zato-lite serve`` until a signal; return the exit status.

    The others start when the first one answers, because it creates the admin's password, updates
    the schema and applies the jobs file. A worker that ends is restarted.
    """
    with tempfile.TemporaryDirectory(prefix="zato-lite-metrics-") as folder:
        command = [sys.executable, "-m", "zato_lite", "serve", *arguments]
        workers = _Workers(command, Path(folder))
        first = workers.start()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, workers.forward)
        if not _is_up(first, host, port):
            return first.wait() or 1
        while len(workers.running) < count:
            workers.start()
        while not workers.are_stopping:
            time.sleep(_RESTART_S)
            workers.restart_ended()
        return max(abs(worker.wait()) for worker in workers.running)


class _Workers:
    """Worker processes.

    Attributes:
        are_stopping: a signal to stop was received.
    """

    def __init__(self, command: Sequence[str], metrics: Path) -> None:
        self._command, self._metrics = command, metrics
        self._files: dict[int, str] = {}
        self.running: list[subprocess.Popen[bytes]] = []
        self.are_stopping = False

    def start(self, metrics_file: str = "") -> subprocess.Popen[bytes]:
        """Start a worker; one that replaces another inherits its file of metrics."""
        file = metrics_file or str(self._metrics / f"{len(self.running)}.json")
        environ = {**os.environ, METRICS_FILE: file}
        worker = subprocess.Popen(self._command, env=environ)  # noqa: S603 - this program itself
        self.running.append(worker)
        self._files[worker.pid] = file
        return worker

    def forward(self, number: int, frame: FrameType | None) -> None:
        """Forward a signal to each worker."""
        self.are_stopping = self.are_stopping or number != signal.SIGHUP
        for worker in self.running:
            worker.send_signal(number)

    def restart_ended(self) -> None:
        """Restart workers that have ended, unless all are stopping."""
        for worker in [worker for worker in self.running if worker.poll() is not None]:
            if not self.are_stopping:
                click.echo(f"worker {worker.pid} ended with status {worker.returncode}", err=True)
                self.running.remove(worker)
                self.start(self._files.pop(worker.pid))


def _is_up(worker: subprocess.Popen[bytes], host: str, port: int) -> bool:
    """Wait until the worker accepts connections; return False if it ended instead."""
    until = time.monotonic() + _START_S
    while time.monotonic() < until and worker.poll() is None:
        try:
            socket.create_connection((host, port), 1).close()
        except OSError:
            time.sleep(_POLL_S)
        else:
            return True
    return False
