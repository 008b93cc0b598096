"""One connection: what it asks is answered in order, within bounds of number and time.

A request is answered at once, in the callback that brought it, as far as that goes without
waiting: most services never wait, and then there is neither a task to wake nor a turn of the loop
to wait for. What must wait is handed to the connection's own task, which it believes to be in from
the start. Times are looked at by the server, once a second for all connections together, so that
a request costs no timer.
"""

import asyncio
import logging
import socket
import struct
from asyncio.tasks import _enter_task, _leave_task  # for whoever steps a task, says «Extending»
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any, Protocol, cast

from zato_lite.clock import Clock
from zato_lite.http.head import RefusedError
from zato_lite.http.message import (
    LARGE,
    FastResponse,
    Request,
    Response,
    answer_of,
    response_of_usual,
)
from zato_lite.http.parser import CachedHead, Incoming, ParsedRequest, ServerContext
from zato_lite.http.worker import Worker, wake
from zato_lite.http.writer import (
    CHUNKED,
    CLOSE,
    CONNECTION,
    CONTINUE,
    FEW,
    LAST_CHUNK,
    LENGTHS,
    Renderer,
    chunk,
    rest,
)
from zato_lite.service.containment import self_cancelled
from zato_lite.service.eager import Begun
from zato_lite.wire import encode

App = Callable[[Request], FastResponse | Response | Coroutine[Any, Any, Response]]
"""Answers a request at once, or tells what is to be awaited for the answer."""

_log = logging.getLogger(__name__)

_TURN = 32
"""Requests of one connection that are answered before others get their turn."""

_AT_ONCE = struct.pack("ii", 1, 0)

_LINGER_S = 2.0
"""For how long what a client still sends is thrown away, so that it gets to read the answer."""


class ServerPort(ServerContext, Protocol):
    """What a connection asks of the server that it belongs to.

    Attributes:
        context: the context variables that each request begins with.
    """

    app: App
    clock: Clock
    context: Context
    loop: asyncio.AbstractEventLoop
    is_stopping: bool
    renderer: Renderer

    def joined(self, connection: "Connection") -> bool:
        """Count the connection in; False if there are too many."""
        ...

    def left(self, connection: "Connection") -> None:
        """Count the connection out."""
        ...


class Connection(asyncio.Protocol):
    """One client's connection."""

    __slots__ = (
        "_drained",
        "_incoming",
        "_is_busy",
        "_is_over",
        "_is_paused",
        "_is_streaming",
        "_lingers_since",
        "_server",
        "_stalled_at",
        "_transport",
        "_unsent",
        "_worker",
        "peer",
    )

    _transport: asyncio.Transport
    _incoming: Incoming

    def __init__(self, server: ServerPort) -> None:
        self._server = server
        self._worker: Worker | None = None
        self._drained: asyncio.Future[None] | None = None
        self._is_busy = False
        self._is_over = False
        self._is_paused = False
        self._is_streaming = False
        self._lingers_since: float | None = None
        self._stalled_at = 0.0
        self._unsent = 0
        self.peer = ""

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return self._is_busy

    @property
    def waiting(self) -> int:
        """How many requests wait to be answered."""
        return len(self._incoming.asked)

    @property
    def has_unread(self) -> bool:
        """Whether the client reads slower than we write."""
        return self._drained is not None

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start, unless there are too many already."""
        self._transport = transport  # type: ignore[assignment]
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if isinstance(peer, tuple) else ""
        is_secure = transport.get_extra_info("sslcontext") is not None
        self._incoming = Incoming(self._server, self.peer, is_secure)
        if not self._server.joined(self) or self._server.is_stopping:
            self._incoming.stop()
            self._transport.write(self._plain(RefusedError(503, "Too many connections")))
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count out; an answer that is being streamed has nobody left to read it."""
        self._server.left(self)
        self._incoming.stop()
        self._is_over = True
        wake(self._drained)
        if self._worker is not None:
            if self._is_streaming:
                self._worker.task.cancel()
            self._worker.leave()

    def data_received(self, data: bytes) -> None:
        """Take what came, and answer what is complete."""
        incoming = self._incoming
        same = incoming.same
        if (
            same is not None
            and data[: same.length] == same.head
            and len(data) == same.size
            and not self._is_busy
            and self._drained is None
        ):
            self._answer_same(data, same)
            return
        incoming.feed(data)
        if not self._is_busy:
            if incoming.asked:
                self._answer_now()
            elif incoming.waits:
                self._tell_to_go_on()
        if incoming.is_full:
            self._set_reading()

    def eof_received(self) -> bool:
        """The client sends no more: answer what it asked, then close."""
        incoming = self._incoming
        incoming.is_last, incoming.same = True, None
        may_stay = self._transport.get_extra_info("sslcontext") is None
        if incoming.state != "idle" and not incoming.is_full:
            return False  # it breaks off in the middle of a request
        return may_stay and (self._is_busy or bool(incoming.asked))

    def pause_writing(self) -> None:
        """The client reads slower than we write."""
        self._drained = self._server.loop.create_future()
        self._stalled_at = self._server.now
        self._unsent = self._transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        """It has caught up."""
        wake(self._drained)
        self._drained = None

    # What the server calls

    def look(self, now: float) -> None:
        """Close if the client has taken its time."""
        incoming = self._incoming
        waited = now - incoming.since
        if self._drained is not None:
            self._look_at_reader(now)
        elif self._lingers_since is not None:
            if now - self._lingers_since > _LINGER_S:
                self._transport.abort()
        elif self._is_paused:
            incoming.since = now
        elif incoming.is_last:
            pass  # it has been told why, or is being answered
        elif incoming.state == "idle":
            self._look_at_idler(waited)
        else:
            self._look_at_sender(waited)

    def stop(self) -> None:
        """Finish what is being answered, then close; end what is being streamed."""
        self._incoming.end()
        if not self._is_busy and not self._incoming.asked:
            self._over()
        elif self._is_streaming and self._worker is not None:
            self._worker.task.cancel()

    def abort(self) -> None:
        """Close at once; cancel what runs."""
        self._is_over = True
        if self._worker is not None:
            self._worker.task.cancel()
        self._transport.abort()

    # In the order in which they are called

    def _answer_now(self) -> None:
        """Answer as far as that goes without waiting."""
        asked = self._incoming.asked
        for _ in range(_TURN):
            if not asked:
                break
            if self._drained is not None:
                self._hand_over()
                return
            one = asked.popleft()
            if isinstance(one.request, RefusedError):
                self._refuse(one.request)
                return
            if not self._answered(one, self._begin(one.request)):
                return
        self._done()

    def _answer_same(self, data: bytes, same: CachedHead) -> None:
        """Answer a request that has the head of the one before: no time is to be lost."""
        incoming, server, request = self._incoming, self._server, same.request
        if same.size != same.length:
            request.body = data[same.length :]
        answer = self._begin(request)
        if type(answer) is tuple and len(answer[0]) < FEW and not incoming.is_last:
            body, cid = answer
            parts = (server.renderer.usual, cid.encode(), LENGTHS[len(body)], body)
            self._transport.write(b"".join(parts))
            incoming.since = server.now
        elif self._answered(ParsedRequest(request, True, False), answer):
            self._done()

    def _begin(self, request: Request) -> FastResponse | Response | Awaitable[Response] | None:
        """Make the first step of answering, in the worker's task as it seems; None: failed."""
        worker, server = self._worker, self._server
        if worker is None or (waiter := worker.waiter) is None or waiter.done():
            return _answered_by(server.app, request)  # in a task that has yet to start
        loop, task, context = server.loop, worker.task, worker.context
        answer: FastResponse | Response | Awaitable[Response] | None = None
        try:
            _enter_task(loop, task)
        except RuntimeError:  # we are fed by somebody's task: a test's
            return _answered_by(server.app, request)
        try:
            answer = context.run(server.app, request)
            if type(answer) is not tuple and type(answer) is not Response:
                coroutine = cast("Coroutine[Any, Any, Response]", answer)
                return Begun(coroutine, context.run(coroutine.send, None))
        except StopIteration as done:
            answer = done.value
        except asyncio.CancelledError:
            answer = None
            self._transport.abort()
        except Exception:  # noqa: BLE001 - the last resort; it is in the log
            answer = None
            _log.exception("request failed", extra={"request": repr(request)})
        finally:
            _leave_task(loop, task)
        if context != server.context or (self_cancelled and task in self_cancelled):
            self._hire()
        return answer

    def _answered(
        self, asked: ParsedRequest, answer: FastResponse | Response | Awaitable[Response] | None
    ) -> bool:
        """Send the answer, or hand over what it takes; whether the next request is to be begun."""
        if isinstance(answer, tuple):
            answer = response_of_usual(answer)
        if answer is None:
            self._refuse(RefusedError(500, "An error has occurred"))
        elif not isinstance(answer, Response) or answer.stream or len(answer.body) > LARGE:
            self._hand_over(asked, answer)
        elif self._respond(asked, answer):
            return True
        else:
            self._over()
        return False

    def _done(self) -> None:
        """All that could be answered at once is answered."""
        incoming = self._incoming
        incoming.since = self._server.now
        if incoming.asked or incoming.is_full:
            self._hand_over()
        elif incoming.is_last:
            self._over()
        elif incoming.waits:
            self._tell_to_go_on()

    def _hand_over(
        self,
        asked: ParsedRequest | None = None,
        begun: Awaitable[Response] | Response | None = None,
    ) -> None:
        """Let the worker go on: with a request that waits, then with the others."""
        self._is_busy = True
        worker = self._worker
        if isinstance(begun, Begun) and worker is not None:
            worker.begun = begun
        elif worker is None or worker.is_dismissed():
            worker = self._hire()
        worker.go_on(self._answer_rest(asked, begun), begun)

    def _hire(self) -> "Worker":
        """Have another worker, with nothing left of the requests before; let the old one go."""
        if self._worker is not None:
            self._worker.leave()
        worker = self._worker = Worker(self._server.loop, self._server.context)
        worker.task.add_done_callback(self._task_ended)
        return worker

    def _task_ended(self, task: "asyncio.Task[None]") -> None:
        """Do without the task; whoever cancelled it cut off what it was at, if anything."""
        worker = self._worker
        if worker is not None and worker.task is task:
            self._worker = None
            if worker.drop() or self._is_busy:
                self._transport.abort()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("connection failed", exc_info=error)

    async def _answer_rest(
        self, asked: ParsedRequest | None, begun: Awaitable[Response] | Response | None
    ) -> None:
        incoming = self._incoming
        try:
            if asked is None or begun is None or await self._answer(asked, begun):
                await self._answer_each()
        except Exception:  # noqa: BLE001 - the last resort; it is in the log
            _log.exception("connection failed")
            self._transport.abort()
            return
        finally:
            incoming.since = self._server.now
            self._is_busy = False
        if self._is_over:
            return
        if self._is_marked():
            self._hire()
        self._done()

    async def _answer_each(self) -> None:
        """Answer what was asked, one after the other, until there is no more for the moment.

        Or until one has left something behind: then another worker goes on.
        """
        incoming, answered = self._incoming, 0
        while not self._is_marked():
            if incoming.is_full or self._is_paused:
                incoming.feed_more()
                self._set_reading()
            if not incoming.asked:
                break
            if self._drained is not None:
                await self._drained
                continue  # the client may have left meanwhile
            one = incoming.asked.popleft()
            if isinstance(one.request, RefusedError):
                self._refuse(one.request)
                return
            if not await self._answer(one, _answered_by(self._server.app, one.request)):
                return
            answered += 1
            if answered % _TURN == 0:
                await asyncio.sleep(0)

    def _is_marked(self) -> bool:
        """Whether a request has left something behind in the worker: variables, a cancellation."""
        worker = self._worker
        return worker is not None and (
            worker.context != self._server.context or worker.task in self_cancelled
        )

    async def _answer(self, asked: ParsedRequest, answer: Awaitable[Response] | Response) -> bool:
        """Answer a request; whether the connection goes on."""
        try:
            response = answer if isinstance(answer, Response) else await answer
        except asyncio.CancelledError:
            self._transport.abort()
            raise
        except Exception:  # noqa: BLE001 - the last resort; it is in the log
            self._failed(asked.request)
            return False
        if response.stream is not None:
            goes_on = await self._stream(asked, response)
        else:
            goes_on = self._respond(asked, response)
            if large := rest(response, asked.request):
                await self._send_slices(large)
        if not goes_on:
            self._over()
        return goes_on

    def _respond(self, asked: ParsedRequest, response: Response) -> bool:
        """Send a response; whether the connection goes on."""
        request, keep_alive, is_old = asked
        server, incoming = self._server, self._incoming
        if server.is_stopping or incoming.is_over:
            keep_alive = False
        is_head = request.method == "HEAD"  # type: ignore[union-attr]
        if keep_alive and not is_old and not is_head:
            data = server.renderer.plain(response)
        else:
            data = server.renderer.render(response, is_head, CONNECTION[keep_alive, is_old])
        self._transport.write(data)
        return keep_alive

    def _refuse(self, refused: RefusedError) -> None:
        self._transport.write(self._plain(refused))
        self._over()

    def _failed(self, request: Request | RefusedError) -> None:
        _log.exception("request failed", extra={"request": repr(request)})
        self._refuse(RefusedError(500, "An error has occurred"))

    async def _stream(self, asked: ParsedRequest, response: Response) -> bool:
        """Send the pieces as they come, each when the client has room for it."""
        stream = response.stream
        request, keep_alive, is_old = asked
        if self._server.is_stopping or self._incoming.is_over:
            keep_alive = False
        if stream is None or self._transport.is_closing():
            return False
        keep_alive = keep_alive and not is_old
        write = self._transport.write
        is_head = request.method == "HEAD"  # type: ignore[union-attr]
        connection = CONNECTION[keep_alive, is_old] + (b"" if is_old else CHUNKED)
        write(self._server.renderer.render(response, is_head, connection))
        self._is_streaming = True
        try:
            if not is_head:
                await self._send_pieces(stream, is_old)
        except asyncio.CancelledError:
            keep_alive = False  # the client has left, or the server is leaving
        except Exception:  # noqa: BLE001 - the last resort; it is in the log
            _log.exception("stream failed", extra={"request": repr(request)})
            self._transport.abort()
            return False
        finally:
            self._is_streaming = False
            if (close := getattr(stream, "aclose", None)) is not None:
                await close()
        if not is_old and not is_head:
            write(LAST_CHUNK)
        return keep_alive

    async def _send_slices(self, body: bytes) -> None:
        """Send a large body, letting others have their turn in between."""
        view = memoryview(body)
        for at in range(0, len(view), LARGE):
            if self._drained is not None:
                await self._drained
            if self._transport.is_closing():
                return
            self._transport.write(view[at : at + LARGE])
            await asyncio.sleep(0)

    async def _send_pieces(self, stream: AsyncIterator[bytes], is_old: bool) -> None:
        write = self._transport.write
        async for piece in stream:
            if piece:
                write(piece if is_old else chunk(piece))
            if self._drained is not None:
                await self._drained

    def _over(self) -> None:
        """Close so that the client can still read the last answer, whatever it is sending."""
        self._is_over = True
        if self._worker is not None:
            self._worker.leave()
        transport = self._transport
        if transport.is_closing():
            return
        if self._incoming.state == "idle" or not transport.can_write_eof():
            transport.close()
            return
        self._lingers_since = self._server.clock.monotonic()
        transport.write_eof()
        if self._is_paused:
            transport.resume_reading()

    def _tell_to_go_on(self) -> None:
        self._incoming.waits = False
        self._transport.write(CONTINUE)

    def _set_reading(self) -> None:
        is_full = self._incoming.is_full
        if is_full != self._is_paused and not self._transport.is_closing():
            self._is_paused = is_full
            if is_full:
                self._transport.pause_reading()
            else:
                self._incoming.since = self._server.now
                self._transport.resume_reading()

    def _look_at_idler(self, waited: float) -> None:
        if self._is_busy or self._incoming.asked:
            return
        limits = self._server.limits
        is_new = self._incoming.is_new
        if waited > (limits.header_seconds if is_new else limits.keep_alive_seconds):
            self._over()

    def _look_at_sender(self, waited: float) -> None:
        """Look at a client that has begun a request and not ended it."""
        limits, incoming = self._server.limits, self._incoming
        if incoming.state == "head":
            if waited <= limits.header_seconds:
                return
            incoming.refuse(RefusedError(408, "The header block took too long"))
        elif incoming.received > limits.body_rate * (waited - limits.body_grace_seconds):
            return
        else:
            incoming.refuse(RefusedError(408, "The body took too long"))
        if not self._is_busy:
            self._answer_now()

    def _look_at_reader(self, now: float) -> None:
        limits, left = self._server.limits, self._transport.get_write_buffer_size()
        waited = now - self._stalled_at
        if self._unsent - left > limits.body_rate * waited:
            self._stalled_at, self._unsent = now, left
        elif waited > limits.body_grace_seconds:
            _reset(self._transport)

    def _plain(self, refused: RefusedError) -> bytes:
        body = encode({"result": "Error", "cid": "", "details": refused.details})
        return self._server.renderer.render(Response(refused.status, body), False, CLOSE)


async def _answered_by(app: App, request: Request) -> Response:
    return await answer_of(app(request))


def _reset(transport: asyncio.Transport) -> None:
    """Close at once, and have the kernel drop what it still holds for the client."""
    plug = transport.get_extra_info("socket")
    if plug is not None and plug.family != socket.AF_UNIX:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()
