"""Pipeline: answers the requests of one connection in their order.

A request is answered in the callback that brought it, up to its first wait. Most services never
wait, so their requests cost neither a task nor a turn of the loop. A request that waits continues
in a task, and the task then answers the requests behind it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextvars import Context
from functools import partial
from typing import Any, Protocol, cast

from zato_lite.clock import Clock
from zato_lite.http.compression import GZIP_FROM, compress, compress_in_slices
from zato_lite.http.head import NoteRefusal, RefusedError
from zato_lite.http.message import (
    LARGE,
    FastResponse,
    Request,
    Response,
    to_response,
)
from zato_lite.http.parser import CachedHead, ParsedRequest, RequestParser, ServerContext
from zato_lite.http.writer import LENGTH_FIELDS, SHORT, Renderer, ResponseWriter
from zato_lite.service.eager import EagerRunner, HostTask, Unstarted

App = Callable[[Request], FastResponse | Response | Coroutine[Any, Any, Response]]
"""Answers a request, or returns the coroutine to await for the answer."""

_TURN = 32
"""Requests of one connection that are answered before other connections get their turn."""

_log = logging.getLogger(__name__)


def request_of(parsed: ParsedRequest) -> Request:
    """Return the request that was answered."""
    return cast("Request", parsed.request)


class PipelineContext(ServerContext, Protocol):
    """The server, as its pipelines see it.

    Attributes:
        context: the context variables that each request begins with.
        note_refusal: logs the refusal of a malformed request; returns its correlation id.
    """

    app: App
    clock: Clock
    context: Context
    loop: asyncio.AbstractEventLoop
    is_stopping: bool
    note_refusal: NoteRefusal
    renderer: Renderer


class PipelineOwner(Protocol):
    """The connection, as its pipeline sees it.

    Attributes:
        peer: address of the client.
    """

    peer: str

    def close(self) -> None:
        """Close after the last answer."""
        ...

    def update_reading(self) -> None:
        """Stop reading while the parser is full."""
        ...


class Pipeline:
    """Answers the requests of one connection in their order.

    Attributes:
        is_busy: a task is answering requests.
        is_over: no further request is answered.
    """

    __slots__ = (
        "_host",
        "_owner",
        "_parser",
        "_runner",
        "_server",
        "_transport",
        "_writer",
        "is_busy",
        "is_over",
    )

    def __init__(
        self,
        server: PipelineContext,
        owner: PipelineOwner,
        transport: asyncio.Transport,
        parser: RequestParser,
        writer: ResponseWriter,
    ) -> None:
        self._server, self._owner, self._transport = server, owner, transport
        self._parser, self._writer = parser, writer
        self._runner = EagerRunner(server.loop, server.context, self._task_ended)
        self._host: HostTask | None = None
        self.is_busy = False
        self.is_over = False

    def answer_cached(self, data: bytes, cached: CachedHead) -> None:
        """Answer a request with a known head. Written for speed, as most requests come here."""
        parser, server, request = self._parser, self._server, cached.request
        if cached.size != cached.length:
            request.body = data[cached.length :]
        try:
            answer = self._runner.run(server.app, request)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - it is logged
            self._log_failed_start(request, error)
            answer = None
        if type(answer) is tuple and len(answer[0]) < SHORT and not parser.is_ended:
            body, cid = answer
            parts = (server.renderer.fast_head, cid.encode(), LENGTH_FIELDS[len(body)], body)
            self._transport.write(b"".join(parts))
            parser.since = server.now
        elif self._send_or_continue(ParsedRequest(request, True, False), answer):
            self._wait_for_requests()

    def answer_parsed(self) -> None:
        """Answer the requests that the parser has, up to the first one that waits."""
        requests = self._parser.requests
        for _ in range(_TURN):
            if not requests:
                break
            if self._writer.drained is not None:
                self._continue_in_task()
                return
            parsed = requests.popleft()
            request = parsed.request
            if isinstance(request, RefusedError):
                self._refuse(request)
                return
            try:
                answer = self._runner.run(self._server.app, request)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - it is logged
                self._log_failed_start(request, error)
                answer = None
            if not self._send_or_continue(parsed, answer):
                return
        self._wait_for_requests()

    def send_continue(self) -> None:
        """Ask the client for the body that it holds back."""
        self._parser.expects_continue = False
        self._writer.send_continue()

    def cancel(self) -> None:
        """Cancel the request that is being answered."""
        if self._host is not None:
            self._host.task.cancel()

    def end(self) -> None:
        """Answer no further requests; the one that is being answered may finish."""
        self.is_over = True
        self._runner.close()

    # In the order in which they are called

    def _log_failed_start(self, request: Request, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            self._transport.abort()
        else:
            _log.error("request failed", exc_info=error, extra={"request": repr(request)})

    def _send_or_continue(self, parsed: ParsedRequest, answer: Any) -> bool:
        """Send an answer, or continue in a task; return True if the next request may begin."""
        if type(answer) is tuple:
            answer = to_response(answer)
        if answer is None:
            self._refuse(RefusedError(500, "An error has occurred"))
        elif isinstance(answer, Response) and not answer.stream and len(answer.body) <= LARGE:
            if len(answer.body) >= GZIP_FROM:
                answer = compress(request_of(parsed), answer)
            keep_alive = self._keeps_alive(parsed)
            self._writer.send(parsed, answer, keep_alive)
            if keep_alive:
                return True
            self._owner.close()
        else:
            self._continue_in_task(parsed, answer)
        return False

    def _keeps_alive(self, parsed: ParsedRequest) -> bool:
        is_last = self._server.is_stopping or self._parser.is_exhausted
        stream = request_of(parsed).stream
        return parsed.keep_alive and not is_last and (stream is None or stream.is_ended)

    def _wait_for_requests(self) -> None:
        """Wait for more requests, if no other one can be answered now."""
        parser = self._parser
        parser.since = self._server.now
        if parser.requests or parser.is_full:
            self._continue_in_task()
        elif parser.is_ended:
            self._owner.close()
        elif parser.expects_continue:
            self.send_continue()

    def _continue_in_task(self, parsed: ParsedRequest | None = None, rest: Any = None) -> None:
        """Let a task answer a request that waits, if one is given, and the requests behind it."""
        self.is_busy = True
        self._host = self._runner.resume(rest, partial(self._answer_in_task, parsed))

    def _task_ended(self, task: "asyncio.Task[None]") -> None:
        """Abort the connection if the task was cancelled before it had answered."""
        if self._host is not None and self._host.task is task:
            self._host = None
            if self.is_busy:
                self._transport.abort()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("connection failed", exc_info=error)

    async def _answer_in_task(self, parsed: ParsedRequest | None, rest: Any) -> None:
        try:
            if parsed is None or await self._await_and_send(parsed, rest):
                await self._answer_waiting()
        except Exception:  # noqa: BLE001 - the last resort; the log has the error
            _log.exception("connection failed")
            self._transport.abort()
            return
        finally:
            self._parser.since = self._server.now
            self.is_busy = False
        if not self.is_over:
            self._wait_for_requests()

    async def _answer_waiting(self) -> None:
        """Answer the waiting requests, unless one leaves a variable or cancellation in the task.

        In that case another task answers the requests behind it.
        """
        parser, writer, host, answered = self._parser, self._writer, self._host, 0
        while host is not None and host.is_clean():
            parser.feed_more()
            self._owner.update_reading()
            if not parser.requests:
                break
            if writer.drained is not None:
                await writer.drained
                continue  # the client may have left meanwhile
            parsed = parser.requests.popleft()
            if isinstance(parsed.request, RefusedError):
                self._refuse(parsed.request)
                return
            if not await self._await_and_send(parsed, Unstarted(self._server.app, parsed.request)):
                return
            answered += 1
            if answered % _TURN == 0:
                await asyncio.sleep(0)

    async def _await_and_send(self, parsed: ParsedRequest, rest: Any) -> bool:
        """Send the answer when it is there; return True if the connection stays open."""
        try:
            answer = rest if isinstance(rest, Response) else await rest
        except asyncio.CancelledError:
            self._transport.abort()
            raise
        except Exception:  # noqa: BLE001 - the last resort; the log has the error
            _log.exception("request failed", extra={"request": repr(parsed.request)})
            self._refuse(RefusedError(500, "An error has occurred"))
            return False
        response = to_response(answer) if type(answer) is tuple else answer
        keep_alive = self._keeps_alive(parsed)
        if response.stream is not None:
            keep_alive = await self._writer.send_stream(
                parsed, response, response.stream, keep_alive
            )
        else:
            response = await compress_in_slices(request_of(parsed), response)
            self._writer.send(parsed, response, keep_alive)
            await self._writer.send_large_body(parsed, response)
        if not keep_alive:
            self._owner.close()
        return keep_alive

    def _refuse(self, refused: RefusedError) -> None:
        self._writer.refuse(refused, self._server.note_refusal(refused, self._owner.peer))
        self._owner.close()
