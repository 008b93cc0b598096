"""Events of all nodes on a store: a node with listeners has the others send theirs.

They go from node to node by their bells, a tenth of a second's together. While no node has
listeners, none is sent. If there are too many, listeners get a gap instead of some.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import msgspec

from zato_lite.errors import BadInputError
from zato_lite.http.events import FIGURES, GAP, JOB_KINDS, NAMELESS_KINDS, EventLog
from zato_lite.wire import decode, encode

RENEW_S, WANTED_S = 5.0, 12.0
"""Seconds between two requests for other nodes' events, and for which one holds."""

GATHER_S = 0.1
"""Seconds of events that are sent together."""

MAX_TEXT = 7_000
"""Bytes of a message: PostgreSQL's notifications have at most 8,000."""

MAX_MESSAGES = 20
"""Messages of one ``GATHER_S``; of more events, a gap is sent."""

OWN_KINDS = frozenset({"deployment", GAP})
"""Kinds of events that each node has itself."""

MAX_WANTING = 1_000
"""Nodes to which events are sent at most."""

_MAX_DIGITS = 18
_KINDS = JOB_KINDS | NAMELESS_KINDS | {FIGURES, GAP}
"""Kinds of events that are taken from other nodes."""

_WANTED, _EVENTS = "want", "events"
_Sent = tuple[str, str, msgspec.Raw]


class SharedEvents:
    """The events of this node that others want, and those of others that this one wants.

    Args:
        send: sends a text to a node, or to all others.
        node: returns this node's number.
    """

    def __init__(
        self, events: EventLog, send: Callable[[int | None, str], None], node: Callable[[], int]
    ) -> None:
        self._events, self._send, self._node = events, send, node
        self._wanted_by: dict[int, float] = {}
        self._gathered: list[_Sent] = []
        self._has_more = False
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        events.on_listener = self._want

    def hear(self, text: str) -> None:
        """Take a message of another node; one that is not complete is left out."""
        kind, _, rest = text.partition(" ")
        if kind == _WANTED and _is_number(rest):
            self._send_to(int(rest))
        elif kind == _EVENTS:
            with suppress(BadInputError, TypeError):  # not JSON, or nested too deeply
                for event, data in _received(rest):
                    job_id = data.get("job_id", 0)
                    self._events.insert(event, encode(data), data.get("service", ""), job_id)

    def _send_to(self, node: int) -> None:
        if node in self._wanted_by or len(self._wanted_by) < MAX_WANTING:
            self._wanted_by[node] = self._loop.time() + WANTED_S
            self._events.forward = self._gather

    def close(self) -> None:
        """Send nothing more."""
        self._events.forward = None
        if self._timer is not None:
            self._timer.cancel()

    def _want(self) -> None:
        """Ask for the others' events, as long as there are listeners."""
        self._send(None, f"{_WANTED} {self._node()}")
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(RENEW_S, self._want_again)

    def _want_again(self) -> None:
        self._timer = None
        if self._events.listeners:
            self._want()

    def _gather(self, kind: str, data: bytes, service: str) -> None:
        if kind in OWN_KINDS:
            return
        if not self._gathered:
            self._loop.call_later(GATHER_S, self._send_gathered)
        if len(self._gathered) < MAX_TEXT:
            self._gathered.append((kind, service, msgspec.Raw(data)))
        else:
            self._has_more = True

    def _send_gathered(self) -> None:
        gathered, self._gathered = self._gathered, []
        now = self._loop.time()
        wanted = self._wanted_by = {n: end for n, end in self._wanted_by.items() if end > now}
        if not wanted:
            self._events.forward = None
            return
        messages = list(_messages(gathered))
        if len(messages) > MAX_MESSAGES or self._has_more:
            messages, self._has_more = [_message([(GAP, "", msgspec.Raw(b"{}"))])], False
        for node in wanted:
            for message in messages:
                self._send(node, message)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


def _received(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the kinds and data of a message's events.

    A listener's patterns are compared with the service that the data names: an event that lacks
    one, or is of an unknown kind, is left out.
    """
    sent = decode(text)
    for each in sent if isinstance(sent, list) else ():
        match each:
            case [str(kind), _, dict(data)] if kind in _KINDS:
                service, job_id = data.get("service", ""), data.get("job_id", 0)
                has_service = bool(service) or kind not in JOB_KINDS
                if isinstance(service, str) and type(job_id) is int and has_service:
                    yield kind, data
            case _:
                pass


def _message(events: list[Any]) -> str:
    return f"{_EVENTS} {msgspec.json.encode(events).decode()}"


def _messages(events: Iterable[_Sent]) -> Iterator[str]:
    """Yield texts with as many events as fit; one that does not fit is left out."""
    some: list[_Sent] = []
    size = 0
    for event in events:
        length = len(bytes(event[2])) + len(event[0]) + len(event[1]) + 12
        if length > MAX_TEXT:
            continue
        if some and size + length > MAX_TEXT:
            yield _message(some)
            some, size = [], 0
        some.append(event)
        size += length
    if some:
        yield _message(some)
