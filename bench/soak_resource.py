"""Reloads of a pool of PostgreSQL connections under load: it is opened again every 2 s.

``.venv/bin/python -m bench.soak_resource --minutes 10``; with ``--sql`` the pool is that of an
``[outgoing.sql]`` connection, which SIGHUP replaces, in place of a resource's. A real server and a
real PostgreSQL; four clients, of which one invokes a service of half a second. It counts requests
that failed, the pools that exist at a time, and the connections at the start and at the end.
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
from typing import NamedTuple

import asyncpg

from bench.soak_reload import PASSWORD, PORT, Load, _when_up, rss_mb
from tests import postgres

SLOW_S = 0.5
"""Seconds that the slow service asks the database to sleep."""

_MOST_OF_SQL = 8
"""Connections of a named connection: its pool, and that of its blocking sessions."""

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
SQL_SERVICES = """
from zato_lite import BlockingService, Service

class Quick(Service):
    async def handle(self):
        return {{"version": await self.out.sql["db"].scalar("SELECT 1")}}

class Blocking(BlockingService):
    def handle(self):
        with self.out.sql["db"].session() as session:
            return {{"version": len(session.connection().exec_driver_sql("SELECT 1").all())}}

class Slow(Service):
    async def handle(self):
        db = self.out.sql["db"]
        async with db.session() as session:
            await (await session.connection()).exec_driver_sql("SELECT pg_sleep({half})")
        return {{"version": await db.scalar("SELECT 1 FROM pg_sleep({half})")}}
"""
SETTINGS = """
[outgoing.sql.db]
url = "{url}{mark}application_name=soak-{number}"
pool_size = 4
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


class Storm(NamedTuple):
    """Project with a pool that is reloaded, and the services that use it."""

    project: Path
    url: str
    is_sql: bool

    @property
    def services(self) -> tuple[str, ...]:
        other = "blocking" if self.is_sql else "quick"
        return tuple(f"soak-services.{name}" for name in ("quick", other, "quick", "slow"))

    def is_steady(self, at_start: dict[str, int], at_end: dict[str, int]) -> bool:
        """Return True if one pool is left; those of named connections grow with the load."""
        (first, *others), last = at_start.values(), [*at_end.values()]
        if self.is_sql:
            return not others and len(last) == 1 and last[0] <= _MOST_OF_SQL
        return not others and first == 4 and last == [4]

    def write(self) -> None:
        services = self.project / "services"
        services.mkdir(parents=True)
        (self.project / "config").mkdir()
        text = SQL_SERVICES if self.is_sql else SERVICES
        (services / "soak_services.py").write_text(text.format(half=SLOW_S / 2))
        self.change(0)

    def change(self, number: int) -> None:
        """Write the settings of a named connection, or the file of the resource."""
        if self.is_sql:
            mark = "&" if "?" in self.url else "?"
            text = SETTINGS.format(url=self.url, mark=mark, number=number)
            (self.project / "config" / "zato-lite.toml").write_text(text)
        else:
            (self.project / "services" / "soak_pool.py").write_text(POOL + f"# {number}\n")

    def reload(self, number: int, pid: int) -> None:
        self.change(number)
        if self.is_sql:
            os.kill(pid, signal.SIGHUP)


async def soak(storm: Storm, pid: int, seconds: float) -> bool:
    sampler, done, stop = Sampler(), asyncio.Event(), threading.Event()
    sampling = asyncio.create_task(sample(storm.url, sampler, done))
    loads = [Load(name, stop) for name in storm.services]
    for load in loads:
        load.start()
    await asyncio.sleep(2)  # named connections are made when they are used
    at_start, memory = dict(sampler.counts), [round(rss_mb(pid), 1)]
    began, reloads = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        reloads += 1
        storm.reload(reloads, pid)
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
        not failed and storm.is_steady(at_start, at_end) and two <= longest + SLACK_S and not three
    )


def main(minutes: float, *, is_sql: bool) -> int:
    with (
        tempfile.TemporaryDirectory() as name,
        postgres.shared_server(Path(name)) as url,
    ):
        project = Path(name) / "project"
        storm = Storm(project, url, is_sql)
        storm.write()
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
            is_good = asyncio.run(soak(storm, server.pid, minutes * 60))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
    print("ok" if is_good else "NOT OK")
    return 0 if is_good else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--sql", action="store_true")
    options = parser.parse_args()
    sys.exit(main(options.minutes, is_sql=options.sql))
