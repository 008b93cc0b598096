"""Static folders: the files of a project below a path, and never those outside of the folder."""

import gzip
import os
from collections import OrderedDict
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from urllib.parse import quote

from zato_lite.errors import NotFoundError
from zato_lite.http.admission import require_path
from zato_lite.http.compression import GZIP, VARY, is_text_type, wants_gzip
from zato_lite.http.endpoints.pages import redirect
from zato_lite.http.files import OpenedFile, checked, content_type_of, file_response, on_disk
from zato_lite.http.media import is_match
from zato_lite.http.message import Request, Response
from zato_lite.http.routes import Route
from zato_lite.service.message import Caller

_COMPRESSED_TO = 1_048_576
"""Bytes of a text file up to which it is compressed; larger ones are sent as they are."""

_MAX_COMPRESSED = 64
"""Compressed files that are kept."""

_FIELDS = (("Cache-Control", "no-cache"),)
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_INDEX = "index.html"

_owners = count()


def static_route(folder: Path, path: str, role: str | None = "viewer") -> Route:
    """Return a route for the files of a folder; a path that ends in ``/`` is its index.html.

    A caller confined to some services needs a pattern that matches the path.
    """
    compressed: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    async def send(request: Request, caller: Caller | None) -> Response:
        require_path(caller, path)
        segments = request.path.removeprefix(path).split("/")[1:]
        if not segments:
            return redirect(f"{path.rpartition('/')[2]}/", 301)
        name = segments[-1] or _INDEX
        owner = f"static {next(_owners) % 4}"
        try:
            file = await on_disk(open_below, folder, [*segments[:-1], name], owner=owner)
        except IsADirectoryError:
            return redirect(f"{quote(name)}/", 301)
        kind = content_type_of(name)
        if not is_text_type(kind):
            return file_response(request, file, kind, _FIELDS)
        is_small = file.length <= _COMPRESSED_TO
        if not is_small or not wants_gzip(request) or b"range" in request.headers:
            return file_response(request, file, kind, (*_FIELDS, VARY))
        key = request.path, file.tag
        if (body := compressed.get(key)) is None:
            body = await on_disk(_compressed, file, owner=owner)
            compressed[key] = body
            if len(compressed) > _MAX_COMPRESSED:
                compressed.popitem(last=False)
        else:
            os.close(file.descriptor)
        return _compressed_response(request, file, body, kind)

    return Route(("GET",), f"{path}/*", send, role)


def open_below(folder: Path, segments: Sequence[str]) -> OpenedFile:
    """Open a file below a folder, step by step, so that no link leads out of it.

    Raises:
        IsADirectoryError: it is a folder.
        NotFoundError: it does not exist, is hidden (its name begins with a dot), or is a link.
    """
    if any(not name or name.startswith(".") or "\0" in name for name in segments):
        raise NotFoundError("file not found")
    descriptor = -1
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        for name in segments[:-1]:
            inner = os.open(name, _FLAGS | os.O_DIRECTORY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        return checked(os.open(segments[-1], _FLAGS, dir_fd=descriptor))
    except IsADirectoryError:
        raise
    except OSError as error:
        raise NotFoundError("file not found") from error
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _compressed(file: OpenedFile) -> bytes:
    with os.fdopen(file.descriptor, "rb") as opened:
        return gzip.compress(opened.read(_COMPRESSED_TO), mtime=0)


def _compressed_response(request: Request, file: OpenedFile, body: bytes, kind: str) -> Response:
    tag = f'{file.tag[:-1]}-gzip"'
    headers = (("ETag", tag), ("Last-Modified", file.modified), *_FIELDS, VARY)
    if is_match(request.headers.get(b"if-none-match", b""), tag):
        return Response(304, b"", None, headers)
    return Response(200, body, kind, (*headers, GZIP), length=len(body))
