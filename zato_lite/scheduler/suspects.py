"""Suspects: runs during which two processes died; they start in groups, so that one is found.

A process that dies while a group runs makes that group the suspects of the next one, which halves
it. The run that started last is a separate group, as most runs that kill their process do it at
once. A group starts when the one before it has ended, or has run for some time.
"""

from collections.abc import Callable, Collection, Iterable
from operator import attrgetter

from zato_lite.clock import Alarm, Clock
from zato_lite.store.attempts import ClaimedAttempt
from zato_lite.timetable.job import SECOND, Instant

CONTROL = 3 * SECOND
"""Time for which nothing suspected starts in a new process: if it dies now, no suspect did it."""

TRIAL = SECOND
"""Time for which a group has run when the next one starts; it doubles with each crash."""

_MAX_DOUBLINGS = 5
_order = attrgetter("was_hit", "started_at", "run_id")


def groups_of(attempts: Iterable[ClaimedAttempt]) -> list[list[ClaimedAttempt]]:
    """Return suspects in the groups in which they start, the most suspicious ones first.

    The ones that were among the last to begin before the latest death are split; the others are
    one group.
    """
    ordered = sorted(attempts, key=_order, reverse=True)
    hit = [attempt for attempt in ordered if attempt.was_hit] or ordered
    rest = ordered[len(hit) :]
    half = len(hit) // 2 + 1
    return [group for group in (hit[:1], hit[1:half], hit[half:], rest) if group]


class Suspects:
    """The suspects of this node that have not started, and the group that is on trial.

    Args:
        start: starts the attempts of a group.

    Attributes:
        waiting: the suspects that have not started.
    """

    def __init__(self, clock: Clock, start: Callable[[Collection[ClaimedAttempt]], None]) -> None:
        self._clock, self._start = clock, start
        self.waiting: list[ClaimedAttempt] = []
        self._groups: list[list[ClaimedAttempt]] = []
        self._on_trial: set[int] = set()
        self._alarm: Alarm | None = None

    def add(self, attempt: ClaimedAttempt) -> None:
        """Add a suspect; the first group starts after the control time."""
        self.waiting.append(attempt)
        if not self._on_trial:
            self._groups.clear()
            most = max(each.alone for each in self.waiting)
            self._set_alarm(self._clock.now() + CONTROL * (1 + most))

    def discard(self, run_id: int) -> None:
        """Take note that a suspect's attempt has ended; if its group has, start the next one."""
        if run_id in self._on_trial:
            self._on_trial.discard(run_id)
            if not self._on_trial:
                self._set_alarm(self._clock.now())

    def remove(self, run_ids: Collection[int]) -> list[ClaimedAttempt]:
        """Remove and return the suspects of these runs that have not started."""
        found = [attempt for attempt in self.waiting if attempt.run_id in run_ids]
        if found:
            self.waiting = [each for each in self.waiting if each.run_id not in run_ids]
        return found

    def clear(self) -> list[ClaimedAttempt]:
        """Remove and return all suspects that have not started."""
        if self._alarm is not None:
            self._alarm.cancel()
        left, self.waiting = self.waiting, []
        return left

    def _set_alarm(self, instant: Instant) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._clock.call_at(instant, self._start_next)

    def _start_next(self) -> None:
        self._alarm = None
        if not self.waiting:
            return
        self._groups = self._groups or groups_of(self.waiting)
        group = self.remove({attempt.run_id for attempt in self._groups.pop(0)})
        if not group:
            self._start_next()
            return
        self._on_trial.update(attempt.run_id for attempt in group)
        doublings = min(max(attempt.crashes for attempt in group) - 2, _MAX_DOUBLINGS)
        self._set_alarm(self._clock.now() + TRIAL * 2**doublings)
        self._start(group)
