"""Log files: the latest lines of each process, kept in a folder to be found by their cid."""

import json
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from stat import S_ISREG
from typing import Any

from zato_lite.log import JSONFormatter, add_context

_MODE = 0o600
_MB = 1_000_000
_FILES = "*.jsonl*"

_log = logging.getLogger("zato_lite.log")


class _PrivateFile(RotatingFileHandler):
    """File of one process that only its owner can read; its earlier half is in a second file."""

    _written = 0

    def _open(self) -> TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _MODE)
        self._written = os.fstat(handle).st_size
        return os.fdopen(handle, "a", encoding="utf-8")

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 - the base's name
        """Return True if the file is full; the base looks at the disk for each line."""
        self._written += len(self.format(record).encode()) + 1
        return self._written > self.maxBytes


def keep_lines(
    folder: Path, limit_mb: float, *, processes: int = 1, is_full: bool = False
) -> None:
    """Write the log to a file in a folder as well, which holds at most ``limit_mb`` megabytes.

    Each process has another file. A folder that cannot be written is reported in the log.

    Args:
        folder: the folder; it is created.
        limit_mb: megabytes; 0 to keep nothing.
        processes: number of processes that write to the folder; they share half of the limit.
        is_full: tracebacks have all frames.
    """
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, _PrivateFile)]:
        root.removeHandler(handler)
        handler.close()
    if not limit_mb:
        return
    try:
        for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
        _prune(folder, limit_mb * _MB)
        name = folder / f"{os.getpid()}.jsonl"
        size = int(limit_mb * _MB / 4 / processes)
        kept = _PrivateFile(name, maxBytes=size, backupCount=1, encoding="utf-8")
    except OSError as error:
        _log.warning("log lines not kept", extra={"folder": str(folder), "why": str(error)})
        return
    kept.setFormatter(JSONFormatter(is_full=is_full))
    kept.addFilter(add_context)
    root.addHandler(kept)


def kept_files(folder: Path) -> list[Path]:
    """Return the files of a folder, the oldest first."""
    return [path for _, _, path in sorted(_found(folder))]


def lines_with(cid: str, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the lines of a JSON log that have a correlation id."""
    for line in lines:
        if cid in line:
            with suppress(ValueError):
                found = json.loads(line)
                if isinstance(found, dict) and found.get("cid") == cid:
                    yield found


def _prune(folder: Path, limit: float) -> None:
    """Delete the oldest files until half of the limit is free."""
    files = sorted(_found(folder))
    total = sum(size for _, size, _ in files)
    for _, size, path in files:
        if total <= limit / 2:
            return
        total -= size
        path.unlink(missing_ok=True)


def _found(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Yield each file with its time and size; another process may delete or rename it."""
    for path in folder.glob(_FILES):
        with suppress(FileNotFoundError):
            found = path.stat()
            if S_ISREG(found.st_mode):
                yield found.st_mtime, found.st_size, path
