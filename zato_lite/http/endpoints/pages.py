"""Static pages: files for browsers, read once; no path leads to any other file."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from zato_lite.http.message import Request, Response
from zato_lite.http.routes import Handler, Route
from zato_lite.service.message import Caller

DOCS = Path(__file__).parent.parent / "docs_page"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def page_routes(folder: Path, prefix: str, role: str | None = "viewer") -> Iterator[Route]:
    """Yield a route below ``prefix`` for each file; ``index.html`` also answers at the prefix."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in _TYPES:
            handler = _handler(path.read_bytes(), _TYPES[path.suffix])
            name = path.relative_to(folder).as_posix()
            yield Route(("GET",), f"{prefix}/{name}", handler, role)
            if name == "index.html":
                yield Route(("GET",), prefix, handler, role)
                yield Route(("GET",), f"{prefix}/", handler, role)


def _handler(body: bytes, content_type: str) -> Handler:
    tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    headers = (
        ("ETag", tag),
        ("Cache-Control", "no-cache"),
        ("Content-Security-Policy", _POLICY),
    )

    async def send(request: Request, caller: Caller | None) -> Response:
        if request.headers.get(b"if-none-match") == tag.encode():
            return Response(304, b"", content_type, headers)
        return Response(200, body, content_type, headers)

    return send
