"""Routes of the dashboard: its files, which hold no data and need no credentials.

The path names a page, so each path below ``/dashboard/`` gets the same document. All addresses
in it are relative: it works behind a proxy that adds a prefix. The digest of all files is a part
of their path, so that browsers keep them for ever and relative imports stay within a version.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from zato_lite.errors import NotFoundError
from zato_lite.http.endpoints.pages import file_handler, redirect
from zato_lite.http.media import type_of
from zato_lite.http.message import Request, Response
from zato_lite.http.routes import Handler, Route
from zato_lite.service.message import Caller
from zato_lite.wire import decode

HOME = "dashboard/"
"""The dashboard's address, relative to the server's root."""

STATIC = Path(__file__).parent / "static"

_PREFIX = "/dashboard"
_FILES = f"{_PREFIX}/static/"
_BUNDLE = "dist/"
_ICON = "icon.svg"
_ABOUT_BUNDLE = f"{_BUNDLE}BUNDLE.json"
_DEEPEST = 8
"""Segments of a path below the prefix of the deepest page, and some more."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_PAGE_FIELDS = (
    ("Cache-Control", "no-cache"),
    ("Content-Security-Policy", _POLICY),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Referrer-Policy", "same-origin"),
)
_FILE_FIELDS = (
    ("Cache-Control", "public, max-age=31536000, immutable"),
    ("Content-Security-Policy", _POLICY),
)
_ICON_FIELDS = (("Cache-Control", "public, max-age=86400"), ("Content-Security-Policy", _POLICY))


def dashboard_routes(folder: Path = STATIC) -> Iterator[Route]:
    """Yield the routes; the files are read and compressed now.

    Browsers ask for ``/favicon.ico`` on pages without an icon; a project can have its own there.
    """
    files = read_files(folder)
    digest = digest_of(files)
    for name, body in files.items():
        handler = file_handler(body, type_of(Path(name)) or "", _FILE_FIELDS)
        yield Route(("GET",), f"{_FILES}{digest}/{name}", handler, None)
    document = (folder / "index.html").read_text(encoding="utf-8")
    yield Route(("GET",), _PREFIX, _redirect, None)
    if _ICON in files:
        icon = file_handler(files[_ICON], type_of(Path(_ICON)) or "", _ICON_FIELDS)
        yield Route(("GET",), "/favicon.ico", icon, None, is_fallback=True)
    yield Route(("GET",), f"{_PREFIX}/*", _page_handler(document, files, digest), None)


class Start(NamedTuple):
    """The script of all pages, and the modules to load along with it."""

    script: str
    modules: tuple[str, ...]


def start_of(files: Mapping[str, bytes]) -> Start:
    """Return the joined modules if they belong to their sources, or else the modules themselves.

    ``make page`` joins them: that is for speed, so an older bundle is left alone.
    """
    own = {n: b for n, b in files.items() if n.endswith(".js") and not n.startswith(_BUNDLE)}
    if _ABOUT_BUNDLE in files:
        about = decode(files[_ABOUT_BUNDLE])
        if about["sources"] == _digest(own).hexdigest():
            return Start(f"{_BUNDLE}main.js", tuple(about["preload"]))
    core = (name for name in own if name.startswith(("core/", "vendor/")))
    return Start("main.js", ("main.js", *core))


def read_files(folder: Path) -> dict[str, bytes]:
    """Return the files by their names; the style sheets are one, in the order of their names."""
    found = sorted(path for path in folder.rglob("*") if type_of(path) is not None)
    styles = b"\n".join(path.read_bytes() for path in found if path.suffix == ".css")
    others = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in found
        if path.suffix != ".css" and path.name != "index.html"
    }
    return {"dashboard.css": styles, **others}


def digest_of(files: Mapping[str, bytes]) -> str:
    """Return a short digest of the names and contents of files."""
    return _digest(files).hexdigest()[:16]


def _digest(files: Mapping[str, bytes]) -> "hashlib._Hash":
    digest = hashlib.sha256()
    for name, body in sorted(files.items()):
        digest.update(f"{name}\0{len(body)}\0".encode() + body)
    return digest


def _page_handler(document: str, files: Mapping[str, bytes], digest: str) -> Handler:
    """Return the handler of all pages: the document, with addresses relative to the page's."""
    start = start_of(files)
    handlers: list[Handler] = []
    for depth in range(_DEEPEST):
        base = "../" * depth + f"static/{digest}/"
        links = "\n".join(
            f'<link rel="modulepreload" href="{base}{name}">' for name in start.modules
        )
        page = document.replace("{modules}", links).replace("{main}", start.script)
        page = page.replace("{base}", base)
        handlers.append(file_handler(page.encode(), "text/html; charset=utf-8", _PAGE_FIELDS))

    async def show_page(request: Request, caller: Caller | None) -> Response:
        path = request.raw_path or request.path
        depth = path.removeprefix(f"{_PREFIX}/").count("/")
        if path.startswith(_FILES) or depth >= _DEEPEST:
            raise NotFoundError("URL not found")
        return await handlers[depth](request, caller)

    return show_page


async def _redirect(request: Request, caller: Caller | None) -> Response:
    query = request.query.decode("latin-1")
    return redirect(HOME + (f"?{query}" if query else ""), 308)
