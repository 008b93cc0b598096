"""Simulated power cuts: a VFS records all writes, from which possible disk images are made.

``Recorder`` is a VFS of SQLite through which a program writes as ever; each write, truncation,
sync and deletion is kept in order. ``cuts`` replays that up to chosen moments and makes of each
the files that a disk might hold afterwards: what was synced is there, and of what was written
since, each write is there, gone, or torn at a sector, as the dice fall.

What is taken as given: a directory entry is durable at once (SQLite syncs directories itself), and
a sector is written whole.
"""

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import apsw

SECTOR = 512
BELOW = "unix"
"""Name of the VFS that really writes; the recorder may be the default meanwhile."""


class Write(NamedTuple):
    path: str
    offset: int
    data: bytes


class Truncate(NamedTuple):
    path: str
    size: int


class Sync(NamedTuple):
    path: str


class Delete(NamedTuple):
    path: str


class Mark(NamedTuple):
    """Event that the program under test was given: an acknowledged commit."""

    value: Any


Event = Write | Truncate | Sync | Delete | Mark


class Recorder(apsw.VFS):
    """VFS of the operating system that records all operations.

    Attributes:
        is_failing: while set, every sync fails, as that of a dying disk.
    """

    def __init__(self, name: str = "recorder", *, makedefault: bool = False) -> None:
        self.events: list[Event] = []
        self.is_failing = False
        super().__init__(name, BELOW, makedefault=makedefault)

    def mark(self, value: Any) -> None:
        self.events.append(Mark(value))

    def xOpen(self, name: Any, flags: list[int]) -> "RecordedFile":  # noqa: N802
        return RecordedFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        self.events.append(Delete(filename))


class RecordedFile(apsw.VFSFile):
    def __init__(self, recorder: Recorder, name: Any, flags: list[int]) -> None:
        self.recorder, self.events = recorder, recorder.events
        self.path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        super().__init__(BELOW, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self.events.append(Write(self.path, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self.events.append(Truncate(self.path, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self.recorder.is_failing:
            raise apsw.IOError("the disk says no")
        super().xSync(flags)
        self.events.append(Sync(self.path))


class Image(NamedTuple):
    """Possible content of a disk after a cut, and the acknowledgements before it."""

    at: int
    marks: list[Any]
    files: dict[str, bytes]

    def put(self, folder: Path) -> None:
        """Write the files into a new folder, by their base names."""
        folder.mkdir()
        for path, content in self.files.items():
            (folder / Path(path).name).write_bytes(content)


def cuts(events: list[Event], moments: Iterable[int], dice: random.Random) -> Iterator[Image]:
    """Yield an image for each moment; moments are positions in ``events``."""
    durable: dict[str, bytearray] = {}
    pending: dict[str, list[Write | Truncate]] = {}
    marks: list[Any] = []
    done = 0
    for moment in sorted(moments):
        for event in events[done:moment]:
            _follow(event, durable, pending, marks)
        done = max(done, moment)
        files = {
            path: bytes(_survive(bytearray(durable.get(path, b"")), pending.get(path, []), dice))
            for path in durable.keys() | pending.keys()
        }
        yield Image(moment, list(marks), files)


def _follow(
    event: Event,
    durable: dict[str, bytearray],
    pending: dict[str, list[Write | Truncate]],
    marks: list[Any],
) -> None:
    match event:
        case Write(path) | Truncate(path):
            pending.setdefault(path, []).append(event)
        case Sync(path):
            content = durable.setdefault(path, bytearray())
            for change in pending.pop(path, []):
                _apply(content, change)
        case Delete(path):
            durable.pop(path, None)
            pending.pop(path, None)
        case Mark(value):
            marks.append(value)


def _apply(content: bytearray, change: Write | Truncate) -> None:
    if isinstance(change, Truncate):
        del content[change.size :]
        return
    missing = change.offset - len(content)
    if missing > 0:
        content.extend(bytes(missing))
    content[change.offset : change.offset + len(change.data)] = change.data


def _survive(
    content: bytearray, changes: list[Write | Truncate], dice: random.Random
) -> bytearray:
    """Apply writes that were never synced: each is complete, missing, or torn."""
    keep = dice.choice([0.0, 0.5, 0.9, 1.0])
    for change in changes:
        if dice.random() < keep:
            _apply(content, change)
        elif isinstance(change, Write) and dice.random() < keep:
            sectors = dice.randrange(len(change.data) // SECTOR + 1)
            _apply(content, change._replace(data=change.data[: sectors * SECTOR]))
    return content
