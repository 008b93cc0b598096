"""Workers that spin or stand still are replaced; systemd is told that the server lives."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import until
from tests.faults.process import RefusedError, Server

SPIN = """
import ctypes, os, time
from zato_lite import Service

class Pid(Service):
    async def handle(self):
        return os.getpid()

class Spin(Service):
    async def handle(self):
        while True:
            pass

class Sleep(Service):
    async def handle(self):
        time.sleep(3600)

class InC(Service):
    async def handle(self):
        ctypes.PyDLL(None).sleep(3600)  # holds the GIL

class Stop(Service):
    async def handle(self):
        os.kill(os.getpid(), 19)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    (tmp_path / "services" / "own.py").write_text(SPIN)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "zato-lite.toml").write_text(
        "[server]\nworkers = 2\nworker_timeout = 3\ngrace = 0.5\n"
    )
    yield server
    server.kill()


def pids(server: Server, times: int = 8) -> set[int]:
    """Return the processes that answer, of both workers."""
    found = set()
    for _ in range(times):
        try:
            found.add(server.invoke("own.pid", patience=0.5))
        except (OSError, HTTPException, RefusedError):
            time.sleep(0.02)
    return found


@pytest.mark.parametrize("poison", ["own.spin", "own.sleep", "own.in-c", "own.stop"])
def test_a_silent_worker_is_replaced(server: Server, poison: str) -> None:
    server.start()
    before: Any = until(lambda: len(found := pids(server)) == 2 and found, 30)

    with pytest.raises((OSError, HTTPException)):
        server.invoke(poison, patience=0.3)
    after: Any = until(lambda: len(found := pids(server)) == 2 and found != before and found, 30)

    assert len(before & after) == 1
    assert " has not reported for " in server.output.read_text()
    assert server.stop() == 0


def test_a_stop_ends_even_a_worker_that_stands_still(server: Server) -> None:
    server.environment["ZATO_LITE_SERVER__WORKER_TIMEOUT"] = "60"
    server.start()
    workers: Any = until(lambda: len(found := pids(server)) == 2 and found, 30)
    os.kill(next(iter(workers)), signal.SIGSTOP)

    assert server.end(signal.SIGTERM) == 9


@pytest.mark.parametrize("workers", ["1", "2"])
def test_systemd_learns_of_the_start_of_life_and_of_the_stop(
    server: Server, workers: str, tmp_path: Path
) -> None:
    server.environment |= {
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
        "WATCHDOG_USEC": "1000000",
        "ZATO_LITE_SERVER__WORKERS": workers,
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)

        server.start()
        first = [manager.recv(200) for _ in range(4)]
        assert server.stop() == 0
        manager.settimeout(0.5)
        last = []
        try:
            while True:
                last.append(manager.recv(200))
        except TimeoutError:
            pass

    assert set(first) == {b"READY=1", b"WATCHDOG=1"}
    assert first.count(b"READY=1") == 1
    assert last[-1] in {b"STOPPING=1", b"WATCHDOG=1"}
    assert b"STOPPING=1" in last
