"""Attempts that have not begun, each where it waits for what it waits for."""

from collections import defaultdict, deque
from collections.abc import Collection, Iterator
from heapq import heapify, heappop, heappush

from zato_lite.store.runs import ClaimedAttempt
from zato_lite.timetable.job import Instant


class AttemptQueues:
    """Everything that this process has claimed and not begun.

    Attributes:
        moments: a heap of the instants at which something in ``ahead`` starts.
        ready: a heap of what waits for room among all, most urgent first.
        crowded: waits for room among the runs of its service.
        behind: waits for the run before it, of its job.
        parked: of jobs that are just being changed.
    """

    def __init__(self) -> None:
        self.ahead: dict[Instant, list[ClaimedAttempt]] = {}
        self.moments: list[Instant] = []
        self.ready: list[tuple[int, Instant, int, ClaimedAttempt]] = []
        self.crowded: defaultdict[str, deque[ClaimedAttempt]] = defaultdict(deque)
        self.behind: dict[int, deque[ClaimedAttempt]] = {}
        self.parked: defaultdict[int, list[ClaimedAttempt]] = defaultdict(list)

    def put_ahead(self, attempt: ClaimedAttempt) -> None:
        """It starts at its instant; those of one instant lie together."""
        together = self.ahead.get(attempt.start_at)
        if together is None:
            self.ahead[attempt.start_at] = [attempt]
            heappush(self.moments, attempt.start_at)
        else:
            together.append(attempt)

    def due(self, now: Instant, most: int) -> list[ClaimedAttempt]:
        """Take out what it is time for, but hardly more than ``most``."""
        moments = self.moments
        due: list[ClaimedAttempt] = []
        while moments and moments[0] <= now and len(due) < most:
            together = self.ahead.pop(moments[0])
            due += together[:most]
            if len(together) > most:
                self.ahead[moments[0]] = together[most:]
            else:
                heappop(moments)
        return due

    def all(self) -> Iterator[ClaimedAttempt]:
        """Whatever it is that they wait for."""
        yield from (entry[-1] for entry in self.ready)
        for ahead in self.ahead.values():
            yield from ahead
        for waiting in (*self.behind.values(), *self.crowded.values()):
            yield from waiting
        for parked in self.parked.values():
            yield from parked

    def clear(self) -> list[ClaimedAttempt]:
        """Take out all."""
        left = list(self.all())
        for waiting in (self.ahead, self.behind, self.crowded, self.parked):
            waiting.clear()
        self.moments.clear()
        self.ready.clear()
        return left

    def remove(self, run_ids: Collection[int]) -> list[ClaimedAttempt]:
        """Take out these runs, those of them that are here."""
        found = [attempt for attempt in self.all() if attempt.run_id in run_ids]
        if not found:
            return found
        self.ready = [entry for entry in self.ready if entry[-1].run_id not in run_ids]
        heapify(self.ready)
        for ahead in self.ahead.values():
            ahead[:] = [attempt for attempt in ahead if attempt.run_id not in run_ids]
        for waiting in (*self.behind.values(), *self.crowded.values(), *self.parked.values()):
            for attempt in [attempt for attempt in waiting if attempt.run_id in run_ids]:
                waiting.remove(attempt)
        return found
