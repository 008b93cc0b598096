"""One connection: bytes to requests, responses to bytes; the only module that knows httptools.

One task for each connection that has asked something answers its requests in order. What a client
may take of us is bounded in bytes, in number and in time; times are looked at by the server, once
a second for all connections together, so that a request costs no timer.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Literal, Protocol

import httptools
import msgspec

from zato_lite.clock import Clock
from zato_lite.http.head import (
    ALONE,
    Network,
    RefusedError,
    check_body,
    check_host,
    refusal,
    see_through,
    split_target,
)
from zato_lite.http.message import Request, Response
from zato_lite.http.render import (
    CHUNKED,
    CLOSE,
    CONNECTION,
    CONTINUE,
    LAST_CHUNK,
    chunk,
    render,
)
from zato_lite.wire import encode

App = Callable[[Request], Awaitable[Response]]

_log = logging.getLogger(__name__)

_SLICE = 16_384
"""Bytes that are parsed at a time: what one read brings may hold thousands of requests."""

_PIPELINED = 16
"""Requests that wait on one connection before its client is no longer read from."""

_LINGER_S = 2.0
"""For how long what a client still sends is thrown away, so that it gets to read the answer."""


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


class Keeper(Protocol):
    """What a connection asks of the server that it belongs to."""

    app: App
    clock: Clock
    limits: Limits
    loop: asyncio.AbstractEventLoop
    trusted: tuple[Network, ...]
    now: float
    is_stopping: bool

    def joined(self, connection: "Connection") -> bool:
        """Count the connection in; False if there are too many."""
        ...

    def left(self, connection: "Connection") -> None:
        """Count the connection out."""
        ...

    def stamp(self) -> bytes:
        """The Date field of this second."""
        ...


State = Literal["idle", "head", "body", "lingering"]


class Connection(asyncio.Protocol):
    """One client's connection: parses what comes, answers in order, bounds it all."""

    __slots__ = (
        "_body",
        "_drained",
        "_field_count",
        "_field_size",
        "_head_fed",
        "_headers",
        "_is_busy",
        "_is_last",
        "_is_new",
        "_is_paused",
        "_is_streaming",
        "_parser",
        "_received",
        "_requests",
        "_server",
        "_since",
        "_stalled_at",
        "_state",
        "_target",
        "_task",
        "_transport",
        "_unfed",
        "_unsent",
        "_waiter",
        "is_secure",
        "peer",
    )

    def __init__(self, server: Keeper) -> None:
        self._server = server
        self._parser: Any = httptools.HttpRequestParser(self)
        self._requests: deque[tuple[Request | RefusedError, bool, bool]] = deque()
        self._unfed: deque[memoryview] = deque()
        self._task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._state: State = "idle"
        self._since = server.now
        self._is_new = True
        self._is_busy = False
        self._is_last = False
        self._is_paused = False
        self._is_streaming = False
        self._stalled_at = 0.0
        self._unsent = 0
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._field_count = 0
        self._field_size = 0
        self._head_fed = 0
        self._body: bytes | bytearray = b""
        self._received = 0
        self.peer = ""
        self.is_secure = False

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return self._is_busy

    @property
    def waiting(self) -> int:
        """How many requests wait to be answered."""
        return len(self._requests)

    @property
    def has_unread(self) -> bool:
        """Whether the client reads slower than we write."""
        return self._drained is not None

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start, unless there are too many already."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if isinstance(peer, tuple) else ""
        self.is_secure = transport.get_extra_info("sslcontext") is not None
        self._since = self._server.now
        if not self._server.joined(self) or self._server.is_stopping:
            self._state = "lingering"
            self._transport.write(self._plain(RefusedError(503, "Too many connections")))
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count out; an answer that is being streamed has nobody left to read it."""
        self._server.left(self)
        self._is_last = True
        self._requests.clear()
        self._unfed.clear()
        self._wake(self._drained)
        if self._is_streaming and self._task is not None:
            self._task.cancel()
        self._wake(self._waiter)

    def data_received(self, data: bytes) -> None:
        """Parse what came, in slices if it is much."""
        if self._is_last:
            return
        if len(data) <= _SLICE and not self._unfed:
            self._feed(data)
        else:
            view = memoryview(data)
            self._unfed.extend(view[at : at + _SLICE] for at in range(0, len(data), _SLICE))
            self._feed_more()

    def eof_received(self) -> bool:
        """The client sends no more: answer what it asked, then close."""
        if self._state in {"head", "body"} or not (self._requests or self._is_busy):
            return False
        self._is_last = True
        return True

    def pause_writing(self) -> None:
        """The client reads slower than we write."""
        self._drained = self._server.loop.create_future()
        self._stalled_at = self._server.now
        self._unsent = self._transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._wake(self._drained)
        self._drained = None

    # What the parser calls

    def on_message_begin(self) -> None:
        """A request's first byte."""
        self._state = "head"
        self._is_new = False
        self._since = self._server.now
        self._target = b""
        self._headers = {}
        self._field_count = self._field_size = self._head_fed = 0
        self._body = b""
        self._received = 0

    def on_url(self, url: bytes) -> None:
        """The target, or a part of it."""
        self._target += url
        if len(self._target) > self._server.limits.target:
            raise RefusedError(414, "The target is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field."""
        limits = self._server.limits
        self._field_count += 1
        self._field_size += len(name) + len(value) + 4
        if self._field_count > limits.headers or self._field_size > limits.header_block:
            raise RefusedError(431, "The header block is too large")
        headers = self._headers
        name = name.lower()
        if name not in headers:
            headers[name] = value
        elif name in ALONE:
            raise RefusedError(400, f"There are two {name.decode('latin-1')} fields")
        else:
            headers[name] += (b"; " if name == b"cookie" else b", ") + value

    def on_headers_complete(self) -> None:
        """All but the body is there."""
        headers = self._headers
        if b"content-length" not in headers and b"transfer-encoding" not in headers:
            return
        self._state = "body"
        self._since = self._server.now
        version = self._parser.get_http_version()
        waits = check_body(headers, version, self._server.limits.body)
        if waits and not self._is_busy and not self._requests:
            self._transport.write(CONTINUE)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if not self._body:
            self._body = body
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += body
        self._received += len(body)
        if self._received > self._server.limits.body:
            raise RefusedError(413, "The body is too large")

    def on_message_complete(self) -> None:
        """A request is there."""
        parser, headers, server = self._parser, self._headers, self._server
        version = parser.get_http_version()
        check_host(headers.get(b"host"), version)
        method = parser.get_method().decode()
        path, raw_path, query = split_target(method, self._target, headers)
        keep_alive = parser.should_keep_alive() and b"upgrade" not in headers
        body = self._body if isinstance(self._body, bytes) else bytes(self._body)
        request = Request(method, path, query, headers, body, self.peer, raw_path, self.is_secure)
        if server.trusted:
            see_through(request, server.trusted)
        self._state = "idle"
        self._since = server.now
        self._requests.append((request, keep_alive, version == "1.0"))
        if not keep_alive:
            self._is_last = True
        self._go_on()

    # What the server calls

    def look(self, now: float) -> None:
        """Close if the client has taken its time."""
        waited = now - self._since
        if self._drained is not None:
            self._look_at_reader(now)
        elif self._state == "lingering":
            if waited > _LINGER_S:
                self._transport.abort()
        elif self._is_paused:
            self._since = now
        elif self._state == "idle":
            self._look_at_idler(waited)
        else:
            self._look_at_writer(waited)

    def stop(self) -> None:
        """Finish what is being answered, then close; end what is being streamed."""
        if not self._is_busy and not self._requests:
            self._transport.close()
        elif self._is_streaming and self._task is not None:
            self._task.cancel()
        self._is_last = True

    def abort(self) -> None:
        """Close at once; cancel what runs."""
        if self._task is not None:
            self._task.cancel()
        self._transport.abort()

    # In the order in which they are called

    def _feed(self, data: bytes | memoryview) -> None:
        try:
            if self._state == "head":
                self._head_fed += len(data)
                limits = self._server.limits
                if self._head_fed > limits.header_block + limits.target + _SLICE:
                    self._refuse(RefusedError(431, "The header block is too large"))
                    return
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._is_last = True  # we speak HTTP/1.1 only: answered, and then closed
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, RefusedError):
                self._refuse(cause)
            else:
                is_method = isinstance(error, httptools.HttpParserInvalidMethodError)
                self._refuse(refusal(is_method, str(error), bytes(data[:256])))

    def _feed_more(self) -> None:
        while self._unfed and len(self._requests) < _PIPELINED and not self._is_last:
            self._feed(self._unfed.popleft())
        self._set_reading()

    def _refuse(self, refused: RefusedError) -> None:
        self._is_last = True
        self._requests.append((refused, False, False))
        self._unfed.clear()
        self._go_on()

    def _go_on(self) -> None:
        if self._task is None:
            self._task = self._server.loop.create_task(self._answer_all())
        elif self._waiter is not None:
            self._wake(self._waiter)

    def _set_reading(self) -> None:
        too_many = bool(self._unfed) or len(self._requests) >= _PIPELINED
        if too_many != self._is_paused and not self._transport.is_closing():
            self._is_paused = too_many
            if too_many:
                self._transport.pause_reading()
            else:
                self._since = self._server.now
                self._transport.resume_reading()

    async def _answer_all(self) -> None:
        """Answer one request after the other until there will be no more."""
        try:
            await self._answer_each()
        except Exception:  # noqa: BLE001 - the last resort; it is in the log
            _log.exception("connection failed")
            self._transport.abort()

    async def _answer_each(self) -> None:
        requests, loop = self._requests, self._server.loop
        while True:
            while requests:
                self._is_busy = True
                request, keep_alive, is_old = requests.popleft()
                if self._drained is not None:
                    await self._drained
                keep_alive = await self._answer(request, keep_alive, is_old)
                self._is_busy = False
                self._since = self._server.now
                if not keep_alive:
                    self._end()
                    return
                if self._is_paused or self._unfed:
                    self._feed_more()
            if self._is_last:
                self._end()
                return
            self._waiter = loop.create_future()
            await self._waiter
            self._waiter = None

    async def _answer(
        self, request: Request | RefusedError, keep_alive: bool, is_old: bool
    ) -> bool:
        if isinstance(request, RefusedError):
            self._transport.write(self._plain(request))
            return False
        try:
            response = await self._server.app(request)
        except asyncio.CancelledError:
            self._transport.abort()
            raise
        except Exception:  # noqa: BLE001 - the last resort; it is in the log
            _log.exception("request failed", extra={"path": request.path})
            self._transport.write(self._plain(RefusedError(500, "An error has occurred")))
            return False
        if self._server.is_stopping or (self._is_last and not self._requests):
            keep_alive = False
        if response.stream is not None:
            return await self._stream(response, request, keep_alive, is_old)
        self._transport.write(
            render(
                response,
                self._server.stamp(),
                is_head=request.method == "HEAD",
                connection=CONNECTION[keep_alive, is_old],
            )
        )
        return keep_alive

    async def _stream(
        self, response: Response, request: Request, keep_alive: bool, is_old: bool
    ) -> bool:
        """Send the pieces as they come, each when the client has room for it."""
        stream = response.stream
        if stream is None or self._transport.is_closing():
            return False
        keep_alive = keep_alive and not is_old
        write, is_head = self._transport.write, request.method == "HEAD"
        write(
            render(
                response,
                self._server.stamp(),
                is_head=is_head,
                connection=CONNECTION[keep_alive, is_old] + (b"" if is_old else CHUNKED),
            )
        )
        self._is_streaming = True
        try:
            if not is_head:
                async for piece in stream:
                    if piece:
                        write(piece if is_old else chunk(piece))
                    if self._drained is not None:
                        await self._drained
        except asyncio.CancelledError:
            keep_alive = False  # the client has left, or the server is leaving
        except Exception:  # noqa: BLE001 - the last resort; it is in the log
            _log.exception("stream failed", extra={"path": request.path})
            self._transport.abort()
            return False
        finally:
            self._is_streaming = False
            if (close := getattr(stream, "aclose", None)) is not None:
                await close()
        if not is_old and not is_head:
            write(LAST_CHUNK)
        return keep_alive

    def _end(self) -> None:
        """Close so that the client can still read the last answer, whatever it is sending."""
        transport = self._transport
        if transport.is_closing():
            return
        if self._state == "idle" or not transport.can_write_eof():
            transport.close()
            return
        self._state = "lingering"
        self._since = self._server.clock.monotonic()
        transport.write_eof()
        if self._is_paused:
            transport.resume_reading()

    def _look_at_idler(self, waited: float) -> None:
        if self._is_busy or self._requests:
            return
        limits = self._server.limits
        if waited > (limits.header_seconds if self._is_new else limits.keep_alive_seconds):
            self._transport.close()

    def _look_at_writer(self, waited: float) -> None:
        """Look at a client that has begun a request and not ended it."""
        limits = self._server.limits
        if self._state == "head":
            if waited > limits.header_seconds:
                self._refuse(RefusedError(408, "The header block took too long"))
        elif self._received <= limits.body_rate * (waited - limits.body_grace_seconds):
            self._refuse(RefusedError(408, "The body took too long"))

    def _look_at_reader(self, now: float) -> None:
        limits, left = self._server.limits, self._transport.get_write_buffer_size()
        waited = now - self._stalled_at
        if self._unsent - left > limits.body_rate * waited:
            self._stalled_at, self._unsent = now, left
        elif waited > limits.body_grace_seconds:
            self._transport.abort()

    def _plain(self, refused: RefusedError) -> bytes:
        body = encode({"result": "Error", "cid": "", "details": refused.details})
        return render(Response(refused.status, body), self._server.stamp(), connection=CLOSE)

    @staticmethod
    def _wake(future: asyncio.Future[None] | None) -> None:
        if future is not None and not future.done():
            future.set_result(None)
