"""Media types and codings of requests: how their fields are read. Pure."""

import re
from pathlib import Path

_PARAMETER = re.compile(rb';[ \t]*([^\s;="]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^\s;"]*)')
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_ZERO = re.compile(rb"0(\.0{0,3})?\Z")

JSON_TYPES = frozenset({b"application/json", b"text/json", b"application/x-json"})
TYPES = {
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
"""Content types of files for browsers by suffix."""

FORM_TYPE = b"application/x-www-form-urlencoded"


def media_type(field: bytes) -> bytes:
    """Return the type of a Content-Type field, in lower case (RFC 9110, 8.3.1)."""
    return field.partition(b";")[0].strip().lower()


def charset_of(field: bytes) -> str:
    """Return the charset of a Content-Type field, in lower case; "utf-8" if it has none."""
    for name, value in _PARAMETER.findall(field):
        if name.lower() == b"charset":
            text = _QUOTED_PAIR.sub(rb"\1", value[1:-1]) if value[:1] == b'"' else value
            return str(text.decode("latin-1")).lower()
    return "utf-8"


def is_json_type(kind: bytes) -> bool:
    """Return True for the types of JSON, and those with the suffix ``+json``."""
    return kind in JSON_TYPES or kind.endswith(b"+json")


def accepts_gzip(field: bytes) -> bool:
    """Return True if an Accept-Encoding field permits gzip (RFC 9110, 12.5.3)."""
    permitted = None
    for item in field.lower().split(b","):
        coding, _, rest = item.partition(b";")
        name = coding.strip()
        if name in {b"gzip", b"x-gzip"} or (name == b"*" and permitted is None):
            weight = rest.strip().removeprefix(b"q=").strip()
            permitted = not _ZERO.match(weight)
            if name != b"*":
                return permitted
    return bool(permitted)


def type_of(path: Path) -> str | None:
    """Return the Content-Type of a file for browsers, by its suffix; None for other files."""
    return TYPES.get(path.suffix)


def is_match(field: bytes, tag: str, *, is_strong: bool = False) -> bool:
    """Return True if an If-None-Match field names the tag (RFC 9110, 13.1.2).

    If-Match needs the strong comparison, for which a weak tag is another one.
    """
    names = [name.strip() for name in field.decode("latin-1").split(",")]
    if not is_strong:
        names = [name.removeprefix("W/") for name in names]
    return tag in names or names == ["*"]
