"""Streams: answers whose items are sent while a service makes them, and files."""

import os
from collections.abc import AsyncIterator
from typing import Any, Protocol, Self, get_args

import msgspec

from zato_lite.log import invocation_context
from zato_lite.service.message import Invocation


class Event(msgspec.Struct, frozen=True):
    """A server-sent event; a stream of events is ``text/event-stream``.

    Attributes:
        data: a text, or a value that is sent as JSON.
        event: its kind; ``message`` if empty.
        id: sent back by a client that reconnects, in ``Last-Event-ID``.
        retry: milliseconds before a client reconnects.
    """

    data: Any = None
    event: str = ""
    id: str = ""
    retry: int | None = None


class FileAnswer(msgspec.Struct, frozen=True):
    """A file as an answer, with ranges and conditional requests.

    Attributes:
        path: the file; it is the service's duty that the caller may read it.
        content_type: the default is that of the name's suffix.
        name: under which a browser saves the file; if it is empty, the browser shows the file.
    """

    path: str | os.PathLike[str]
    content_type: str = ""
    name: str = ""


class Owner(Protocol):
    """The entry of a service, as its streams see it."""

    holds: set[object]
    output: Any

    def count_error(self, error: BaseException) -> BaseException:
        """Count an error of the service."""
        ...


class Stream:
    """The items of an answer, made within the invocation; its resources stay open until the end.

    Args:
        items: the service's own iterator, such as an async generator.
        invocation: the invocation, under whose correlation id the service logs.
        owner: the service.
    """

    __slots__ = ("_invocation", "_items", "_owner", "_token")

    def __init__(self, items: Any, invocation: Invocation, owner: Owner) -> None:
        self._invocation, self._owner, self._token = invocation, owner, object()
        self._items: AsyncIterator[Any] = aiter(items)
        owner.holds.add(self._token)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        token = invocation_context.set(self._invocation)
        try:
            return await anext(self._items)
        except StopAsyncIteration:
            raise
        except Exception as error:
            self._owner.count_error(error)
            raise
        finally:
            invocation_context.reset(token)

    @property
    def item_type(self) -> Any:
        """Return the type of the items that the service declares, or None."""
        return next(iter(get_args(self._owner.output)), None)

    async def drain(self) -> None:
        """Make it to its end, in the invocation, which counts its errors; no item is kept."""
        try:
            async for _ in self._items:
                pass
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """End the service's iterator: its ``finally`` blocks run."""
        token = invocation_context.set(self._invocation)
        try:
            if (close := getattr(self._items, "aclose", None)) is not None:
                await close()
        finally:
            invocation_context.reset(token)
            self._owner.holds.discard(self._token)

    def __del__(self) -> None:
        self._owner.holds.discard(self._token)


ORDINARY = frozenset({dict, list, str, bytes, type(None), int, float, bool, tuple})
"""Types of most answers, which are not streams."""


def as_stream(payload: Any, invocation: Invocation, owner: Owner) -> Any:
    """Return a stream of a payload that can be iterated asynchronously; others as they are."""
    kind = type(payload)
    if kind in ORDINARY or not hasattr(kind, "__aiter__") or kind is Stream:
        return payload
    return Stream(payload, invocation, owner)
