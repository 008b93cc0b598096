"""Metrics of attempts since the start: counters by job, and a log of the jobs that fail."""

import logging
from bisect import bisect_left
from collections.abc import Iterable

import msgspec

from zato_lite.log import Repeats
from zato_lite.store.attempts import AttemptResult

EDGES_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper edges of the histogram of durations, in seconds; the same as Zato's."""

MAX_COUNTED_JOBS = 200
"""Jobs with counters of their own; the counters of all others are shared."""

MAX_FAILING_JOBS = 1_000
"""Jobs whose failures are counted separately; the failures of all others are counted together."""

OTHERS = "(others)"
_EDGES_US = tuple(round(edge * 1e6) for edge in EDGES_S)
_FAILURES = frozenset({"error", "timeout", "lost", "denied"})

_log = logging.getLogger("zato_lite.scheduler")


class JobMetrics(msgspec.Struct):
    """Counters of a job's attempts.

    Attributes:
        outcomes: number of attempts by outcome.
        below: number of attempts by the first edge that they did not exceed, the last for longer.
        microseconds: total duration.
    """

    outcomes: dict[str, int] = msgspec.field(default_factory=dict)
    below: list[int] = msgspec.field(default_factory=lambda: [0] * (len(EDGES_S) + 1))
    microseconds: int = 0


class RunMetrics:
    """Counts saved attempts by job, outcome and duration, and logs failures.

    A job that keeps failing is logged the 1st, 2nd, 4th, 8th … time, until it succeeds.

    Attributes:
        jobs: counters by job name; attempts without a job count as ``(async)`` or ``(callback)``.
        claims: number of searches for due slots.
        refused_results: number of results that came after another node had taken the run over.
    """

    def __init__(self) -> None:
        self.claims = self.refused_results = 0
        self.jobs: dict[str, JobMetrics] = {}
        self._failing: dict[str, Repeats] = {}

    def record(self, results: Iterable[AttemptResult]) -> None:
        """Count attempts whose results are saved, and log those that failed."""
        failing = self._failing
        for result in results:
            attempt, outcome = result.attempt, result.outcome
            name = attempt.job.name if attempt.job_id else f"({attempt.kind})"
            job = self.jobs.get(name) or self._add_job(name)
            job.outcomes[outcome] = job.outcomes.get(outcome, 0) + 1
            started_at = attempt.started_at
            duration = max(0, result.finished_at - started_at) if started_at else 0
            job.below[bisect_left(_EDGES_US, duration)] += 1
            job.microseconds += duration
            if outcome == "ok":
                if failing:
                    failing.pop(_failure_key(result), None)
            elif outcome in _FAILURES:
                self._log_failure(result)

    def _add_job(self, name: str) -> JobMetrics:
        if len(self.jobs) >= MAX_COUNTED_JOBS:
            name = OTHERS
        job = self.jobs.get(name)
        if job is None:
            job = self.jobs[name] = JobMetrics()
        return job

    def _log_failure(self, result: AttemptResult) -> None:
        attempt, key = result.attempt, _failure_key(result)
        if key not in self._failing and len(self._failing) >= MAX_FAILING_JOBS:
            key = ""
        failures = self._failing.setdefault(key, Repeats())
        error = (result.error or "").rstrip()
        reason = error.rpartition("\n")[2]
        if not failures.again(f"{result.outcome} {reason}"):
            return
        fields = {
            "job": attempt.job.name,
            "service": attempt.job.service,
            "run": attempt.run_number,
            "attempt": attempt.attempt_number,
            "outcome": result.outcome,
            "why": reason,
            "so_far": failures.count,
            "cid": result.cid,
        }
        if error != reason:
            fields["details"] = error
        level = logging.WARNING if result.next_step.outcome is None else logging.ERROR
        _log.log(level, "run failed", extra=fields)


def _failure_key(result: AttemptResult) -> str:
    job = result.attempt.job
    return job.name if result.attempt.job_id else f"({job.service})"
