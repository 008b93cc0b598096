import asyncio
import random
from pathlib import Path

import apsw
import pytest

from tests.faults.power import Image, Recorder, cuts
from zato_lite.clock import SystemClock
from zato_lite.store.ports import Connection
from zato_lite.store.sqlite import SqliteStore, open_store


async def write_and_mark(path: Path, commits: int) -> Recorder:
    """Run eight writers in parallel; mark every acknowledgement."""
    recorder = Recorder("store-recorder", makedefault=True)
    try:
        async with open_store(path, SystemClock()) as store:
            recorder.mark("open")
            await asyncio.gather(*(_writer(store, recorder, n, commits // 8) for n in range(8)))
    finally:
        recorder.unregister()
    return recorder


async def _writer(store: SqliteStore, recorder: Recorder, writer: int, commits: int) -> None:
    for number in range(commits):
        name = f"{writer}-{number}"

        def insert(connection: Connection, name: str = name) -> None:
            connection.execute("INSERT INTO setting VALUES (?, ?)", (name, "x" * 3000))

        await store.write(insert)
        recorder.mark(name)


async def lost(image: Image, folder: Path) -> set[str]:
    """Return the acknowledged rows that are missing after the store was opened."""
    image.put(folder)
    async with open_store(folder / "store.db", SystemClock()) as store:
        assert await store.check() == []
        found = await store.read(
            lambda connection: {row[0] for row in connection.execute("SELECT name FROM setting")}
        )
    return set(image.marks) - found - {"open"}


async def count_losses(folder: Path, commits: int, images: int) -> int:
    recorder = await write_and_mark(folder / "store.db", commits)
    dice = random.Random(11)
    began = recorder.events.index(("open",))  # type: ignore[arg-type]
    moments = [dice.randrange(began, len(recorder.events) + 1) for _ in range(images)]
    found = [
        await lost(image, folder / f"image-{number}")
        for number, image in enumerate(cuts(recorder.events, moments, dice))
    ]
    return sum(bool(each) for each in found)


async def test_no_power_cut_loses_an_acknowledged_write(tmp_path: Path) -> None:
    assert await count_losses(tmp_path, commits=400, images=30) == 0


@pytest.mark.slow
async def test_none_of_300_power_cuts_loses_an_acknowledged_write(tmp_path: Path) -> None:
    assert await count_losses(tmp_path, commits=4_000, images=300) == 0


def test_the_recorder_is_unregistered_after_use() -> None:
    assert "store-recorder" not in apsw.vfs_names()
