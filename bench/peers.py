"""Runs per second of whole processes with history kept: zato-lite beside its peers on PostgreSQL.

Each contender gets a separate database on one server, with N jobs that do nothing, enqueued
before in the best way that it documents, and some processes that run them. The rate is that of the
middle 80 % of the committed completions, counted in its history ten times a second: starting does
not count. Runs alternate; the medians and the ratios to zato-lite are printed. ``zato-lite`` runs
jobs that are due at one instant, ``zato-lite enqueue`` what ``zato_lite.enqueue`` has inserted.

usage: python -m bench.peers [--only zato-lite,oban] [--processes 1,2,4] [--runs 3] [--seconds 6]

The peers and zato-lite run in a virtual environment that the script makes in a temporary folder,
or in the one that ``--venv`` names. It needs Python 3.12 or later, for oban-py.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg

from tests.postgres import USER
from tests.postgres import Server as Postgres

ROOT = Path(__file__).parent.parent
SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "8GB", "max_connections": "200"}
"""The same for all; commits are synchronous, as PostgreSQL has it by default."""

PINNED = (
    "oban==0.7.0",
    "procrastinate==3.10.0",
    "pgqueuer==1.6.0",
    "dbos==3.4.0",
    "psycopg[c,binary,pool]==3.3.9",
    "asyncpg==0.32.0",
)
PATIENCE_S = 150.0


class Contender(NamedTuple):
    """A library, and the programs that use it.

    Attributes:
        rate: a guess of the runs per second and process, from which the number of jobs follows.
        prepare: makes the tables and enqueues ``N`` jobs.
        work: runs jobs until it is killed; ``zato-lite serve`` if empty.
        finished: the rows of completed runs.
        seconds: after which the jobs of zato-lite are due, and one for each process.
    """

    name: str
    rate: int
    prepare: str
    work: str
    finished: str
    seconds: int | None = None


COMMON = """
import asyncio, os, sys
URL, N = os.environ["BENCH_URL"], int(os.environ["BENCH_JOBS"])
"""

ZATO_ONE_TIME = """
import time
from zato_lite.clock import DatabaseClock
from zato_lite.scheduler.commands import JobCommands
from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.store.postgres import open_postgres
from zato_lite.timetable.job import Job, OneTime

async def main():
    clock = DatabaseClock()
    async with open_postgres(URL, clock) as store:
        jobs = JobCommands(store, Scheduler(store, None, clock), clock)
        slot = int((time.time() + 3600) * 1e6)
        for first in range(0, N, 1000):
            await jobs.create([
                Job(name=f"j{each}", service="bench.noop", trigger=OneTime(start=slot),
                    principal="system")
                for each in range(first, min(first + 1000, N))
            ])

asyncio.run(main())
"""

ZATO_ENQUEUED = """
import psycopg, zato_lite
from zato_lite.clock import DatabaseClock
from zato_lite.store.postgres import open_postgres

async def main():
    async with open_postgres(URL, DatabaseClock()):
        pass
    async with await psycopg.AsyncConnection.connect(URL) as connection:
        for _ in range(N):
            await zato_lite.enqueue(
                connection, "bench.noop", after=3600, on_behalf_of="system"
            )

asyncio.run(main())
"""

OBAN = """
from psycopg_pool import AsyncConnectionPool
from oban import Oban, worker
from oban.schema import install

@worker(queue="default")
class Noop:
    async def process(self, job):
        pass
"""

PROCRASTINATE = """
import procrastinate
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=URL))

@app.task(name="noop")
async def noop():
    pass
"""

PGQUEUER = """
import asyncpg, uvloop
from datetime import timedelta
from pgqueuer import AsyncpgPoolDriver, PgQueuer, Queries
asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
DSN = f"postgresql://{os.environ['BENCH_USER']}@/{os.environ['BENCH_DATABASE']}?host={os.environ['BENCH_HOST']}"
"""

DBOS = """
import logging
from dbos import DBOS, DBOSClient
CONFIG = {"name": "bench", "system_database_url": URL, "application_version": "1",
    "log_level": "ERROR", "executor_id": str(os.getpid())}


@DBOS.workflow(name="noop")
async def noop():
    pass
"""

CONTENDERS = (
    Contender(
        "zato-lite",
        6000,
        ZATO_ONE_TIME,
        "",
        "run WHERE outcome = 'ok'",
        4,
    ),
    Contender(
        "zato-lite enqueue",
        2000,
        ZATO_ENQUEUED,
        "",
        "run WHERE outcome = 'ok'",
        0,
    ),
    Contender(
        "oban",
        1000,
        OBAN
        + """
async def main():
    async with AsyncConnectionPool(URL, open=False) as pool:
        await install(pool)
        oban = Oban(pool=pool)
        for first in range(0, N, 1000):
            await oban.enqueue_many([Noop.new({}) for _ in range(min(1000, N - first))])

asyncio.run(main())
""",
        OBAN
        + """
async def main():
    async with AsyncConnectionPool(URL, open=False, min_size=4, max_size=20) as pool:
        async with Oban(pool=pool, queues={"default": 100}):
            await asyncio.Event().wait()

asyncio.run(main())
""",
        "oban_jobs WHERE state = 'completed'",
    ),
    Contender(
        "procrastinate",
        300,
        PROCRASTINATE
        + """
async def main():
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await noop.batch_defer_async(*({} for _ in range(N)))

asyncio.run(main())
""",
        PROCRASTINATE
        + """
async def main():
    async with app.open_async():
        await app.run_worker_async(concurrency=100, delete_jobs="never")

asyncio.run(main())
""",
        "procrastinate_events WHERE type = 'succeeded'",
    ),
    Contender(
        "pgqueuer",
        2500,
        PGQUEUER
        + """
async def main():
    async with asyncpg.create_pool(DSN) as pool:
        queries = Queries(AsyncpgPoolDriver(pool))
        await queries.install()
        for first in range(0, N, 1000):
            some = min(1000, N - first)
            await queries.enqueue(["noop"] * some, [None] * some, [0] * some)

asyncio.run(main())
""",
        PGQUEUER
        + """
async def main():
    async with asyncpg.create_pool(DSN) as pool:
        pgq = PgQueuer(AsyncpgPoolDriver(pool))

        @pgq.entrypoint("noop")
        async def noop(job):
            pass

        await pgq.run(dequeue_timeout=timedelta(seconds=1), batch_size=100)

asyncio.run(main())
""",
        "pgqueuer_log WHERE status = 'successful'",
    ),
    Contender(
        "dbos",
        200,
        DBOS
        + """
DBOS(config=CONFIG)
DBOS.launch()
DBOS.register_queue("bench", polling_interval_sec=0.05)
DBOS.destroy()
client = DBOSClient(system_database_url=URL)
for _ in range(N):
    client.enqueue({"workflow_name": "noop", "queue_name": "bench", "app_version": "1"})
""",
        DBOS
        + """
DBOS(config=CONFIG)
DBOS.launch()
DBOS.register_queue("bench", polling_interval_sec=0.05)
import threading
threading.Event().wait()
""",
        "dbos.workflow_status WHERE status = 'SUCCESS'",
    ),
)

NOOP = """
from zato_lite import Service


class Noop(Service):
    name = "bench.noop"

    async def handle(self):
        pass
"""


class Place(NamedTuple):
    """A database for one run, and the interpreter of the virtual environment."""

    python: Path
    folder: Path
    server: Postgres
    database: str

    @property
    def url(self) -> str:
        host = str(self.server.folder).replace("/", "%2F")
        return f"postgresql:///{self.database}?host={host}&user={USER}"

    def environment(self, jobs: int) -> dict[str, str]:
        """Return the environment of the programs."""
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "BENCH_URL": self.url,
            "BENCH_JOBS": str(jobs),
            "BENCH_HOST": str(self.server.folder),
            "BENCH_USER": USER,
            "BENCH_DATABASE": self.database,
            "ZATO_LITE_ADMIN_PASSWORD": "not-a-secret",
        }


def made_venv(folder: Path) -> Path:
    """Return the interpreter of a virtual environment with all contenders.

    Raises:
        SystemExit: no interpreter makes one.
    """
    python = folder / "bin" / "python"
    if python.exists():
        return python
    names = ("python3.13", "python3.12", sys.executable)
    for found in filter(None, map(shutil.which, names)):
        if subprocess.run([found, "-m", "venv", str(folder)], check=False).returncode == 0:
            break
    else:
        raise SystemExit("no Python can make a virtual environment")
    print("installing the peers …", flush=True)
    for package in (f"{ROOT}[postgres]", *PINNED):
        command = [str(python), "-m", "pip", "install", "-q", package]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            print(f"not installed: {package}: {done.stderr.strip().splitlines()[-1]}")
    return python


@contextmanager
def workers(contender: Contender, place: Place, processes: int, jobs: int) -> Iterator[None]:
    """Run the processes of a contender."""
    command = [str(place.python), "-c", COMMON + contender.work]
    project = place.folder / "project"
    if not contender.work:
        (project / "services").mkdir(parents=True, exist_ok=True)
        (project / "config").mkdir(exist_ok=True)
        (project / "services" / "noop.py").write_text(NOOP)
        (project / "config" / "zato-lite.toml").write_text(f'[store]\nurl = "{place.url}"\n')
        command = [str(place.python), "-m", "zato_lite", "serve", "--no-reload", "--port", "0"]
        command += ["--project", str(project)]
    with ExitStack() as stack:
        log = stack.enter_context((place.folder / "log.txt").open("w"))
        started = [
            subprocess.Popen(command, stdout=log, stderr=log, env=place.environment(jobs))
            for _ in range(processes)
        ]
        for process in started:
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


def measured(contender: Contender, place: Place, processes: int, jobs: int) -> float:
    """Return the runs per second of one drain.

    Raises:
        RuntimeError: a program fails, or the jobs do not end.
    """
    prepare = [str(place.python), "-c", COMMON + contender.prepare]
    environment = place.environment(jobs)
    done = subprocess.run(prepare, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["failed"])[-1])
    with psycopg.connect(place.url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        if contender.seconds is not None:
            make_due(connection, contender.seconds + processes)
        with workers(contender, place, processes, jobs):
            return rate_of(watched(connection, contender.finished, jobs), jobs)


def watched(
    connection: "psycopg.Connection[tuple[object, ...]]", finished: str, jobs: int
) -> list[tuple[float, int]]:
    """Return how many runs were completed at which times, until all are.

    Raises:
        RuntimeError: they do not end.
    """
    seen: list[tuple[float, int]] = [(0.0, 0)]
    began = time.monotonic()
    while seen[-1][1] < jobs:
        count = f"SELECT count(*) FROM {finished}"  # noqa: S608 - of this script
        row = connection.execute(count.encode()).fetchone()
        assert row is not None
        seen.append((time.monotonic() - began, int(str(row[0]))))
        if seen[-1][0] > PATIENCE_S:
            raise RuntimeError(f"{seen[-1][1]} of {jobs} have ended")
        time.sleep(0.1)
    return seen


def rate_of(seen: Sequence[tuple[float, int]], jobs: int) -> float:
    """Return the runs per second between a tenth and nine tenths of the completions."""
    first = next(each for each in seen if each[1] >= jobs // 10)
    last = next(each for each in seen if each[1] >= jobs * 9 // 10)
    if first == last:  # within a tenth of a second
        first = seen[seen.index(last) - 1]
    return (last[1] - first[1]) / (last[0] - first[0])


def make_due(connection: "psycopg.Connection[tuple[object, ...]]", seconds: int) -> None:
    """Make the jobs and runs of zato-lite due in some seconds, when its nodes are up."""
    (now,) = connection.execute(b"SELECT extract(epoch FROM clock_timestamp())").fetchone() or (0,)
    at = (int(str(now).partition(".")[0]) + seconds) * 1_000_000
    definition = """UPDATE job SET definition =
        jsonb_set(definition::jsonb, '{trigger,start}', to_jsonb(%(at)s::bigint))::json"""
    for statement in (
        "UPDATE timer SET next_at = %(at)s, cursor = %(at)s - 1",
        definition,
        "UPDATE run SET retry_at = %(at)s, slot = %(at)s WHERE node = 0",
    ):
        connection.execute(statement.encode(), {"at": at})


def main() -> None:
    """Measure all contenders, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [each.name for each in CONTENDERS]
    parser.add_argument("--only", default=",".join(names))
    parser.add_argument("--processes", default="1,2,4")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--venv", type=Path)
    options = parser.parse_args()
    chosen = [each for each in CONTENDERS if each.name in options.only.split(",")]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        folder.chmod(0o755)
        python = made_venv(options.venv or folder / "venv")
        server = Postgres(folder / "pg", SETTINGS)
        server.create()
        server.start()
        stack.callback(server.stop)
        for processes in map(int, options.processes.split(",")):
            compare(chosen, Place(python, folder, server, ""), processes, options)


def compare(
    contenders: Sequence[Contender], place: Place, processes: int, options: argparse.Namespace
) -> None:
    """Print the rates of all contenders with some processes."""
    rates: dict[str, list[float]] = {each.name: [] for each in contenders}
    for number in range(options.runs):
        for each in contenders:
            name = f"b{number}_{processes}_{each.name.replace(' ', '_').replace('-', '_')}"
            here = place._replace(database=name)
            with psycopg.connect(place.server.url, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}".encode())
                try:
                    jobs = int(each.rate * options.seconds * min(processes, 2))
                    rates[each.name].append(measured(each, here, processes, jobs))
                except RuntimeError as error:
                    print(f"{each.name}, {processes} processes: {error}", flush=True)
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
    for name, found in rates.items():
        if found:
            middle = statistics.median(found)
            best = statistics.median(rates.get("zato-lite") or found)
            ratio = f"; zato-lite is {best / middle:.1f} times as fast" if best != middle else ""
            shown = ", ".join(f"{rate:.0f}" for rate in found)
            print(f"{processes} processes, {name}: {middle:,.0f}/s ({shown}){ratio}", flush=True)


if __name__ == "__main__":
    main()
