"""Events: the latest ones, numbered, for listeners that may come back where they left off."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Any, NamedTuple, Protocol

from zato_lite.wire import encode

GAP = "gap"
"""Kind of the event that stands for others that were dropped: read the whole state again."""

_MAX_EVENTS = 2_000
_MAX_BEHIND = 1_000
_HEARTBEAT_S = 15.0


class Event(NamedTuple):
    """An event, numbered in order; ``service`` names the service behind it, if there is one."""

    number: int
    kind: str
    data: bytes
    service: str = ""


class Events(Protocol):
    """A source of events."""

    def subscribe(self, since: int | None) -> AsyncGenerator[Event | None, None]:
        """Yield the events after number ``since``, or from now on; None as a heartbeat."""
        ...


class EventLog:
    """Keeps the latest events and hands them to listeners; a slow listener misses some.

    Args:
        heartbeat: seconds after which a listener without an event gets a heartbeat.
        now: microseconds since 1970. Events are numbered by it, so that those of a process are
            later than those of the one before it.

    Attributes:
        listeners: number of present listeners.
        is_wanted: a listener has come by now; before that, no event needs to be made.
    """

    def __init__(
        self, heartbeat: float = _HEARTBEAT_S, now: Callable[[], int] = lambda: 0
    ) -> None:
        self.listeners = 0
        self.is_wanted = False
        self._heartbeat, self._now = heartbeat, now
        self._last = 0
        self._complete_since = 0
        self._events: deque[Event] = deque(maxlen=_MAX_EVENTS)
        self._published: asyncio.Event | None = None

    def publish(self, kind: str, data: Any) -> None:
        """Hand an event to all listeners."""
        self._last = max(self._last + 1, self._now())
        # A copy of exact size: the encoder's result holds its whole buffer, some kilobytes.
        text = bytes(memoryview(encode(data, str)))
        service = data.get("service", "") if isinstance(data, dict) else ""
        if len(self._events) == _MAX_EVENTS:
            self._complete_since = self._events[0].number
        self._events.append(Event(self._last, kind, text, service))
        if self._published is not None:
            self._published.set()

    async def subscribe(self, since: int | None) -> AsyncGenerator[Event | None, None]:
        """Yield the events after number ``since``, or from now on; a gap for dropped ones."""
        if not self.is_wanted:
            self.is_wanted = True
            self._complete_since = self._events[0].number - 1 if self._events else self._now()
            self._last = max(self._last, self._complete_since)
        last = self._last if since is None or since > self._last else since
        self.listeners += 1
        try:
            while True:
                following = [event for event in self._events if event.number > last]
                if last < self._complete_since or len(following) > _MAX_BEHIND:
                    following = following[-_MAX_BEHIND:]
                    last = following[0].number - 1 if following else self._complete_since
                    yield Event(last, GAP, b"{}")
                for event in following:
                    last = event.number
                    yield event
                if last == self._last and not await self._wait():
                    yield None
        finally:
            self.listeners -= 1

    async def _wait(self) -> bool:
        """Wait for the next event; return False when the heartbeat is due first."""
        if self._published is None or self._published.is_set():
            self._published = asyncio.Event()
        try:
            async with asyncio.timeout(self._heartbeat):
                await self._published.wait()
        except TimeoutError:
            return False
        return True
