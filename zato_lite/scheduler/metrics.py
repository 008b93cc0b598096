"""How runs ended since the start: counted, for whoever wants figures."""

from bisect import bisect_left
from collections.abc import Iterable

import msgspec

from zato_lite.store.runs import AttemptResult

EDGES_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper edges of the durations that are told apart; Zato's."""

MOST_JOBS = 200
"""Jobs that are counted each for itself; the others together."""

OTHERS = "(others)"
_EDGES_US = tuple(round(edge * 1e6) for edge in EDGES_S)


class JobMetrics(msgspec.Struct):
    """The attempts of a job: how many came to what, how many took how long, and seconds in all.

    Attributes:
        below: attempts by the first edge that they were not longer than, the last for longer ones.
    """

    outcomes: dict[str, int] = msgspec.field(default_factory=dict)
    below: list[int] = msgspec.field(default_factory=lambda: [0] * (len(EDGES_S) + 1))
    microseconds: int = 0


class RunMetrics:
    """Counts attempts by job, outcome and duration.

    Attributes:
        jobs: by name; what belongs to no job is ``(async)`` or ``(callback)``.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, JobMetrics] = {}

    def add(self, ended: Iterable[AttemptResult]) -> None:
        """Count attempts that are over and kept."""
        for one in ended:
            attempt, outcome = one.attempt, one.outcome
            name = attempt.job.name if attempt.job_id else f"({attempt.kind})"
            job = self.jobs.get(name) or self._of(name)
            job.outcomes[outcome] = job.outcomes.get(outcome, 0) + 1
            took = max(0, one.finished_at - attempt.started_at) if attempt.started_at else 0
            job.below[bisect_left(_EDGES_US, took)] += 1
            job.microseconds += took

    def _of(self, name: str) -> JobMetrics:
        if len(self.jobs) >= MOST_JOBS:
            name = OTHERS
        return self.jobs.setdefault(name, JobMetrics())
