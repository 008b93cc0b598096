"""Static pages: files for browsers, read once; no path leads to any other file."""

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from zato_lite.http.compression import GZIP, VARY, is_text_type, wants_gzip
from zato_lite.http.media import TYPES, is_match
from zato_lite.http.message import Request, Response
from zato_lite.http.routes import Handler, Route
from zato_lite.service.message import Caller

DOCS = Path(__file__).parent.parent / "docs_page"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


_HEADERS = (("Cache-Control", "no-cache"), ("Content-Security-Policy", _POLICY))


class _Variant(NamedTuple):
    """A file in a coding, with its ETag and the fields that belong to the coding."""

    body: bytes
    tag: str
    headers: tuple[tuple[str, str], ...]


def accepts_page(request: Request) -> bool:
    """Return True if the client is a browser that opens a page; other programs get JSON."""
    return request.method in {"GET", "HEAD"} and b"text/html" in request.headers.get(
        b"accept", b""
    )


def redirect(target: str, status: int = 302) -> Response:
    """Return a redirection; a relative target is also right behind a proxy's path prefix."""
    headers = (("Location", target), ("Vary", "Accept"), ("Cache-Control", "no-store"))
    return Response(status, b"", None, headers)


def page_routes(folder: Path, prefix: str, role: str | None = "viewer") -> Iterator[Route]:
    """Yield a route below ``prefix`` for each file, but for ``index.html`` at the prefix.

    Addresses in ``index.html`` are relative to the prefix, where other paths to it lead.
    """

    async def lead_back(request: Request, caller: Caller | None) -> Response:
        return redirect(f"../{prefix.rpartition('/')[2]}", 308)

    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in TYPES:
            handler = file_handler(path.read_bytes(), TYPES[path.suffix])
            name = path.relative_to(folder).as_posix()
            if name != "index.html":
                yield Route(("GET",), f"{prefix}/{name}", handler, role)
                continue
            yield Route(("GET",), f"{prefix}/{name}", lead_back, role)
            yield Route(("GET",), prefix, handler, role)
            yield Route(("GET",), f"{prefix}/", lead_back, role)


def file_handler(
    body: bytes, content_type: str, fields: tuple[tuple[str, str], ...] = _HEADERS
) -> Handler:
    """Return the handler of a file, which is compressed at the start of the server.

    Args:
        body: the file's content.
        content_type: its type.
        fields: header fields besides the ETag and those of the coding.
    """
    digest = hashlib.sha256(body).hexdigest()[:20]
    plain = _Variant(body, f'"{digest}"', ())
    variants = {False: plain, True: plain}
    if is_text_type(content_type):
        packed = gzip.compress(body, mtime=0)
        variants[False] = plain._replace(headers=(VARY,))
        variants[True] = _Variant(packed, f'"{digest}-gzip"', (VARY, GZIP))

    async def send(request: Request, caller: Caller | None) -> Response:
        variant = variants[wants_gzip(request)]
        headers = (("ETag", variant.tag), *fields, *variant.headers)
        if is_match(request.headers.get(b"if-none-match", b""), variant.tag):
            return Response(304, b"", content_type, headers)
        return Response(200, variant.body, content_type, headers)

    return send
