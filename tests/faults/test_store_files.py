"""Unusable store files are refused with an explanation and left unchanged."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tests.faults.power import Recorder
from zato_lite.clock import SystemClock
from zato_lite.errors import StoreError, UnavailableError
from zato_lite.store.ports import Connection
from zato_lite.store.sqlite import SqliteStore, open_store

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")


async def refusal(path: Path) -> str:
    with pytest.raises(StoreError) as refused:
        async with open_store(path, SystemClock()):
            pass
    return str(refused.value)


async def filled(path: Path) -> None:
    async with open_store(path, SystemClock()) as store:
        for number in range(50):
            await keep(store, f"setting-{number}", "x" * 1000)


async def keep(store: SqliteStore, name: str, value: str) -> None:
    def insert(connection: Connection) -> None:
        connection.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))

    await store.write(insert)


async def fill(store: SqliteStore, acknowledged: set[str]) -> None:
    for number in range(10_000):
        await keep(store, f"before-{number}", "x" * 20_000)
        acknowledged.add(f"before-{number}")


async def kept(store: SqliteStore) -> set[str]:
    return await store.read(
        lambda connection: {row[0] for row in connection.execute("SELECT name FROM setting")}
    )


async def test_a_file_that_is_not_a_database_is_refused_and_left_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"my diary, by no means a database" * 200)

    words = await refusal(path)

    assert "damaged or not a zato-lite store" in words
    assert path.read_bytes() == b"my diary, by no means a database" * 200


async def test_a_file_with_a_broken_header_is_refused_and_left_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await filled(path)
    content = bytearray(path.read_bytes())
    content[:100] = bytes(100)
    path.write_bytes(content)

    words = await refusal(path)

    assert "damaged" in words
    assert path.read_bytes() == content


async def test_a_file_with_broken_pages_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await filled(path)
    content = bytearray(path.read_bytes())
    content[4096 : len(content)] = os.urandom(len(content) - 4096)
    path.write_bytes(content)

    assert "damaged" in await refusal(path)


async def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await filled(path)
    path.write_bytes(path.read_bytes()[: 3 * 4096])

    assert "damaged" in await refusal(path)


async def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    assert "cannot be opened" in await refusal(tmp_path)


async def test_a_file_locked_by_another_program_is_reported_and_works_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zato_lite.store.connection.BUSY_MS", 50)
    path = tmp_path / "store.db"
    await filled(path)
    other = apsw.Connection(str(path))
    async with open_store(path, SystemClock()) as store:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(UnavailableError, match="locked"):
            await keep(store, "refused", "")
        other.execute("COMMIT")
        await keep(store, "accepted", "")

        assert (await kept(store)) & {"refused", "accepted"} == {"accepted"}
    other.close()


async def test_a_failed_sync_acknowledges_nothing_and_the_store_recovers(tmp_path: Path) -> None:
    recorder = Recorder("sick", makedefault=True)
    try:
        async with open_store(tmp_path / "store.db", SystemClock()) as store:
            await keep(store, "before", "")
            recorder.is_failing = True
            with pytest.raises(UnavailableError):
                await keep(store, "refused", "")
            with pytest.raises(UnavailableError):
                await keep(store, "refused too", "")
            recorder.is_failing = False
            await keep(store, "after", "")

            assert await kept(store) == {"before", "after"}
            assert await store.check() == []
    finally:
        recorder.unregister()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    mounted = subprocess.run(["/bin/mount", *options], check=False, capture_output=True)  # noqa: S603
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode()}")
    yield place
    subprocess.run(["/bin/umount", "-l", str(place)], check=True)  # noqa: S603


@needs_root
async def test_a_full_disk_refuses_writes_until_there_is_room(small_disk: Path) -> None:
    acknowledged: set[str] = set()
    async with open_store(small_disk / "store.db", SystemClock()) as store:
        with pytest.raises(UnavailableError):
            await fill(store, acknowledged)
        subprocess.run(["/bin/mount", "-o", "remount,size=8m", str(small_disk)], check=True)  # noqa: ASYNC221, S603
        await keep(store, "after", "x" * 20_000)
        acknowledged.add("after")

        assert await kept(store) >= acknowledged
        assert await store.check() == []
    async with open_store(small_disk / "store.db", SystemClock()) as store:
        assert await kept(store) >= acknowledged


@needs_root
async def test_a_read_only_disk_is_refused_with_an_explanation(small_disk: Path) -> None:
    await filled(small_disk / "store.db")
    subprocess.run(["/bin/mount", "-o", "remount,ro", str(small_disk)], check=True)  # noqa: ASYNC221, S603

    words = await refusal(small_disk / "store.db")

    assert "may this user write there" in words or "read-only" in words


async def test_a_read_only_file_is_refused_with_an_explanation(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await filled(path)
    path.chmod(0o400)
    if os.access(path, os.W_OK):
        pytest.skip("root may write to anything")

    assert "read-only" in await refusal(path)
