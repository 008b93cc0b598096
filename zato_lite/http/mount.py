"""Mounts: other ASGI applications under this server."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, MutableMapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from zato_lite.errors import ConfigError
from zato_lite.http.admission import require_path
from zato_lite.http.asgi import AsgiApp, Message
from zato_lite.http.message import TEXT, Request, Response
from zato_lite.http.routes import Route
from zato_lite.service.message import Caller

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_VERSION = {"version": "3.0", "spec_version": "2.4"}
_RESERVED = frozenset({b"connection", b"content-length", b"date", b"transfer-encoding"})
_SPLITS = re.compile(rb"[\r\n\0]")
_STATUSES = range(200, 600)

_log = logging.getLogger(__name__)


def mount_route(
    app: AsgiApp,
    path: str,
    role: str | None = "viewer",
    state: MutableMapping[str, Any] | None = None,
) -> Route:
    """Return a route that passes all requests from ``path`` down to another application.

    A caller confined to some services needs a pattern that matches the path. ``state`` is the
    application's own, from ``lifespan``.
    """

    async def handle(request: Request, caller: Caller | None) -> Response:
        require_path(caller, path)
        scope = _scope(request, path)
        if state is not None:
            scope["state"] = dict(state)
        return await _call(app, scope, request.body)

    return Route(METHODS, f"{path}/*", handle, role)


@asynccontextmanager
async def lifespan(app: AsgiApp) -> AsyncIterator[MutableMapping[str, Any]]:
    """Start an application and stop it at the end; yields the state that it keeps for requests.

    Raises:
        ConfigError: the application cannot start.
    """
    state: dict[str, Any] = {}
    incoming: asyncio.Queue[Message] = asyncio.Queue()
    outgoing: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": _VERSION, "state": state}

    async def run() -> None:
        try:
            await app(scope, incoming.get, outgoing.put)
        except Exception:  # noqa: BLE001 - an application without lifespan support raises
            _log.debug("lifespan not supported", exc_info=True)
        finally:
            outgoing.put_nowait({"type": "ended"})

    task = asyncio.create_task(run(), name="lifespan")
    incoming.put_nowait({"type": "lifespan.startup"})
    answer = await outgoing.get()
    if answer["type"] == "lifespan.startup.failed":
        await task
        raise ConfigError(f"mounted application cannot start: {answer.get('message', '')}")
    try:
        yield state
    finally:
        incoming.put_nowait({"type": "lifespan.shutdown"})
        await task


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
    """Call the application; its response is a stream if it announces more than one piece."""
    messages: asyncio.Queue[Message] = asyncio.Queue(maxsize=8)
    requests = [{"type": "http.request", "body": body, "more_body": False}]
    disconnected = asyncio.Event()

    async def receive() -> Message:
        if requests:
            return requests.pop()
        await disconnected.wait()
        return {"type": "http.disconnect"}

    task = asyncio.create_task(_run(app(scope, receive, messages.put), messages), name="mounted")
    start = await messages.get()
    if start["type"] != "http.response.start":
        await task
        return Response(500, b"", TEXT)
    if (response := _response_head(start)) is None:
        task.cancel()
        _log.error("response of mounted application refused", extra={"path": scope["path"]})
        return Response(500, b"", TEXT)
    first = await messages.get()
    if not first.get("more_body"):
        await task
        response.body = first.get("body", b"")
        return response
    response.stream = _stream(first, messages, task, disconnected)
    return response


def _response_head(start: Message) -> Response | None:
    """Return the status and fields of a response; None if they are not valid or would split it."""
    kind, fields = None, []
    for name, value in start.get("headers", ()):
        if _SPLITS.search(name) or _SPLITS.search(value):
            return None
        if name.lower() == b"content-type":
            kind = value.decode("latin-1")
        elif name.lower() not in _RESERVED:
            fields.append((name.decode("latin-1"), value.decode("latin-1")))
    if start["status"] not in _STATUSES:
        return None
    return Response(start["status"], content_type=kind, headers=tuple(fields))


async def _run(response: Awaitable[None], messages: "asyncio.Queue[Message]") -> None:
    try:
        await response
    finally:
        with suppress(asyncio.QueueFull):  # a full queue means that the response has started
            messages.put_nowait({"type": "ended"})


async def _stream(
    first: Message,
    messages: "asyncio.Queue[Message]",
    task: "asyncio.Task[None]",
    disconnected: asyncio.Event,
) -> AsyncIterator[bytes]:
    message = first
    try:
        while True:
            yield message.get("body", b"")
            if not message.get("more_body"):
                break
            message = await messages.get()
            if message["type"] == "ended":
                await task
                raise ConnectionAbortedError("mounted application broke off its response")
    finally:
        disconnected.set()
        if not task.done():
            task.cancel()
