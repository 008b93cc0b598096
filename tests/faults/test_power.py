import random
from pathlib import Path

import apsw

from tests.faults.power import Image, Recorder, cuts

CUTS = 60


def write_rows(path: Path, synchronous: str) -> Recorder:
    """Write 60 commits of one row, each marked when it is acknowledged."""
    recorder = Recorder(f"recorder-{synchronous}")
    connection = apsw.Connection(str(path), vfs=f"recorder-{synchronous}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={synchronous}; PRAGMA wal_autocheckpoint=20")
    connection.execute("CREATE TABLE row(n INTEGER PRIMARY KEY, filler TEXT)")
    recorder.mark(0)
    for number in range(1, 61):
        connection.execute("INSERT INTO row VALUES(?, ?)", (number, "x" * 500))
        recorder.mark(number)
    connection.close()
    return recorder


def images(recorder: Recorder) -> list[Image]:
    dice = random.Random(7)
    began = next(at for at, event in enumerate(recorder.events) if event == (0,))
    moments = [dice.randrange(began, len(recorder.events) + 1) for _ in range(CUTS)]
    return list(cuts(recorder.events, moments, dice))


def lost_rows(image: Image, folder: Path) -> int:
    """Return the number of missing acknowledged rows; raise if the database is damaged."""
    image.put(folder)
    connection = apsw.Connection(str(folder / "rows.db"))
    assert connection.execute("PRAGMA integrity_check").get == "ok"
    try:
        found = connection.execute("SELECT coalesce(max(n), 0) FROM row").get
    except apsw.SQLError:  # the table is missing
        found = -1
    connection.close()
    return max(0, int(max(image.marks) - found))


def test_a_power_cut_loses_no_acknowledged_commit_when_each_is_synced(tmp_path: Path) -> None:
    recorder = write_rows(tmp_path / "rows.db", "FULL")

    lost = [lost_rows(image, tmp_path / str(n)) for n, image in enumerate(images(recorder))]

    assert sum(lost) == 0


def test_the_simulation_loses_rows_when_commits_are_not_synced(tmp_path: Path) -> None:
    recorder = write_rows(tmp_path / "rows.db", "NORMAL")

    lost = [lost_rows(image, tmp_path / str(n)) for n, image in enumerate(images(recorder))]

    assert sum(loss > 0 for loss in lost) > CUTS // 4
