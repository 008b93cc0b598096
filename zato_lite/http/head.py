"""What a request's head must be like beyond what the parser sees to: pure."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import unquote_to_bytes

from zato_lite.http.message import Request

Network = IPv4Network | IPv6Network

_MOST_DIGITS = 100

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=-]+)(:[0-9]{0,5})?\Z")
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?#@]+)([/?].*)?\Z", re.DOTALL)
_KNOWN_VERBS = re.compile(rb"[A-Z]{3,20} [^ \r\n]+ HTTP/1\.[01]\r\n")
_OTHER_VERSION = re.compile(rb"[A-Z]{1,20} [^ \r\n]+ HTTP/(?!1\.[01]\r?\n)[0-9.]+\r?\n")

ALONE = frozenset(
    {
        b"authorization",
        b"content-length",
        b"content-type",
        b"expect",
        b"host",
        b"origin",
        b"sec-fetch-site",
        b"transfer-encoding",
        b"x-api-key",
    }
)
"""Fields that are there once or not at all: two of them, and whose turn is it to choose?"""


class RefusedError(Exception):
    """The bytes cannot be taken further; the answer is this status, and the end."""

    def __init__(self, status: int, details: str) -> None:
        super().__init__(details)
        self.status, self.details = status, details


def check_host(host: bytes | None, is_old: bool) -> None:
    """Host is there, unless in HTTP/1.0, and is one."""
    if host is None:
        if not is_old:
            raise RefusedError(400, "There is no Host")
    elif not _HOST.match(host):
        raise RefusedError(400, "The Host is not valid")


def check_body(headers: dict[bytes, bytes], is_old: bool, limit: int) -> bool:
    """The body's length is given in one way that nobody can read differently.

    Whether the client waits to be told to go on.
    """
    coding, length = headers.get(b"transfer-encoding"), headers.get(b"content-length")
    if coding is not None:
        if length is not None:
            raise RefusedError(400, "There are a length and a transfer coding")
        if is_old:
            raise RefusedError(400, "HTTP/1.0 has no transfer codings")
        if coding.lower() != b"chunked":
            raise RefusedError(501, "The only transfer coding is chunked")
    elif length is None or not length.isdigit():
        raise RefusedError(400, "The length is not a number")
    elif len(length) > _MOST_DIGITS or int(length) > limit:
        raise RefusedError(413, "The body is too large")
    if b"content-encoding" in headers:
        raise RefusedError(415, "Content-Encoding is not supported")
    expect = headers.get(b"expect")
    if expect is not None and expect.lower() != b"100-continue":
        raise RefusedError(417, "Only 100-continue can be expected")
    return expect is not None


def split_target(
    method: str, target: bytes, headers: dict[bytes, bytes]
) -> tuple[str, str, bytes]:
    """The path decoded, the path as it was sent, and the query.

    An absolute target's host goes before the Host field (RFC 9112, 3.2.2).
    """
    raw_path, _, query = target.partition(b"?")
    if raw_path[:1] != b"/":
        raw_path, query = _other_form(method, target, headers)
    try:
        path = text = raw_path.decode("ascii")
        if query and not query.isascii():
            raise RefusedError(400, "The target is not ASCII")
        if b"%" in target:
            if _BAD_ESCAPE.search(target):
                raise RefusedError(400, "The target has a bad escape")
            path = unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError:
        raise RefusedError(400, "The target is not UTF-8") from None
    if "\0" in path or b"#" in target:
        raise RefusedError(400, "The target is not valid")
    return path, text, query


def refusal(is_method: bool, data: bytes) -> RefusedError:
    """Why the parser could not go on, in a status."""
    if is_method and _KNOWN_VERBS.match(data):
        return RefusedError(501, "The method is not known")
    if _OTHER_VERSION.match(data):
        return RefusedError(505, "The server speaks HTTP/1.1")
    return RefusedError(400, "The request is malformed")


def see_through(request: Request, trusted: Iterable[Network]) -> None:
    """Take a trusted proxy's word for whom it speaks: the last address that is not a proxy's."""
    forwarded = request.headers.get(b"x-forwarded-for", b"").decode("latin-1")
    addresses = [address.strip() for address in forwarded.split(",")]
    seen = request.remote_address
    while _is_in(seen, trusted) and addresses and addresses[-1]:
        seen = addresses.pop()
    if seen != request.remote_address:
        request.remote_address = seen
        proto = request.headers.get(b"x-forwarded-proto", b"")
        request.is_secure = proto.strip().lower() == b"https"


def _other_form(method: str, target: bytes, headers: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    """The path and the query of a target that does not begin with a slash."""
    if match := _ABSOLUTE.match(target):
        check_host(match[1], is_old=False)
        headers[b"host"] = match[1]
        path, _, query = (match[2] or b"/").partition(b"?")
        return path or b"/", query
    if target == b"*" and method == "OPTIONS":
        return b"*", b""
    if method == "CONNECT":
        raise RefusedError(501, "This is no proxy")
    raise RefusedError(400, "The target is not valid")


def _is_in(address: str, networks: Iterable[Network]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)
