"""Processes that die under mixed load: innocent runs are never given up, culprits are found."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.crashes import create
from tests.faults.process import Server

SERVICES = '''
import asyncio
import os
import signal

from zato_lite import Service


class Long(Service):
    name = "faults.long"

    async def handle(self):
        await asyncio.sleep(8)


class Medium(Service):
    name = "faults.medium"

    async def handle(self):
        await asyncio.sleep(0.7)


class Killer(Service):
    """Kill the process at once, as a fault in native code does."""

    name = "faults.killer"

    async def handle(self):
        os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(60)
'''


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path)
    (tmp_path / "services" / "culprits.py").write_text(SERVICES)
    yield running
    running.kill()


def now() -> int:
    return time.time_ns() // 1000  # noqa: TID251 - a real process


def add_load(server: Server, long: int) -> list[int]:
    """Create 50 jobs of one second, some slow, and runs of eight seconds."""
    start = now() + 500_000
    quick = [create(server, f"mark-{number}", start + number * 20_000) for number in range(40)]
    slow = [
        create(server, f"medium-{number}", start, service="faults.medium", on_overlap="queue_all")
        for number in range(10)
    ]
    for number in range(long):
        create(server, f"long-{number}", start, service="faults.long", job_type="one_time")
    return quick + slow


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 23])
def test_no_innocent_run_is_lost_in_fifty_kills_under_mixed_load(
    server: Server, seed: int
) -> None:
    dice = random.Random(seed)
    server.start()
    add_load(server, long=20)
    for _ in range(50):
        time.sleep(dice.uniform(0.3, 3.0))
        server.kill()
        server.start()
    until = time.monotonic() + 90
    one_time = "SELECT 1 FROM run r JOIN job j ON j.id = r.job_id WHERE j.service = 'faults.long'"
    while server.query(f"{one_time} AND outcome IS NULL") and time.monotonic() < until:
        time.sleep(0.2)
    server.stop()

    [(total, hit, twice, thrice, most)] = server.query(
        "SELECT count(*), sum(crashes > 0), sum(crashes > 1), sum(crashes > 2), max(crashes)"
        " FROM run"
    )
    print(seed, "runs", total, "hit", hit, "twice", twice, "thrice", thrice, "most", most)  # noqa: T201
    assert server.query("SELECT * FROM run WHERE outcome = 'lost'") == []
    assert server.query("SELECT name FROM job WHERE NOT is_active") == []
    assert server.query(f"{one_time} AND outcome IS NOT 'ok'") == []


@pytest.mark.slow
def test_a_killer_beside_fifty_healthy_jobs_is_paused_and_their_slots_run(server: Server) -> None:
    server.start()
    healthy = add_load(server, long=20)
    create(server, "killer", now() + 3_000_000, service="faults.killer")
    lives: list[tuple[int, int]] = []
    deaths, give_up = 0, time.monotonic() + 200
    paused = "SELECT 1 FROM job WHERE name = 'killer' AND NOT is_active"
    began = now()
    while time.monotonic() < give_up:
        server.wait(0.2)
        if server.process is not None and server.process.poll() is not None:
            lives.append((began, now()))
            deaths += 1
            server.launch()
            began = now()
        if server.query(paused):
            break
    took = 200 - (give_up - time.monotonic())
    assert server.query(paused) == [(1,)]
    time.sleep(10)
    assert server.process is not None
    assert server.process.poll() is None
    lives.append((began, now()))
    server.stop()

    wanted = ",".join(map(str, healthy))
    up = sum(end - begin for begin, end in lives) / 1e6
    [(ran, lost)] = server.query(
        "SELECT count(*) FILTER (WHERE outcome = 'ok'), count(*) FILTER (WHERE outcome = 'lost')"  # noqa: S608
        f" FROM run WHERE kind = 'scheduled' AND job_id IN ({wanted})"
    )
    [(left,)] = server.query(f"SELECT sum(count) FROM ledger WHERE job_id IN ({wanted})")  # noqa: S608
    print("deaths", deaths, "seconds", took, "up", up, "ran", ran, "left out", left)  # noqa: T201
    assert lost == 0
    assert server.query(
        "SELECT outcome, alone FROM run r JOIN job j ON j.id = r.job_id WHERE j.name = 'killer'"
        " AND outcome = 'lost'"
    ) == [("lost", 3)]
    assert ran >= 0.95 * 50 * (up - 2 * deaths)  # a start takes about two seconds here
