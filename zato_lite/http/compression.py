"""Compression: gzip of large text responses for clients that accept it.

Small responses are left alone, which costs them nothing. Pages of other sites cannot have a
response compressed that holds both a secret and their own input (BREACH): their requests are
refused before a service is invoked.
"""

import asyncio
import zlib

import msgspec

from zato_lite.http.media import accepts_gzip, is_json_type, media_type
from zato_lite.http.message import Request, Response

GZIP_FROM = 4096
"""Bytes of a body from which on it is compressed."""

_LEVEL = 1
_SLICE = 65_536
_GZIP_WINDOW = 31  # zlib's number for a gzip header and the largest window
_OWN_CODING = frozenset({"content-encoding", "etag", "content-range"})
_BODILESS = frozenset({204, 304})
VARY = ("Vary", "Accept-Encoding")
GZIP = ("Content-Encoding", "gzip")


def is_text_type(content_type: str) -> bool:
    """Return True for types whose bodies become smaller: JSON, text, and SVG."""
    kind = media_type(content_type.encode("latin-1", "replace"))
    if kind == b"text/event-stream":
        return False
    return is_json_type(kind) or kind.startswith(b"text/") or kind == b"image/svg+xml"


def is_compressible(response: Response) -> bool:
    """Return True if a response's body may be compressed for a client that accepts it."""
    if len(response.body) < GZIP_FROM or response.content_type is None:
        return False
    if response.status in _BODILESS or not is_text_type(response.content_type):
        return False
    return not any(name.lower() in _OWN_CODING for name, _ in response.headers)


def wants_gzip(request: Request) -> bool:
    """Return True if the client accepts gzip."""
    return accepts_gzip(request.headers.get(b"accept-encoding", b""))


def compress(request: Request, response: Response) -> Response:
    """Return the response, compressed if it is large and the client accepts that."""
    if not is_compressible(response):
        return response
    if not wants_gzip(request):
        return _with(response, response.body, VARY)
    return _with(response, zlib.compress(response.body, _LEVEL, _GZIP_WINDOW), VARY, GZIP)


async def compress_in_slices(request: Request, response: Response) -> Response:
    """Do the same for a body of any size; other requests get their turns in between."""
    body = response.body
    if len(body) <= _SLICE or not is_compressible(response) or not wants_gzip(request):
        return compress(request, response)
    encoder, view = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW), memoryview(body)
    pieces = []
    for start in range(0, len(view), _SLICE):
        pieces.append(encoder.compress(view[start : start + _SLICE]))
        await asyncio.sleep(0)
    pieces.append(encoder.flush())
    return _with(response, b"".join(pieces), VARY, GZIP)


def _with(response: Response, body: bytes, *fields: tuple[str, str]) -> Response:
    headers = response.headers + fields
    return msgspec.structs.replace(response, body=body, headers=headers)
