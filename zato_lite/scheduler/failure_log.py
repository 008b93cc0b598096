"""Says in the log which runs fail; of a job that goes on failing, ever more seldom."""

import logging
from collections.abc import Iterable

from zato_lite.log import Repeats
from zato_lite.store.runs import AttemptResult

MOST_JOBS = 1_000
"""Jobs whose failures are counted each for itself; those of others together."""

_OTHERS = ""
_TOLD = frozenset({"error", "timeout", "lost"})

_log = logging.getLogger("zato_lite.scheduler")


class FailureLog:
    """Jobs that have failed since they were last ok, and how often."""

    def __init__(self) -> None:
        self._jobs: dict[str, Repeats] = {}

    def tell(self, ended: Iterable[AttemptResult]) -> None:
        """Say what has failed of the attempts that are over and kept."""
        jobs = self._jobs
        for one in ended:
            if one.outcome == "ok":
                if jobs:
                    jobs.pop(_name(one), None)
            elif one.outcome in _TOLD:
                self._tell(one)

    def _tell(self, one: AttemptResult) -> None:
        attempt, name = one.attempt, _name(one)
        if name not in self._jobs and len(self._jobs) >= MOST_JOBS:
            name = _OTHERS
        failures = self._jobs.setdefault(name, Repeats())
        error = (one.error or "").rstrip()
        why = error.rpartition("\n")[2]
        if not failures.again(f"{one.outcome} {why}"):
            return
        is_over = one.next_step.outcome is not None
        fields = {
            "job": attempt.job.name,
            "service": attempt.job.service,
            "run": attempt.run_number,
            "attempt": attempt.attempt_number,
            "outcome": one.outcome,
            "why": why,
            "so_far": failures.count,
            "cid": one.cid,
        }
        if error != why:
            fields["details"] = error
        _log.log(logging.ERROR if is_over else logging.WARNING, "run failed", extra=fields)


def _name(one: AttemptResult) -> str:
    return one.attempt.job.name if one.attempt.job_id else f"({one.attempt.job.service})"
