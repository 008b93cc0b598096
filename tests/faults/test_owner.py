"""Only the owner stops the process: signals, and services that reach for the server's own."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import until
from tests.faults.crashes import PERIOD, create
from tests.faults.process import RefusedError, Server, interval
from tests.faults.test_restarts import now

SERVICES = '''
import asyncio, signal, threading, time
from zato_lite import Service

class Good(Service):
    async def handle(self):
        return 1

class Stubborn(Service):
    async def handle(self):
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

class StubbornToAll(Service):
    async def handle(self):
        while True:
            try:
                await asyncio.sleep(3600)
            except BaseException:
                pass

class Sleeper(Service):
    """Block a thread, which nothing can cancel."""
    def handle(self):
        time.sleep(3600)

class Generator(Service):
    """Leave an asynchronous generator that does not close."""
    async def handle(self):
        async def numbers():
            while True:
                try:
                    yield 1
                finally:
                    await asyncio.sleep(3600)
        self.__class__.kept = numbers()
        await anext(self.__class__.kept)
        await asyncio.sleep(3600)

class CancelAll(Service):
    async def handle(self):
        for task in asyncio.all_tasks():
            task.cancel()

class CancelByThread(Service):
    def handle(self):
        loop = self.__class__.loop
        for task in asyncio.all_tasks(loop):
            loop.call_soon_threadsafe(task.cancel)

class Remember(Service):
    async def handle(self):
        CancelByThread.loop = asyncio.get_running_loop()

class CancelLater(Service):
    async def handle(self):
        def cancel():
            for task in asyncio.all_tasks():
                task.cancel()
        asyncio.get_running_loop().call_later(0.01, cancel)

class StopLoop(Service):
    async def handle(self):
        asyncio.get_running_loop().stop()

class StopLater(Service):
    async def handle(self):
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, loop.stop)

class CloseLoop(Service):
    async def handle(self):
        asyncio.get_running_loop().close()

class Signals(Service):
    async def handle(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

class LoopSignals(Service):
    async def handle(self):
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, print)
        loop.remove_signal_handler(signal.SIGTERM)

class Factory(Service):
    async def handle(self):
        asyncio.get_running_loop().set_task_factory(None)
'''


IN_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    (tmp_path / "services" / "own.py").write_text(SERVICES)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "zato-lite.toml").write_text("[server]\ngrace = 0.5\n")
    yield server
    server.kill()


def answer(server: Server, service: str = "own.good") -> Any:
    try:
        return server.invoke(service)
    except (OSError, HTTPException, RefusedError):
        return None


def output(server: Server) -> str:
    return server.output.read_text()


@pytest.mark.parametrize("workers", [1, 2])
def test_sighup_reloads_and_ends_nothing(server: Server, workers: int) -> None:
    server.environment["ZATO_LITE_SERVER__WORKERS"] = str(workers)
    server.start()
    assert server.process is not None
    pid = server.process.pid
    config = server.folder / "config" / "zato-lite.toml"
    start = now() // PERIOD * PERIOD + PERIOD
    job = create(server, "slow", start, job_type="one_time", service="faults.slow")
    until(server.seen)

    config.write_text('[server]\ngrace = 0.5\nname = "other"\n[log]\nlevel = "DEBUG"\n')
    for _ in range(20):
        os.killpg(pid, signal.SIGHUP)  # parent and workers, as a terminal that closes does
        time.sleep(0.02)
        assert server.invoke("own.good") == 1
    if workers == 1:  # one that is just starting would be right to refuse it
        config.write_text("[nonsense]")
        os.killpg(pid, signal.SIGHUP)
        until(lambda: '"event":"settings not reloaded"' in output(server))
    until(lambda: server.seen("ended"))

    assert server.process.poll() is None
    runs, _ = server.history([job])
    assert server.stop() == 0
    runs, _ = server.history([job])
    assert [(run.outcome, run.attempt) for run in runs] == [("ok", 1)]
    text = output(server)
    assert '"need_a_restart":["server.name"]' in text
    assert " ended with status" not in text


def test_a_server_outlives_its_terminal(server: Server) -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "zato_lite", "serve", "--port", str(server.port)]
    server.process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", IN_TERMINAL, *command, "--project", str(server.folder)],
        stdin=follower, stdout=follower, stderr=follower,
        env={**os.environ, "ZATO_LITE_ADMIN_PASSWORD": "not-a-secret"},
    )  # fmt: skip
    os.close(follower)
    until(lambda: answer(server), 30)

    os.close(leader)  # the kernel sends SIGHUP, and writing fails from now on

    for _ in range(20):
        time.sleep(0.02)
        assert server.invoke("own.good") == 1
    server.process.terminate()
    assert server.process.wait(20) == 0


@pytest.mark.parametrize(
    "service", ["own.stubborn", "own.stubborn-to-all", "own.sleeper", "own.generator"]
)
def test_a_stop_is_orderly_although_a_service_ignores_it(server: Server, service: str) -> None:
    start = now() // PERIOD * PERIOD + PERIOD
    for round_ in range(2):
        server.start()
        if not round_:
            create(server, "stubborn", start, job_type="one_time", service=service)
        server.send(service)  # over HTTP, too; it is not answered
        until(lambda: server.query("SELECT 1 FROM run WHERE outcome IS NULL"))

        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 8

    # It is handed over at each stop: it has not ended, and nothing counts as a crash.
    assert server.query("SELECT outcome, crashes FROM run") == [(None, 0)]
    assert {row[0] for row in server.query("SELECT outcome FROM attempt")} == {"cancelled"}


RUDE = {
    "own.cancel-all": "cancelled a task of the server",
    "own.cancel-later": "cancelled a task of the server",
    "own.cancel-by-thread": "cancelled a task of the server",
    "own.stop-loop": "stopped the event loop",
    "own.stop-later": "stopped the event loop",
    "own.close-loop": "closed the event loop",
    "own.signals": "changed the handler of SIG",
    "own.loop-signals": "changed a signal's handler",
    "own.factory": "replaced the task factory",
}


@pytest.mark.parametrize("service", RUDE)
def test_a_service_that_reaches_for_the_server_is_named_and_paused(
    server: Server, service: str
) -> None:
    server.start()
    server.invoke("own.remember")
    start = now() // PERIOD * PERIOD
    job = server.invoke("zato.scheduler.job.create", interval("rude", service, iso(start)))["id"]
    healthy = create(server, "healthy", start, service="faults.mark")

    def paused() -> bool:
        try:
            assert server.invoke("own.good") == 1  # HTTP answers all the time
            found = server.invoke("zato.scheduler.job.get-by-id", {"id": job})
        except HTTPException:  # the request that was waiting when its task was cancelled, too
            assert server.invoke("own.good") == 1
            return False
        return not found["is_active"]

    until(paused, 20)
    server.invoke("zato.scheduler.job.execute", {"id": healthy})
    assert b"zato_lite_restarts_total 0.0\n" in server._request("GET", "/metrics")[1]
    runs = server.query(f"SELECT count(*) FROM run WHERE job_id = {job}")  # noqa: S608
    assert 3 <= runs[0][0] <= 5
    with pytest.raises(RefusedError, match="inactive"):
        server.invoke(service)
    assert server._request("GET", "/readyz")[0] == 200
    assert server.stop() == 0
    text = output(server)
    assert f'"service":"{service}","deed":"{RUDE[service]}' in text
    assert '"event":"service paused"' in text


def iso(instant: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(instant / 1e6))
