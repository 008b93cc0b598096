"""Neighbours and disks: a stopped process with the write lock, files that vanish, slow syncs."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import until
from tests.faults.process import RefusedError, Server, interval

HOLDER = """
import os, signal, sys, time
import apsw
connection = apsw.Connection(sys.argv[1])
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
if sys.argv[2] == "stopped":
    os.kill(os.getpid(), signal.SIGSTOP)
time.sleep(60)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.environment["ZATO_LITE_SERVER__GRACE"] = "0.5"
    yield server
    server.kill()


def ready(server: Server) -> tuple[int, Any]:
    status, body = server._request("GET", "/readyz", patience=5)
    return status, json.loads(body)


def reason(server: Server) -> str:
    return str(ready(server)[1]["reasons"].get("store", ""))


def events(server: Server) -> list[dict[str, Any]]:
    lines = server.output.read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


@pytest.mark.parametrize("way", ["stopped", "asleep"])
@pytest.mark.parametrize("is_busy", [True, False])
def test_a_neighbour_that_keeps_the_write_lock_is_found_within_two_seconds(
    server: Server, way: str, is_busy: bool
) -> None:
    server.start()
    if is_busy:
        server.invoke("zato.scheduler.job.create", interval("often", "faults.quiet", "2026-01-01"))
    elif way == "asleep":
        pytest.skip("a running process that holds a lock nobody waits for disturbs nobody")
    command = [sys.executable, "-c", HOLDER, str(server.database), way]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:  # noqa: S603
        assert holder.stdout is not None
        holder.stdout.readline()
        began = time.monotonic()

        why = until(lambda: reason(server), 5)
        took = time.monotonic() - began
        holder.kill()
        until(lambda: ready(server)[0] == 200, 15)

    sys.stderr.write(f"{way}, busy {is_busy}: not ready after {took:.2f} s: {why}\n")
    assert took < 2.0 + 0.5 * is_busy  # a busy server finds out when it writes next
    assert f"process {holder.pid} " in why
    assert server.stop() == 0
    found = [event["event"] for event in events(server)]
    assert found.index("store blocked") < found.index("store unblocked")


def unlinked(server: Server) -> None:
    server.database.unlink()


def log_unlinked(server: Server) -> None:
    Path(f"{server.database}-wal").unlink()


def backup_moved_over(server: Server) -> None:
    shutil.copy(server.database, server.database.with_name("copy"))
    server.database.with_name("copy").rename(server.database)


def folder_moved(server: Server) -> None:
    server.database.parent.rename(server.folder / "elsewhere")


@pytest.mark.parametrize("fault", [unlinked, log_unlinked, backup_moved_over, folder_moved])
def test_no_call_is_acknowledged_after_a_file_of_the_store_is_gone(
    server: Server, fault: Callable[[Server], None]
) -> None:
    server.start()
    for number in range(3):
        later = interval(f"before {number}", "faults.quiet", "2999-01-01")
        server.invoke("zato.scheduler.job.create", later)

    fault(server)
    began = time.monotonic()
    answers = []
    for number in range(3):
        with contextlib.suppress(OSError, HTTPException):
            try:
                later = interval(f"after {number}", "faults.quiet", "2999-01-01")
                server.invoke("zato.scheduler.job.create", later)
                answers.append(200)
            except RefusedError as error:
                answers.append(error.status)
    until(lambda: ready(server)[0] == 503, 5)

    assert time.monotonic() - began < 2
    assert answers == [503, 503, 503]
    assert [e["level"] for e in events(server) if e["event"] == "store file moved"] == ["critical"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_makes_the_server_unready_until_there_is_room(server: Server) -> None:
    place = server.database.parent
    place.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    mounted = subprocess.run(mount, check=False, capture_output=True)  # noqa: S603
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode()}")
    try:
        server.start()
        job = interval("often", "faults.mark", "2026-01-01")
        server.invoke("zato.scheduler.job.create", job)
        refused = fill_up(server)
        until(lambda: ready(server)[0] == 503, 5)
        why = ready(server)[1]["reasons"]

        subprocess.run(["/bin/mount", "-o", "remount,size=30m", str(place)], check=True)  # noqa: S603
        began = time.monotonic()
        until(lambda: ready(server)[0] == 200, 10)
        took = time.monotonic() - began
        count = len(server.seen())
        until(lambda: len(server.seen()) > count, 5)

        assert refused.status == 503
        assert "full" in json.dumps(why)
        assert took < 5
        assert server.stop() == 0
        sys.stderr.write(f"full disk: {why}, ready again after {took:.1f} s\n")
    finally:
        server.kill()
        subprocess.run(["/bin/umount", "-l", str(place)], check=True)  # noqa: S603


def fill_up(server: Server) -> RefusedError:
    """Create jobs with much text until one is refused."""
    for number in range(10_000):
        later = interval(f"large {number}", "faults.quiet", "2999-01-01", extra="x" * 50_000)
        try:
            server.invoke("zato.scheduler.job.create", later)
        except RefusedError as error:
            return error
    raise AssertionError("the disk is not full")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("delay_ms", [100, 300, 1000])
def test_a_slow_disk_is_shown_and_claims_are_made_earlier(server: Server, delay_ms: int) -> None:
    inject = f"inject=fdatasync,fsync:delay_enter={delay_ms * 1000}"
    server.launch(["strace", "-f", "-q", "-o", "/dev/null", "-e", "trace=fdatasync,fsync",
                   "-e", inject])  # fmt: skip
    until(lambda: answers(server), 60)
    start = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    began = time.monotonic()
    job = server.invoke(
        "zato.scheduler.job.create",
        {**interval("slow disk", "faults.mark", start), "seconds": 5},
        patience=30,
    )["id"]
    created = time.monotonic() - began
    time.sleep(31)
    status, body = ready(server)
    metrics = server._request("GET", "/metrics", patience=10)[1].decode()

    effects = sorted(e.at - e.slot for e in server.seen() if e.job == job)
    late = [round(us / 1000) for us in effects]
    text = f"{delay_ms} ms a sync: create {created:.2f} s, late by {late} ms, {status} {body}"
    sys.stderr.write(f"{text}\n")
    is_slow = delay_ms > 250
    assert status == 200
    assert ("store" in body.get("warnings", {})) is is_slow
    assert ("store slow" in [event["event"] for event in events(server)]) is is_slow
    assert "zato_lite_store_commit_p95_seconds 0.0\n" not in metrics
    assert len(late) >= 4
    assert late[len(late) // 2] < 100 + delay_ms // 10
    os.killpg(server.process.pid if server.process else 0, signal.SIGKILL)


def answers(server: Server) -> bool:
    try:
        return server._request("GET", "/zato/ping")[0] == 200
    except (OSError, HTTPException):
        return False
