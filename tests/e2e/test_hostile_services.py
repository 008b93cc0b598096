"""Services that try to end the server, under ``zato-lite serve``."""

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import until
from tests.faults.process import RefusedError, Server

pytestmark = pytest.mark.e2e

GOOD = """
from zato_lite import Service

class Good(Service):
    async def handle(self):
        return {version}
"""
EVIL = '''
import asyncio, threading, time
from zato_lite import Service

class Block(Service):
    async def handle(self):
        time.sleep(1000)

class Cancel(Service):
    async def handle(self):
        for task in asyncio.all_tasks():
            task.cancel()

class Stop(Service):
    async def handle(self):
        asyncio.get_running_loop().stop()

class Threads(Service):
    async def handle(self):
        return threading.active_count()

class Leave(Service):
    """Leave threads that never end, and that Python would wait for."""
    async def handle(self):
        threading.Thread(target=time.sleep, args=(1000,)).start()
        asyncio.get_running_loop().run_in_executor(None, time.sleep, 1000)
'''
CLASS = """
from zato_lite import Service, every

class A(Service):
    {}
    async def handle(self): ...
"""
HOOK = "@classmethod\n    def after_add_to_store(cls, logger): raise SystemExit(1)"
HOSTILE = {
    "nonsense": CLASS.format("rest = 'nonsense'"),
    "number": CLASS.format("rest = 5"),
    "first": CLASS.format("rest = 'GET /s/{a}'"),
    "second": CLASS.format("rest = 'GET /s/{b}'"),
    "hook": CLASS.format(HOOK),
    "zone": CLASS.format("schedule = every(minutes=5, timezone='X/Y')"),
    "exits": "raise SystemExit(1)",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.options = []
    services = tmp_path / "services"
    (services / "good.py").write_text(GOOD.format(version=1))
    (services / "evil.py").write_text(EVIL)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "zato-lite.toml").write_text("[server]\ngrace = 1.0\n")
    yield server
    server.kill()


def _answer(server: Server, service: str) -> Any:
    try:
        return server.invoke(service)
    except (OSError, http.client.HTTPException, RefusedError):
        return None


def _is_served(server: Server, version: int) -> bool:
    return bool(_answer(server, "good.good") == version)


def test_wrong_files_are_reported_and_the_rest_is_served_and_reloaded(server: Server) -> None:
    services = server.folder / "services"
    for name, text in HOSTILE.items():
        (services / f"{name}.py").write_text(text)
    (services / os.fsdecode(b"bad\xff.py")).write_text("x = 1")

    server.start()
    files = server.invoke("zato.service.get-deployment-info-list")
    wrong = {Path(it["source"]).stem for it in files if not it["is_ok"]}
    (services / "good.py").write_text(GOOD.format(version=2))
    (services / "nonsense.py").write_text(CLASS.format("rest = 'GET /n'"))

    assert wrong == {*HOSTILE, "bad\\udcff"} - {"first"}
    until(lambda: _answer(server, "good.good") == 2, 20)
    until(lambda: server._request("GET", "/n")[0] == 200)
    assert server.stop() == 0

    checked = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "zato_lite", "check", "--project", str(server.folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert checked.returncode == 1
    assert all(f"{name}.py: " in checked.stderr for name in wrong - {"nonsense"})


def test_a_stopped_server_exits_although_a_service_blocks_the_loop(server: Server) -> None:
    server.start()
    with pytest.raises(OSError, match="timed out"):
        server.invoke("evil.block", patience=0.5)

    began = time.monotonic()

    assert server.stop() == 1
    assert time.monotonic() - began < 10


def test_a_stopped_server_exits_although_services_have_left_threads(server: Server) -> None:
    server.start()
    server.invoke("evil.leave")

    began = time.monotonic()

    assert server.stop() == 0
    assert time.monotonic() - began < 10


def test_after_services_cancel_all_tasks_the_server_serves_reloads_and_exits(
    server: Server,
) -> None:
    server.start()
    before = server.invoke("evil.threads")
    for version in range(2, 5):
        _answer(server, "evil.cancel")
        until(lambda: _answer(server, "good.good"), 20)
        (server.folder / "services" / "good.py").write_text(GOOD.format(version=version))
        until(partial(_is_served, server, version), 20)

    assert server.invoke("evil.threads") <= before + 1
    assert b"zato_lite_restarts_total 0.0\n" in server._request("GET", "/metrics")[1]
    assert server.stop() == 0


def test_a_loop_that_a_service_stops_is_continued_without_a_restart(server: Server) -> None:
    server.start()
    for _ in range(3):
        assert server.invoke("evil.stop") == {}

    assert server.invoke("good.good") == 1
    assert b"zato_lite_restarts_total 0.0\n" in server._request("GET", "/metrics")[1]
    assert server.stop() == 0


def test_a_port_in_use_is_reported_in_one_line(server: Server) -> None:
    server.start()
    other = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "zato_lite", "serve", "--port", str(server.port),
         "--project", str(server.folder), "--store", "sqlite:///:memory:"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert other.returncode == 2
    assert f"cannot listen on 127.0.0.1:{server.port}: " in other.stderr
    assert "Traceback" not in other.stderr + other.stdout
    assert "file deployed" not in other.stderr  # it exits before that
