"""The store's file looked at, copied and replaced: what is refused, and that nothing is lost."""

import asyncio
import logging
import threading
from pathlib import Path

import apsw
import pytest

from tests.store.damage import damage
from tests.store.test_database import names, put
from zato_lite.clock import SystemClock
from zato_lite.errors import BadInputError, ConflictError, StoreError, UnavailableError
from zato_lite.store import connection as connections
from zato_lite.store import sqlite
from zato_lite.store.backup import Backups
from zato_lite.store.sqlite import SqliteStore, open_store
from zato_lite.store.statements import execute, fetch_value
from zato_lite.store.upkeep import check_file, copy_file, restore_file
from zato_lite.testing.clock import ManualClock

ASIDE = "z.db.before"


async def made(path: Path, *settings: str) -> Path:
    async with open_store(path, SystemClock()) as store:
        for name in settings:
            await store.write(lambda c, name=name: put(c, name))  # type: ignore[misc]
    return path


def json_list(folder: Path) -> list[str]:
    return sorted(it.name for it in folder.iterdir())


async def held(path: Path) -> list[str]:
    async with open_store(path, SystemClock()) as store:
        return await store.read(names)


@pytest.fixture
def big(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is too big to be checked before the start."""
    monkeypatch.setattr(sqlite, "AT_ONCE_BYTES", 0)
    monkeypatch.setattr(sqlite, "CHECK_DELAY_S", 0.0)


async def late_check(store: SqliteStore) -> None:
    for thread in store._threads:
        if thread.name == "store-check":
            await asyncio.to_thread(thread.join)


# The check at the start


@pytest.mark.parametrize("name", ["timer_next", "run_job", "run_log", "job"])
async def test_a_file_with_a_broken_page_anywhere_is_refused_at_the_start(
    tmp_path: Path, name: str
) -> None:
    path = await made(tmp_path / "z.db", "a")
    damage(path, name)
    before = path.read_bytes()

    with pytest.raises(StoreError, match=r"is damaged: .*; restore a backup: zato-lite db"):
        await held(path)

    assert path.read_bytes() == before


async def test_a_big_file_is_checked_when_all_is_under_way(
    tmp_path: Path, big: None, caplog: pytest.LogCaptureFixture
) -> None:
    path = await made(tmp_path / "z.db", "a")
    damage(path, "run_log")

    async with open_store(path, SystemClock()) as store:
        await late_check(store)

        assert "is damaged" in store.trouble
        assert await store.read(names) == ["a"]
    assert [record.message for record in caplog.records] == ["store is damaged"]
    assert caplog.records[0].levelno == logging.CRITICAL


async def test_a_check_that_takes_too_long_is_left_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "AT_ONCE_S", -1.0)
    monkeypatch.setattr(connections, "CHECK_STEPS", 1)
    monkeypatch.setattr(sqlite, "CHECK_DELAY_S", 0.0)
    path = await made(tmp_path / "z.db", "a")
    damage(path, "run_log")

    async with open_store(path, SystemClock()) as store:
        await late_check(store)

        assert "is damaged" in store.trouble


async def test_a_check_under_way_holds_up_no_end(
    tmp_path: Path, big: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "CHECK_DELAY_S", 3600.0)
    path = await made(tmp_path / "z.db")

    async with open_store(path, SystemClock()) as store:
        assert store.trouble == ""

    assert "store-check" not in {thread.name for thread in threading.enumerate()}


async def test_a_sound_store_is_in_no_trouble(tmp_path: Path, big: None) -> None:
    path = await made(tmp_path / "z.db", "a")

    async with open_store(path, SystemClock()) as store:
        await late_check(store)

        assert store.trouble == ""
        assert list(await store.check(is_full=True)) == []


# Damage that is come upon


async def test_damage_that_an_operation_comes_upon_is_known_from_then_on(
    tmp_path: Path, big: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite, "CHECK_DELAY_S", 3600.0)
    path = await made(tmp_path / "z.db", "a")
    damage(path, "run_log")

    async with open_store(path, SystemClock()) as store:
        for _ in range(3):
            with pytest.raises(UnavailableError, match="malformed"):
                await store.read(lambda c: fetch_value(c, "SELECT count(lines) FROM run_log"))
            with pytest.raises(UnavailableError, match="malformed"):
                await store.write(lambda c: execute(c, "DELETE FROM run_log"))

        assert "is damaged" in store.trouble
    assert [record.message for record in caplog.records] == ["store is damaged"]


async def test_a_full_check_also_finds_an_index_that_misses_a_row(tmp_path: Path) -> None:
    path = await made(tmp_path / "z.db")
    connection = apsw.Connection(str(path))
    connection.execute("INSERT INTO timer VALUES (1, 5, 0, 0, 0, 0, NULL)")
    connection.execute("PRAGMA writable_schema = on")
    connection.execute(
        "UPDATE sqlite_master SET sql = 'CREATE INDEX timer_next ON timer (next_at)'"
        " WHERE name = 'timer_next'"
    )
    connection.close()
    other = apsw.Connection(str(path))
    other.execute("INSERT INTO timer VALUES (2, NULL, 0, 0, 0, 0, NULL)")
    other.execute("PRAGMA writable_schema = on")
    sql = "CREATE INDEX timer_next ON timer (cursor)"
    other.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'timer_next'", (sql,))
    other.close()

    assert list(check_file(path)) == []
    assert list(check_file(path, is_full=True)) != []


# Copies


async def test_a_copy_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = await made(tmp_path / "z.db", "a")
    damage(path, "setting")

    with pytest.raises(StoreError):
        copy_file(path, tmp_path / "copies" / "c.db")

    assert list((tmp_path / "copies").iterdir()) == []


async def test_a_copy_is_for_its_owners_eyes(tmp_path: Path) -> None:
    path = await made(tmp_path / "z.db", "a")

    copy_file(path, tmp_path / "copies" / "c.db")

    assert (tmp_path / "copies" / "c.db").stat().st_mode & 0o077 == 0
    assert await held(tmp_path / "copies" / "c.db") == ["a"]


async def test_backups_stay_in_their_folder_and_the_oldest_of_their_own_go(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    folder = tmp_path / "backups"
    async with open_store(tmp_path / "z.db", clock) as store:
        backups = Backups(store, folder, clock)
        for name in ("../z.db", "a/b", ".hidden", "x" * 101, "a\n"):
            with pytest.raises(BadInputError, match="is no name of a backup"):
                await backups.make(name)
        await backups.make("before-upgrade.db")
        with pytest.raises(ConflictError, match=r"before-upgrade\.db"):
            await backups.make("before-upgrade.db")
        made_up = []
        for _ in range(4):
            clock.advance(seconds=1)
            made_up.append(await backups.make(keep=2))

    assert json_list(folder) == ["before-upgrade.db", *(each.name for each in made_up[2:])]


# Restoring


async def test_a_restored_store_is_what_the_backup_was_and_the_old_one_is_kept(
    tmp_path: Path,
) -> None:
    path = await made(tmp_path / "z.db", "a")
    path.chmod(0o640)
    copy_file(path, tmp_path / "copy.db")
    await made(path, "b")

    restore_file(path, tmp_path / "copy.db", tmp_path / ASIDE)

    assert path.stat().st_mode & 0o777 == 0o640
    assert await held(path) == ["a"]
    assert await held(tmp_path / ASIDE) == ["a", "b"]
    assert await held(tmp_path / "copy.db") == ["a"]


async def test_a_store_is_restored_where_there_is_none(tmp_path: Path) -> None:
    path = await made(tmp_path / "copy.db", "a")

    restore_file(tmp_path / "z.db", path, tmp_path / ASIDE)

    assert await held(tmp_path / "z.db") == ["a"]
    assert not (tmp_path / ASIDE).exists()


async def test_a_damaged_store_is_kept_with_its_log_and_replaced(tmp_path: Path) -> None:
    path = await made(tmp_path / "z.db", "a")
    copy_file(path, tmp_path / "copy.db")
    path.write_bytes(b"no database at all " * 1000)
    (tmp_path / "z.db-wal").write_bytes(b"somebody's log")

    restore_file(path, tmp_path / "copy.db", tmp_path / ASIDE)

    assert await held(path) == ["a"]
    assert (tmp_path / ASIDE).read_bytes() == b"no database at all " * 1000
    assert (tmp_path / f"{ASIDE}-wal").read_bytes() == b"somebody's log"


async def test_no_store_is_restored_under_a_server_that_has_it_open(tmp_path: Path) -> None:
    path = await made(tmp_path / "z.db", "a")
    copy_file(path, tmp_path / "copy.db")

    async with open_store(path, SystemClock()):
        with pytest.raises(StoreError, match="is open in another process: stop the server first"):
            restore_file(path, tmp_path / "copy.db", tmp_path / ASIDE)

    assert not (tmp_path / ASIDE).exists()


async def test_no_store_is_restored_under_a_program_that_has_it_open(tmp_path: Path) -> None:
    path = await made(tmp_path / "z.db", "a")
    copy_file(path, tmp_path / "copy.db")
    other = apsw.Connection(str(path))
    list(other.execute("SELECT * FROM setting"))

    with pytest.raises(StoreError, match="is open in another program"):
        restore_file(path, tmp_path / "copy.db", tmp_path / ASIDE)

    other.close()
    assert not (tmp_path / ASIDE).exists()
    assert json_list(tmp_path) == ["copy.db", "z.db", "z.db-open"]


async def test_no_server_opens_a_store_that_is_being_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await made(tmp_path / "z.db", "a")
    copy_file(path, tmp_path / "copy.db")
    refusals = []

    def meanwhile(path: Path) -> bool:
        with pytest.raises(StoreError) as refused:
            SqliteStore(str(path)).open(0)
        refusals.append(str(refused.value))
        return True

    monkeypatch.setattr("zato_lite.store.upkeep.let_go", meanwhile)
    restore_file(path, tmp_path / "copy.db", tmp_path / ASIDE)

    assert "is just being restored" in refusals[0]


def broken(kind: str, copy: Path) -> None:
    if kind == "damaged":
        damage(copy, "run_log")
    elif kind == "no store":
        copy.unlink()
        apsw.Connection(str(copy)).execute("CREATE TABLE a (b)")
    elif kind == "no database":
        copy.write_bytes(b"my diary" * 1000)
    else:
        apsw.Connection(str(copy)).execute("INSERT INTO migration VALUES (9999, 'x', 'x', 0)")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("damaged", "is damaged"),
        ("no database", "not a database"),
        ("no store", "is no zato-lite store"),
        ("newer", "has schema 9999"),
    ],
)
async def test_a_backup_that_is_not_sound_is_refused_and_nothing_is_changed(
    tmp_path: Path, kind: str, words: str
) -> None:
    path = await made(tmp_path / "z.db", "a")
    copy_file(path, tmp_path / "copy.db")
    broken(kind, tmp_path / "copy.db")
    before = path.read_bytes()

    with pytest.raises(StoreError, match=words):
        restore_file(path, tmp_path / "copy.db", tmp_path / ASIDE)

    assert path.read_bytes() == before
    assert not (tmp_path / ASIDE).exists()
    assert "z.db.restoring" not in json_list(tmp_path)
