"""Streamed responses: the items of a stream as bytes, in the form that their type asks for."""

import asyncio
import os
from collections.abc import Callable
from typing import Any, Self

from zato_lite.errors import DeadlineError, NotFoundError
from zato_lite.http.files import (
    content_type_of,
    disposition,
    file_response,
    on_disk,
    open_file,
)
from zato_lite.http.message import BYTES, EVENTS, LINES, TEXT, Request, Response
from zato_lite.http.responses import BODILESS, applied, error_response, to_plain
from zato_lite.service.message import Outcome
from zato_lite.service.request import Response as ServiceResponse
from zato_lite.service.stream import Event, FileAnswer, Stream
from zato_lite.wire import encode

UNBUFFERED = (("X-Accel-Buffering", "no"),)
"""Field of streams of events: a proxy does not collect them."""


class Pieces:
    """The bytes of a stream; its first item was made before the status was sent."""

    __slots__ = ("_encode", "_first", "_items")

    def __init__(
        self, first: list[bytes], items: Stream, to_bytes: Callable[[Any], bytes]
    ) -> None:
        self._first, self._items, self._encode = first, items, to_bytes

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        return self._first.pop() if self._first else self._encode(await anext(self._items))

    async def aclose(self) -> None:
        """End the stream."""
        await self._items.aclose()


async def stream_response(outcome: Outcome, service: str, seconds: float | None) -> Response:
    """Return the response to an outcome with a stream; an error before its first item is its own.

    So the service can set the status, the headers and the type until it yields the first item,
    for which it has the rest of its ``seconds``.
    """
    items: Stream = outcome.payload
    try:
        first = await _first_of(items, service, seconds, outcome.seconds)
        kind_of_item = type(first[0]) if first else items.item_type
        response = applied(outcome, Response(200, b"", stream_type(kind_of_item), (), outcome.cid))
        kind = response.content_type or BYTES
        to_bytes = frame if kind.startswith(EVENTS) else _to_bytes
        made = [to_bytes(item) for item in first]
    except Exception as error:  # noqa: BLE001 - every request gets an answer
        await items.aclose()
        outcome.error = error
        return error_response(error, outcome.cid)
    except BaseException:
        await items.aclose()
        raise
    if response.status in BODILESS or outcome.error is not None:
        await items.aclose()
        return response
    if kind.startswith(EVENTS):
        response.headers += UNBUFFERED
    response.stream = Pieces(made, items, to_bytes)
    return response


async def _first_of(items: Stream, service: str, seconds: float | None, used: float) -> list[Any]:
    """Return the first item; nothing of an empty stream.

    Raises:
        DeadlineError: it took too long.
    """
    limit = asyncio.timeout(None if seconds is None else max(0.0, seconds - used))
    try:
        async with limit:
            return [await anext(items)]
    except StopAsyncIteration:
        return []
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise DeadlineError(f"Service `{service}` took longer than {seconds:g} s") from error


async def answer_file(outcome: Outcome, request: Request) -> Response:
    """Return the response to an outcome with a file; the service may set headers and the type."""
    answer: FileAnswer = outcome.payload
    kind = answer.content_type or content_type_of(os.fspath(answer.path))
    try:
        file = await on_disk(open_file, answer.path, owner=outcome.cid)
    except NotFoundError as error:
        outcome.error = error
        return error_response(error, outcome.cid)
    fields = (("Content-Disposition", disposition(answer.name)),) if answer.name else ()
    response = file_response(request, file, kind, fields)
    response.cid = outcome.cid
    overrides = outcome.overrides or ServiceResponse[Any]()
    chosen = applied(Outcome(outcome.cid, overrides=overrides), Response(200, b"", kind))
    response.headers += chosen.headers
    if response.content_type is not None:
        response.content_type = chosen.content_type
    return response


def frame(item: Any) -> bytes:
    """Return an item as a server-sent event."""
    event = item if isinstance(item, Event) else Event(item)
    fields = [("event", event.event), ("id", event.id), ("retry", event.retry or "")]
    lines = [f"{name}: {_line(value)}\n" for name, value in fields if value != ""]
    data = event.data if isinstance(event.data, str) else encode(event.data, to_plain).decode()
    lines += [
        f"data: {line}\n" for line in data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    ]
    return ("".join(lines) + "\n").encode()


def _line(value: Any) -> str:
    return str(value).replace("\r", " ").replace("\n", " ").replace("\0", "")


def stream_type(item: Any) -> str:
    """Return the default content type of a stream whose items have this type."""
    if item is None or item in {bytes, bytearray, memoryview}:
        return BYTES
    if not isinstance(item, type):
        return LINES
    if issubclass(item, str):
        return TEXT
    return EVENTS if issubclass(item, Event) else LINES


def _to_bytes(item: Any) -> bytes:
    """Return bytes as they are, a text in UTF-8, and any other item as a line of JSON."""
    if isinstance(item, bytes):
        return item
    if isinstance(item, str):
        return item.encode()
    if isinstance(item, bytearray | memoryview):
        return bytes(item)
    return encode(item, to_plain) + b"\n"
