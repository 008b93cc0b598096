"""Backup and restore: each copy is complete, and nothing is lost when one is refused."""

from pathlib import Path

import apsw
import pytest

from tests.store.damage import damage
from tests.store.files import file_names, settings_in, store_with
from zato_lite.clock import SystemClock
from zato_lite.errors import BadInputError, ConflictError, StoreError
from zato_lite.store.backup import Backups, copy_file, restore_file
from zato_lite.store.sqlite import SqliteStore, open_store
from zato_lite.testing.clock import ManualClock

ASIDE = "z.db.before"


async def test_a_failed_copy_leaves_no_file(tmp_path: Path) -> None:
    path = await store_with(tmp_path / "z.db", "a")
    damage(path, "setting")

    with pytest.raises(StoreError):
        copy_file(path, tmp_path / "copies" / "c.db")

    assert list((tmp_path / "copies").iterdir()) == []


async def test_a_copy_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = await store_with(tmp_path / "z.db", "a")

    copy_file(path, tmp_path / "copies" / "c.db")

    assert (tmp_path / "copies" / "c.db").stat().st_mode & 0o077 == 0
    assert await settings_in(tmp_path / "copies" / "c.db") == ["a"]


async def test_backups_stay_in_their_folder_and_the_oldest_generated_ones_are_deleted(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    folder = tmp_path / "backups"
    async with open_store(tmp_path / "z.db", clock) as store:
        backups = Backups(store, folder, clock)
        for name in ("../z.db", "a/b", ".hidden", "x" * 101, "a\n"):
            with pytest.raises(BadInputError, match="is not a valid backup name"):
                await backups.make(name)
        await backups.make("before-upgrade.db")
        with pytest.raises(ConflictError, match=r"before-upgrade\.db"):
            await backups.make("before-upgrade.db")
        generated = []
        for _ in range(4):
            clock.advance(seconds=1)
            generated.append(await backups.make(keep=2))

    assert file_names(folder) == ["before-upgrade.db", *(backup.name for backup in generated[2:])]


async def test_a_restore_replaces_the_store_and_preserves_the_old_one(
    tmp_path: Path,
) -> None:
    path = await store_with(tmp_path / "z.db", "a")
    path.chmod(0o640)
    copy_file(path, tmp_path / "copy.db")
    await store_with(path, "b")

    restore_file(path, tmp_path / "copy.db", tmp_path / ASIDE)

    assert path.stat().st_mode & 0o777 == 0o600
    assert await settings_in(path) == ["a"]
    assert await settings_in(tmp_path / ASIDE) == ["a", "b"]
    assert await settings_in(tmp_path / "copy.db") == ["a"]


async def test_a_missing_store_is_restored(tmp_path: Path) -> None:
    path = await store_with(tmp_path / "copy.db", "a")

    restore_file(tmp_path / "z.db", path, tmp_path / ASIDE)

    assert await settings_in(tmp_path / "z.db") == ["a"]
    assert not (tmp_path / ASIDE).exists()


async def test_a_damaged_store_is_preserved_with_its_log_and_replaced(tmp_path: Path) -> None:
    path = await store_with(tmp_path / "z.db", "a")
    copy_file(path, tmp_path / "copy.db")
    path.write_bytes(b"no database at all " * 1000)
    (tmp_path / "z.db-wal").write_bytes(b"somebody's log")

    restore_file(path, tmp_path / "copy.db", tmp_path / ASIDE)

    assert await settings_in(path) == ["a"]
    assert (tmp_path / ASIDE).read_bytes() == b"no database at all " * 1000
    assert (tmp_path / f"{ASIDE}-wal").read_bytes() == b"somebody's log"


async def test_a_restore_is_refused_while_a_server_has_the_store_open(tmp_path: Path) -> None:
    path = await store_with(tmp_path / "z.db", "a")
    copy_file(path, tmp_path / "copy.db")

    async with open_store(path, SystemClock()):
        with pytest.raises(StoreError, match="is open in another process; stop the server first"):
            restore_file(path, tmp_path / "copy.db", tmp_path / ASIDE)

    assert not (tmp_path / ASIDE).exists()


async def test_a_restore_is_refused_while_a_program_has_the_store_open(tmp_path: Path) -> None:
    path = await store_with(tmp_path / "z.db", "a")
    copy_file(path, tmp_path / "copy.db")
    other = apsw.Connection(str(path))
    list(other.execute("SELECT * FROM setting"))

    with pytest.raises(StoreError, match="is open in another program"):
        restore_file(path, tmp_path / "copy.db", tmp_path / ASIDE)

    other.close()
    assert not (tmp_path / ASIDE).exists()
    assert file_names(tmp_path) == ["copy.db", "z.db", "z.db-open"]


async def test_a_server_does_not_open_a_store_during_its_restore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await store_with(tmp_path / "z.db", "a")
    copy_file(path, tmp_path / "copy.db")
    refusals = []

    def meanwhile(path: Path) -> bool:
        with pytest.raises(StoreError) as refused:
            SqliteStore(str(path)).open(0)
        refusals.append(str(refused.value))
        return True

    monkeypatch.setattr("zato_lite.store.backup.checkpoint_alone", meanwhile)
    restore_file(path, tmp_path / "copy.db", tmp_path / ASIDE)

    assert "is being restored" in refusals[0]


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
        ("no store", "not a zato-lite store"),
        ("newer", "has schema 9999"),
    ],
)
async def test_an_invalid_backup_is_refused_without_any_change(
    tmp_path: Path, kind: str, words: str
) -> None:
    path = await store_with(tmp_path / "z.db", "a")
    copy_file(path, tmp_path / "copy.db")
    broken(kind, tmp_path / "copy.db")
    before = path.read_bytes()

    with pytest.raises(StoreError, match=words):
        restore_file(path, tmp_path / "copy.db", tmp_path / ASIDE)

    assert path.read_bytes() == before
    assert not (tmp_path / ASIDE).exists()
    assert "z.db.restoring" not in file_names(tmp_path)
