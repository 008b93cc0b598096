"""Uploaded files: forms are parsed while they arrive, and their files written to disk.

Only module that imports multipart.
"""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import multipart as _multipart

from zato_lite.errors import BadInputError, FieldError, TooLargeError
from zato_lite.http.files import on_disk
from zato_lite.service.uploads import BodyLimits, UploadedFile

multipart: Any = _multipart
"""The library multipart, without types: python-multipart, which the MCP SDK needs, hides them by a
package of the same name."""

_LOCK = "lock"
_NEW = "."
"""Prefix of a folder that is not locked yet; its process holds a lock of the parent meanwhile."""

_WRITE_FROM = 262_144
"""Bytes of a file that are collected before a thread writes them."""

_MAX_HEADER = 4_096
_MAX_NAME = 200
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")

_owners = count()


class UploadFolder:
    """The temporary files of one process: a folder that is locked as long as the process lives.

    Folders of processes that died are removed when another one starts.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._own: Path | None = None
        self._lock: BinaryIO | None = None
        self._numbers = count(1)
        if parent.is_dir():
            _remove_unfinished(parent)
            for folder in parent.iterdir():
                if not folder.name.startswith(_NEW):
                    _remove_if_dead(folder)

    def new_path(self) -> Path:
        """Return the path of a new file."""
        if self._own is None:
            self._parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(self._parent, fcntl.LOCK_SH):
                made = Path(tempfile.mkdtemp(dir=self._parent, prefix=_NEW))
                self._lock = (made / _LOCK).open("wb")
                fcntl.flock(self._lock, fcntl.LOCK_EX)
                name = f"{os.getpid()}-{made.name.removeprefix(_NEW)}"
                self._own = made.rename(self._parent / name)
        return self._own / str(next(self._numbers))

    def close(self) -> None:
        """Remove the folder."""
        if self._own is not None and self._lock is not None:
            shutil.rmtree(self._own, ignore_errors=True)
            self._lock.close()
            self._own = self._lock = None


@contextmanager
def _locked(folder: Path, kind: int) -> Iterator[None]:
    """Hold a lock of a folder itself."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(opened, kind)
        yield
    finally:
        os.close(opened)


def _remove_unfinished(parent: Path) -> None:
    """Remove the folders of processes that died while they made them."""
    with suppress(OSError), _locked(parent, fcntl.LOCK_EX | fcntl.LOCK_NB):
        for folder in parent.glob(f"{_NEW}*"):
            shutil.rmtree(folder, ignore_errors=True)


def _remove_if_dead(folder: Path) -> None:
    """Remove the folder of a process that died: the kernel has freed its lock."""
    with suppress(OSError), (folder / _LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)


class Form:
    """The fields of a form and its files, which ``close`` deletes.

    Attributes:
        fields: texts and uploaded files by name; a list of those with equal names.
    """

    def __init__(self, limits: BodyLimits, folder: UploadFolder) -> None:
        self._limits, self._folder = limits, folder
        self.fields: dict[str, Any] = {}
        self._paths: list[Path] = []
        self._texts = 0
        self._name, self._has_file_name = "", False
        self._file: UploadedFile | None = None
        self._open: BinaryIO | None = None
        self._waiting = bytearray()
        self._owner = f"form {next(_owners)}"

    async def read(self, pieces: AsyncIterator[bytes], boundary: str) -> None:
        """Read a whole form.

        Raises:
            BadInputError: the body is not a form.
            TooLargeError: it has more, or larger, fields or files than the limits permit.
        """
        parser = multipart.PushMultipartParser(boundary, max_header_size=_MAX_HEADER)
        try:
            async for piece in pieces:
                for event in parser.parse(piece):
                    if event is None:
                        await self._end_part()
                    elif isinstance(event, multipart.MultipartSegment):
                        await self._begin_part(event)
                    else:
                        await self._add(event)
            parser.close()
        except multipart.MultipartError as error:
            raise BadInputError(f"not a valid multipart form: {error}") from error

    async def close(self) -> None:
        """Delete the files that the service has not saved elsewhere."""
        if self._open is not None or self._paths:
            await on_disk(self._delete, owner=self._owner)

    def _delete(self) -> None:
        if self._open is not None:
            self._open.close()
        for path in self._paths:
            path.unlink(missing_ok=True)

    async def _begin_part(self, part: Any) -> None:
        self._name, self._has_file_name = part.name or "", bool(part.filename)
        if part.filename is None:
            self._texts += 1
            _check(self._texts, self._limits.fields, self._name, "fields of a form")
            return
        _check(len(self._paths) + 1, self._limits.files, self._name, "files of a form")
        path = self._folder.new_path()
        self._paths.append(path)
        kind = part.content_type or "application/octet-stream"
        self._file = UploadedFile(_plain_name(part.filename), kind, path)
        self._open = await on_disk(partial(_create, path), owner=self._owner)

    async def _add(self, data: bytes) -> None:
        if self._file is None:
            _check(len(self._waiting) + len(data), self._limits.field_size, self._name, "bytes")
            self._waiting += data
            return
        self._file.size += len(data)
        _check(self._file.size, self._limits.file_size, self._name, "bytes")
        self._waiting += data
        if len(self._waiting) >= _WRITE_FROM:
            await self._write()

    async def _write(self) -> None:
        data, self._waiting = self._waiting, bytearray()
        if self._open is not None and data:
            await on_disk(self._open.write, data, owner=self._owner)

    async def _end_part(self) -> None:
        value: Any = self._file
        if value is None:
            data, self._waiting = self._waiting, bytearray()
            try:
                value = data.decode()
            except UnicodeDecodeError as error:
                message = f"{self._name}: text is not UTF-8"
                raise BadInputError.of([FieldError(self._name, None, message)]) from error
        else:
            await self._write()
            if self._open is not None:
                await on_disk(self._open.close, owner=self._owner)
        self._file = self._open = None
        if isinstance(value, UploadedFile) and not (value.size or self._has_file_name):
            return  # a browser sends this for an input without a file
        earlier = self.fields.get(self._name)
        if earlier is None:
            self.fields[self._name] = value
        elif isinstance(earlier, list):
            earlier.append(value)
        else:
            self.fields[self._name] = [earlier, value]


def boundary_of(content_type: bytes) -> str | None:
    """Return the boundary of a multipart form; None for another content type.

    Raises:
        BadInputError: the form has no valid boundary.
    """
    kind, options = multipart.parse_options_header(content_type.decode("latin-1"))
    if kind.lower() != "multipart/form-data":
        return None
    boundary = str(options.get("boundary", ""))
    if not 0 < len(boundary) <= _MAX_BOUNDARY or not boundary.isascii():
        raise BadInputError("multipart form has no valid boundary")
    return boundary


_MAX_BOUNDARY = 70
"""Letters of a boundary (RFC 2046, 5.1.1)."""


def _create(path: Path) -> BinaryIO:
    return open(path, "xb", opener=partial(os.open, mode=0o600))


def _check(number: int, maximum: int | None, name: str, what: str) -> None:
    if maximum is not None and number > maximum:
        where = f"{name[:_MAX_NAME]}: " if name else ""
        raise TooLargeError(f"{where}too many {what}; at most {maximum} are allowed")


def _plain_name(name: str) -> str:
    """Return the name of a file without folders and control characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return _UNSAFE.sub("_", last)[:_MAX_NAME] or "file"
