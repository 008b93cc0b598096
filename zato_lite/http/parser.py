"""Request parser: bytes to requests, without I/O. Only module that imports httptools."""

from collections import deque
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Literal, NamedTuple, Protocol

import httptools
import msgspec

from zato_lite.http.body import BodyStream, PlanBody, broken, error_of
from zato_lite.http.head import (
    SINGLE_FIELDS,
    RefusedError,
    check_body,
    check_host,
    is_request_line,
    refuse_line,
    split_target,
    too_large,
    trust_proxies,
)
from zato_lite.http.message import Request

_SLICE = 16_384
"""Bytes that are parsed at a time: one read may bring thousands of requests."""

_MAX_PIPELINED = 16
"""Requests of one connection that wait for an answer; no more are parsed."""

_MAX_TARGETS = 2000
_SECTION_END = b"\r\n\r\n"
"""End of a head, and of a chunked body with its trailers."""

_SLACK = 1024
"""Bytes of a head beyond its target and fields: method, version, optional whitespace."""

_BYTES_PER_FRAMING = 2
"""Bytes of a body for each byte of chunk sizes and extensions, beyond the first 32 kB of these.

Chunks of one byte would cost more CPU time than any other bytes of the same number."""

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
        plan_body: returns the plan for a body, or None if no route has a plan.
    """

    now: float
    limits: Limits
    targets: dict[bytes, tuple[str, str, bytes]]
    hosts: set[bytes]
    trusted: tuple[IPv4Network | IPv6Network, ...]
    trusts_peers: bool
    plan_body: PlanBody | None


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


class _BodyCallbacks:
    """The callbacks for a body whose head another parser has read."""

    __slots__ = ("on_body", "on_chunk_header", "on_header", "on_message_complete")

    def __init__(self, parser: "RequestParser") -> None:
        self.on_body, self.on_header = parser.on_body, parser.on_header
        self.on_chunk_header = parser.on_chunk_header
        self.on_message_complete = parser.on_message_complete


class RequestParser:
    """Parses the bytes of one connection, within its limits.

    Bytes are handed to httptools in pieces that end where a head or a request ends. So each byte
    counts against the limit of its part, and an upgrade never hides the bytes behind it.

    Attributes:
        requests: complete requests that wait for an answer.
        state: the part of a request that is being received.
        since: monotonic seconds when that part began.
        received: bytes of its body so far.
        counted: bytes of its body before ``since``.
        is_ended: no further bytes are parsed.
        is_new: no request has begun yet.
        expects_continue: the client waits for ``100 Continue`` before it sends the body.
        cached: the last request; None unless it came alone and whole, and nothing since.
        wanted: called when the reader of a body wants more of it.
        stream: the body that is being received and read; None for other bodies.
    """

    __slots__ = (
        "_body",
        "_context",
        "_fed",
        "_fields",
        "_framing",
        "_headers",
        "_is_old",
        "_is_secure",
        "_is_stopped",
        "_is_trailer",
        "_is_upgrade",
        "_keep_alive",
        "_length",
        "_limit",
        "_line",
        "_method",
        "_needs_new_parser",
        "_parser",
        "_peer",
        "_size",
        "_tail",
        "_target",
        "_unparsed",
        "cached",
        "counted",
        "expects_continue",
        "is_ended",
        "is_new",
        "received",
        "requests",
        "since",
        "state",
        "stream",
        "wanted",
    )

    def __init__(self, context: ServerContext, peer: str, is_secure: bool) -> None:
        self._context, self._peer, self._is_secure = context, peer, is_secure
        self.requests: deque[ParsedRequest] = deque()
        self.state: State = "idle"
        self.since = context.now
        self.received = self.counted = 0
        self.is_ended = self._is_stopped = False
        self.is_new = True
        self.expects_continue = False
        self._unparsed: deque[bytes] = deque()
        self.cached: CachedHead | None = None
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._line: bytes | None = b""  # an unfinished request line; None after its end
        self._tail = b""  # the last bytes of a section that has no end yet
        self._fields = self._size = self._fed = self._framing = 0
        self._length: int | None = None  # of the body; None for chunks
        self._is_trailer = self._is_old = self._is_upgrade = self._needs_new_parser = False
        self._keep_alive = True
        self._method = ""
        self._limit = context.limits.body
        self.stream: BodyStream | None = None
        self.wanted: Callable[[], object] = bool
        self._body: bytes | bytearray = b""
        self._parser: Any = httptools.HttpRequestParser(self)

    @property
    def is_full(self) -> bool:
        """Return True while no more bytes should be read."""
        if bool(self._unparsed) or len(self.requests) >= _MAX_PIPELINED:
            return True
        return self.stream is not None and self.stream.is_full

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
            self._unparsed.extend(data[i : i + _SLICE] for i in range(0, len(data), _SLICE))
            self.feed_more()

    def feed_more(self) -> None:
        """Parse earlier bytes, as long as there is room for their requests, or for their body."""
        while self._unparsed and len(self.requests) < _MAX_PIPELINED:
            if self.stream is not None and self.stream.is_full:
                return
            self._parse(self._unparsed.popleft())

    def restart_clock(self, now: float) -> None:
        """Measure the client's progress from now on."""
        self.since, self.counted = now, self.received

    def break_off(self) -> None:
        """Fail a body that is being read if no more of it can come."""
        if self.is_ended and self.stream is not None and not self._unparsed:
            self.end()

    def refuse(self, refused: RefusedError) -> None:
        """Parse no more; have the refusal sent after the answers to earlier requests.

        If a service reads the body, it gets the refusal as an error, and its answer is sent.
        """
        stream = self.stream
        if stream is not None:
            stream.fail(error_of(refused))
        self.end()
        if stream is None:
            self.requests.append(ParsedRequest(refused, False, False))

    def end(self) -> None:
        """Parse no more; complete requests are still to be answered."""
        self.is_ended = self._is_stopped = True
        self.cached = None
        self._unparsed.clear()
        if self.stream is not None:
            self.stream.fail(broken())
            self.stream = None

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
        """Add a header field; drop a trailer field, whose sender nothing has checked."""
        limits = self._context.limits
        self._size += len(name) + len(value) + 4
        self._fields += 1
        if self._size > limits.header_block:
            raise RefusedError(431, "header block is too large")
        if self._fields > limits.headers:
            raise RefusedError(431, "header block has too many fields")
        if self.state == "body":
            self._needs_new_parser = True  # httptools reads a trailer such as Connection, too
            return
        name, value = name.lower(), value.strip(b" \t")
        headers = self._headers
        if name in headers:
            self._repeat(name, value)
        else:
            headers[name] = value

    def on_headers_complete(self) -> None:
        """Check the fields that describe the body."""
        headers, parser = self._headers, self._parser
        self._method = _METHODS.get(parser.get_method()) or parser.get_method().decode()
        if self._method == "CONNECT":
            raise RefusedError(501, "proxying is not supported")
        self._keep_alive = parser.should_keep_alive()
        # Only a close or a Connection field can come with a version other than 1.1.
        is_usual = self._keep_alive and b"connection" not in headers
        self._is_old = not is_usual and parser.get_http_version() == "1.0"
        self._size = self._fields = 0
        length = headers.get(b"content-length")
        if length is not None or b"transfer-encoding" in headers:
            self.state = "body"
            self.since = self._context.now
            plan_body, self._limit = self._context.plan_body, self._context.limits.body
            plan = plan_body(self._method, self._target, headers) if plan_body else None
            if plan is not None:
                self._limit = plan.limit
            self.expects_continue = check_body(headers, self._is_old, self._limit)
            self._length = int(length) if length is not None else None
            if plan is not None and plan.is_streamed:
                self._begin_stream()
        self._is_upgrade = parser.should_upgrade()

    def on_chunk_header(self) -> None:
        """Note the end of a chunk's first line: after the last chunk, trailer fields follow."""
        self._is_trailer = True

    def on_body(self, body: bytes) -> None:
        """Add to the body."""
        if self.stream is not None:
            self.stream.feed(body)
        elif not self._body:
            self._body = body
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += body
        self._is_trailer = False
        self._fed = 0
        self.received += len(body)
        if self.received > self._limit:
            raise RefusedError(413, too_large(self._limit))

    def on_message_complete(self) -> None:
        """Make a request of the parts, unless httptools stops before the body of an upgrade."""
        if self._is_upgrade and self.state == "body" and self._length != 0:
            self._is_upgrade = False
        else:
            self._complete()

    def _begin_stream(self) -> None:
        """Make a request of the head, whose body is read while it arrives."""
        request = self._make_request()
        request.stream = self.stream = BodyStream(self.wanted)
        self.requests.append(ParsedRequest(request, self._keep_alive, self._is_old))

    def _complete(self) -> None:
        if self.stream is not None:
            self.stream.end()
            self.stream = None
        else:
            request = self._make_request()
            self.requests.append(ParsedRequest(request, self._keep_alive, self._is_old))
        self.state = "idle"
        self.since = self._context.now
        self._body, self._line = b"", b""
        self._fields = self._size = self._fed = self._framing = 0
        self.received = self.counted = 0
        self.expects_continue = False
        if not self._keep_alive:
            self.end()

    def _make_request(self) -> Request:
        context, headers, is_old = self._context, self._headers, self._is_old
        host = headers.get(b"host")
        if host not in context.hosts:
            check_host(host, is_old)
            if host is not None and len(context.hosts) < _MAX_TARGETS:
                context.hosts.add(host)
        method = self._method
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
        return request

    def _cache_head(self, data: bytes) -> None:
        """Cache the head of an ordinary request that came alone and whole."""
        request, keep_alive, is_old = self.requests[0]
        if isinstance(request, RefusedError) or not keep_alive or is_old or request.stream:
            return
        length = len(data) - len(request.body)
        is_plain = request.headers.keys().isdisjoint(_UNCACHEABLE_FIELDS)
        is_plain = is_plain and request.method != "HEAD"
        if is_plain and data.find(_SECTION_END) == length - len(_SECTION_END):
            self.cached = CachedHead(data[:length], len(data), request)

    def _parse(self, data: bytes) -> None:
        position, length = 0, len(data)
        try:
            while position < length and not self._is_stopped:
                if self.state == "idle":
                    position = self._skip_empty_lines(data, position)
                    if position == length:
                        break
                end = self._find_cut(data, position)
                self._parse_piece(data[position:end])
                position = end
        except RefusedError as refused:
            self.refuse(refused)
        except httptools.HttpParserError as error:
            # httptools chains the exception that a callback has raised
            if isinstance(cause := error.__context__, RefusedError):
                self.refuse(cause)
            else:
                is_method = isinstance(error, httptools.HttpParserInvalidMethodError)
                is_unknown = is_method and self._line is None
                self.refuse(
                    RefusedError(501, "method is unknown")
                    if is_unknown
                    else RefusedError(400, "request is malformed")
                )

    def _skip_empty_lines(self, data: bytes, position: int) -> int:
        """Return the position after the empty lines before a request."""
        if data[position] not in b"\r\n":
            return position
        begin = len(data) - len(data[position:].lstrip(b"\r\n"))
        self._fed += begin - position
        if self._fed > self._context.limits.header_block:
            raise RefusedError(400, "too many empty lines before a request")
        return begin

    def _find_cut(self, data: bytes, position: int) -> int:
        """Return where the head or the request ends; the end of the data otherwise."""
        if self.state == "body" and self._length is not None:
            return min(len(data), position + max(self._length - self.received, 1))
        tail = self._tail
        if tail and (found := (tail + data[:3]).find(_SECTION_END)) >= 0:
            end = found + len(_SECTION_END) - len(tail)
        elif (found := data.find(_SECTION_END, position)) >= 0:
            end = found + len(_SECTION_END)
        else:
            self._tail = (tail + data[position:][-3:])[-3:]
            return len(data)
        self._tail = b""
        return end

    def _parse_piece(self, piece: bytes) -> None:
        """Parse bytes that all belong to one part of a request."""
        if self._line is not None:
            self._check_line(piece)
        self._check_fed()
        self._fed += len(piece)
        if self.state == "body":
            self._framing += len(piece)
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self._ignore_upgrade()
        if self._needs_new_parser and self.state == "idle":
            self._needs_new_parser = False
            self._parser = httptools.HttpRequestParser(self)

    def _check_line(self, piece: bytes) -> None:
        """Check the request line as soon as it is complete, and its length before that."""
        line = self._line + piece if self._line else piece
        if is_request_line(line):
            self._line = None
        elif b"\n" in line:
            raise refuse_line(line.partition(b"\n")[0].removesuffix(b"\r"))
        elif b"  " in line:
            raise RefusedError(400, "request line has more than one space between its parts")
        elif len(line) > self._context.limits.target + _SLACK:
            raise refuse_line(line)
        else:
            self._line = line

    def _check_fed(self) -> None:
        """Limit the bytes since the last progress, and those between the pieces of a body."""
        limits = self._context.limits
        if self._fed > limits.header_block:
            if self.state != "body":
                if self._fed > limits.header_block + limits.target + _SLACK:
                    raise RefusedError(431, "header block is too large")
            elif self._is_trailer:
                raise RefusedError(431, "trailer section is too large")
            else:
                raise RefusedError(413, "chunk extension is too large")
        permitted = limits.header_block + self.received // _BYTES_PER_FRAMING
        if self._framing - self.received > permitted:
            raise RefusedError(413, "chunks are too small or have too many extensions")

    def _ignore_upgrade(self) -> None:
        """Read the body behind a head with an upgrade: only HTTP/1.1 is supported."""
        self._needs_new_parser = True
        if self.state == "body":
            self._parser = httptools.HttpRequestParser(_BodyCallbacks(self))
            length = self._length
            framing = (
                b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
            )
            self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)
            self._size = self._fields = 0

    def _repeat(self, name: bytes, value: bytes) -> None:
        if name in SINGLE_FIELDS:
            raise RefusedError(400, f"header field is repeated: {name.decode('latin-1')}")
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
