"""Cost of a claim with 10 thousand to a million dormant jobs on PostgreSQL: buffers and CPU time.

usage: python -m bench.claims [--jobs 10000,100000,1000000] [--due 100]

Each claim finds the same number of due jobs and is rolled back. Figures that depend little on what
else the machine does: buffers of the statement that finds and locks due timers, and the CPU time
of the server's process and of this one for a whole claim.
"""

import argparse
import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from tests.postgres import Server as Postgres
from zato_lite.clock import SystemClock
from zato_lite.store import claim
from zato_lite.store.postgres import PostgresStore
from zato_lite.store.postgres_connection import PostgresConnection, connect
from zato_lite.store.postgres_url import parse

ROUNDS = 200
NOW = SystemClock().now() // 1_000_000 * 1_000_000
YEAR = 31_536_000_000_000

_FILL = """WITH made AS (
    INSERT INTO job (id, name, service, is_active, definition, version, created_at)
    SELECT n, 'j' || n, 's', true, json_build_object('name', 'j' || n, 'service', 's', 'trigger',
        json_build_object('kind', 'interval_based', 'start', %(now)s::bigint, 'seconds', 3600)),
        1, 0 FROM generate_series(%(first)s::bigint, %(last)s::bigint) n RETURNING id)
    INSERT INTO timer (job_id, next_at, cursor, started, number)
    SELECT id, %(now)s::bigint + %(year)s::bigint + id, %(now)s::bigint - 1, 0, 0 FROM made"""

# Due jobs are spread over the table at each size, so that each has a page of its own.
_DUE = """UPDATE timer SET next_at = CASE WHEN job_id %% %(each)s = 0 THEN %(now)s::bigint
        ELSE %(now)s::bigint + %(year)s::bigint + job_id END
    WHERE next_at <= %(now)s::bigint OR job_id %% %(each)s = 0"""


def main() -> None:
    """Fill a store step by step, and print what a claim costs at each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", default="10000,100000,1000000")
    parser.add_argument("--due", type=int, default=100)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        folder.chmod(0o755)
        server = Postgres(folder / "pg", {"shared_buffers": "512MB", "max_wal_size": "8GB"})
        server.create()
        server.start()
        stack.callback(server.stop)
        PostgresStore(parse(server.url), SystemClock()).open(SystemClock().now())
        filled = 0
        for jobs in map(int, options.jobs.split(",")):
            with psycopg.connect(server.url, autocommit=True) as filling:
                values = {"now": NOW, "year": YEAR, "first": filled + 1, "last": jobs}
                filling.execute(_FILL, values)
                values |= {"each": jobs // options.due}
                filling.execute(_DUE, values)
                filling.execute("VACUUM ANALYZE")
            filled = jobs
            show(server.url, jobs)


def show(url: str, jobs: int) -> None:
    """Print the cost of a claim."""
    connection = connect(parse(url))
    ((backend,),) = connection.execute("SELECT pg_backend_pid()")
    server_ms, own_ms, attempts = [], [], 0
    for _ in range(ROUNDS):
        connection.script("BEGIN")
        before, began = cpu_ms(backend), time.thread_time()
        attempts = len(claim.claim(connection, NOW, NOW, 1, limit=300).attempts)
        own_ms.append((time.thread_time() - began) * 1000)
        server_ms.append(cpu_ms(backend) - before)
        connection.script("ROLLBACK")
    buffers = buffers_of(connection)
    connection.close()
    print(
        f"{jobs} jobs, {attempts} claimed: CPU of the server {statistics.mean(server_ms):.2f} ms,"
        f" of the client {statistics.median(own_ms):.2f} ms; {buffers} buffers for the due timers"
    )


def cpu_ms(process: int) -> float:
    """Return the CPU time of a process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def buffers_of(connection: PostgresConnection) -> int:
    """Return the buffers that finding and locking the due timers reads."""
    values = (NOW, *claim.FIRST_POSITION, 300, NOW, 1, 0)
    due = claim._DUE_JOBS["postgres"]  # noqa: SLF001
    connection.script("BEGIN")
    explained: list[Any] = list(connection.execute(f"EXPLAIN (ANALYZE, BUFFERS) {due}", values))
    connection.script("ROLLBACK")
    line = next(line for (line,) in explained if "Buffers:" in line)
    read = [word.partition("=") for word in line.replace("shared", "").split()]
    return sum(int(number) for name, _, number in read if name in {"hit", "read"})


if __name__ == "__main__":
    main()
