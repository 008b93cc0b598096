"""The cost of event streams: at the bound of one viewer, an event costs at most twice as much."""

import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.process import Server

STREAMS = 20
JOBS = 150
"""Jobs of one second: 300 events a second, of starts and of ends."""

SECONDS = 6.0
ROUNDS = 3


@contextmanager
def streams(port: int, key: str, count: int) -> Iterator[list[socket.socket]]:
    """Listen with several streams, whose bytes the kernel keeps for a while."""
    head = f"GET /zato/events HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\r\n"
    opened = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    try:
        for each in opened:
            each.sendall(head.encode())
            assert each.recv(65_536).startswith(b"HTTP/1.1 200")
        yield opened
    finally:
        for each in opened:
            each.close()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def used(server: Server, key: str, count: int) -> float:
    """Return the CPU seconds of some seconds with as many streams."""
    assert server.process is not None
    with streams(server.port, key, count) as opened:
        time.sleep(1)
        before, ends = cpu_seconds(server.process.pid), time.monotonic() + SECONDS
        received = 0
        while time.monotonic() < ends:
            received += sum(len(each.recv(4_000_000)) for each in opened)
            time.sleep(0.3)
        assert bool(received) is bool(count)
        return cpu_seconds(server.process.pid) - before


@pytest.mark.slow
def test_twenty_streams_at_most_double_the_cost_of_an_event(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start()
    try:
        key = server.invoke("zato.security.key.create", {"roles": ["viewer"]})["key"]
        jobs = [
            {"name": f"j{i}", "service": "demo.ping", "job_type": "interval_based", "seconds": 1}
            for i in range(JOBS)
        ]
        server.invoke("zato.scheduler.job.create-many", {"jobs": jobs})
        with streams(server.port, key, 1):  # events are made from now on
            time.sleep(2)

        figures = [(used(server, key, 0), used(server, key, STREAMS)) for _ in range(ROUNDS)]

        assert statistics.median(with_all / without for without, with_all in figures) <= 2, figures
    finally:
        server.kill()
