"""Connection: the callbacks of the event loop, backpressure, and closing.

The server checks the timeouts of all connections once a second, so a request costs no timer.
"""

import asyncio
import socket
import struct
from typing import Protocol, cast

from zato_lite.http.head import RefusedError
from zato_lite.http.parser import RequestParser
from zato_lite.http.pipeline import Pipeline, PipelineContext
from zato_lite.http.timeouts import Action, ConnectionState, check
from zato_lite.http.writer import ResponseWriter

_LINGER_ZERO = struct.pack("ii", 1, 0)


class ServerPort(PipelineContext, Protocol):
    """The server, as its connections see it."""

    def add(self, connection: "Connection") -> bool:
        """Count the connection in; return False if there are too many."""
        ...

    def remove(self, connection: "Connection") -> None:
        """Count the connection out."""
        ...


class Connection(asyncio.Protocol):
    """The connection of one client."""

    __slots__ = (
        "_is_paused",
        "_lingering_since",
        "_parser",
        "_pipeline",
        "_server",
        "_transport",
        "_writer",
        "peer",
    )

    _transport: asyncio.Transport
    _parser: RequestParser
    _pipeline: Pipeline
    _writer: ResponseWriter

    def __init__(self, server: ServerPort) -> None:
        self._server = server
        self._is_paused = False
        self._lingering_since: float | None = None
        self.peer = ""

    # Callbacks of the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start, unless there are too many connections."""
        server = self._server
        self._transport = transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if isinstance(peer, tuple) else ""
        is_secure = transport.get_extra_info("sslcontext") is not None
        self._parser = RequestParser(server, self.peer, is_secure)
        self._writer = ResponseWriter(transport, server.renderer, server.loop)
        self._pipeline = Pipeline(server, self, transport, self._parser, self._writer)
        self._parser.wanted = self._receive_more
        if not server.add(self) or server.is_stopping:
            self._parser.stop()
            self._writer.refuse(RefusedError(503, "too many connections"))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count out, and cancel a stream, which has lost its reader."""
        self._server.remove(self)
        self._parser.stop()
        self._writer.resume()
        if self._writer.is_streaming:
            self._pipeline.cancel()
        self._pipeline.end()

    def data_received(self, data: bytes) -> None:
        """Parse the bytes, and answer the requests that are complete."""
        parser, pipeline = self._parser, self._pipeline
        cached = parser.cached
        if (
            cached is not None
            and data[: cached.length] == cached.head
            and len(data) == cached.size
            and not pipeline.is_busy
            and self._writer.drained is None
        ):
            pipeline.answer_cached(data, cached)
            return
        parser.feed(data)
        if not pipeline.is_busy:
            if parser.requests:
                pipeline.answer_parsed()
            elif parser.expects_continue:
                pipeline.send_continue()
        if parser.is_full:
            self.update_reading()

    def eof_received(self) -> bool:
        """Answer the complete requests of a client that sends no more; then close."""
        parser = self._parser
        parser.is_ended, parser.cached = True, None
        if parser.state != "idle" and not parser.is_full:
            return False  # the client breaks off in the middle of a request
        if self._writer.is_streaming:
            return False  # it has left: a stream that waits would not notice that by sending
        is_plain = self._transport.get_extra_info("sslcontext") is None
        return is_plain and (self._pipeline.is_busy or bool(parser.requests))

    def pause_writing(self) -> None:
        """Hold responses back, because the client reads slowly."""
        self._writer.pause(self._server.now)

    def resume_writing(self) -> None:
        """Continue, because the client has caught up."""
        self._writer.resume()

    # Called by the server

    def state(self) -> ConnectionState:
        """Return the state that the timeouts depend on."""
        parser, writer = self._parser, self._writer
        is_stalled = writer.drained is not None
        is_unasked = parser.expects_continue and parser.stream is not None  # the service is slow
        return ConnectionState(
            parser.state,
            parser.since,
            parser.received - parser.counted,
            parser.is_new,
            parser.is_ended,
            self._pipeline.is_busy or bool(parser.requests),
            self._is_paused or is_unasked,
            self._lingering_since,
            writer.stalled_since if is_stalled else None,
            writer.sent if is_stalled else 0,
        )

    def check_timeouts(self, now: float) -> None:
        """Carry out the action that is due."""
        parser, limits = self._parser, self._server.limits
        due = check(self.state(), limits, now)
        if due is None:
            if parser.stream is not None and now - parser.since > 2 * limits.body_grace_seconds:
                parser.restart_clock(now)  # earlier bytes of a long body are no credit for ever
            return
        match due:
            case Action.RESTART:
                if self._writer.drained is not None:
                    self._writer.restart_clock(now)
                else:
                    parser.restart_clock(now)
            case Action.CLOSE:
                self.close()
            case Action.ABORT:
                self._transport.abort()
            case Action.RESET:
                _reset(self._transport)
            case RefusedError():
                parser.refuse(due)
                if not self._pipeline.is_busy:
                    self._pipeline.answer_parsed()

    def stop(self) -> None:
        """Close after the requests that were received; cancel a stream of events."""
        if self._parser.stream is None:  # a body that a service reads is received to its end
            self._parser.end()
        if not self._pipeline.is_busy and not self._parser.requests:
            self.close()
        elif self._writer.is_endless:
            self._pipeline.cancel()

    def abort(self) -> None:
        """Close now, and cancel the request that is being answered."""
        self._pipeline.is_over = True
        self._pipeline.cancel()
        self._transport.abort()

    # Called by the reader of a body

    def _receive_more(self) -> None:
        """Receive more of a body, as its reader wants it."""
        if self._parser.expects_continue:
            self._pipeline.send_continue()
        self._parser.feed_more()
        self._parser.break_off()
        self.update_reading()

    # Called by the pipeline

    def close(self) -> None:
        """Close after the last answer.

        A client that is still sending would lose the answer to a reset. So only the server's side
        is closed, and the bytes that still come are discarded for a while.
        """
        self._pipeline.end()
        transport = self._transport
        if transport.is_closing():
            return
        if self._parser.stream is not None:  # the service has not read all of the body
            self._parser.end()
        if self._parser.state == "idle" or not transport.can_write_eof():
            transport.close()
            return
        self._lingering_since = self._server.clock.monotonic()
        transport.write_eof()
        if self._is_paused:
            transport.resume_reading()

    def update_reading(self) -> None:
        """Stop reading while the parser is full."""
        is_full = self._parser.is_full
        if is_full != self._is_paused and not self._transport.is_closing():
            self._is_paused = is_full
            if is_full:
                self._transport.pause_reading()
            else:
                self._parser.restart_clock(self._server.now)
                self._transport.resume_reading()


def _reset(transport: asyncio.Transport) -> None:
    """Close now, and drop the bytes that the kernel still holds for the client."""
    endpoint = transport.get_extra_info("socket")
    if endpoint is not None and endpoint.family != socket.AF_UNIX:
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    transport.abort()
