"""Reloads of a resource under load: a pool of PostgreSQL connections, opened again every 2 s.

``.venv/bin/python -m bench.soak_resource --minutes 10``. A real server and a real PostgreSQL; four
clients, of which one invokes a service of half a second. It counts requests that failed, the
pools that exist at a time, and the connections at the start and at the end.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import asyncpg

from bench.soak_reload import PASSWORD, PORT, Load, _when_up, rss_mb
from tests import postgres

SLOW_S = 0.5
"""Seconds that the slow service asks the database to sleep."""

SLACK_S = 0.5
"""Seconds for opening and closing a pool, and for the interval of the samples."""

POOL = """
from collections.abc import AsyncIterator
from uuid import uuid4
import asyncpg
from zato_lite import Config, resource

@resource
async def pool(config: Config) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(
        config.database_url, min_size=4, max_size=4,
        server_settings={"application_name": f"soak-{uuid4().hex[:8]}"},
    ) as pool:
        yield pool
"""
SERVICES = """
import asyncpg
from zato_lite import Service, needs

class Quick(Service):
    pool = needs(asyncpg.Pool)
    async def handle(self):
        async with self.pool.acquire() as connection:
            return {{"version": await connection.fetchval("SELECT 1")}}

class Slow(Service):
    pool = needs(asyncpg.Pool)
    async def handle(self):
        async with self.pool.acquire() as connection:
            await connection.execute("SELECT pg_sleep({half})")
        return {{"version": await self.pool.fetchval("SELECT 1 FROM pg_sleep({half})")}}
"""
POOLS = """
    SELECT application_name, count(*) FROM pg_stat_activity
    WHERE application_name LIKE 'soak-%' GROUP BY application_name
"""


class Sampler:
    """Samples of the pools that PostgreSQL sees, and the longest time with two and with three."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.longest = {2: 0.0, 3: 0.0}
        self._since: dict[int, float] = {}

    def add(self, counts: dict[str, int], now: float) -> None:
        self.counts = counts
        for number in self.longest:
            if len(counts) < number:
                self._since.pop(number, None)
                continue
            since = self._since.setdefault(number, now)
            self.longest[number] = max(self.longest[number], now - since)


async def sample(url: str, sampler: Sampler, stop: asyncio.Event) -> None:
    connection = await asyncpg.connect(url)
    while not stop.is_set():
        rows = await connection.fetch(POOLS)
        sampler.add({row[0]: row[1] for row in rows}, time.monotonic())
        await asyncio.sleep(0.05)
    await connection.close()


async def soak(project: Path, url: str, pid: int, seconds: float) -> bool:
    sampler, done, stop = Sampler(), asyncio.Event(), threading.Event()
    sampling = asyncio.create_task(sample(url, sampler, done))
    await asyncio.sleep(0.5)
    at_start, memory = dict(sampler.counts), [round(rss_mb(pid), 1)]
    loads = [Load(f"soak-services.{name}", stop) for name in ("quick", "quick", "quick", "slow")]
    for load in loads:
        load.start()
    began, reloads = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        (project / "services" / "soak_pool.py").write_text(POOL + f"# {reloads}\n")
        reloads += 1
        await asyncio.sleep(2)
        if passed >= 60 * len(memory):
            memory.append(round(rss_mb(pid), 1))
            requests = sum(load.done for load in loads)
            print(f"{passed:.0f} s: {reloads} reloads, {requests} requests, {memory[-1]} MB")
    stop.set()
    for load in loads:
        await asyncio.to_thread(load.join, 5)
    await asyncio.sleep(2)
    at_end = dict(sampler.counts)
    done.set()
    await sampling
    failed = [each for load in loads for each in load.failed]
    print(f"{reloads} reloads, {sum(load.done for load in loads)} requests, {len(failed)} failed")
    print(*failed[:5], sep="\n")
    print(f"pools and connections at the start {at_start}, at the end {at_end}")
    two, three = sampler.longest.values()
    print(f"two pools for at most {two:.2f} s, three for {three:.2f} s")
    longest = max(load.longest for load in loads)
    print(f"longest invocation {longest:.2f} s; memory {memory} MB")
    return (
        not failed
        and [*at_start.values()] == [*at_end.values()] == [4]
        and two <= longest + SLACK_S
        and not three
    )


def main(minutes: float) -> int:
    with (
        tempfile.TemporaryDirectory() as name,
        postgres.shared_server(Path(name)) as url,
    ):
        project = Path(name) / "project"
        services = project / "services"
        services.mkdir(parents=True)
        (services / "soak_pool.py").write_text(POOL)
        (services / "soak_services.py").write_text(SERVICES.format(half=SLOW_S / 2))
        command = [str(Path(sys.executable).parent / "zato-lite"), "serve"]
        server = subprocess.Popen(
            [*command, "--project", str(project), "--port", str(PORT)],
            env={
                **os.environ,
                "ZATO_LITE_ADMIN_PASSWORD": PASSWORD,
                "ZATO_LITE_USER__DATABASE_URL": url,
            },
            stdout=(project / "log").open("w"),
            stderr=subprocess.STDOUT,
        )
        try:
            _when_up()
            is_good = asyncio.run(soak(project, url, server.pid, minutes * 60))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
    print("ok" if is_good else "NOT OK")
    return 0 if is_good else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    sys.exit(main(parser.parse_args().minutes))
