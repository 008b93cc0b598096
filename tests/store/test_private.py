"""Files of a store are readable by their owner only, also those that were made before."""

import logging
import os
import stat
from pathlib import Path

import pytest

from zato_lite.clock import SystemClock
from zato_lite.errors import StoreError
from zato_lite.store.backup import copy_file, restore_file
from zato_lite.store.location import path_of
from zato_lite.store.private import make_folder, prepare_backups, restrict, write_secret
from zato_lite.store.sessions import Session, Sessions
from zato_lite.store.sqlite import open_store


@pytest.fixture(autouse=True)
def _lax_umask() -> object:
    before = os.umask(0o000)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def open_to_others(folder: Path) -> list[str]:
    """Return the names of files that other users may use."""
    return [p.name for p in sorted(folder.rglob("*")) if p.is_file() and mode(p) & 0o077]


async def test_a_new_store_is_private(tmp_path: Path) -> None:
    path = Path(path_of(tmp_path, "sqlite:///data/z.db"))

    async with open_store(path, SystemClock()) as store:
        store.locks.take(7)
        await store.backup(tmp_path / "data" / "backups" / "b.db")

        names = {file.name for file in path.parent.iterdir()}
        assert {"z.db", "z.db-wal", "z.db-shm", "z.db-open", "z.db-node-7"} <= names
        assert open_to_others(tmp_path / "data") == []
        assert mode(tmp_path / "data") == mode(tmp_path / "data" / "backups") == 0o700


async def test_an_existing_store_is_corrected_with_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "data"
    async with open_store(data / "z.db", SystemClock()):
        pass
    data.chmod(0o755)
    (data / "z.db").chmod(0o644)
    for name in ("z.db-open", "z.db-node-3", "z.db.before-20260101T000000Z", ".z.db.part"):
        (data / name).touch()
        (data / name).chmod(0o664)
    (data / "notes.txt").touch(0o644)

    with caplog.at_level(logging.WARNING):
        path = path_of(tmp_path, "sqlite:///data/z.db")
        async with open_store(path, SystemClock()):
            assert open_to_others(data) == ["notes.txt"]
            assert mode(data) == 0o700

    lines = [vars(record) for record in caplog.records if "owner" in record.message]
    told = {(line["path"], line["mode_before"], line["mode"]) for line in lines}
    assert (str(data), "0755", "0700") in told
    assert (str(data / "z.db"), "0644", "0600") in told
    assert len(told) == 6
    caplog.clear()
    async with open_store(path_of(tmp_path, "sqlite:///data/z.db"), SystemClock()):
        assert caplog.records == []


async def test_copies_and_restored_files_are_private(tmp_path: Path) -> None:
    path, copy = tmp_path / "data" / "z.db", tmp_path / "copies" / "c.db"
    async with open_store(path, SystemClock()):
        pass
    copy_file(path, copy)
    copy.chmod(0o666)
    path.chmod(0o666)

    restore_file(path, copy, tmp_path / "data" / "z.db.before")

    assert mode(path) == 0o600
    async with open_store(path, SystemClock()):
        assert open_to_others(tmp_path / "data") == []


async def test_backups_that_exist_are_corrected(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        await store.backup(folder / "b.db")
    (folder / "b.db").chmod(0o644)
    (folder / "list.txt").touch(0o644)
    folder.chmod(0o777)

    prepare_backups(folder)
    prepare_backups(tmp_path / "none")

    assert mode(folder) == 0o700
    assert open_to_others(folder) == ["list.txt"]


@pytest.mark.parametrize("before", [0o1777, 0o755])
def test_a_folder_that_is_meant_for_others_stays(
    tmp_path: Path, before: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "shared"
    (folder / "inner").mkdir(parents=True)
    folder.chmod(before)
    if before == 0o755:
        monkeypatch.chdir(folder / "inner")

    make_folder(folder)

    assert mode(folder) == before
    assert "open to other users" in caplog.text


@pytest.mark.parametrize("name", ["services", "config"])
def test_a_project_s_own_folder_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / "demo" / name).mkdir(parents=True)
    (tmp_path / "demo").chmod(0o755)

    path_of(tmp_path / "demo", "sqlite:///z.db")

    assert mode(tmp_path / "demo") == 0o755


def test_rights_are_only_taken(tmp_path: Path) -> None:
    (tmp_path / "a").touch(0o444)
    (tmp_path / "b").symlink_to(tmp_path / "c")
    (tmp_path / "c").touch(0o666)

    for name in ("a", "b", "none"):
        restrict(tmp_path / name, 0o600)

    assert (mode(tmp_path / "a"), mode(tmp_path / "c")) == (0o400, 0o666)


@pytest.mark.parametrize("place", ["file/z.db", "file/data/z.db", "folder"])
async def test_a_place_that_cannot_be_used_is_refused_in_words(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()

    with pytest.raises(StoreError, match=place):
        async with open_store(tmp_path / place, SystemClock()):
            pass


def test_a_secret_is_private_from_the_first_byte(tmp_path: Path) -> None:
    path = tmp_path / "data" / "admin-password"

    write_secret(path, "one\n")
    path.chmod(0o644)
    write_secret(path, "two\n")

    assert path.read_text() == "two\n"
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert [file.name for file in path.parent.iterdir()] == ["admin-password"]


async def test_sessions_of_a_backup_are_not_restored(tmp_path: Path) -> None:
    session = Session("hash", "ann", 10, 10)
    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        await Sessions(store).add(session)
        await store.backup(tmp_path / "b.db")
        await Sessions(store).delete(["hash"])

    restore_file(tmp_path / "z.db", tmp_path / "b.db", tmp_path / "aside.db")

    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        assert await Sessions(store).list(11) == []
