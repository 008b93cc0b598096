"""ASGI, both ways: our application under another server, another application under ours."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)
from typing import Any
from urllib.parse import quote

from zato_lite.errors import ConfigError, ForbiddenError, TooLargeError
from zato_lite.http.head import RefusedError, check_host, split_target
from zato_lite.http.message import TEXT, Request, Response, await_response
from zato_lite.http.pipeline import App
from zato_lite.http.routes import Route
from zato_lite.service.access import fits
from zato_lite.service.message import Caller

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Message, Receive, Send], Awaitable[None]]

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_MOST_BODY = 1024 * 1024
_VERSION = {"version": "3.0", "spec_version": "2.4"}

_OURS = frozenset({b"connection", b"content-length", b"date", b"transfer-encoding"})
_SPLITS = re.compile(rb"[\r\n\0]")
_STATUSES = range(200, 600)

_log = logging.getLogger(__name__)


def opening(
    open_app: Callable[[], AbstractAsyncContextManager[App]], most_body: int = _MOST_BODY
) -> AsgiApp:
    """Our application for any ASGI server, or for mounting; limits of time are that server's.

    It is opened when the server starts, and closed at its end. A server that does not tell of its
    start (``lifespan``) has it opened by the first request, and never closed.
    """
    opened: App | None = None
    stack = AsyncExitStack()
    turn = asyncio.Lock()

    async def enter() -> App:
        nonlocal opened
        async with turn:
            if opened is None:
                opened = await stack.enter_async_context(open_app())
            return opened

    async def call(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send, enter, stack.aclose)
            return
        if scope["type"] != "http":
            raise ValueError(f"{scope['type']} is not spoken here")
        app = opened or await enter()
        try:
            response = await await_response(app(await _request(scope, receive, most_body)))
        except (RefusedError, TooLargeError) as refused:
            response = Response(refused.status, str(refused).encode(), TEXT)
        await _send(response, send, is_head=scope["method"] == "HEAD")

    return call


def mounted(
    app: AsgiApp,
    path: str,
    role: str | None = "viewer",
    state: MutableMapping[str, Any] | None = None,
) -> Route:
    """A route that leads all from ``path`` down to another application, such as FastAPI's.

    Who is confined to some services needs a pattern that fits the path. ``state`` is what the
    application kept at its start, by ``living``.
    """

    async def handle(request: Request, caller: Caller | None) -> Response:
        if caller is not None and not fits(path, caller.patterns):
            raise ForbiddenError(f"{caller.name} may not ask for `{path}`")
        scope = _scope(request, path)
        if state is not None:
            scope["state"] = dict(state)
        return await _call(app, scope, request.body)

    return Route(METHODS, f"{path}/*", handle, role)


@asynccontextmanager
async def living(app: AsgiApp) -> AsyncIterator[MutableMapping[str, Any]]:
    """Tell an application of its start and its end; what it keeps for its requests.

    Raises:
        ConfigError: it says that it cannot start.
    """
    state: dict[str, Any] = {}
    asked: asyncio.Queue[Message] = asyncio.Queue()
    told: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": _VERSION, "state": state}

    async def live() -> None:
        try:
            await app(scope, asked.get, told.put)
        except Exception:  # noqa: BLE001 - so says one that takes no part in this
            _log.debug("no lifespan", exc_info=True)
        finally:
            told.put_nowait({"type": "ended"})

    task = asyncio.create_task(live(), name="lifespan")
    asked.put_nowait({"type": "lifespan.startup"})
    answer = await told.get()
    if answer["type"] == "lifespan.startup.failed":
        await task
        raise ConfigError(f"a mounted application cannot start: {answer.get('message', '')}")
    try:
        yield state
    finally:
        asked.put_nowait({"type": "lifespan.shutdown"})
        await task


async def _live(
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


async def _request(scope: Message, receive: Receive, most: int) -> Request:
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        known = headers.get(name)
        joint = b"; " if name == b"cookie" else b", "
        headers[name] = value if known is None else known + joint + value
    check_host(headers.get(b"host"), scope.get("http_version") == "1.0")
    target = scope.get("raw_path") or quote(scope["path"]).encode()
    target = target.removeprefix(quote(scope.get("root_path", "")).encode()) or b"/"
    if scope.get("query_string"):
        target += b"?" + scope["query_string"]
    path, raw_path, query = split_target(scope["method"], target, headers)
    address = (scope.get("client") or ("",))[0]
    body = await _body(receive, most)
    is_secure = scope.get("scheme") == "https"
    return Request(
        scope["method"], path, query, headers, body, address, raw_path, is_secure=is_secure
    )


async def _body(receive: Receive, most: int) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > most:
            raise TooLargeError("The body is too large")
        if not message.get("more_body"):
            return body


async def _send(response: Response, send: Send, *, is_head: bool) -> None:
    fields = [("X-Content-Type-Options", "nosniff"), *response.headers]
    if response.content_type is not None:
        fields.append(("Content-Type", response.content_type))
    if response.cid:
        fields.append(("X-Zato-CID", response.cid))
    if response.stream is None:
        fields.append(("Content-Length", str(len(response.body))))
    headers = [(name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in fields]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if response.stream is not None and not is_head:
        async for piece in response.stream:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    body = b"" if is_head else response.body
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _scope(request: Request, path: str) -> Message:
    return {
        "type": "http",
        "asgi": _VERSION,
        "http_version": "1.1",
        "method": request.method,
        "scheme": "https" if request.is_secure else "http",
        "path": request.path,
        "raw_path": request.raw_path.encode(),
        "root_path": path,
        "query_string": request.query,
        "headers": list(request.headers.items()),
        "client": (request.remote_address, 0),
        "server": None,
    }


async def _call(app: AsgiApp, scope: Message, body: bytes) -> Response:
    """Call the application; its answer is streamed if it says that more will come."""
    parts: asyncio.Queue[Message] = asyncio.Queue(maxsize=8)
    asked = [{"type": "http.request", "body": body, "more_body": False}]
    gone = asyncio.Event()

    async def receive() -> Message:
        if asked:
            return asked.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    task = asyncio.create_task(_run(app(scope, receive, parts.put), parts), name="mounted")
    start = await parts.get()
    if start["type"] != "http.response.start":
        await task
        return Response(500, b"", TEXT)
    if (response := _head_of(start)) is None:
        task.cancel()
        _log.error("a mounted application's answer cannot be sent", extra={"path": scope["path"]})
        return Response(500, b"", TEXT)
    first = await parts.get()
    if not first.get("more_body"):
        await task
        response.body = first.get("body", b"")
        return response
    response.stream = _stream(first, parts, task, gone)
    return response


def _head_of(start: Message) -> Response | None:
    """Status and header fields of an answer; None if they would split it, or are none."""
    kind, fields = None, []
    for name, value in start.get("headers", ()):
        if _SPLITS.search(name) or _SPLITS.search(value):
            return None
        if name.lower() == b"content-type":
            kind = value.decode("latin-1")
        elif name.lower() not in _OURS:
            fields.append((name.decode("latin-1"), value.decode("latin-1")))
    if start["status"] not in _STATUSES:
        return None
    return Response(start["status"], content_type=kind, headers=tuple(fields))


async def _run(answered: Awaitable[None], parts: "asyncio.Queue[Message]") -> None:
    try:
        await answered
    finally:
        with suppress(asyncio.QueueFull):  # then nobody waits for it to begin
            parts.put_nowait({"type": "ended"})


async def _stream(
    first: Message,
    parts: "asyncio.Queue[Message]",
    task: "asyncio.Task[None]",
    gone: asyncio.Event,
) -> AsyncIterator[bytes]:
    message = first
    try:
        while True:
            yield message.get("body", b"")
            if not message.get("more_body"):
                break
            message = await parts.get()
            if message["type"] == "ended":
                await task
                raise ConnectionAbortedError("a mounted application broke off its answer")
    finally:
        gone.set()
        if not task.done():
            task.cancel()
