"""Moves of stores with runs: killed at each step, and between two servers."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest

from tests.checker import Due, grid, violations
from tests.e2e.conftest import naive, until
from tests.faults.process import Server, interval
from zato_lite.clock import SystemClock
from zato_lite.errors import StoreError
from zato_lite.store.postgres import open_postgres
from zato_lite.store.sqlite import open_store

pytestmark = pytest.mark.postgres

FILE = "sqlite:///data/zato-lite.db"
STEPS = ["found", "copied", "verified", "marked", "moved"]
JOBS = 20
PERIOD = 1_000_000


def begin(step: str, folder: Path, source: str, target: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.faults.move", step, str(folder), source, target]
    return subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": "."}
    )


def fill(folder: Path, runs: int) -> None:
    """Make a store with finished runs, each with a log."""
    with apsw.Connection(str(folder / "data" / "zato-lite.db")) as connection:
        connection.execute("CREATE TEMP TABLE numbers (value INTEGER PRIMARY KEY)")
        connection.executemany(
            "INSERT INTO numbers VALUES (?)", ((number,) for number in range(1, runs + 1))
        )
        connection.execute(
            "INSERT INTO run (id, job_id, number, slot, kind, state, node, token, attempt,"
            " crashes, claimed_at, outcome, result) SELECT value, 1, value, value, 'scheduled',"
            " 'done', 1, value, 1, 0, 1, 'ok', hex(randomblob(100)) FROM numbers"
        )
        connection.execute("INSERT INTO run_log SELECT value, '[]' FROM numbers")


async def open_file(folder: Path) -> None:
    async with open_store(folder / "data" / "zato-lite.db", SystemClock()):
        pass


def runs_in(url: str) -> int:
    with psycopg.connect(url) as connection:
        if connection.execute("SELECT to_regclass('run')").fetchone() == (None,):
            return 0
        (count,) = connection.execute("SELECT count(*) FROM run").fetchone() or (0,)
    return int(count)


@pytest.mark.parametrize("step", STEPS)
async def test_a_killed_move_to_postgres_leaves_one_store(
    tmp_path: Path, postgres_url: str, step: str
) -> None:
    await open_file(tmp_path)
    fill(tmp_path, 3_000)

    done = begin(step, tmp_path, FILE, postgres_url)

    assert done.returncode == -9
    is_moved = step in {"marked", "moved"}
    if is_moved:
        with pytest.raises(StoreError, match="was moved to postgresql"):
            await open_file(tmp_path)
    else:
        await open_file(tmp_path)
    until(lambda: runs_in(postgres_url) == (3_000 if step == "moved" else 0))

    again = begin("", tmp_path, FILE, postgres_url)

    assert again.returncode == 0, again.stderr
    assert runs_in(postgres_url) == 3_000


@pytest.mark.parametrize("step", STEPS)
async def test_a_killed_move_to_a_file_leaves_one_store(
    tmp_path: Path, postgres_url: str, step: str
) -> None:
    await open_file(tmp_path)
    fill(tmp_path, 3_000)
    assert begin("", tmp_path, FILE, postgres_url).returncode == 0
    file = tmp_path / "data" / "new.db"

    done = begin(step, tmp_path, postgres_url, "sqlite:///data/new.db")

    assert done.returncode == -9
    assert file.exists() == (step == "moved")
    if step in {"marked", "moved"}:
        with pytest.raises(StoreError, match="was moved to sqlite"):
            async with open_postgres(postgres_url, SystemClock()):
                pass
    again = begin("", tmp_path, postgres_url, "sqlite:///data/new.db")

    assert again.returncode == 0, again.stderr
    async with open_store(file, SystemClock()) as store:
        counted = await store.read(lambda c: list(c.execute("SELECT count(*) FROM run")))
    assert counted == [(3_000,)]


@pytest.mark.slow
async def test_a_move_takes_no_more_memory_for_more_rows(
    tmp_path: Path, postgres_url: str
) -> None:
    memory, seconds = [], []
    for runs, name in ((2_000, "a"), (200_000, "b")):
        folder = tmp_path / name
        await open_file(folder)
        fill(folder, runs)
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS big CASCADE; CREATE SCHEMA big")
        target = postgres_url.rpartition("search_path")[0] + "search_path%3Dbig"
        for source, url in ((FILE, target), (target, "sqlite:///data/back.db")):
            began = time.monotonic()
            done = begin("", folder, source, url)
            seconds.append(time.monotonic() - began)
            assert done.returncode == 0, done.stderr
            memory.append(int(done.stdout))

    print("seconds", seconds, "KiB", memory)  # noqa: T201
    assert memory[2] - memory[0] < 30_000
    assert memory[3] - memory[1] < 30_000
    assert seconds[2] < 120


# Between two servers


class Movable(Server):
    """Server whose settings name its store, and whose history is read from either engine."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.url = FILE

    def use(self, url: str) -> None:
        self.url = url
        (self.folder / "config").mkdir(exist_ok=True)
        text = f"[store]\nurl = '{url}'\n"
        (self.folder / "config" / "zato-lite.toml").write_text(text)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        if self.url == FILE:
            return super().query(sql)
        with psycopg.connect(self.url) as connection:
            return connection.execute(sql.encode()).fetchall()

    def move(self, url: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "zato_lite", "db", "migrate-to", url, "--project"]
        return subprocess.run(  # noqa: S603
            [*command, str(self.folder)], capture_output=True, text=True, check=False
        )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Movable]:
    server = Movable(tmp_path)
    yield server
    server.kill()


def judge(server: Movable, start: int, jobs: list[int]) -> list[Any]:
    last = max(effect.at for effect in server.seen())
    slots = list(grid(start, PERIOD, start - 1, last - 2 * PERIOD))

    def is_accounted() -> bool:
        return not [
            each
            for each in server.history(jobs)[0]
            if each.outcome is None and each.slot <= slots[-1]
        ]

    until(is_accounted, 30)
    runs, gaps = server.history(jobs)
    due = [Due(job, slots) for job in jobs]
    kept = [run for run in runs if run.slot <= slots[-1]]
    effects = [each for each in server.seen() if each.job in jobs and each.slot <= slots[-1]]
    return violations(due, kept, gaps, effects)


def test_each_slot_is_accounted_for_once_over_two_moves(
    server: Movable, postgres_url: str
) -> None:
    server.start()
    begin_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)  # noqa: TID251
    start = int(begin_at.timestamp()) * 1_000_000
    jobs = [
        server.invoke("zato.scheduler.job.create",
                      interval(f"mark-{n}", "faults.mark", naive(begin_at)))["id"]
        for n in range(JOBS)
    ]  # fmt: skip
    slow = server.invoke(
        "zato.scheduler.job.create",
        interval("slow", "faults.slow", naive(begin_at + timedelta(days=1))),
    )["id"]
    until(lambda: len(server.seen()) > 3 * JOBS)
    running = server.move(postgres_url)
    server.invoke("zato.scheduler.job.execute", {"id": slow})
    until(lambda: slow in {effect.job for effect in server.seen()})
    server.kill()
    told = server.move(postgres_url)
    server.use(postgres_url)
    server.start()
    until(lambda: 2 in {e.attempt for e in server.seen() if e.job == slow}, 20)
    until(lambda: slow in {effect.job for effect in server.seen("ended")}, 20)
    assert server.stop() == 0
    back = server.move("sqlite:///data/zato-lite.db")
    server.database.rename(server.folder / "old.db")
    again = server.move("sqlite:///data/zato-lite.db")
    server.use(FILE)
    server.start()
    before = len(server.seen())
    until(lambda: len(server.seen()) > before + 3 * JOBS)
    found = judge(server, start, jobs)

    assert "stop the server first" in running.stderr
    assert told.returncode == 0, told.stderr
    assert "already exists" in back.stderr
    assert again.returncode == 0, again.stderr
    assert found == []
    assert {e.attempt for e in server.seen() if e.job == slow} == {1, 2}
