"""Queues: claimed attempts that have not started, by the reason for which they wait."""

from collections import defaultdict, deque
from collections.abc import Collection, Iterator
from heapq import heapify, heappop, heappush
from itertools import count

from zato_lite.store.attempts import ClaimedAttempt
from zato_lite.timetable.job import Instant

_Entry = tuple[Instant, int, int, ClaimedAttempt]
"""A slot, a run's id, its token, and its attempt."""


class AttemptQueues:
    """All attempts that this node has claimed and not started.

    Attributes:
        start_times: a heap of the instants at which something in ``scheduled`` starts.
        scheduled: attempts that wait for their instant.
        over_capacity: a heap of those that wait for room on the node, highest priority first.
        over_service_limit: those that wait for other runs of their service.
        behind_run: heaps by job of those that wait for the previous run, earliest slot first.
        checked: by job, the one in ``scheduled`` that waits for a run of another node.
        frozen: those of jobs that are being changed.
    """

    def __init__(self) -> None:
        self.scheduled: dict[Instant, list[ClaimedAttempt]] = {}
        self.start_times: list[Instant] = []
        self.over_capacity: list[tuple[int, Instant, int, ClaimedAttempt]] = []
        self.over_service_limit: defaultdict[str, deque[ClaimedAttempt]] = defaultdict(deque)
        self.behind_run: dict[int, list[_Entry]] = {}
        self.checked: dict[int, ClaimedAttempt] = {}
        self.frozen: list[ClaimedAttempt] = []
        self._numbers = count()

    def schedule(self, attempt: ClaimedAttempt) -> None:
        """Queue an attempt until its instant; attempts of the same instant share an entry."""
        attempts = self.scheduled.get(attempt.start_at)
        if attempts is None:
            self.scheduled[attempt.start_at] = [attempt]
            heappush(self.start_times, attempt.start_at)
        else:
            attempts.append(attempt)

    def pop_due(self, now: Instant, limit: int) -> list[ClaimedAttempt]:
        """Remove and return attempts whose instant has come, about ``limit`` of them."""
        start_times = self.start_times
        due: list[ClaimedAttempt] = []
        while start_times and start_times[0] <= now and len(due) < limit:
            attempts = self.scheduled.pop(start_times[0])
            due += attempts[:limit]
            if len(attempts) > limit:
                self.scheduled[start_times[0]] = attempts[limit:]
            else:
                heappop(start_times)
        return due

    def push_over_capacity(self, attempt: ClaimedAttempt) -> None:
        """Queue an attempt until the node has room; older slots first within a priority."""
        entry = (-attempt.job.priority, attempt.slot, next(self._numbers), attempt)
        heappush(self.over_capacity, entry)

    def pop_over_capacity(self) -> ClaimedAttempt:
        """Remove and return the attempt that is next when the node has room."""
        return heappop(self.over_capacity)[-1]

    def push_behind_run(self, attempt: ClaimedAttempt) -> None:
        """Queue an attempt until the previous run of its job has ended."""
        self.checked.pop(attempt.job_id, None)
        entry = (attempt.slot, attempt.run_id, attempt.token, attempt)
        heappush(self.behind_run.setdefault(attempt.job_id, []), entry)

    def has_earlier(self, attempt: ClaimedAttempt) -> bool:
        """Return True if an earlier run of the same job waits for the previous one."""
        waiting = self.behind_run.get(attempt.job_id)
        return waiting is not None and waiting[0][:2] < (attempt.slot, attempt.run_id)

    def pop_later(self, attempt: ClaimedAttempt) -> ClaimedAttempt | None:
        """Remove and return a later run of the same job that waits for a run of another node."""
        later = self.checked.get(attempt.job_id)
        if later is None or (later.slot, later.run_id) < (attempt.slot, attempt.run_id):
            return None
        del self.checked[attempt.job_id]
        return next(iter(self.remove({later.run_id})), None)

    def pop_checked(self) -> list[ClaimedAttempt]:
        """Remove and return the attempts that wait for runs of other nodes."""
        if not self.checked:
            return []
        run_ids = {attempt.run_id for attempt in self.checked.values()}
        self.checked.clear()
        return self.remove(run_ids)

    def pop_behind_run(self, job_id: int) -> ClaimedAttempt | None:
        """Remove and return the attempt that follows the job's previous run, if there is one."""
        waiting = self.behind_run.get(job_id)
        if not waiting:
            return None
        attempt = heappop(waiting)[-1]
        if not waiting:
            del self.behind_run[job_id]
        return attempt

    def pop_frozen(self) -> list[ClaimedAttempt]:
        """Remove and return the attempts of frozen jobs."""
        attempts, self.frozen = self.frozen, []
        return attempts

    def all(self) -> Iterator[ClaimedAttempt]:
        """Yield every attempt in every queue."""
        yield from (entry[-1] for entry in self.over_capacity)
        yield from (entry[-1] for waiting in self.behind_run.values() for entry in waiting)
        for attempts in (*self.scheduled.values(), *self.over_service_limit.values()):
            yield from attempts
        yield from self.frozen

    def clear(self) -> list[ClaimedAttempt]:
        """Remove and return all attempts."""
        left = list(self.all())
        for queue in (self.scheduled, self.behind_run, self.over_service_limit):
            queue.clear()
        for heap in (self.start_times, self.over_capacity, self.frozen):
            heap.clear()
        return left

    def remove(self, run_ids: Collection[int]) -> list[ClaimedAttempt]:
        """Remove and return the attempts of these runs."""
        found = [attempt for attempt in self.all() if attempt.run_id in run_ids]
        if not found:
            return found
        checked = self.checked.items()
        self.checked = {job_id: each for job_id, each in checked if each.run_id not in run_ids}
        self.over_capacity = [e for e in self.over_capacity if e[-1].run_id not in run_ids]
        heapify(self.over_capacity)
        for job_id, waiting in list(self.behind_run.items()):
            left = [entry for entry in waiting if entry[-1].run_id not in run_ids]
            heapify(left)
            self.behind_run[job_id] = left
            if not left:
                del self.behind_run[job_id]
        for attempts in (
            *self.scheduled.values(),
            *self.over_service_limit.values(),
            self.frozen,
        ):
            for attempt in [attempt for attempt in attempts if attempt.run_id in run_ids]:
                attempts.remove(attempt)
        return found
