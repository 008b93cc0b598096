"""Cost of the rows of runs: all in one table, as in the store, or open ones in another table.

    python -m bench.open_runs [--history 200000] [--fires 20000] [--rounds 7]

Each variant claims and completes runs in a separate file, in groups of 1, 10 and 100, in turns
with the other. The table shows CPU time and pages written per fire, and the median of the ratios.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from zato_lite.store.connection import SqliteConnection, connect
from zato_lite.store.migrate import migrate
from zato_lite.store.sql import execute, write_rows

GROUPS = (1, 10, 100)
JOBS = 1_000
CLAIMED = """id bigint, job_id bigint, number bigint, slot bigint, kind text, state text,
    node bigint, token bigint, attempt bigint, crashes bigint, claimed_at bigint, principal text"""
CLOSED = "id bigint, token bigint, outcome text, started_at bigint, finished_at bigint"
NAMES = ", ".join(column.split()[0] for column in CLAIMED.split(","))

# The columns of a run that is open, with the indexes that claims and recovery need.
FLIGHT = """CREATE TABLE flight (id INTEGER PRIMARY KEY, job_id INTEGER NOT NULL,
    number INTEGER NOT NULL, slot INTEGER NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
    node INTEGER NOT NULL, token INTEGER NOT NULL, attempt INTEGER NOT NULL,
    crashes INTEGER NOT NULL, claimed_at INTEGER NOT NULL, principal TEXT NOT NULL);
    CREATE INDEX flight_job ON flight (job_id);
    CREATE UNIQUE INDEX flight_slot ON flight (job_id, slot) WHERE kind = 'scheduled';
    DROP INDEX run_open"""

CLOSE = """WITH v ({columns}) AS ({rows}) UPDATE run SET outcome = v.outcome, state = 'done',
    started_at = v.started_at, finished_at = v.finished_at
    FROM v WHERE run.id = v.id AND run.token = v.token AND run.outcome IS NULL"""
MOVE = f"""WITH v ({{columns}}) AS ({{rows}})
    INSERT INTO run ({NAMES}, outcome, started_at, finished_at)
    SELECT f.id, f.job_id, f.number, f.slot, f.kind, 'done', f.node, f.token, f.attempt,
        f.crashes, f.claimed_at, f.principal, v.outcome, v.started_at, v.finished_at
    FROM v JOIN flight f ON f.id = v.id AND f.token = v.token"""  # noqa: S608 - names of columns
FORGET = "DELETE FROM flight WHERE id BETWEEN ? AND ?"

Rows = list[tuple[object, ...]]


class Variant(NamedTuple):
    """A layout: its schema, and how runs are claimed and completed in it."""

    schema: str
    table: str
    complete: Callable[[SqliteConnection, Rows], object]


def _close(connection: SqliteConnection, rows: Rows) -> object:
    return write_rows(connection, CLOSE, CLOSED, rows)


def _move(connection: SqliteConnection, rows: Rows) -> object:
    write_rows(connection, MOVE, CLOSED, rows)
    return execute(connection, FORGET, (rows[0][0], rows[-1][0]))


VARIANTS = {
    "one table": Variant("SELECT 1", "run", _close),
    "open runs apart": Variant(FLIGHT, "flight", _move),
}


def _claimed(ids: Sequence[int]) -> Rows:
    return [
        (i, i % JOBS, i // JOBS, i * 1_000_000, "scheduled", "claimed", 1, i, 1, 0, i, "user:ann")
        for i in ids
    ]


def _opened(path: Path, variant: Variant, history: int) -> SqliteConnection:
    connection = connect(str(path))
    connection.execute("BEGIN")
    migrate(connection, 0)
    connection.execute(variant.schema).fetchall()
    rows = [(*row, "ok", row[0], row[0]) for row in _claimed(range(1, history + 1))]
    columns = f"{CLAIMED}, outcome text, started_at bigint, finished_at bigint"
    write_rows(connection, "INSERT INTO run ({columns}) {rows}", columns, rows)
    connection.execute("COMMIT")
    connection.checkpoint()
    return connection


def _cost(
    connection: SqliteConnection, variant: Variant, first: int, fires: int, group: int
) -> tuple[float, float]:
    """Return CPU microseconds and pages written per fire; each group is one commit."""
    claim = f"INSERT INTO {variant.table} ({{columns}}) {{rows}} ON CONFLICT DO NOTHING"
    parts = [range(at, at + group) for at in range(first, first + fires, group)]
    rows = [(_claimed(ids), [(i, i, "ok", i, i) for i in ids]) for ids in parts]
    connection.pages_written()
    began = time.process_time()
    for claimed, closed in rows:
        connection.execute("BEGIN IMMEDIATE")
        write_rows(connection, claim, CLAIMED, claimed)
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")
        variant.complete(connection, closed)
        connection.execute("COMMIT")
    spent = time.process_time() - began
    pages = connection.pages_written()
    connection.checkpoint()
    return spent / fires * 1e6, pages / fires


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--history", type=int, default=200_000)
    parser.add_argument("--fires", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        opened = {
            name: _opened(Path(folder, f"{number}.db"), variant, options.history)
            for number, (name, variant) in enumerate(VARIANTS.items())
        }
        first = options.history + 1
        for group in GROUPS:
            fires = max(1, options.fires // group // (20 if group == 1 else 1)) * group
            costs: dict[str, list[tuple[float, float]]] = {name: [] for name in VARIANTS}
            for turn in range(options.rounds):
                names = list(VARIANTS) if turn % 2 else list(VARIANTS)[::-1]
                for name in names:
                    cost = _cost(opened[name], VARIANTS[name], first, fires, group)
                    costs[name].append(cost)
                first += fires
            for name, found in costs.items():
                cpu, pages = (statistics.median(values) for values in zip(*found, strict=True))
                print(f"group {group:4}  {name:16} {cpu:7.2f} us  {pages:6.2f} pages")
            one, apart = costs.values()
            ratios = sorted(b[0] / a[0] for a, b in zip(one, apart, strict=True))
            print(f"ratio {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})")


if __name__ == "__main__":
    main()
