"""Uploads: limits of a service's request bodies, and the files that clients send."""

import asyncio
import shutil
from os import PathLike
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

_KB = 1024


class BodyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the bodies that a service receives over HTTP.

    Attributes:
        size: maximum bytes of a body; None for the server's ``max_body``.
        is_streamed: the service reads the body itself while it arrives, from
            ``request.stream``.
        files, file_size: maximum number of uploaded files, and of bytes in each.
        fields, field_size: the same of the other fields of a form with uploads.
    """

    size: int | None = None
    is_streamed: bool = False
    files: int = 20
    file_size: int | None = None
    fields: int = 100
    field_size: int = 64 * _KB


class UploadedFile:
    """A file that a client has sent; it is deleted after the answer, unless it is saved.

    Attributes:
        name: as the client calls it, without folders; a service should not use it as a path.
        content_type: as the client says.
        size: bytes.
        path: of the temporary file, which only the server's user may read.
    """

    __slots__ = ("content_type", "name", "path", "size")

    def __init__(self, name: str, content_type: str, path: Path, size: int = 0) -> None:
        self.name, self.content_type = name, content_type
        self.path, self.size = path, size

    async def save(self, target: str | PathLike[str]) -> None:
        """Move the file to another path, on any disk; its mode remains 0600."""
        await asyncio.to_thread(shutil.move, self.path, target)

    async def read(self) -> bytes:
        """Return the whole content."""
        return await asyncio.to_thread(self.path.read_bytes)

    def __repr__(self) -> str:
        return f"<UploadedFile {self.name!r}, {self.size} bytes>"


def has_uploads(declared: Any) -> bool:
    """Return True for the type of an uploaded file, a list of them, or a union with one."""
    if declared is UploadedFile:
        return True
    if get_origin(declared) in {Union, UnionType, Annotated, list, tuple}:
        return any(map(has_uploads, get_args(declared)))
    return False


def schema_of_file(declared: type) -> dict[str, Any]:
    """Return the JSON Schema of an uploaded file.

    Raises:
        NotImplementedError: it is the type of something else.
    """
    if declared is UploadedFile:
        return {"type": "string", "format": "binary"}
    raise NotImplementedError
