"""Request heads: the checks beyond the parser's, and the client behind proxies. Pure."""

import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import unquote_to_bytes

from zato_lite.http.message import Request

Network = IPv4Network | IPv6Network

SINGLE_FIELDS = frozenset(
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
"""Fields that must not be repeated: two programs could each use a different one."""

_IDENTITY = (("Accept-Encoding", "identity"),)
_MAX_DIGITS = 100
_WITH_PORT = re.compile(r"(?:([0-9.]+)|\[([0-9A-Fa-f:.]+)\])(?::[0-9]{1,5})?\Z")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=-]+)(:[0-9]{0,5})?\Z")
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?#@]+)([/?].*)?\Z", re.DOTALL)
_WORD = rb"[^\x00-\x20\x7f]+"
_REQUEST_LINE = re.compile(rb"[A-Z][A-Z_-]* " + _WORD + rb" HTTP/1\.[01]\r\n")
_LONG_TARGET = re.compile(rb"[A-Z_-]{1,32} [^\x00-\x20\x7f]{8000}")
_OTHER_VERSION = re.compile(
    rb"[A-Z]{1,20} (" + _WORD + rb" HTTP/(?!1\.[01]\Z)[0-9.]{1,9}|/[^\x00-\x20\x7f]*)\Z"
)


class RefusedError(Exception):
    """A request that is refused with this status before it reaches the application."""

    def __init__(
        self, status: int, details: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(details)
        self.status, self.details, self.headers = status, details, headers


def check_host(host: bytes | None, is_old: bool) -> None:
    """Require a valid Host; HTTP/1.0 may leave it out."""
    if host is None:
        if not is_old:
            raise RefusedError(400, "Host is missing")
    elif not _HOST.match(host):
        raise RefusedError(400, "Host is not valid")


NoteRefusal = Callable[[RefusedError, str], str]
"""Takes note of a refusal and the client's address; returns the correlation id."""


def too_large(limit: int) -> str:
    """Return the words for a body of more bytes than are accepted."""
    return f"body is too large; at most {limit} bytes are accepted"


def check_body(headers: dict[bytes, bytes], is_old: bool, limit: int) -> bool:
    """Require one unambiguous length; return True if the client waits for ``100 Continue``."""
    coding, length = headers.get(b"transfer-encoding"), headers.get(b"content-length")
    if coding is not None:
        if length is not None:
            raise RefusedError(400, "Content-Length and Transfer-Encoding exclude each other")
        if is_old:
            raise RefusedError(400, "HTTP/1.0 has no Transfer-Encoding")
        if coding.lower() != b"chunked":
            raise RefusedError(501, "Transfer-Encoding is not supported; only chunked is")
    elif length is None or not length.isdigit():
        raise RefusedError(400, "Content-Length is not a number")
    elif len(length) > _MAX_DIGITS or int(length) > limit:
        raise RefusedError(413, too_large(limit))
    coding = headers.get(b"content-encoding", b"")
    if any(name.strip().lower() not in {b"", b"identity"} for name in coding.split(b",")):
        raise RefusedError(
            415, "Content-Encoding is not supported; send the body as it is", _IDENTITY
        )
    expect = headers.get(b"expect")
    if expect is None or is_old:
        return False  # HTTP/1.0 knows no interim responses (RFC 9110, 10.1.1)
    if expect.lower() != b"100-continue":
        raise RefusedError(417, "Expect is not supported; only 100-continue is")
    return True


def split_target(
    method: str, target: bytes, headers: dict[bytes, bytes]
) -> tuple[str, str, bytes]:
    """Return the decoded path, the path as it was sent, and the query.

    The host of an absolute target replaces the Host field (RFC 9112, 3.2.2).
    """
    raw_path, _, query = target.partition(b"?")
    if raw_path[:1] != b"/":
        raw_path, query = _split_other_form(method, target, headers)
    try:
        path = text = raw_path.decode("ascii")
        if query and not query.isascii():
            raise RefusedError(400, "target is not ASCII")
        if b"%" in target:
            if _BAD_ESCAPE.search(target):
                raise RefusedError(400, "target has an invalid escape")
            path = unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError:
        raise RefusedError(400, "target is not UTF-8") from None
    if "\0" in path or b"#" in target:
        raise RefusedError(400, "target is not valid")
    return path, text, query


def is_request_line(data: bytes) -> bool:
    """Return True if the data begins with a complete request line of HTTP/1.0 or HTTP/1.1.

    Its parts are one space apart: a program in front may understand another path if there are
    more (RFC 9112, 3). httptools skips them.
    """
    return _REQUEST_LINE.match(data) is not None


def refuse_line(line: bytes) -> RefusedError:
    """Return the refusal of another request line, or of the beginning of a long one."""
    if _LONG_TARGET.match(line):
        return RefusedError(414, "target is too long")
    if _OTHER_VERSION.match(line):
        return RefusedError(505, "HTTP version is not supported; use HTTP/1.1")
    return RefusedError(400, "request line is malformed")


def trust_proxies(
    request: Request, trusted: Iterable[Network], *, trusts_peer: bool = False
) -> None:
    """Replace a trusted proxy's address by the last forwarded one that is not a proxy's.

    The proxy also says whether its client came over TLS (``X-Forwarded-Proto``).

    Args:
        request: the request, which is changed.
        trusted: networks of trusted proxies.
        trusts_peer: the peer is a trusted proxy, whatever its address.
    """
    forwarded = request.headers.get(b"x-forwarded-for", b"").decode("latin-1")
    addresses = [_without_port(address.strip()) for address in forwarded.split(",")]
    client = request.remote_address
    if not (is_proxy := trusts_peer or _is_in(client, trusted)):
        return
    proto = request.headers.get(b"x-forwarded-proto", b"").strip().lower()
    if proto or addresses[-1]:  # also from a proxy whose client is on the proxy's own machine
        request.is_secure = proto == b"https"
    while is_proxy and addresses and addresses[-1]:
        client = addresses.pop()
        is_proxy = _is_in(client, trusted)
    request.remote_address = client


def _split_other_form(
    method: str, target: bytes, headers: dict[bytes, bytes]
) -> tuple[bytes, bytes]:
    """Return the path and the query of a target that does not begin with a slash."""
    if match := _ABSOLUTE.match(target):
        check_host(match[1], is_old=False)
        headers[b"host"] = match[1]
        path, _, query = (match[2] or b"/").partition(b"?")
        return path or b"/", query
    if target == b"*" and method == "OPTIONS":
        return b"*", b""
    raise RefusedError(400, "target is not valid")


def _without_port(address: str) -> str:
    """Return a forwarded address without the port that some proxies add to it."""
    match = _WITH_PORT.match(address)
    return address if match is None else match[1] or match[2]


def _is_in(address: str, networks: Iterable[Network]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in network for network in networks)
