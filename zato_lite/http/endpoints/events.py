"""``/zato/events`` and ``/zato/events/log``: streams of server-sent events that can be resumed."""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from typing import Any, NamedTuple

from zato_lite.errors import NotFoundError
from zato_lite.http.events import GAP, Event, Events
from zato_lite.http.message import Request, Response
from zato_lite.http.payloads import query_of
from zato_lite.http.routes import Route
from zato_lite.http.streams import StreamCounter
from zato_lite.service.access import matches
from zato_lite.service.message import Caller
from zato_lite.wire import encode

EVENTS_PATH = "/zato/events"
LOG_PATH = "/zato/events/log"
CONTENT_TYPE = "text/event-stream"

_HEARTBEAT_S = 15.0
_POLL_S = 0.5
_MAX_DIGITS = 19
_HEADERS = (("X-Accel-Buffering", "no"),)
_START = b"retry: 2000\n\n"
_HEARTBEAT = b": nothing new\n\n"
_NOBODY = Caller("nobody")

Ask = Callable[[str, Mapping[str, Any], Caller], Awaitable[Any]]
"""Invokes a service for a caller and returns its answer, or raises its error."""


def event_routes(events: Events, ask: Ask, streams: StreamCounter | None = None) -> list[Route]:
    """Return the two routes, for viewers, who may have a limited number of streams.

    ``/zato/events?kinds=run-started,run-ended`` streams some kinds only; a caller confined to
    some services gets the events of those. ``/zato/events/log?job_id=7&current_run=3`` follows
    the log lines of a run to its end; its caller needs the right to read them.
    """
    counter = streams or StreamCounter()

    async def stream_events(request: Request, caller: Caller | None) -> Response:
        principal = (caller or _NOBODY).principal
        kinds = _kinds(request.query)
        patterns = caller.patterns if caller is not None else ()
        pieces = _stream(events.batches(_last_event_id(request)), kinds, patterns)
        stream = counter.count(principal, pieces)
        return Response(200, content_type=CONTENT_TYPE, headers=_HEADERS, stream=stream)

    async def stream_log(request: Request, caller: Caller | None) -> Response:
        run, since = query_of(request.query), _last_event_id(request) or 0
        caller = caller or _NOBODY
        counter.check(caller.principal)  # before the services are asked
        log = _RunLog(ask, run, caller)
        first = await log.read(since)
        if first.has_ended and not first.lines and since:
            return Response(204, b"", None)  # makes a browser stop reconnecting
        stream = counter.count(caller.principal, log.follow(first, since))
        return Response(200, content_type=CONTENT_TYPE, headers=_HEADERS, stream=stream)

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


def _kinds(query: bytes) -> frozenset[str]:
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if name == b"kinds":
            return frozenset(value.decode("ascii", "replace").split(","))
    return frozenset()


async def _stream(
    batches: AsyncGenerator[Sequence[Event], None],
    kinds: frozenset[str],
    patterns: tuple[str, ...],
) -> AsyncIterator[bytes]:
    async with aclosing(batches):
        yield _START
        async for batch in batches:
            if not batch:
                yield _HEARTBEAT
            elif found := b"".join(
                b"id: %d\nevent: %b\ndata: %b\n\n"
                % (event.number, event.kind.encode(), event.data)
                for event in batch
                if (not kinds or event.kind in kinds or event.kind == GAP)
                and (not event.service or matches(event.service, patterns))
            ):
                yield found
