"""Prefork: supervises worker processes that share a port and a store on one machine.

Each worker is a node: jobs run on the node that claims them, and other nodes recover the runs of
a worker that dies. A worker that shows no sign of life is killed and replaced.

The kernel distributes connections (SO_REUSEPORT, Linux).
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

from zato_lite.config import FOLLOWER, JOBS_FILE_ERRORS, METRICS_FILE, Server
from zato_lite.systemd import NOTIFY_SOCKET, notify, watchdog_interval
from zato_lite.workers import Silence, sign_beside

_START_S = 60.0
"""Seconds that the first worker may take to start."""

_POLL_S = 0.05
"""Seconds between attempts to connect to the first worker."""

_RESTART_S = 1.0
"""Seconds between restarts of workers that ended, lest a broken one restarts in a loop."""

_STANDSTILL_S = 5.0
"""Seconds between two checks after which the supervisor, too, is taken to have stood still."""

_STOP_MARGIN_S = 25.0
"""Seconds after the grace period until workers that have not ended are killed."""


def serve(arguments: Sequence[str], server: Server) -> int:
    """Run the processes of ``zato-lite serve`` until a signal; return the exit status.

    The others start when the first one answers, because it creates the admin's password, updates
    the schema and applies the jobs file. A worker that ends is restarted.
    """
    with tempfile.TemporaryDirectory(prefix="zato-lite-metrics-") as folder:
        command = [sys.executable, "-m", "zato_lite", "serve", *arguments]
        workers = _Workers(command, Path(folder), server.worker_timeout)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the first worker handles it
        first = workers.start()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, workers.forward)
        if not _is_up(first, server.host, server.port):
            return first.wait() or 1
        while len(workers.running) < server.workers:
            workers.start()
        notify("READY=1")
        interval = watchdog_interval()
        while not workers.are_stopping:
            time.sleep(min(_RESTART_S, interval or _RESTART_S))
            workers.restart_ended()
            workers.kill_silent(time.monotonic())
            if interval is not None:
                notify("WATCHDOG=1")
        notify("STOPPING=1")
        return workers.wait(server.grace + _STOP_MARGIN_S)


class _Workers:
    """Worker processes.

    Attributes:
        are_stopping: a signal to stop was received.
    """

    def __init__(self, command: Sequence[str], metrics: Path, timeout: float) -> None:
        self._command, self._metrics, self._timeout = command, metrics, timeout
        self._files: dict[int, str] = {}
        self._silences: dict[int, Silence] = {}
        self._checked_at = time.monotonic()
        self.running: list[subprocess.Popen[bytes]] = []
        self.are_stopping = False

    def start(self, metrics_file: str = "") -> subprocess.Popen[bytes]:
        """Start a worker; one that replaces another inherits its file of metrics."""
        file = metrics_file or str(self._metrics / f"{len(self.running)}.json")
        environ = {**os.environ, METRICS_FILE: file}
        if self.running or metrics_file:
            # Only the first worker may refuse the jobs file, and gives the admin a password.
            environ |= {JOBS_FILE_ERRORS: "skip", FOLLOWER: "1"}
        environ.pop(NOTIFY_SOCKET, None)  # the supervisor is the service of systemd
        sign_beside(file).touch()
        # A worker that has just begun ignores SIGHUP, instead of ending, until it handles it.
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        worker = subprocess.Popen(self._command, env=environ)  # noqa: S603 - this program itself
        signal.signal(signal.SIGHUP, before)
        self.running.append(worker)
        self._files[worker.pid] = file
        self._silences[worker.pid] = Silence(_sign(file), time.monotonic())
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
                del self._silences[worker.pid]
                self.start(self._files.pop(worker.pid))

    def kill_silent(self, now: float) -> None:
        """Kill workers that have shown no sign of life; they are restarted when they have ended.

        They may spin, wait for a C function, or be stopped, with the store's write lock held.
        """
        stood_still = now - self._checked_at > _STANDSTILL_S
        self._checked_at = now
        for worker in self.running:
            silence = self._silences[worker.pid]
            if stood_still:
                silence.forgive(now)
            silent_s = silence.seconds(_sign(self._files[worker.pid]), now)
            limit = self._timeout if silence.has_reported else max(self._timeout, _START_S)
            if silent_s > limit and worker.poll() is None:
                text = f"worker {worker.pid} has not reported for {silent_s:.0f} s; replacing it"
                click.echo(text, err=True)
                worker.kill()

    def wait(self, seconds: float) -> int:
        """Wait until all have ended, and kill those that have not in time; return the status."""
        until = time.monotonic() + seconds
        for worker in self.running:
            try:
                worker.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                click.echo(f"worker {worker.pid} does not end; killing it", err=True)
                worker.kill()
        # A worker that was still starting ends by the signal itself.
        ends = [worker.wait() for worker in self.running]
        return max(0 if end in {-signal.SIGTERM, -signal.SIGINT} else abs(end) for end in ends)


def _sign(metrics_file: str) -> int:
    return sign_beside(metrics_file).stat().st_mtime_ns


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
