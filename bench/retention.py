"""Size of a PostgreSQL store at full rate with a bounded history: does it come to a rest?

Jobs of one second run on ``zato-lite serve`` processes and keep 200,000 runs in all. Once a minute
the sizes are printed; the last line compares the end with the middle.

usage: python -m bench.retention [--minutes 30] [--jobs 5000] [--keep 200000] [--nodes 2]
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from bench.cluster import opened_node
from bench.peers import NOOP
from tests.postgres import Server as Postgres
from zato_lite.timetable.job import SECOND, Interval, Job

_FIGURES = """SELECT pg_database_size(current_database()), (SELECT count(*) FROM run),
    (SELECT coalesce(max(id), 0) FROM run), pg_total_relation_size('run'),
    (SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'run')"""


async def create_jobs(url: str, jobs: int, keep: int) -> None:
    """Create jobs of one second, spread over it, that keep this many runs together."""
    async with opened_node(url, []) as node:
        start = node.clock.now() + 20 * SECOND
        for first in range(0, jobs, 1000):
            await node.jobs.create(
                [
                    Job(
                        name=f"j{each}",
                        service="bench.noop",
                        trigger=Interval(start=start + each * SECOND // jobs, seconds=1),
                        keep_runs=keep // jobs,
                        principal="system",
                    )
                    for each in range(first, min(first + 1000, jobs))
                ]
            )


@contextmanager
def served(url: str, folder: Path, nodes: int) -> Iterator[None]:
    """Run the processes."""
    for name in ("services", "config"):
        (folder / name).mkdir(parents=True)
    (folder / "services" / "noop.py").write_text(NOOP)
    (folder / "config" / "zato-lite.toml").write_text(f'[store]\nurl = "{url}"\n')
    command = [sys.executable, "-m", "zato_lite", "serve", "--no-reload", "--port", "0"]
    environment = {**os.environ, "ZATO_LITE_ADMIN_PASSWORD": "not-a-secret"}
    with ExitStack() as stack:
        log = stack.enter_context((folder / "log.txt").open("w"))
        for _ in range(nodes):
            process = subprocess.Popen(
                [*command, "--project", str(folder)], stdout=log, stderr=log, env=environment
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


def watch(url: str, minutes: int) -> None:
    """Print the sizes once a minute, and the growth of the second half."""
    sizes: list[int] = []
    latest = 0
    with psycopg.connect(url, autocommit=True) as connection:
        for minute in range(1, minutes + 1):
            time.sleep(60)
            row = connection.execute(_FIGURES.encode()).fetchone()
            assert row is not None
            size, runs, last, run_size, dead = row
            sizes.append(size)
            print(
                f"minute {minute}: {size / 2**20:.0f} MiB, of runs {run_size / 2**20:.0f} MiB;"
                f" {runs} runs kept, {dead} dead rows; {(last - latest) / 60:.0f} runs/s",
                flush=True,
            )
            latest = last
    middle = sizes[len(sizes) // 2 - 1]
    print(f"size at the end: {sizes[-1] / middle:.2f} times that of minute {len(sizes) // 2}")


def main() -> None:
    """Make a store, run jobs on it, and watch its size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=5_000)
    parser.add_argument("--keep", type=int, default=200_000)
    parser.add_argument("--nodes", type=int, default=2)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        folder.chmod(0o755)
        server = Postgres(folder / "pg", {"shared_buffers": "512MB", "max_wal_size": "4GB"})
        server.create()
        server.start()
        stack.callback(server.stop)
        asyncio.run(create_jobs(server.url, options.jobs, options.keep))
        stack.enter_context(served(server.url, folder / "project", options.nodes))
        watch(server.url, options.minutes)


if __name__ == "__main__":
    main()
