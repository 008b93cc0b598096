"""Store health: files that were moved, commits that wait, and commits that are slow."""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Literal, NamedTuple

CHECK_S = 0.25
"""Seconds between two checks."""

STUCK_S = 0.75
"""Seconds that a transaction may wait for the lock, or a sync, before the store is not ready."""

STUCK_SYNC_S = 5.0
"""The same for a commit: a slow disk is a warning first."""

SLOW_S = 0.25
"""Seconds of the 95th percentile of commits beyond which the store is slow."""

WINDOW_S = 10.0
"""Seconds whose commits are considered."""

MIN_COMMITS = 3
"""Commits within the window without which the store is not called slow."""

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper edges of the histogram of commits, in seconds."""

_WRITE_LOCK = 120
"""Byte of the shared-memory file that SQLite locks for the one writer of a store."""

_LOCK_FIELDS = 8
"""Words in a line of /proc/locks."""

_MAX_COMMITS = 500
"""Commits that are remembered for the percentile."""

_log = logging.getLogger("zato_lite.store")

Step = Literal["lock", "commit"]


class Files:
    """The store's files on disk, as they were when they were opened.

    They are asked for by ``stat`` only: to open and close one in this process would release
    SQLite's locks on it.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._known: dict[str, tuple[int, int]] = {}
        self._size = 0

    def remember(self) -> None:
        """Take the present files for the store's own."""
        self._known.clear()
        self._size = 0
        for path in (self._path, f"{self._path}-wal", f"{self._path}-shm"):
            with suppress(FileNotFoundError):
                found = Path(path).stat()
                self._known[path] = (found.st_dev, found.st_ino)

    def problem(self) -> str:
        """Return the file that was moved or replaced since it was opened, or an empty text."""
        for path, known in self._known.items():
            try:
                found = Path(path).stat()
            except OSError as error:
                return f"{path} is gone ({error.strerror}): it was moved or deleted"
            if (found.st_dev, found.st_ino) != known:
                return f"{path} is another file: it was replaced"
            if path == self._path:
                if found.st_size < self._size:
                    return f"{path} was overwritten with a shorter file"
                self._size = found.st_size
        return ""

    def writer(self, locks: Path = Path("/proc/locks")) -> int:
        """Return the process that holds the write lock, or 0; known on Linux only."""
        inode = self._known.get(f"{self._path}-shm", (0, 0))[1]
        with suppress(OSError):
            return lock_holder(locks.read_text().splitlines(), inode)
        return 0


def lock_holder(lines: Iterable[str], inode: int) -> int:
    """Return the process that holds the write lock of this file, by the lines of /proc/locks."""
    for line in lines:
        fields = line.split()
        # 1: POSIX ADVISORY WRITE 1234 08:01:5678 120 120; with «->» for one that waits.
        if (
            len(fields) == _LOCK_FIELDS
            and fields[3] == "WRITE"
            and fields[5].endswith(f":{inode}")
        ):
            first, last = fields[6], fields[7]
            if int(first) <= _WRITE_LOCK and (last == "EOF" or int(last) >= _WRITE_LOCK):
                return int(fields[4])
    return 0


def is_stopped(pid: int) -> bool:
    """Return True if a process is stopped, by a signal or a debugger."""
    with suppress(OSError, IndexError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] in {"T", "t"}
    return False


def percentile_95(commits: Iterable[tuple[float, float]], now: float) -> float:
    """Return the 95th percentile of the commits within the window, 0 for too few.

    Args:
        commits: end and duration of each, in seconds.
        now: the present time by the same clock.
    """
    recent = sorted(seconds for at, seconds in commits if at > now - WINDOW_S)
    return recent[int(0.95 * (len(recent) - 1))] if len(recent) >= MIN_COMMITS else 0.0


class Commits(NamedTuple):
    """Figures of the commits since the start.

    Attributes:
        counts: number of commits by the first edge of ``BUCKETS_S`` that they did not exceed.
        seconds: their total duration.
        p95: the recent 95th percentile, in seconds.
    """

    counts: tuple[int, ...]
    seconds: float
    p95: float


class StoreHealth:
    """Health of an open store, checked several times a second in a thread.

    Attributes:
        stuck: the reason for which a transaction has been waiting for long; empty without one.
        moved: the file that was moved or replaced; empty without one.
        slow: a description of a slow store; empty while it is fast.
        p95: recent 95th percentile of commits in seconds.
        beside: of another writer of the same store; its commits count in the figures.
    """

    beside: "StoreHealth | None" = None

    def __init__(
        self, path: str, monotonic: Callable[[], float], *, has_files: bool | None = None
    ) -> None:
        self.stuck = self.moved = self.slow = ""
        self.p95 = 0.0
        self._path, self._monotonic = path, monotonic
        self._files = Files(path)
        self._has_files = path != ":memory:" if has_files is None else has_files
        self._step: tuple[Step, float] | None = None
        self._commits: deque[tuple[float, float]] = deque(maxlen=_MAX_COMMITS)
        self._counts, self._seconds = [0] * (len(BUCKETS_S) + 1), 0.0
        self._stopping = Event()
        self._thread: Thread | None = None

    # Called by the writer

    def remember_files(self) -> None:
        """Take the present files for the store's own, after it was opened."""
        if self._has_files:
            self._files.remember()
            self.moved = ""

    def check_files(self) -> str:
        """Return the file that was moved or replaced, and log it once; empty without one."""
        problem = self._files.problem() if self._has_files else ""
        before, self.moved = self.moved, problem
        if problem and not before:
            _log.critical("store file moved", extra={"path": self._path, "why": problem})
        elif before and not problem:
            _log.warning("store file restored", extra={"path": self._path})
        return problem

    def waits_for_lock(self) -> None:
        """Note that a transaction begins."""
        self._step = ("lock", self._monotonic())

    def commits_now(self) -> None:
        """Note that the transaction is being committed."""
        self._step = ("commit", self._monotonic())

    def has_lock(self) -> None:
        """Note that the transaction has the lock, and works."""
        self._step = None

    def has_ended(self) -> None:
        """Note that the transaction has ended, and count it if it was committed."""
        step, self._step = self._step, None
        if step is not None and step[0] == "commit":
            now = self._monotonic()
            seconds = now - step[1]
            self._commits.append((now, seconds))
            self._seconds += seconds
            self._counts[sum(seconds > edge for edge in BUCKETS_S)] += 1

    def has_failed(self) -> None:
        """Note that the transaction has failed."""
        self._step = None

    # Called by others

    @property
    def figures(self) -> Commits:
        """Return figures of the commits."""
        own = Commits(tuple(self._counts), self._seconds, self.p95)
        if self.beside is None:
            return own
        other = self.beside.figures
        counts = tuple(map(sum, zip(own.counts, other.counts, strict=True)))
        return Commits(counts, own.seconds + other.seconds, own.p95)

    @property
    def trouble(self) -> str:
        """Return why the store cannot be written to now, or an empty text."""
        if self.moved:
            return f"{self.moved}; no write is accepted: put it back, or restart the server"
        return self.stuck

    def start(self) -> None:
        """Start the checks."""
        self._thread = Thread(target=self._watch, name="store-health", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the checks."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(CHECK_S):
            self.check()

    def check(self) -> None:
        """Check everything once, and log what has changed."""
        if self._has_files:
            self.check_files()
        self._check_stuck()
        self._check_slow()

    def _check_stuck(self) -> None:
        other = "" if self.beside is None else self.beside.blockage()
        before, self.stuck = self.stuck, self.blockage() or other
        if self.stuck and not before:
            _log.error("store blocked", extra={"path": self._path, "why": self.stuck})
        elif before and not self.stuck:
            _log.warning("store unblocked", extra={"path": self._path})

    def blockage(self) -> str:
        """Return why the present transaction has waited for long, or an empty text."""
        step = self._step
        waited = 0.0 if step is None else self._monotonic() - step[1]
        if step is not None and step[0] == "commit":
            return f"a commit has taken {waited:.0f} s so far" if waited > STUCK_SYNC_S else ""
        holder = self._files.writer() if self._has_files else 0
        if holder and holder != os.getpid() and is_stopped(holder):
            return f"process {holder} holds the store's write lock and is stopped"
        if waited <= STUCK_S:
            return ""
        by = f"process {holder}" if holder else "another process"
        return f"{by} has held the store's write lock for more than {STUCK_S:g} s"

    def _check_slow(self) -> None:
        self.p95 = percentile_95(tuple(self._commits), self._monotonic())
        is_slow = self.p95 > SLOW_S
        if is_slow and not self.slow:
            fields = {"path": self._path, "p95_s": round(self.p95, 3), "window_s": WINDOW_S}
            _log.warning("store slow", extra=fields)
        elif self.slow and not is_slow:
            _log.warning("store speed restored", extra={"path": self._path})
        self.slow = f"95 of 100 commits take up to {self.p95:.2f} s" if is_slow else ""
