"""Several nodes on one store: lateness of runs, share of each node, and edits that meet a claim.

usage: python -m bench.cluster lateness [--nodes 2] [--jobs 100] [--postgres]
       python -m bench.cluster edits [--postgres]

``lateness`` starts one process for each node; ``edits`` has two nodes in one process.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from tests.postgres import Server as Postgres
from zato_lite.clock import Clock, DatabaseClock, SystemClock
from zato_lite.scheduler.commands import JobCommands
from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.service.message import Invocation, Outcome
from zato_lite.store.postgres import open_postgres
from zato_lite.store.sqlite import open_store
from zato_lite.timetable.job import Interval, Job

WARM_UP_S, MEASURED_S = 4.0, 8.0
EDITS = 40


class Node(NamedTuple):
    """A node: its scheduler, its commands and its clock."""

    scheduler: Scheduler
    jobs: JobCommands
    clock: Clock


@asynccontextmanager
async def opened_node(where: str, late_ms: list[float]) -> AsyncIterator[Node]:
    """Yield a node on a file or on PostgreSQL that notes how late runs are."""
    clock: Clock = DatabaseClock() if where.startswith("postgresql:") else SystemClock()

    async def run(invocation: Invocation) -> Outcome:
        if invocation.job is not None:
            late_ms.append((time.time() - invocation.job.slot.timestamp()) * 1000)
        return Outcome(cid="c")

    async with AsyncExitStack() as stack:
        if where.startswith("postgresql:"):
            database = await stack.enter_async_context(open_postgres(where, clock))
            p95, locks = database.health, database.locks
        else:
            file = await stack.enter_async_context(open_store(where, clock))
            database, p95, locks = file, file.health, file.locks  # type: ignore[assignment]
        scheduler = Scheduler(database, run, clock, locks=locks, commit_seconds=lambda: p95.p95)
        await stack.enter_async_context(scheduler)
        yield Node(scheduler, JobCommands(database, scheduler, clock), clock)


async def be_node(where: str, jobs: int) -> None:
    """Run as one node; with jobs, create them. Print the lateness of each run."""
    late_ms: list[float] = []
    async with opened_node(where, late_ms) as node:
        await asyncio.sleep(1)
        start = node.clock.now() + 1_500_000
        if jobs:
            steps = [start + number * 1_000_000 // jobs for number in range(jobs)]
            await node.jobs.create(
                [
                    Job(name=f"j{at}", service="s", trigger=Interval(start=at, seconds=1))
                    for at in steps
                ]
            )
        await asyncio.sleep(WARM_UP_S)
        late_ms.clear()
        await asyncio.sleep(MEASURED_S)
        print(json.dumps(late_ms))


def lateness(where: str, nodes: int, jobs: int) -> None:
    """Print the lateness with several processes, and the runs of each."""
    command = [sys.executable, "-m", "bench.cluster", "node", where]
    processes = [
        subprocess.Popen([*command, "--jobs", str(0 if number else jobs)], stdout=subprocess.PIPE)
        for number in range(nodes)
    ]
    found = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    shares = [len(each) for each in found]
    print(f"{nodes} nodes, {jobs} runs a second, of each node {shares}: lateness in ms", end=" ")
    print(_percentiles([each for some in found for each in some]))


async def edits(where: str) -> None:
    """Print how long edits take that meet a run which the other node has claimed."""
    took: list[float] = []
    async with opened_node(where, []) as first, opened_node(where, []) as second:
        await asyncio.sleep(1.5)
        for number in range(EDITS):
            trigger = Interval(start=first.clock.now() + 600_000, seconds=3600)
            job = Job(name=f"e{number}", service="s", trigger=trigger)
            (job_id,) = await first.jobs.create([job])
            while not (owners := [n for n in (first, second) if _has(n, job_id)]):
                await asyncio.sleep(0.002)
                if first.clock.now() > trigger.start:
                    break
            if owners:
                other = second if owners[0] is first else first
                began = time.perf_counter()
                await other.jobs.edit(job_id, lambda job: replace(job, extra="new"))
                took.append((time.perf_counter() - began) * 1000)
    print(f"{len(took)} edits that met a claim of the other node, in ms {_percentiles(took)}")


def _has(node: Node, job_id: int) -> bool:
    return any(each.job_id == job_id for each in node.scheduler._executor._queues.all())  # noqa: SLF001


def _percentiles(values: Sequence[float]) -> str:
    found = sorted(values)
    parts = [
        (part, found[min(int(len(found) * part / 100), len(found) - 1)]) for part in (50, 95, 99)
    ]
    return ", ".join(f"p{part} {value:.2f}" for part, value in parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["lateness", "edits", "node"])
    parser.add_argument("where", nargs="?", default="")
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    if options.what == "node":
        asyncio.run(be_node(options.where, options.jobs))
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        folder.chmod(0o755)
        where = str(folder / "z.db")
        if options.postgres:
            server = Postgres(folder / "pg", {})
            server.create()
            server.start()
            stack.callback(server.stop)
            where = server.url
        if options.what == "edits":
            asyncio.run(edits(where))
        else:
            lateness(where, options.nodes, options.jobs)


if __name__ == "__main__":
    main()
