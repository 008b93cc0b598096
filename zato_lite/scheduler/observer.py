"""Observer: is informed of what the scheduler does, in the loop's thread, while it is wanted."""

from collections.abc import Sequence
from typing import Literal, Protocol

from zato_lite.store.attempts import AttemptResult
from zato_lite.store.claim import ClaimResult
from zato_lite.store.jobs import EditResult
from zato_lite.store.rows import JobRow
from zato_lite.timetable.job import Instant, Job, plain_principal

What = Literal["created", "edited", "paused", "resumed", "adopted", "deleted"]
"""A change of a job."""

MAX_TOLD = 100
"""Jobs changed together that the observer gets one by one; of more it gets the number."""


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
        why: str = "",
    ) -> None:
        """Receive a change of a job by a principal, once it is durable; why, if that is known."""
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
        why: str = "",
    ) -> None:
        """Ignore the change."""

    def jobs_changed(self, what: What, count: int, who: str) -> None:
        """Ignore the changes."""


def tell_created(observer: Observer, ids: Sequence[int], new: Sequence[Job]) -> None:
    """Inform the observer of new jobs."""
    if len(new) > MAX_TOLD:
        observer.jobs_changed("created", len(new), plain_principal(new[0].principal))
        return
    for job_id, job in zip(ids, new, strict=True):
        who = plain_principal(job.principal)
        observer.job_changed("created", job_id, job, version=1, who=who)


def tell_edited(observer: Observer, edits: Sequence[EditResult], by: str) -> None:
    """Inform the observer of changed jobs."""
    if len(edits) > MAX_TOLD:
        observer.jobs_changed(_what(edits[0]), len(edits), by)
        return
    for edit in edits:
        what, row = _what(edit), edit.row
        why = row.job.pause_note if what == "paused" else None
        observer.job_changed(
            what,
            row.id,
            row.job,
            version=row.version,
            who=by,
            next_at=row.next_at,
            why=why or "",
        )


def tell_adopted(observer: Observer, rows: Sequence[JobRow], by: str) -> None:
    """Inform the observer of jobs with a new principal."""
    if len(rows) > MAX_TOLD:
        observer.jobs_changed("adopted", len(rows), by)
        return
    for row in rows:
        observer.job_changed(
            "adopted", row.id, row.job, version=row.version, who=by, next_at=row.next_at
        )


def _what(edit: EditResult) -> What:
    if edit.has_resumed:
        return "resumed"
    was_active = edit.before is not None and edit.before.is_active
    return "paused" if was_active and not edit.row.job.is_active else "edited"
