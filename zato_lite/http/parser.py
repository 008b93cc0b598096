"""Request parser: bytes to requests, without I/O. Only module that imports httptools."""

from collections import deque
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Literal, NamedTuple, Protocol

import httptools
import msgspec

from zato_lite.http.head import (
    SINGLE_FIELDS,
    RefusedError,
    check_body,
    check_host,
    parse_error,
    split_target,
    trust_proxies,
)
from zato_lite.http.message import Request

_SLICE = 16_384
"""Bytes that are parsed at a time: one read may bring thousands of requests."""

_MAX_PIPELINED = 16
"""Requests of one connection that wait for an answer; no more are parsed."""

_MAX_TARGETS = 2000
_HEAD_END = b"\r\n\r\n"
_UNCACHEABLE_FIELDS = frozenset({b"expect", b"transfer-encoding", b"upgrade"})
_METHODS = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
}

State = Literal["idle", "head", "body"]


class Limits(msgspec.Struct, frozen=True):
    """Limits of a client, a request and a connection.

    Attributes:
        target: maximum length of a request target in bytes.
        headers: maximum number of header fields.
        header_block: maximum size of the header block in bytes.
        body: maximum size of a body in bytes.
        header_seconds: seconds from a request's first byte, or the connection's start, to the end
            of its header block.
        body_rate: minimum bytes a second of a body, on average, after body_grace_seconds; the
            same for reading a response.
        body_grace_seconds: seconds before body_rate applies.
        keep_alive_seconds: maximum seconds between two requests.
        connections: maximum number of open connections.
        per_address: maximum number of open connections of one address.
    """

    target: int = 8 * 1024
    headers: int = 100
    header_block: int = 32 * 1024
    body: int = 1024 * 1024
    header_seconds: float = 10.0
    body_rate: float = 1024.0
    body_grace_seconds: float = 10.0
    keep_alive_seconds: float = 75.0
    connections: int = 10_000
    per_address: int = 4_000


class ServerContext(Protocol):
    """State that all connections of a server share.

    Attributes:
        now: monotonic seconds, updated once a second.
        targets: earlier targets without a query, with their parts.
        hosts: earlier valid Host fields.
        trusted: networks of trusted proxies.
        trusts_peers: all peers are trusted proxies: the server listens on a unix socket.
    """

    now: float
    limits: Limits
    targets: dict[bytes, tuple[str, str, bytes]]
    hosts: set[bytes]
    trusted: tuple[IPv4Network | IPv6Network, ...]
    trusts_peers: bool


class ParsedRequest(NamedTuple):
    """A request, or the reason for its refusal, and how the connection continues after it.

    Attributes:
        is_old: the client speaks HTTP/1.0.
    """

    request: Request | RefusedError
    keep_alive: bool
    is_old: bool


class CachedHead:
    """The last request with the bytes of its head, their length, and the size of the whole.

    Clients mostly send the same head again. If the next request has the same bytes, the parser is
    skipped, which is safe because it is idle between two requests. The request object is used
    again, since it has been answered.
    """

    __slots__ = ("head", "length", "request", "size")

    def __init__(self, head: bytes, size: int, request: Request) -> None:
        self.head, self.length, self.size, self.request = head, len(head), size, request


class RequestParser:
    """Parses the bytes of one connection, within its limits.

    Attributes:
        requests: complete requests that wait for an answer.
        state: the part of a request that is being received.
        since: monotonic seconds when that part began.
        received: bytes of its body so far.
        is_ended: no further bytes are parsed.
        is_new: no request has begun yet.
        expects_continue: the client waits for ``100 Continue`` before it sends the body.
        cached: the last request; None unless it came alone and whole, and nothing since.
    """

    __slots__ = (
        "_body",
        "_context",
        "_fed",
        "_headers",
        "_is_secure",
        "_parser",
        "_peer",
        "_repeated",
        "_size",
        "_target",
        "_unparsed",
        "cached",
        "expects_continue",
        "is_ended",
        "is_new",
        "received",
        "requests",
        "since",
        "state",
    )

    def __init__(self, context: ServerContext, peer: str, is_secure: bool) -> None:
        self._context, self._peer, self._is_secure = context, peer, is_secure
        self.requests: deque[ParsedRequest] = deque()
        self.state: State = "idle"
        self.since = context.now
        self.received = 0
        self.is_ended = False
        self.is_new = True
        self.expects_continue = False
        self._unparsed: deque[memoryview] = deque()
        self.cached: CachedHead | None = None
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._repeated = self._size = self._fed = 0
        self._body: bytes | bytearray = b""
        self._parser: Any = httptools.HttpRequestParser(self)

    @property
    def is_full(self) -> bool:
        """Return True while no more bytes should be read."""
        return bool(self._unparsed) or len(self.requests) >= _MAX_PIPELINED

    @property
    def is_exhausted(self) -> bool:
        """Return True if no further request can come."""
        return self.is_ended and not self.requests and not self._unparsed

    def feed(self, data: bytes) -> None:
        """Parse bytes from the client, which may be anything."""
        self.cached = None
        if self.is_ended:
            return
        if len(data) <= _SLICE and not self._unparsed:
            is_alone = self.state == "idle" and not self.requests
            self._parse(data)
            is_whole = len(self.requests) == 1 and self.state == "idle"
            if is_alone and is_whole and not self.is_ended:
                self._cache_head(data)
        else:
            view = memoryview(data)
            self._unparsed.extend(view[i : i + _SLICE] for i in range(0, len(data), _SLICE))
            self.feed_more()

    def feed_more(self) -> None:
        """Parse earlier bytes, as long as there is room for their requests."""
        while self._unparsed and len(self.requests) < _MAX_PIPELINED:
            self._parse(self._unparsed.popleft())

    def refuse(self, refused: RefusedError) -> None:
        """Parse no more; have the refusal sent after the answers to earlier requests."""
        self.end()
        self.requests.append(ParsedRequest(refused, False, False))

    def end(self) -> None:
        """Parse no more; complete requests are still to be answered."""
        self.is_ended, self.cached = True, None
        self._unparsed.clear()

    def stop(self) -> None:
        """Parse no more, and drop the requests without an answer."""
        self.end()
        self.requests.clear()

    # Callbacks of httptools

    def on_message_begin(self) -> None:
        """Start a request."""
        self.state = "head"
        self.is_new = False
        self.since = self._context.now
        self._headers = {}
        self._target = b""

    def on_url(self, url: bytes) -> None:
        """Add to the target."""
        self._target += url
        if len(self._target) > self._context.limits.target:
            raise RefusedError(414, "target is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header field."""
        self._size += len(name) + len(value) + 4
        if self._size > self._context.limits.header_block:
            raise RefusedError(431, "header block is too large")
        name = name.lower()
        headers = self._headers
        if name in headers:
            self._repeat(name, value)
        else:
            headers[name] = value

    def on_headers_complete(self) -> None:
        """Check the fields that describe the body."""
        headers = self._headers
        if len(headers) + self._repeated > self._context.limits.headers:
            raise RefusedError(431, "header block has too many fields")
        if b"content-length" in headers or b"transfer-encoding" in headers:
            self.state = "body"
            self.since = self._context.now
            is_old = self._parser.get_http_version() == "1.0"
            self.expects_continue = check_body(headers, is_old, self._context.limits.body)

    def on_body(self, body: bytes) -> None:
        """Add to the body."""
        if not self._body:
            self._body = body
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += body
        self.received += len(body)
        if self.received > self._context.limits.body:
            raise RefusedError(413, "body is too large")

    def on_message_complete(self) -> None:
        """Make a request of the parts."""
        context, parser, headers = self._context, self._parser, self._headers
        keep_alive = parser.should_keep_alive()
        is_old = False
        if not keep_alive or b"connection" in headers:  # otherwise it can only be 1.1
            is_old = _is_old(parser.get_http_version())
        host = headers.get(b"host")
        if host not in context.hosts:
            check_host(host, is_old)
            if host is not None and len(context.hosts) < _MAX_TARGETS:
                context.hosts.add(host)
        method = _METHODS.get(parser.get_method()) or parser.get_method().decode()
        path, raw_path, query = context.targets.get(self._target) or self._split_target(method)
        body = self._body
        request = Request(
            method,
            path,
            query,
            headers,
            body if type(body) is bytes else bytes(body),
            self._peer,
            raw_path,
            self._is_secure,
        )
        if context.trusted or context.trusts_peers:
            trust_proxies(request, context.trusted, trusts_peer=context.trusts_peers)
        if b"upgrade" in headers:
            keep_alive = False
        self.state = "idle"
        self.since = context.now
        self._body = b""
        self._repeated = self._size = self._fed = self.received = 0
        self.expects_continue = False
        self.requests.append(ParsedRequest(request, keep_alive, is_old))
        if not keep_alive:
            self.end()

    def _cache_head(self, data: bytes) -> None:
        """Cache the head of an ordinary request that came alone and whole."""
        request, keep_alive, is_old = self.requests[0]
        if isinstance(request, RefusedError) or not keep_alive or is_old:
            return
        length = len(data) - len(request.body)
        is_plain = request.headers.keys().isdisjoint(_UNCACHEABLE_FIELDS)
        is_plain = is_plain and request.method != "HEAD"
        if is_plain and data.find(_HEAD_END) == length - len(_HEAD_END):
            self.cached = CachedHead(data[:length], len(data), request)

    def _parse(self, data: bytes | memoryview) -> None:
        try:
            if self.state == "head":
                self._check_unfinished_head(len(data))
            self._parser.feed_data(data)
        except RefusedError as refused:
            self.refuse(refused)
        except httptools.HttpParserUpgrade:
            self.end()  # only HTTP/1.1 is supported: the request is answered, then closed
        except httptools.HttpParserError as error:
            # httptools chains the exception that a callback has raised
            if isinstance(cause := error.__context__, RefusedError):
                self.refuse(cause)
            else:
                is_method = isinstance(error, httptools.HttpParserInvalidMethodError)
                self.refuse(parse_error(is_method, bytes(data[:256])))

    def _check_unfinished_head(self, length: int) -> None:
        """Limit the bytes that the parser buffers of a field without an end."""
        self._fed += length
        limits = self._context.limits
        if self._fed > limits.header_block + limits.target + _SLICE:
            raise RefusedError(431, "header block is too large")

    def _repeat(self, name: bytes, value: bytes) -> None:
        if name in SINGLE_FIELDS:
            raise RefusedError(400, f"header field is repeated: {name.decode('latin-1')}")
        self._repeated += 1
        self._headers[name] += (b"; " if name == b"cookie" else b", ") + value

    def _split_target(self, method: str) -> tuple[str, str, bytes]:
        """Split the target, and remember the parts if it has no query."""
        target, targets = self._target, self._context.targets
        parts = split_target(method, target, self._headers)
        if not parts[2] and target[:1] == b"/":
            if len(targets) >= _MAX_TARGETS:
                targets.clear()
            targets[target] = parts
        return parts


def _is_old(version: str) -> bool:
    if version not in {"1.1", "1.0"}:
        raise RefusedError(505, "HTTP version is not supported; use HTTP/1.1")
    return version == "1.0"
