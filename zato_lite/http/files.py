"""Files as responses: ranges, conditional requests, and reading in threads."""

import mimetypes
import os
import re
import stat
from collections.abc import Callable
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar
from urllib.parse import quote

from zato_lite.errors import NotFoundError
from zato_lite.http.media import is_match, type_of
from zato_lite.http.message import Request, Response
from zato_lite.service.offload import FairThreads

CHUNK = 131_072
"""Bytes of a file that are read, and given to the connection, at a time."""

_THREADS = 4
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z")
_NOT_FOUND = "file not found"

_types = mimetypes.MimeTypes(())
_disk = FairThreads(_THREADS)
_owners = count()

T = TypeVar("T")


async def on_disk(function: Callable[..., T], *arguments: Any, owner: str) -> T:
    """Call a function that reads or writes files in a thread; each owner has one at a time."""
    return await _disk.run(owner, partial(function, *arguments))


class OpenedFile(NamedTuple):
    """An open file: its descriptor, its length in bytes, and its time in nanoseconds."""

    descriptor: int
    length: int
    time_ns: int

    @property
    def tag(self) -> str:
        """Return the ETag: it changes with length and time."""
        return f'"{self.time_ns:x}-{self.length:x}"'

    @property
    def modified(self) -> str:
        """Return the time for ``Last-Modified``."""
        return formatdate(self.time_ns // 1_000_000_000, usegmt=True)


def open_file(path: str | os.PathLike[str]) -> OpenedFile:
    """Open a file.

    Raises:
        NotFoundError: it does not exist, or is not a regular file.
    """
    try:
        return checked(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    except (OSError, ValueError) as error:  # ValueError: the path has a null character
        raise NotFoundError(_NOT_FOUND) from error


def checked(descriptor: int) -> OpenedFile:
    """Return a descriptor of a regular file as one; close any other.

    Raises:
        IsADirectoryError: it is a directory's.
        NotFoundError: it is not a regular file's.
    """
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode):
        return OpenedFile(descriptor, found.st_size, found.st_mtime_ns)
    os.close(descriptor)
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError
    raise NotFoundError(_NOT_FOUND)


class FilePieces:
    """A range of an open file, read in threads; the file is closed at the end."""

    def __init__(self, descriptor: int, start: int, length: int) -> None:
        self._descriptor, self._position, self._left = descriptor, start, length
        self._owner = f"file {next(_owners)}"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        wanted = min(CHUNK, self._left)
        piece = await on_disk(
            os.pread, self._descriptor, wanted, self._position, owner=self._owner
        )
        if not piece:
            raise OSError("file became shorter while it was sent")
        self._position += len(piece)
        self._left -= len(piece)
        return piece

    async def aclose(self) -> None:
        """Close the file."""
        self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self._close()


def content_type_of(name: str) -> str:
    """Return the content type of a file by the suffix of its name."""
    kind = type_of(Path(name)) or _types.guess_type(name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") and ";" not in kind else kind


def disposition(name: str) -> str:
    """Return the Content-Disposition with which a browser saves a file (RFC 6266)."""
    plain = re.sub(r"[^ !#-\[\]-~]", "_", name)
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'attachment; filename="{plain}"{extended}'


def file_response(
    request: Request,
    file: OpenedFile,
    content_type: str,
    fields: tuple[tuple[str, str], ...] = (),
) -> Response:
    """Return the response with a file, a range of it, or nothing if the client has it."""
    headers = (
        ("ETag", file.tag),
        ("Last-Modified", file.modified),
        ("Accept-Ranges", "bytes"),
        *fields,
    )
    unchanged = 412 if is_replaced(request, file) else 304 if is_known(request, file) else 0
    if unchanged:
        os.close(file.descriptor)
        return Response(unchanged, b"", None, headers)
    found = range_of(request, file)
    if found is None:
        start, length, status = 0, file.length, 200
    else:
        start, length, status = *found, 206
        if length == 0:
            os.close(file.descriptor)
            headers += (("Content-Range", f"bytes */{file.length}"),)
            return Response(416, b"", None, headers)
        ends = start + length - 1
        headers += (("Content-Range", f"bytes {start}-{ends}/{file.length}"),)
    pieces = FilePieces(file.descriptor, start, length)
    return Response(status, b"", content_type, headers, stream=pieces, length=length)


def is_replaced(request: Request, file: OpenedFile) -> bool:
    """Return True if the client wants another version of the file only (RFC 9110, 13.2.2)."""
    if (tags := request.headers.get(b"if-match")) is not None:
        return not is_match(tags, file.tag, is_strong=True)
    since = _seconds(request.headers.get(b"if-unmodified-since"))
    return since is not None and file.time_ns // 1_000_000_000 > since


def is_known(request: Request, file: OpenedFile) -> bool:
    """Return True if the client has this version of the file (RFC 9110, 13.2.2)."""
    if (tags := request.headers.get(b"if-none-match")) is not None:
        return is_match(tags, file.tag)
    since = _seconds(request.headers.get(b"if-modified-since"))
    return since is not None and file.time_ns // 1_000_000_000 <= since


def range_of(request: Request, file: OpenedFile) -> tuple[int, int] | None:
    """Return start and length of the wanted range, of length 0 if the file has no such bytes.

    None for the whole file: for several ranges, for a range that is not valid, and for one of
    another version of the file (``If-Range``).
    """
    if request.method != "GET" or b"range" not in request.headers:
        return None
    condition = request.headers.get(b"if-range")
    if condition is not None and condition.decode("latin-1") not in {file.tag, file.modified}:
        return None
    match = _RANGE.match(request.headers[b"range"].decode("latin-1").replace(" ", ""))
    if match is None or match[0] == "bytes=-":
        return None
    if not match[1]:
        length = min(int(match[2]), file.length)
        return file.length - length, length
    start, end = int(match[1]), int(match[2]) if match[2] else file.length - 1
    if match[2] and end < start:
        return None
    return start, max(0, min(end + 1, file.length) - start)


def _seconds(field: bytes | None) -> float | None:
    if field is None:
        return None
    try:
        moment = parsedate_to_datetime(field.decode("latin-1"))
    except (ValueError, TypeError):
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
