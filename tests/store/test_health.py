"""Health of the store: files moved, a neighbour that holds the lock, and slow commits."""

import os
import shutil
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import apsw
import pytest

from zato_lite.clock import SystemClock
from zato_lite.errors import UnavailableError
from zato_lite.scheduler.dispatcher import MARGIN, MAX_MARGIN, margin_for
from zato_lite.store.health import Files, StoreHealth, is_stopped, lock_holder, percentile_95
from zato_lite.store.sqlite import SqliteStore, open_store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with open_store(tmp_path / "data" / "store.db", SystemClock()) as store:
        yield store


async def write(store: SqliteStore) -> None:
    await store.write(lambda c: c.execute("INSERT OR REPLACE INTO setting VALUES ('a', 'b')"))


def removed(path: Path) -> None:
    path.unlink()


def moved(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def replaced(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    copy.rename(path)


def folder_moved(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def made_again(path: Path) -> None:
    path.unlink()
    path.touch()


def put_back(path: Path) -> None:
    path.with_name("elsewhere").rename(path)


def overwritten(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0")


FAULTS = [removed, moved, replaced, folder_moved, made_again]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
async def test_no_write_is_acknowledged_once_a_file_is_not_the_store_s(
    store: SqliteStore, fault: Callable[[Path], None], suffix: str
) -> None:
    await write(store)

    fault(Path(f"{store.path}{suffix}"))

    with pytest.raises(UnavailableError, match="cannot be written to"):
        await write(store)
    assert "no write is accepted" in store.trouble


async def test_a_file_overwritten_in_place_is_noticed(store: SqliteStore) -> None:
    await write(store)

    overwritten(Path(store.path))

    with pytest.raises(UnavailableError, match="overwritten with a shorter file"):
        await write(store)


async def test_a_file_that_was_put_back_is_written_to_again(store: SqliteStore) -> None:
    path = Path(store.path)
    moved(path)
    with pytest.raises(UnavailableError):
        await write(store)

    put_back(path)

    await write(store)
    assert store.trouble == ""


async def test_what_happens_to_a_file_while_nothing_is_written_is_noticed_too(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    removed(Path(store.path))

    store.health.check()
    store.health.check()

    assert "was moved or deleted" in store.trouble
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]


async def test_a_store_in_memory_has_no_files() -> None:
    async with open_store(":memory:", SystemClock()) as store:
        await write(store)
        store.health.check()

        assert store.trouble == ""


async def test_the_process_that_holds_the_write_lock_is_found(store: SqliteStore) -> None:
    files = Files(store.path)
    files.remember()
    before = files.writer()
    connection = apsw.Connection(store.path)
    connection.execute("BEGIN IMMEDIATE")

    holder = files.writer()
    connection.execute("ROLLBACK")
    connection.close()

    assert (before, holder) in {(0, os.getpid()), (0, 0)}  # 0: not on Linux


def test_the_lines_of_proc_locks_are_read() -> None:
    lines = [
        "1: POSIX  ADVISORY  READ  11 08:01:77 124 124",
        "2: POSIX  ADVISORY  WRITE 12 08:01:78 120 120",
        "3: -> POSIX  ADVISORY  WRITE 13 08:01:77 120 120",
        "4: FLOCK  ADVISORY  WRITE 14 08:01:79 0 EOF",
        "nonsense",
        "5: POSIX  ADVISORY  WRITE 15 08:01:77 120 122",
    ]

    assert [lock_holder(lines, inode) for inode in (77, 78, 79, 80)] == [15, 12, 14, 0]


def test_a_process_that_runs_is_not_stopped() -> None:
    assert not is_stopped(os.getpid())
    assert not is_stopped(2**22 + 1)


def health() -> tuple[StoreHealth, list[float]]:
    now = [100.0]
    return StoreHealth(":memory:", lambda: now[0]), now


def test_a_transaction_that_waits_for_the_lock_makes_the_store_unready() -> None:
    found, now = health()
    found.waits_for_lock()
    now[0] += 0.7
    found.check()
    soon = found.trouble

    now[0] += 0.1
    found.check()
    waiting = found.trouble
    found.has_lock()
    found.check()

    assert (soon, found.trouble) == ("", "")
    assert waiting == "another process has held the store's write lock for more than 0.75 s"


def test_a_commit_that_does_not_end_makes_the_store_unready() -> None:
    found, now = health()
    found.commits_now()
    now[0] += 4
    found.check()
    soon = found.trouble

    now[0] += 2
    found.check()

    assert (soon, found.trouble) == ("", "a commit has taken 6 s so far")


def test_a_slow_store_is_a_warning_until_it_is_fast_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    found, now = health()

    def commit(seconds: float) -> None:
        found.waits_for_lock()
        found.has_lock()
        found.commits_now()
        now[0] += seconds
        found.has_ended()
        found.check()

    commit(0.3)
    commit(0.3)
    few = found.slow
    for _ in range(5):
        commit(0.3)
    slow, p95 = found.slow, found.p95
    now[0] += 11
    for _ in range(30):
        commit(0.001)

    assert (few, found.slow, found.trouble) == ("", "", "")
    assert (slow, round(p95, 2)) == ("95 of 100 commits take up to 0.30 s", 0.3)
    assert [record.message for record in caplog.records] == [
        "store slow",
        "store speed restored",
    ]
    assert sum(found.figures.counts) == 37


def test_one_slow_commit_among_many_is_not_a_slow_store() -> None:
    commits = deque([(1.0, 0.001)] * 30 + [(1.0, 9.0)])

    assert percentile_95(commits, 2.0) == 0.001
    assert percentile_95(commits, 12.0) == 0.0


@pytest.mark.parametrize(
    ("commit_s", "margin"),
    [(0.0, MARGIN), (0.01, MARGIN), (0.3, 750_000), (1.0, 2_500_000), (60.0, MAX_MARGIN)],
)
def test_claims_are_earlier_on_a_slow_store(commit_s: float, margin: int) -> None:
    assert margin_for(commit_s) == margin
