"""Bytes to requests, without any I/O: the only module that knows httptools."""

from collections import deque
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Literal, NamedTuple, Protocol

import httptools
import msgspec

from zato_lite.http.head import (
    ALONE,
    RefusedError,
    check_body,
    check_host,
    refusal,
    see_through,
    split_target,
)
from zato_lite.http.message import Request

_SLICE = 16_384
"""Bytes that are parsed at a time: what one read brings may hold thousands of requests."""

_PIPELINED = 16
"""Requests that wait on one connection before what follows them is looked at."""

_MOST_TARGETS = 2000
_END = b"\r\n\r\n"
_NOT_KEPT = frozenset({b"expect", b"transfer-encoding", b"upgrade"})

State = Literal["idle", "head", "body"]


class Limits(msgspec.Struct, frozen=True):
    """What a client may take.

    Attributes:
        header_seconds: from a request's first byte, or the connection's start, to the end of its
            header block. body_rate: bytes a second a body must come with, on the average, once
            body_grace_seconds have passed; the same for how fast an answer is read.
        keep_alive_seconds: between two requests.
        connections, per_address: at once.
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
    """What all connections of a server have in common.

    Attributes:
        now: monotonic seconds, of the last look at the clock.
        targets: targets without a query that were split before.
        trusted: networks of proxies whose word is taken.
    """

    now: float
    limits: Limits
    targets: dict[bytes, tuple[str, str, bytes]]
    hosts: set[bytes]
    trusted: tuple[IPv4Network | IPv6Network, ...]


class ParsedRequest(NamedTuple):
    """What came: a request or why there is none, and how the connection goes on after it."""

    request: Request | RefusedError
    keep_alive: bool
    is_old: bool


class CachedHead:
    """The last request: its head, its length, the size of it all, and what it was parsed to.

    Clients mostly send the same head again, and what was found out about it holds again. If the
    next one has, byte by byte, this head, the parser can be left out, as it stands between two
    requests before and after, and the request be the same object, since it has been answered.
    """

    __slots__ = ("head", "length", "request", "size")

    def __init__(self, head: bytes, size: int, request: Request) -> None:
        self.head, self.length, self.size, self.request = head, len(head), size, request


class Incoming:
    """Parses what comes on one connection, within its limits.

    Attributes:
        asked: complete requests that wait to be answered.
        state: whether a request has begun. since: from when on its time counts.
        received: bytes of its body so far.
        is_last: nothing more will be taken.
        waits: the client waits to be told to send the body.
        same: what the next request may be the same as; None unless a request has come alone and
            whole, and nothing since.
    """

    __slots__ = (
        "_around",
        "_body",
        "_fed",
        "_headers",
        "_is_secure",
        "_parser",
        "_peer",
        "_repeated",
        "_size",
        "_target",
        "_unfed",
        "asked",
        "is_last",
        "is_new",
        "received",
        "same",
        "since",
        "state",
        "waits",
    )

    def __init__(self, around: ServerContext, peer: str, is_secure: bool) -> None:
        self._around, self._peer, self._is_secure = around, peer, is_secure
        self.asked: deque[ParsedRequest] = deque()
        self.state: State = "idle"
        self.since = around.now
        self.received = 0
        self.is_last = False
        self.is_new = True
        self.waits = False
        self._unfed: deque[memoryview] = deque()
        self.same: CachedHead | None = None
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._repeated = self._size = self._fed = 0
        self._body: bytes | bytearray = b""
        self._parser: Any = httptools.HttpRequestParser(self)

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be read for the moment."""
        return bool(self._unfed) or len(self.asked) >= _PIPELINED

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be taken, and nothing waits of what was."""
        return self.is_last and not self.asked and not self._unfed

    def feed(self, data: bytes) -> None:
        """Take what came, which may be anything."""
        self.same = None
        if self.is_last:
            return
        if len(data) <= _SLICE and not self._unfed:
            is_alone = self.state == "idle" and not self.asked
            self._feed(data)
            if is_alone and len(self.asked) == 1 and self.state == "idle" and not self.is_last:
                self._keep_head(data)
        else:
            view = memoryview(data)
            self._unfed.extend(view[at : at + _SLICE] for at in range(0, len(data), _SLICE))
            self.feed_more()

    def feed_more(self) -> None:
        """Take what is left of what came, as far as there is room for its requests."""
        while self._unfed and len(self.asked) < _PIPELINED:
            self._feed(self._unfed.popleft())

    def refuse(self, refused: RefusedError) -> None:
        """Take nothing more; say why after what was asked before."""
        self.end()
        self.asked.append(ParsedRequest(refused, False, False))

    def end(self) -> None:
        """Take nothing more; what was asked is still to be answered."""
        self.is_last, self.same = True, None
        self._unfed.clear()

    def stop(self) -> None:
        """Take nothing more, and forget what was not answered."""
        self.end()
        self.asked.clear()

    # What the parser calls

    def on_message_begin(self) -> None:
        """A request's first byte."""
        self.state = "head"
        self.is_new = False
        self.since = self._around.now
        self._headers = {}
        self._target = b""

    def on_url(self, url: bytes) -> None:
        """The target, or a part of it."""
        self._target += url
        if len(self._target) > self._around.limits.target:
            raise RefusedError(414, "The target is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field."""
        self._size += len(name) + len(value) + 4
        if self._size > self._around.limits.header_block:
            raise RefusedError(431, "The header block is too large")
        name = name.lower()
        headers = self._headers
        if name in headers:
            self._repeat(name, value)
        else:
            headers[name] = value

    def on_headers_complete(self) -> None:
        """All but the body is there."""
        headers = self._headers
        if len(headers) + self._repeated > self._around.limits.headers:
            raise RefusedError(431, "The header block is too large")
        if b"content-length" in headers or b"transfer-encoding" in headers:
            self.state = "body"
            self.since = self._around.now
            is_old = self._parser.get_http_version() == "1.0"
            self.waits = check_body(headers, is_old, self._around.limits.body)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if not self._body:
            self._body = body
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += body
        self.received += len(body)
        if self.received > self._around.limits.body:
            raise RefusedError(413, "The body is too large")

    def on_message_complete(self) -> None:
        """A request is there."""
        around, parser, headers, target = self._around, self._parser, self._headers, self._target
        keep_alive = parser.should_keep_alive()
        is_old = False
        if not keep_alive or b"connection" in headers:  # else it can only be 1.1
            is_old = _is_old(parser.get_http_version())
        host = headers.get(b"host")
        if host not in around.hosts:
            check_host(host, is_old)
            _remember(around.hosts, host)
        method = _METHODS.get(parser.get_method()) or parser.get_method().decode()
        split = around.targets.get(target)
        if split is None:
            split = split_target(method, target, headers)
            if not split[2] and target[:1] == b"/":
                if len(around.targets) >= _MOST_TARGETS:
                    around.targets.clear()
                around.targets[target] = split
        path, raw_path, query = split
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
        if around.trusted:
            see_through(request, around.trusted)
        if b"upgrade" in headers:
            keep_alive = False
        self.state = "idle"
        self.since = around.now
        self._body = b""
        self._repeated = self._size = self._fed = self.received = 0
        self.waits = False
        self.asked.append(ParsedRequest(request, keep_alive, is_old))
        if not keep_alive:
            self.end()

    # In the order in which they are called

    def _keep_head(self, data: bytes) -> None:
        """Keep the head of a request that came alone and whole, and is not out of the ordinary."""
        request, keep_alive, is_old = self.asked[0]
        if isinstance(request, RefusedError) or not keep_alive or is_old:
            return
        length = len(data) - len(request.body)
        is_plain = request.headers.keys().isdisjoint(_NOT_KEPT) and request.method != "HEAD"
        if is_plain and data.find(_END) == length - len(_END):
            self.same = CachedHead(data[:length], len(data), request)

    def _feed(self, data: bytes | memoryview) -> None:
        try:
            if self.state == "head":
                self._check_fed(len(data))
            self._parser.feed_data(data)
        except RefusedError as refused:
            self.refuse(refused)
        except httptools.HttpParserUpgrade:
            self.end()  # we speak HTTP/1.1 only: answered, and then closed
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, RefusedError):
                self.refuse(cause)
            else:
                is_method = isinstance(error, httptools.HttpParserInvalidMethodError)
                self.refuse(refusal(is_method, bytes(data[:256])))

    def _check_fed(self, length: int) -> None:
        """Bound what the parser holds of a field that does not end."""
        self._fed += length
        limits = self._around.limits
        if self._fed > limits.header_block + limits.target + _SLICE:
            raise RefusedError(431, "The header block is too large")

    def _repeat(self, name: bytes, value: bytes) -> None:
        if name in ALONE:
            raise RefusedError(400, f"There are two {name.decode('latin-1')} fields")
        self._repeated += 1
        self._headers[name] += (b"; " if name == b"cookie" else b", ") + value


_METHODS = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
}


def _is_old(version: str) -> bool:
    if version not in {"1.1", "1.0"}:
        raise RefusedError(505, "The server speaks HTTP/1.1")
    return version == "1.0"


def _remember(hosts: set[bytes], host: bytes | None) -> None:
    if host is not None and len(hosts) < _MOST_TARGETS:
        hosts.add(host)
