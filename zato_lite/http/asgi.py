"""ASGI application: this server's application under another ASGI server."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Self
from urllib.parse import quote

from zato_lite.errors import TooLargeError
from zato_lite.http.body import PlanBody, broken
from zato_lite.http.head import RefusedError, check_host, split_target, too_large
from zato_lite.http.message import TEXT, Request, Response, await_response, close_stream
from zato_lite.http.pipeline import App

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Message, Receive, Send], Awaitable[None]]

_MAX_BODY = 1024 * 1024


def asgi_app(
    open_app: Callable[[], AbstractAsyncContextManager[App]], max_body: int = _MAX_BODY
) -> AsgiApp:
    """Return an ASGI application; its time limits are those of the other server.

    It is opened when the server starts, and closed at its end. Under a server without lifespan
    events, the first request opens it, and it is never closed.
    """
    opened: App | None = None
    stack = AsyncExitStack()
    opening = asyncio.Lock()

    async def open_once() -> App:
        nonlocal opened
        async with opening:
            if opened is None:
                opened = await stack.enter_async_context(open_app())
            return opened

    async def call(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _handle_lifespan(receive, send, open_once, stack.aclose)
            return
        if scope["type"] != "http":
            raise ValueError(f"unsupported ASGI scope type: {scope['type']}")
        app = opened or await open_once()
        request = None
        try:
            plan_body = getattr(app, "plan_body", None)
            request = await _read_request(scope, receive, max_body, plan_body)
            response = await await_response(app(request))
        except (RefusedError, TooLargeError) as refused:
            response = Response(refused.status, str(refused).encode(), TEXT)
        is_head = scope["method"] == "HEAD"
        has_body = request is not None and request.stream and not request.stream.is_ended
        if response.stream is None or has_body:  # the service itself receives what comes
            await _send_response(response, send, is_head=is_head)
        else:
            await _until_gone(receive, _send_response(response, send, is_head=is_head))

    return call


async def _until_gone(receive: Receive, sending: Coroutine[Any, Any, None]) -> None:
    """Send a stream, but not longer than its reader is there."""
    sender = asyncio.ensure_future(sending)

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        sender.cancel()

    watcher = asyncio.ensure_future(watch())
    try:
        await asyncio.wait([sender])
    finally:
        watcher.cancel()
        sender.cancel()
    if not sender.cancelled():
        sender.result()


async def _handle_lifespan(
    receive: Receive,
    send: Send,
    start: Callable[[], Awaitable[object]],
    stop: Callable[[], Awaitable[object]],
) -> None:
    while True:
        kind = (await receive())["type"]
        try:
            await (stop if kind == "lifespan.shutdown" else start)()
        except Exception as error:
            await send({"type": f"{kind}.failed", "message": str(error)})
            raise
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def _read_request(
    scope: Message, receive: Receive, max_body: int, plan_body: PlanBody | None
) -> Request:
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        earlier = headers.get(name)
        separator = b"; " if name == b"cookie" else b", "
        headers[name] = value if earlier is None else earlier + separator + value
    check_host(headers.get(b"host"), scope.get("http_version") == "1.0")
    target = scope.get("raw_path") or quote(scope["path"]).encode()
    target = target.removeprefix(quote(scope.get("root_path", "")).encode()) or b"/"
    if scope.get("query_string"):
        target += b"?" + scope["query_string"]
    path, raw_path, query = split_target(scope["method"], target, headers)
    address = (scope.get("client") or ("",))[0]
    plan = plan_body(scope["method"], target, headers) if plan_body is not None else None
    is_streamed = plan is not None and plan.is_streamed
    limit = max_body if plan is None else plan.limit
    body = b"" if is_streamed else await _read_body(receive, limit)
    return Request(
        scope["method"],
        path,
        query,
        headers,
        body,
        address,
        raw_path,
        is_secure=scope.get("scheme") == "https",
        stream=_ReceivedBody(receive, limit) if is_streamed else None,
    )


class _ReceivedBody:
    """The body of a request, received while it is read."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit, self._size = receive, limit, 0
        self.is_ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self.is_ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise broken()
            self.is_ended = not message.get("more_body")
            piece = bytes(message.get("body", b""))
            self._size += len(piece)
            if self._size > self._limit:
                raise TooLargeError(too_large(self._limit))
            if piece:
                return piece
        raise StopAsyncIteration


async def _read_body(receive: Receive, max_body: int) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > max_body:
            raise TooLargeError(too_large(max_body))
        if not message.get("more_body"):
            return body


async def _send_response(response: Response, send: Send, *, is_head: bool) -> None:
    fields = [("X-Content-Type-Options", "nosniff"), *response.headers]
    if response.content_type is not None:
        fields.append(("Content-Type", response.content_type))
    if response.cid:
        fields.append(("X-Zato-CID", response.cid))
    length = len(response.body) if response.stream is None else response.length
    if length is not None:
        fields.append(("Content-Length", str(length)))
    headers = [(name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in fields]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if response.stream is not None:
        try:
            if not is_head:
                async for piece in response.stream:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            await close_stream(response.stream)
    body = b"" if is_head else response.body
    await send({"type": "http.response.body", "body": body, "more_body": False})
