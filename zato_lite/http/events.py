"""Events: the latest ones, numbered, for listeners that may come back where they left off."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing, contextmanager
from itertools import islice
from typing import Any, NamedTuple, Protocol

from zato_lite.wire import encode

GAP = "gap"
"""Kind of the event that stands for others that were dropped: read the whole state again."""

FIGURES = "figures"
"""Kind of the event with counts of the last second; sent to those who ask for it."""

JOB_KINDS = frozenset({"run-started", "run-ended", "slot-decided", "job-changed", "next"})
"""Kinds that concern a run or a job, whose service each event names."""

NAMELESS_KINDS = frozenset({"jobs-changed", "change"})
"""Kinds that say that something has changed, and who did it."""

_MAX_EVENTS = 2_000
_MAX_BEHIND = 1_000
_HEARTBEAT_S = 15.0
_TICK_S = 1.0
_PAUSE_S = 0.25
"""Seconds between two wake-ups of the listeners: events in quick succession come together."""


class Event(NamedTuple):
    """An event, numbered in order; ``service`` and ``job_id`` name what is behind it, if any."""

    number: int
    kind: str
    data: bytes
    service: str = ""
    job_id: int = 0


class Events(Protocol):
    """A source of events."""

    def batches(self, since: int | None) -> AsyncGenerator[Sequence[Event], None]:
        """Yield the events after number ``since``, or from now on; none as a heartbeat."""
        ...

    def asking(self, kinds: Collection[str]) -> AbstractContextManager[None]:
        """Have events of these kinds published for as long as the context lasts."""
        ...


Forward = Callable[[str, bytes, str], None]
"""Gets an event: its kind, its data as JSON, and its service."""


class EventLog:
    """Keeps the latest events and hands them to listeners; a slow listener misses some.

    Args:
        heartbeat: seconds after which a listener without an event gets a heartbeat.
        now: microseconds since 1970. Events are numbered by it, so that those of a process are
            later than those of the one before it.

    Attributes:
        listeners: number of present listeners.
        is_wanted: a listener has come by now; before that, no event needs to be made.
        is_needed: events are wanted, here or by another process.
        on_listener: called when a listener comes.
        figures: returns the data of the event ``figures``, or None.
    """

    def __init__(
        self, heartbeat: float = _HEARTBEAT_S, now: Callable[[], int] = lambda: 0
    ) -> None:
        self.listeners = 0
        self.is_wanted = self.is_needed = False
        self._forward: Forward | None = None
        self.on_listener: Callable[[], None] = lambda: None
        self._heartbeat, self._now = heartbeat, now
        self._last = 0
        self._complete_since = 0
        self._events: deque[Event] = deque(maxlen=_MAX_EVENTS)
        self._published: asyncio.Event | None = None
        self._count = 0
        self._resting: asyncio.TimerHandle | None = None
        self._is_late = False
        self._asked: Counter[str] = Counter()
        self._tick: asyncio.TimerHandle | None = None
        self.figures: Callable[[], Any] = lambda: None

    @property
    def forward(self) -> Forward | None:
        """The receiver of each event of this process, if other processes have listeners."""
        return self._forward

    @forward.setter
    def forward(self, receiver: Forward | None) -> None:
        self._forward = receiver
        self.is_needed = self.is_wanted or receiver is not None

    @property
    def latest(self) -> int:
        """The number of the latest event, after which a listener may begin."""
        return self._last

    def publish(self, kind: str, data: Any) -> None:
        """Hand an event to all listeners, of other processes too."""
        # A copy of exact size: the encoder's result holds its whole buffer, some kilobytes.
        text = bytes(memoryview(encode(data, str)))
        sent = data if isinstance(data, dict) else {}
        service = sent.get("service", "")
        self.insert(kind, text, service, sent.get("job_id", 0))
        if self._forward is not None:
            self._forward(kind, text, service)

    def insert(self, kind: str, text: bytes, service: str = "", job_id: int = 0) -> None:
        """Hand an event, as JSON of one line, to the listeners of this process."""
        self._last = max(self._last + 1, self._now())
        if len(self._events) == _MAX_EVENTS:
            self._complete_since = self._events[0].number
        self._events.append(Event(self._last, kind, text, service, job_id))
        self._count += 1
        if self._published is not None:
            self._wake()

    def is_asked_for(self, kind: str) -> bool:
        """Return True if a present listener has named this kind."""
        return self._asked[kind] > 0

    @contextmanager
    def asking(self, kinds: Collection[str]) -> Iterator[None]:
        """Have events of these kinds published, figures each second, while the context lasts."""
        self._asked.update(kinds)
        if FIGURES in kinds and self._tick is None:
            self.figures()  # counts begin now
            self._tick_later()
        try:
            yield
        finally:
            self._asked.subtract(kinds)
            self._asked = +self._asked

    def _tick_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._tick = loop.call_later(_TICK_S, self._publish_figures)

    def _publish_figures(self) -> None:
        self._tick = None
        if self.is_asked_for(FIGURES):
            if (found := self.figures()) is not None:
                self.publish(FIGURES, found)
            self._tick_later()

    async def subscribe(self, since: int | None) -> AsyncGenerator[Event | None, None]:
        """Yield what ``batches`` yields one by one; None as a heartbeat."""
        async with aclosing(self.batches(since)) as batches:
            async for batch in batches:
                for event in batch:
                    yield event
                if not batch:
                    yield None

    async def batches(self, since: int | None) -> AsyncGenerator[Sequence[Event], None]:
        """Yield the events after number ``since``, or from now on, as many as there are.

        A gap stands for dropped ones; none are a heartbeat. For many listeners, one by one would
        cost twice as much.
        """
        if not self.is_wanted:
            self.is_wanted = self.is_needed = True
            self._complete_since = self._events[0].number - 1 if self._events else self._now()
            self._last = max(self._last, self._complete_since)
        last = self._last if since is None or since > self._last else since
        cursor = self._count - sum(event.number > last for event in self._events)
        self.listeners += 1
        self.on_listener()
        try:
            while True:
                behind = min(self._count - cursor, len(self._events))
                following = self._latest(min(behind, _MAX_BEHIND))
                cursor = self._count
                if last < self._complete_since or behind > _MAX_BEHIND:
                    last = following[0].number - 1 if following else self._complete_since
                    following.insert(0, Event(last, GAP, b"{}"))
                if following:
                    last = following[-1].number
                    yield following
                if cursor == self._count and not await self._wait():
                    yield ()
        finally:
            self.listeners -= 1

    def _latest(self, count: int) -> list[Event]:
        """Return the latest events; a deque is quick at its ends."""
        latest = list(islice(reversed(self._events), count))
        latest.reverse()
        return latest

    def _wake(self) -> None:
        """Wake the listeners now, or after the pause since the last time."""
        if self._resting is not None:
            self._is_late = True
            return
        if self._published is not None:
            self._published.set()
        loop = asyncio.get_running_loop()
        self._resting = loop.call_later(_PAUSE_S, self._end_rest)

    def _end_rest(self) -> None:
        self._resting = None
        if self._is_late:
            self._is_late = False
            self._wake()

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
