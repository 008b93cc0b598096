"""What happens, as it happens: streams of server-sent events that can be taken up again."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, NamedTuple, Protocol

from zato_lite.errors import NotFoundError
from zato_lite.http.message import Request, Response
from zato_lite.http.payloads import query_of
from zato_lite.http.routes import Route
from zato_lite.service.access import fits
from zato_lite.service.message import Caller
from zato_lite.wire import encode

EVENTS = "/zato/events"
LOG = "/zato/events/log"
STREAM = "text/event-stream"

_MOST_KEPT = 2_000
_MOST_BEHIND = 1_000
_BEAT_S = 15.0
_LOOK_S = 0.5
_HEADERS = (("X-Accel-Buffering", "no"),)
_BEGIN = b"retry: 2000\n\n"
_BEAT = b": nothing new\n\n"

Ask = Callable[[str, Mapping[str, Any], Caller], Awaitable[Any]]
"""Invokes a service in a caller's name; what it answers, or its error raised."""


class Event(NamedTuple):
    """Something that happened, numbered in order; with which service, if with one."""

    number: int
    kind: str
    data: bytes
    service: str = ""


GAP = "gap"
"""The kind of event that stands for others, which are not kept any more: look at all again."""


class Events(Protocol):
    """Where events come from."""

    def subscribe(self, since: int | None) -> AsyncGenerator[Event | None, None]:
        """Those after number ``since``, or from now on; None now and then when there is none."""
        ...


class EventLog:
    """Keeps the latest events and hands them to whoever listens; a slow listener misses some.

    Args:
        beat: seconds after which a listener is told that there is nothing new.
        now: microseconds since 1970. Events are numbered by it, so that those of a process are
            later than those of the one before it.

    Attributes:
        listeners: how many listen.
        is_wanted: somebody listens or did once; before that, nobody need make an event.
    """

    def __init__(self, beat: float = _BEAT_S, now: Callable[[], int] = lambda: 0) -> None:
        self.listeners = 0
        self.is_wanted = False
        self._beat, self._now = beat, now
        self._last = 0
        self._whole_since = 0
        self._kept: deque[Event] = deque(maxlen=_MOST_KEPT)
        self._news: asyncio.Event | None = None

    def publish(self, kind: str, data: Any) -> None:
        """Tell all listeners."""
        self._last = max(self._last + 1, self._now())
        # A copy of exact size: what the encoder returns holds its whole buffer, some kilobytes.
        text = bytes(memoryview(encode(data, str)))
        service = data.get("service", "") if isinstance(data, dict) else ""
        if len(self._kept) == _MOST_KEPT:
            self._whole_since = self._kept[0].number
        self._kept.append(Event(self._last, kind, text, service))
        if self._news is not None:
            self._news.set()

    async def subscribe(self, since: int | None) -> AsyncGenerator[Event | None, None]:
        """Those after number ``since``, or from now on; a gap where some are not kept any more."""
        if not self.is_wanted:
            self.is_wanted = True
            self._whole_since = self._kept[0].number - 1 if self._kept else self._now()
            self._last = max(self._last, self._whole_since)
        at = self._last if since is None or since > self._last else since
        self.listeners += 1
        try:
            while True:
                following = [event for event in self._kept if event.number > at]
                if at < self._whole_since or len(following) > _MOST_BEHIND:
                    following = following[-_MOST_BEHIND:]
                    at = following[0].number - 1 if following else self._whole_since
                    yield Event(at, GAP, b"{}")
                for event in following:
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


def event_routes(events: Events, ask: Ask) -> list[Route]:
    """``/zato/events`` and ``/zato/events/log``, for viewers.

    The first has ``?kinds=run-started,run-ended`` for some kinds only; who is confined to some
    services is told of those. The second, ``?job_id=7&current_run=3``, follows what is logged
    during a run, until it has ended; it is there for whoever may read that otherwise.
    """

    async def stream(request: Request, caller: Caller | None) -> Response:
        kinds = _kinds(request.query)
        patterns = caller.patterns if caller is not None else ()
        pieces = _pieces(events.subscribe(_since(request)), kinds, patterns)
        return Response(200, content_type=STREAM, headers=_HEADERS, stream=pieces)

    async def log(request: Request, caller: Caller | None) -> Response:
        asked, since = query_of(request.query), _since(request) or 0
        lines = _Lines(ask, asked, caller or _NOBODY)
        first = await lines.look(since)
        if first.has_ended and not first.lines and since:
            return Response(204, b"", None)  # which tells a browser to ask no more
        stream = lines.follow(first, since)
        return Response(200, content_type=STREAM, headers=_HEADERS, stream=stream)

    return [Route(("GET",), EVENTS, stream), Route(("GET",), LOG, log)]


_MOST_DIGITS = 19
_NOBODY = Caller("nobody")


class _Looked(NamedTuple):
    """The lines that are new, and whether there will be more."""

    lines: list[Any]
    has_ended: bool


class _Lines:
    """What is logged during a run, asked for again and again, in the name of who wants it."""

    def __init__(self, ask: Ask, asked: Mapping[str, Any], caller: Caller) -> None:
        self._ask, self._asked, self._caller = ask, asked, caller

    async def look(self, since: int) -> _Looked:
        """What there is from line ``since`` on.

        Raises:
            NotFoundError: there is no such run.
            ZatoLiteError: what the services say to who asks.
        """
        # In this order: what is logged after the first answer comes with the next look.
        detail = await self._ask("zato.scheduler.job.get-run-detail", self._asked, self._caller)
        wanted = {**self._asked, "since_idx": since}
        found = await self._ask("zato.scheduler.job.get-log-entries", wanted, self._caller)
        if detail["record"] is None:
            raise NotFoundError("There is no such run")
        return _Looked(found["entries"], detail["record"]["outcome"] != "running")

    async def follow(self, looked: _Looked, at: int) -> AsyncIterator[bytes]:
        """The lines from the first look on, and the word that there are no more."""
        yield _BEGIN
        beat = _BEAT_S
        while True:
            for line in looked.lines:
                at += 1
                yield b"id: %d\nevent: line\ndata: %b\n\n" % (at, encode(line))
            if looked.has_ended:
                yield b"event: end\ndata: {}\n\n"
                return
            beat = _BEAT_S if looked.lines else beat - _LOOK_S
            if beat <= 0:
                beat = _BEAT_S
                yield _BEAT
            await asyncio.sleep(_LOOK_S)
            looked = await self.look(at)


def _since(request: Request) -> int | None:
    last = request.headers.get(b"last-event-id", b"")
    return int(last) if last.isdigit() and len(last) < _MOST_DIGITS else None


def _kinds(query: bytes) -> frozenset[str]:
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if name == b"kinds":
            return frozenset(value.decode("ascii", "replace").split(","))
    return frozenset()


async def _pieces(
    events: AsyncGenerator[Event | None, None], kinds: frozenset[str], patterns: tuple[str, ...]
) -> AsyncIterator[bytes]:
    async with aclosing(events):
        yield _BEGIN
        async for event in events:
            if event is None:
                yield _BEAT
                continue
            if kinds and event.kind not in kinds and event.kind != GAP:
                continue
            if not event.service or fits(event.service, patterns):
                kind = event.kind.encode()
                yield b"id: %d\nevent: %b\ndata: %b\n\n" % (event.number, kind, event.data)
