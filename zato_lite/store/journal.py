"""Start journal: the attempts that a node runs, in memory that outlives its process.

The kernel keeps the pages of a mapped file when a process dies, so the nodes after it read which
attempts had begun, without a commit for each. A power cut loses the pages: the journal then has
the id of another boot, and says nothing.
"""

import mmap
import os
from array import array
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from zato_lite.timetable.job import Instant

PLACES = 16_384
"""Attempts that a journal can hold at a time, running ones and those with an unsaved result."""

_WORDS = 2 * (PLACES + 1)
_SIZE = 8 * _WORDS


class Began(NamedTuple):
    """The start of an attempt that was not saved, and False for ``is_running`` if it had ended."""

    at: Instant
    is_running: bool


Journal = Mapping[int, Began]
"""A dead node's entries by token; an attempt that is not among them had not begun."""


class StartJournal:
    """Journal of one node. Words 0 and 1 are the boot's id and True if entries are missing."""

    def __init__(self, file: int = -1) -> None:
        if file < 0:
            self._words = memoryview(array("q", bytes(_SIZE)))
        else:
            os.ftruncate(file, _SIZE)
            self._words = memoryview(mmap.mmap(file, _SIZE)).cast("q")
        self._words[0] = _boot()
        self._free = list(range(2 * PLACES, 0, -2))

    def begin(self, token: int, at: Instant) -> int:
        """Record that an attempt starts; return its place, 0 if there is none left."""
        if not self._free:
            self._words[1] = 1
            return 0
        place = self._free.pop()
        words = self._words
        words[place + 1] = at
        words[place] = token
        return place

    def end(self, place: int) -> None:
        """Record that the attempt at this place has ended; its result is not saved yet."""
        if place:
            self._words[place] = -self._words[place]

    def clear(self, place: int) -> None:
        """Record that the result of the attempt at this place is saved."""
        if place:
            self._words[place] = 0
            self._free.append(place)

    def read(self) -> Journal | None:
        """Return the entries."""
        return parse(self._words)


def read_journal(path: Path) -> Journal | None:
    """Return what the journal in a file says; None if it says nothing."""
    with suppress(OSError):
        content = path.read_bytes()
        if len(content) == _SIZE:
            return parse(memoryview(content).cast("q"))
    return None


def parse(words: memoryview) -> Journal | None:
    """Return the entries of a journal; None if it is of another boot, or entries are missing."""
    if words[0] != _boot() or words[1]:
        return None
    return {
        abs(words[place]): Began(words[place + 1], words[place] > 0)
        for place in range(2, _WORDS, 2)
        if words[place]
    }


def _boot() -> int:
    """Return a number other than 0 that differs between two starts of the machine."""
    with suppress(OSError):
        return crc32(Path("/proc/sys/kernel/random/boot_id").read_bytes()) or 1
    return 1
