"""Takeovers: how late slots were because a node died, and how busy the machine was meanwhile."""

import time
from bisect import bisect
from collections.abc import Collection, Iterable
from contextlib import suppress
from threading import Event, Thread
from typing import NamedTuple

import psycopg

from tests.checker import Effect

SECOND = 1_000_000
EXPIRY_S = 5.0
CLAIMED_S, UNCLAIMED_S = EXPIRY_S + 1.5, 1.0
"""Seconds by which slots may be late that a dead node had claimed, and others."""

LOCKS_S = 2.0
"""Seconds for which PostgreSQL keeps the locks of a claim within which a node stands still.

The end of a node's process ends its connections, and so its locks, at once.
"""

WINDOW_S = 8
"""Seconds after a death whose slots are looked at."""

BUSY_S = 0.1
"""Seconds of ``TRIPS`` round trips beyond which a machine is too busy to tell; 3 ms are usual."""

TRIPS = 20
"""Round trips to PostgreSQL of one measurement: as many as a claim makes."""

Slot = tuple[int, int]
"""A job's id and the instant."""


class Death(NamedTuple):
    """A node that died or stood still, and the slots whose runs it had and had not completed."""

    at: int
    slots: frozenset[Slot]
    is_still: bool = False


class Late(NamedTuple):
    """The latest start of some slots, in seconds after the slot or the death."""

    seconds: float = 0.0
    slot: Slot = (0, 0)


class Takeover(NamedTuple):
    """The latest starts of slots of a dead node, and of others.

    Attributes:
        control: seconds that the slowest ``TRIPS`` round trips took meanwhile.
        unclaimed_s: seconds by which the others may be late.
    """

    claimed: Late
    unclaimed: Late
    control: float
    unclaimed_s: float = UNCLAIMED_S

    @property
    def is_within(self) -> bool:
        return not self.beyond

    @property
    def beyond(self) -> list[Late]:
        """The starts that are later than they may be."""
        bounds = ((self.claimed, CLAIMED_S), (self.unclaimed, self.unclaimed_s))
        return [late for late, bound in bounds if late.seconds > bound]

    @property
    def is_busy(self) -> bool:
        return self.control > BUSY_S

    def __str__(self) -> str:
        busy = ", on a busy machine" if self.is_busy else ""
        return (
            f"claimed slots {self.claimed.seconds:.2f} s, others {self.unclaimed.seconds:.2f} s"
            f" (round trips {self.control:.2f} s{busy})"
        )


def measured(
    death: Death,
    effects: Iterable[Effect],
    taken_over: Collection[Slot],
    ignored: Collection[int],
    control: float,
) -> Takeover:
    """Return how late slots were because of a death.

    Args:
        taken_over: slots that another node runs than the one that had claimed them before the
            death: the last commit of a node may be made after its death.
        ignored: jobs whose runs wait for each other in any case.
    """
    concerned = {job for job, _ in (*death.slots, *taken_over)} | set(ignored)
    claimed: dict[Slot, Late] = {}
    unclaimed: dict[Slot, Late] = {}
    for each in effects:
        slot = each.job, each.slot
        if each.job in ignored or each.at <= death.at:
            continue
        if slot in death.slots:
            claimed.setdefault(slot, Late((each.at - death.at) / SECOND, slot))
        elif slot in taken_over:
            claimed.setdefault(slot, Late((each.at - each.slot) / SECOND, slot))
        elif each.job not in concerned and 0 < each.slot - death.at < WINDOW_S * SECOND:
            unclaimed.setdefault(slot, Late((each.at - each.slot) / SECOND, slot))
    latest = [max(found.values(), default=Late()) for found in (claimed, unclaimed)]
    bound = UNCLAIMED_S + LOCKS_S * death.is_still
    return Takeover(latest[0], latest[1], control, bound)


class Control:
    """Thread that makes round trips to PostgreSQL as a node does, without a fault of its own."""

    def __init__(self, url: str) -> None:
        self._url, self._stopping = url, Event()
        self._at: list[float] = []
        self._seconds: list[float] = []
        self._thread = Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Measure from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def slowest(self, since: float, until: float) -> float:
        """Return the seconds of the slowest measurement between two monotonic times."""
        first, last = bisect(self._at, since), bisect(self._at, until)
        return max(self._seconds[first : last + 1], default=0.0)

    def _run(self) -> None:
        while not self._stopping.is_set():
            with suppress(psycopg.Error), psycopg.connect(self._url, autocommit=True) as raw:
                while not self._stopping.wait(0.1):
                    began = time.monotonic()
                    for _ in range(TRIPS):
                        raw.execute("SELECT 1")
                    ended = time.monotonic()
                    self._seconds.append(ended - began)
                    self._at.append(ended)
            self._stopping.wait(0.1)
