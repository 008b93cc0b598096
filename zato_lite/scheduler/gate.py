"""Gate: decides if a claimed attempt starts, waits or is revoked. Pure; one table of rules."""

from typing import Literal

from zato_lite.store.attempts import ClaimedAttempt

Decision = Literal["start", "revoke", "previous run", "frozen job", "capacity", "service limit"]
"""To start, to revoke the claim, or the reason for which the attempt has to wait."""


def decide(  # noqa: PLR0917 - positional, as it is called for each attempt
    attempt: ClaimedAttempt,
    is_admitted: bool,
    other_runs: int,
    is_frozen: bool,
    free_places: int,
    service_runs: int,
) -> Decision:
    """Decide on an attempt whose slot has come.

    Args:
        attempt: the attempt.
        is_admitted: False for one that has just been claimed: only then a queued attempt waits
            for the runs of its job that are open on this node.
        other_runs: open runs of the same job on this node.
        is_frozen: True while the job is being changed.
        free_places: number of attempts that this node may still start.
        service_runs: running attempts of the same service on this node.
    """
    if attempt.queued and other_runs and not is_admitted:
        return "previous run"
    if is_frozen:
        return "frozen job"
    if other_runs > 0 and exceeds_overlap(attempt, other_runs):
        return "revoke"
    if free_places <= 0:
        return "capacity"
    limit = attempt.job.max_concurrent
    return "service limit" if limit and service_runs >= limit else "start"


def exceeds_overlap(attempt: ClaimedAttempt, other_runs: int) -> bool:
    """Return True if a manual run took the job's last free place after this slot was claimed."""
    if attempt.kind != "scheduled" or attempt.needs_start_record or attempt.attempt_number > 1:
        return False
    job = attempt.job
    limit = job.max_parallel or (None if job.on_overlap == "allow" else 1)
    return limit is not None and other_runs >= limit
