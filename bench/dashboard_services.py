"""Services of the dashboard: time, event loop and size of each, on the store of a busy server.

    python -m bench.dashboard_services [--jobs 10000] [--runs 200000] [--rounds 15] [--only NAME]

The store has jobs of many kinds and periods, of which some fail, are paused or run, and some slots
were missed or skipped. Each request is sent ``--rounds`` times over HTTP. The table shows the time
that a client waits, the CPU time that the loop's thread spends on one, and the longest time
between two of its turns. ``--fill FOLDER`` only makes the store, for other scripts.
"""

import argparse
import asyncio
import gzip
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import msgspec

from tests.loop_budget import Client, Meter
from zato_lite import config
from zato_lite.app import open_app
from zato_lite.clock import SystemClock
from zato_lite.server import open_server
from zato_lite.store.calendars import save_calendar
from zato_lite.store.job_insert import JobGroup, insert_jobs
from zato_lite.store.sqlite import SqliteStore
from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.job import SECOND, Cron, Instant, Interval, Job
from zato_lite.timetable.zone import to_datetime

_PASSWORD = "dashboard"  # noqa: S105 - of a server of its own
_AREAS = ("billing", "crm", "warehouse", "reports", "gateway", "search", "mail", "hr")
_DEEDS = ("sync", "import", "close", "rebuild", "send", "check", "rotate", "archive", "export")
_PERIODS = (
    (60, 0.01, 240),
    (300, 0.09, 60),
    (3_600, 0.6, 15),
    (86_400, 0.3, 12),
)
"""Periods in seconds, the share of jobs that have each, and their runs for 20 a job on average."""

_INSERT = """INSERT INTO run (id, job_id, number, slot, kind, state, node, token, attempt, crashes,
    claimed_at, started_at, finished_at, outcome, error)
    VALUES (?, ?, ?, ?, ?, ?, 1, ?, 1, 0, ?, ?, ?, ?, ?)"""


class _Random(random.Random):
    """Random numbers that are the same each time."""

    def __init__(self) -> None:
        super().__init__(20261128)


def _jobs(count: int, now: Instant, stretch: int) -> Iterator[tuple[Job, int, float]]:
    """Yield jobs with their periods in seconds, and the share of all runs that they have."""
    chosen = _Random()
    borders = [(share, period * stretch, runs / 20) for period, share, runs in _PERIODS]
    for number in range(count):
        place, period, weight = (number * 7_919 % count) / count, 86_400 * stretch, 1.0
        for share, period, weight in borders:  # noqa: B007 - the last one is used
            if place < share:
                break
            place -= share
        service = f"{_AREAS[number % 8]}.{_DEEDS[number % 9]}"
        start = now - 30 * 86_400 * SECOND + chosen.randrange(period) * SECOND
        trigger: Interval | Cron = Interval(start=start, seconds=period)
        if period == 3_600 and number % 3 == 0:
            trigger = Cron(start=start, expression=f"{number % 60} * * * *", timezone=_ZONE)
        if period == 86_400:
            hours = f"{number % 60} {number % 24} * * *"
            trigger = Cron(start=start, expression=hours, timezone=_ZONE)
        job = Job(
            name=f"{service}-{number}",
            service=service,
            trigger=trigger,
            extra='{"rows": 100}',
            is_active=number % 100 != 7,
            pause_note="waiting for the bank" if number % 100 == 7 else None,
            principal="system",
            calendar="PL" if number % 50 == 3 else None,
        )
        yield job, period, weight


_ZONE = "Europe/Warsaw"
_PL = Calendar(name="PL", weekdays=(5, 6), yearly=("01-01", "12-25", "12-26", "easter+1"))


def fill(path: Path, jobs: int, runs: int, now: Instant, stretch: int = 1) -> None:
    """Make a store with these numbers of jobs and runs; ``stretch`` makes all periods longer."""
    store = SqliteStore(str(path))
    store.open(now)
    connection = store._writer  # noqa: SLF001 - filled before it is served
    chosen = _Random()
    connection.execute("BEGIN").fetchall()
    save_calendar(connection, _PL)
    made = [*_jobs(jobs, now, stretch)]
    insert_jobs(connection, [JobGroup([job for job, _, _ in made])], now)
    rows: list[tuple[Any, ...]] = []
    for job_id, (_, period, weight) in enumerate(made, 1):
        fails = 0.3 if job_id % 97 == 5 else 0.004
        count = max(1, round(runs / jobs * weight))
        for number in range(1, count + 1):
            slot = now - (count - number + 1) * period * SECOND + job_id % period * SECOND // 2
            took = round(chosen.lognormvariate(-1, 2) * SECOND)
            outcome = "error" if chosen.random() < fails else "ok"
            error = "Traceback …\nConnectionError: refused" if outcome == "error" else None
            rows.append((slot, job_id, number, took, outcome, error))
    rows.sort(key=lambda row: row[0])
    connection.executemany(
        _INSERT,
        (
            (
                token,
                job_id,
                number,
                slot,
                "scheduled",
                "done",
                token,
                slot,
                slot,
                slot + took,
                *end,
            )
            for token, (slot, job_id, number, took, *end) in enumerate(rows, 1)
        ),
    )
    for statement in _AFTERWARDS:
        connection.execute(statement, {"now": now}).fetchall()
    connection.execute("COMMIT").fetchall()
    store.close()


_AFTERWARDS = (
    """INSERT INTO audit (at, who, action, subject, outcome, cid, remote_address)
       SELECT :now - (20000 - job_id) * 1000000, 'ann', 'zato.scheduler.job.execute',
           (job_id * 37 % 1000) || ' a.name, run 7', 'ok', 'K1', '127.0.0.1'
       FROM timer WHERE job_id <= 20000 UNION ALL
       SELECT :now, 'ann', 'zato.scheduler.job.pause', job_id || ' b.name', 'ok', 'K1', '127.0.0.1'
       FROM timer WHERE job_id <= 10000""",
    "UPDATE timer SET number = (SELECT max(number) FROM run WHERE run.job_id = timer.job_id)",
    "UPDATE timer SET failures = (job_id % 97 = 5) * 3",
    "UPDATE sequence SET value = (SELECT max(id) FROM run) WHERE name = 'token'",
    """UPDATE run SET outcome = NULL, state = 'claimed', finished_at = NULL
       WHERE id IN (SELECT max(id) FROM run WHERE job_id % 300 = 2 GROUP BY job_id)""",
    """INSERT INTO ledger (job_id, outcome, first, last, count, reason, number)
       SELECT job_id, CASE WHEN job_id % 2 THEN 'missed' ELSE 'skipped_already_in_flight' END,
           :now - 3600000000, :now - 600000000, 7, 'the server was down', number
       FROM timer WHERE job_id % 20 = 1 OR job_id % 50 = 0""",
)


def services() -> str:
    """Return the code of the jobs' services."""
    names = [f"{area}.{deed}" for area in _AREAS for deed in _DEEDS]
    classes = (
        f"class Work{number}(Service):\n    name = {name!r}\n    async def handle(self): pass\n"
        for number, name in enumerate(names)
    )
    return "from zato_lite import Service\n" + "".join(classes)


class Case(NamedTuple):
    """A request: its service, a few words, and its input."""

    service: str
    label: str
    payload: dict[str, Any]


def cases(now: Instant) -> list[Case]:
    """Return what the dashboard's pages send."""

    def hours(before: float, after: float) -> dict[str, str]:
        start, until = (now + round(h * 3_600) * SECOND for h in (-before, after))
        return {"start": to_datetime(start).isoformat(), "until": to_datetime(until).isoformat()}

    percentiles = {"include": ["percentiles"]}
    table = {"with": ["outcomes", "durations", "words"], "page_size": 100}
    return [
        Case("job.get-list", "100 rows by name", table),
        Case("job.get-list", "100 rows by next", {**table, "sort": "next"}),
        Case("job.get-list", "100 rows by last", {**table, "sort": "last", "dir": "desc"}),
        Case("job.get-list", "100 rows by duration", {**table, "sort": "duration", "dir": "desc"}),
        Case("job.get-list", "failing", {**table, "state": "failing"}),
        Case("job.get-list", "three letters", {**table, "query": "bil"}),
        Case("job.get-list", "the 90th page", {**table, "cur_page": 90}),
        Case("status", "all", {}),
        Case("get-figures", "60 parts of 4 h", {**hours(4, 0), **percentiles}),
        Case("get-figures", "168 parts of 7 d", {**hours(168, 0), "buckets": 168}),
        Case("get-figures", "7 d with times", {**hours(168, 0), "buckets": 168, **percentiles}),
        Case("get-figures", "a job's year", {**hours(9_000, 0), "buckets": 375, "ids": [7]}),
        Case("get-figures", "services, 24 h", {**hours(24, 0), "buckets": 24, "group": "service"}),
        Case("get-runs", "50 runs", {}),
        Case("get-runs", "50 failed", {"outcomes": ["error", "timeout"]}),
        Case("get-runs", "50 of a word", {"query": "billing"}),
        Case("get-forecast", "7 days", {}),
        Case("get-attention", "20 items", {}),
        Case("get-attention", "200 items", {"limit": 200}),
        Case("get-timeline", "50 lanes, 4 h", {**hours(2, 2), "limit": 50}),
        Case("get-timeline", "200 lanes, 4 h", {**hours(2, 2), "limit": 200}),
        Case("get-timeline", "50 lanes, 24 h", {**hours(12, 12), "resolution_ms": 60_000}),
        Case("get-timeline", "50 lanes, 7 d", {**hours(84, 84), "resolution_ms": 600_000}),
        Case("job.get-audit", "a job's, of 20,000 records", {"id": 8}),
        Case("job.pause-many", "dry run, all", {"dry_run": True}),
        Case("job.pause-many", "dry run, a word", {"dry_run": True, "query": "bil"}),
        Case("job.retry-many", "dry run, failed", {"dry_run": True, "outcomes": ["error"]}),
        Case("job.cancel-many", "dry run, all", {"dry_run": True}),
    ]


class Figure(NamedTuple):
    """Figures of a case, in ms and kB."""

    case: Case
    status: int
    waits: Sequence[float]
    loop_ms: float
    held_ms: float
    size: int
    packed: int


async def measured(client: Client, case: Case, rounds: int) -> Figure:
    """Send a request several times."""
    path, body = (
        f"/zato/api/invoke/zato.scheduler.{case.service}",
        msgspec.json.encode(case.payload),
    )
    waits, held = [], []
    status, answer = await client.post(path, body)
    before = time.thread_time()
    for _ in range(rounds):
        async with Meter() as meter:
            begin = time.perf_counter()
            status, answer = await client.post(path, body)
            waits.append((time.perf_counter() - begin) * 1_000)
        held.append(meter.longest_ms)
    loop = (time.thread_time() - before) * 1_000 / rounds
    packed = len(gzip.compress(answer, 6))
    return Figure(case, status, waits, loop, statistics.median(held), len(answer), packed)


def table(figures: Sequence[Figure]) -> str:
    """Return the table of all figures."""
    lines = [
        "| service | request | p50 ms | p95 ms | loop ms | held ms | kB | gz |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for it in figures:
        waits = sorted(it.waits)
        p95 = waits[min(len(waits) - 1, int(len(waits) * 0.95))]
        cells = (statistics.median(waits), p95, it.loop_ms, it.held_ms)
        text = " | ".join(f"{cell:.1f}" for cell in cells)
        sizes = f"{it.size / 1_000:.0f} | {it.packed / 1_000:.1f}"
        status = "" if it.status == 200 else f" ({it.status})"
        lines.append(f"| `{it.case.service}` | {it.case.label}{status} | {text} | {sizes} |")
    return "\n".join(lines) + "\n"


async def main() -> None:
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="")
    parser.add_argument("--fill", type=Path)
    chosen = parser.parse_args()
    now = SystemClock().now()
    if chosen.fill is not None:
        fill(chosen.fill / "z.db", chosen.jobs, chosen.runs, now)
        return
    settings = config.Settings(
        store=config.Store("sqlite:///z.db"),
        server=config.Server(port=0, grace=0.0),
        scheduler=config.Scheduler(enabled=False),
    )
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "services").mkdir()
        (folder / "services" / "work.py").write_text(services(), encoding="utf-8")
        fill(folder / "z.db", chosen.jobs, chosen.runs, now)
        environ = {"ZATO_LITE_ADMIN_PASSWORD": _PASSWORD}
        async with open_app(folder, settings) as app, open_server(app, environ) as server:
            client = Client(int(server.url.rsplit(":", 1)[1].strip("/")), _PASSWORD)
            await client.get("/zato/session")
            wanted = [case for case in cases(now) if chosen.only in case.service]
            figures = [await measured(client, case, chosen.rounds) for case in wanted]
    sys.stdout.write(table(figures))


if __name__ == "__main__":
    asyncio.run(main())
