"""What happens, as it happens: a stream of server-sent events that can be taken up again."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, NamedTuple, Protocol

from zato_lite.http.message import Request, Response
from zato_lite.http.routes import Route
from zato_lite.service.message import Caller
from zato_lite.wire import encode

EVENTS = "/zato/events"
STREAM = "text/event-stream"

_MOST_KEPT = 2_000
_MOST_BEHIND = 1_000
_BEAT_S = 15.0
_HEADERS = (("X-Accel-Buffering", "no"),)


class Event(NamedTuple):
    """Something that happened, numbered in order."""

    number: int
    kind: str
    data: bytes


class Events(Protocol):
    """Where events come from."""

    def subscribe(self, since: int | None) -> AsyncGenerator[Event | None, None]:
        """Those after number ``since``, or from now on; None now and then when there is none."""
        ...


class EventLog:
    """Keeps the latest events and hands them to whoever listens; a slow listener misses some.

    Attributes:
        listeners: how many listen.
        is_wanted: somebody listens or did once; before that, nobody need make an event.
    """

    def __init__(self, beat: float = _BEAT_S) -> None:
        self.listeners = 0
        self.is_wanted = False
        self._beat = beat
        self._last = 0
        self._kept: deque[Event] = deque(maxlen=_MOST_KEPT)
        self._news: asyncio.Event | None = None

    def publish(self, kind: str, data: Any) -> None:
        """Tell all listeners."""
        self._last += 1
        # A copy of exact size: what the encoder returns holds its whole buffer, some kilobytes.
        text = bytes(memoryview(encode(data, str)))
        self._kept.append(Event(self._last, kind, text))
        if self._news is not None:
            self._news.set()

    async def subscribe(self, since: int | None) -> AsyncGenerator[Event | None, None]:
        """Those after number ``since``; the server's start begins a new count."""
        at = self._last if since is None or since > self._last else since
        self.listeners += 1
        self.is_wanted = True
        try:
            while True:
                for event in [event for event in self._kept if event.number > at][-_MOST_BEHIND:]:
                    at = event.number
                    yield event
                if at == self._last and not await self._wait():
                    yield None
        finally:
            self.listeners -= 1

    async def _wait(self) -> bool:
        """Wait for news; False if there were none for a while."""
        if self._news is None or self._news.is_set():
            self._news = asyncio.Event()
        try:
            async with asyncio.timeout(self._beat):
                await self._news.wait()
        except TimeoutError:
            return False
        return True


def event_routes(events: Events) -> list[Route]:
    """``/zato/events``, for viewers; ``?kinds=run,job`` for some kinds only."""

    async def stream(request: Request, caller: Caller | None) -> Response:
        last = request.headers.get(b"last-event-id", b"")
        since = int(last) if last.isdigit() and len(last) < _MOST_DIGITS else None
        kinds = _kinds(request.query)
        pieces = _pieces(events.subscribe(since), kinds)
        return Response(200, content_type=STREAM, headers=_HEADERS, stream=pieces)

    return [Route(("GET",), EVENTS, stream)]


_MOST_DIGITS = 19


def _kinds(query: bytes) -> frozenset[str]:
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if name == b"kinds":
            return frozenset(value.decode("ascii", "replace").split(","))
    return frozenset()


async def _pieces(
    events: AsyncGenerator[Event | None, None], kinds: frozenset[str]
) -> AsyncIterator[bytes]:
    async with aclosing(events):
        yield b"retry: 2000\n\n"
        async for event in events:
            if event is None:
                yield b": nothing new\n\n"
            elif not kinds or event.kind in kinds:
                kind = event.kind.encode()
                yield b"id: %d\nevent: %b\ndata: %b\n\n" % (event.number, kind, event.data)
