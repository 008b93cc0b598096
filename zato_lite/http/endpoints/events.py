"""``/zato/events`` and ``/zato/events/log``: streams of server-sent events that can be resumed."""

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
)
from contextlib import aclosing
from typing import Any, NamedTuple

from zato_lite.errors import BadInputError, FieldError, NotFoundError
from zato_lite.http.events import FIGURES, GAP, NAMELESS_KINDS, Event, Events
from zato_lite.http.message import EVENTS, Request, Response
from zato_lite.http.payloads import query_of
from zato_lite.http.routes import Route
from zato_lite.http.streamed import UNBUFFERED
from zato_lite.http.streams import StreamCounter
from zato_lite.service.access import owns_jobs_of
from zato_lite.service.message import Caller
from zato_lite.wire import encode

EVENTS_PATH = "/zato/events"
LOG_PATH = "/zato/events/log"

_HEARTBEAT_S = 15.0
_POLL_S = 0.5
_MAX_DIGITS = 19
_MAX_IDS = 500
_MAX_SHOWN = 100
_ON_REQUEST = frozenset({FIGURES, "next"})
"""Kinds that are sent only to listeners that name them."""

_WITHOUT_SERVICE = frozenset({"deployment"})
"""Kinds that name no service, and are for all listeners."""

_START = b"retry: 2000\n\n"
_HEARTBEAT = b": nothing new\n\n"
_NOBODY = Caller("nobody")

Ask = Callable[[str, Mapping[str, Any], Caller], Awaitable[Any]]
"""Invokes a service for a caller and returns its answer, or raises its error."""


def event_routes(events: Events, ask: Ask, streams: StreamCounter | None = None) -> list[Route]:
    """Return the two routes, for viewers, who may have a limited number of streams.

    ``/zato/events?kinds=run-started,run-ended&ids=3,7`` streams some kinds only, and only those
    of some jobs, at most 500; a caller confined to some services gets the events of those.
    ``/zato/events/log?job_id=7&current_run=3`` follows the log lines of a run to its end; its
    caller needs the right to read them.
    """
    counter = streams or StreamCounter()

    async def stream_events(request: Request, caller: Caller | None) -> Response:
        principal = (caller or _NOBODY).principal
        patterns = caller.patterns if caller is not None else ()
        wanted = _wanted(request.query, patterns)
        pieces = _stream(events, _last_event_id(request), wanted)
        stream = counter.count(principal, pieces)
        return Response(200, content_type=EVENTS, headers=UNBUFFERED, stream=stream)

    async def stream_log(request: Request, caller: Caller | None) -> Response:
        run, since = query_of(request.query), _last_event_id(request) or 0
        caller = caller or _NOBODY
        counter.check(caller.principal)  # before the services are asked
        log = _RunLog(ask, run, caller)
        first = await log.read(since)
        if first.has_ended and not first.lines and since:
            return Response(204, b"", None)  # makes a browser stop reconnecting
        stream = counter.count(caller.principal, log.follow(first, since))
        return Response(200, content_type=EVENTS, headers=UNBUFFERED, stream=stream)

    return [Route(("GET",), EVENTS_PATH, stream_events), Route(("GET",), LOG_PATH, stream_log)]


class _LogLines(NamedTuple):
    """New lines of a run's log; no more will come if the run has ended."""

    lines: list[Any]
    has_ended: bool


class _RunLog:
    """The log of a run, polled through the services on behalf of a caller."""

    def __init__(self, ask: Ask, run: Mapping[str, Any], caller: Caller) -> None:
        self._ask, self._run, self._caller = ask, run, caller

    async def read(self, since: int) -> _LogLines:
        """Return the lines from number ``since`` on.

        Raises:
            NotFoundError: the run does not exist.
            ZatoLiteError: the services refuse the caller.
        """
        # In this order: lines logged after the first answer are read by the next poll.
        detail = await self._ask("zato.scheduler.job.get-run-detail", self._run, self._caller)
        query = {**self._run, "since_idx": since}
        log = await self._ask("zato.scheduler.job.get-log-entries", query, self._caller)
        if detail["record"] is None:
            raise NotFoundError("run not found")
        return _LogLines(log["entries"], detail["record"]["outcome"] != "running")

    async def follow(self, first: _LogLines, number: int) -> AsyncIterator[bytes]:
        """Yield the lines after line ``number``, and an ``end`` event after the last one."""
        yield _START
        new, heartbeat_in = first, _HEARTBEAT_S
        while True:
            for line in new.lines:
                number += 1
                yield b"id: %d\nevent: line\ndata: %b\n\n" % (number, encode(line))
            if new.has_ended:
                yield b"event: end\ndata: {}\n\n"
                return
            heartbeat_in = _HEARTBEAT_S if new.lines else heartbeat_in - _POLL_S
            if heartbeat_in <= 0:
                heartbeat_in = _HEARTBEAT_S
                yield _HEARTBEAT
            await asyncio.sleep(_POLL_S)
            new = await self.read(number)


def _last_event_id(request: Request) -> int | None:
    last = request.headers.get(b"last-event-id", b"")
    return int(last) if last.isdigit() and len(last) < _MAX_DIGITS else None


class _Wanted(NamedTuple):
    """Events that a listener has asked for, and may have."""

    kinds: frozenset[str]
    ids: frozenset[int]
    patterns: tuple[str, ...]

    def fits(self, event: Event) -> bool:
        """Return True if the event is to be sent."""
        if event.kind == GAP:
            return True
        if event.kind not in self.kinds and (self.kinds or event.kind in _ON_REQUEST):
            return False
        if event.job_id and self.ids and event.job_id not in self.ids:
            return False
        if not self.patterns or event.kind in _WITHOUT_SERVICE or self.is_nameless(event):
            return True
        return bool(event.service) and owns_jobs_of(self.patterns, event.service)

    def is_nameless(self, event: Event) -> bool:
        """Return True if the listener may know only that something has changed, not what."""
        return bool(self.patterns) and event.kind in NAMELESS_KINDS

    def text(self, event: Event) -> bytes:
        """Return the event as it is sent."""
        data = b"{}" if self.is_nameless(event) else event.data
        return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.number, event.kind.encode(), data)


def _wanted(query: bytes, patterns: tuple[str, ...]) -> _Wanted:
    """Return which events are asked for.

    Raises:
        BadInputError: ``ids`` are not numbers, or too many.
    """
    sent = query_of(query)
    kinds = _listed(sent.get("kinds", ""))
    texts = _listed(sent.get("ids", ""))
    if len(texts) > _MAX_IDS or not all(_is_id(text) for text in texts):
        shown = ",".join(texts)[:_MAX_SHOWN]
        message = f"ids: {shown!r} is not allowed; at most {_MAX_IDS} whole numbers"
        raise BadInputError.of([FieldError("ids", shown, message)])
    return _Wanted(frozenset(kinds), frozenset(map(int, texts)), patterns)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


def _listed(value: str | list[str]) -> list[str]:
    """Return the items of a parameter, which may be repeated or have commas."""
    text = value if isinstance(value, str) else ",".join(value)
    return [item for item in text.split(",") if item]


async def _stream(events: Events, since: int | None, wanted: _Wanted) -> AsyncIterator[bytes]:
    with events.asking(wanted.kinds & _ON_REQUEST):
        async with aclosing(events.batches(since)) as batches:
            yield _START
            async for batch in batches:
                if not batch:
                    yield _HEARTBEAT
                elif found := b"".join(map(wanted.text, filter(wanted.fits, batch))):
                    yield found
