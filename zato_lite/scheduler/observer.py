"""Observer: is informed of what the scheduler does, in the loop's thread, while it is wanted."""

from typing import Literal, Protocol

from zato_lite.store.attempts import AttemptResult
from zato_lite.store.claim import ClaimResult
from zato_lite.timetable.job import Instant, Job

What = Literal["created", "edited", "paused", "resumed", "deleted"]
"""A change of a job."""


class Observer(Protocol):
    """Receives results, claims and changes; must not raise."""

    @property
    def is_wanted(self) -> bool:
        """True if anything listens: otherwise the other methods need not be called."""
        ...

    def run_ended(self, result: AttemptResult) -> None:
        """Receive the result of an attempt, before it is saved."""
        ...

    def claimed(self, claimed: ClaimResult) -> None:
        """Receive what a claim has decided."""
        ...

    def job_changed(
        self,
        what: What,
        job_id: int,
        job: Job,
        *,
        version: int,
        who: str,
        next_at: Instant | None = None,
    ) -> None:
        """Receive a change of a job by a principal, once it is durable."""
        ...

    def jobs_changed(self, what: What, count: int, who: str) -> None:
        """Receive that many jobs have changed together."""
        ...


class NoObserver:
    """Observer that wants nothing."""

    is_wanted = False

    def run_ended(self, result: AttemptResult) -> None:
        """Ignore the result."""

    def claimed(self, claimed: ClaimResult) -> None:
        """Ignore the claim."""

    def job_changed(
        self,
        what: What,
        job_id: int,
        job: Job,
        *,
        version: int,
        who: str,
        next_at: Instant | None = None,
    ) -> None:
        """Ignore the change."""

    def jobs_changed(self, what: What, count: int, who: str) -> None:
        """Ignore the changes."""
