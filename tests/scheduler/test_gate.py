"""The gate as a table: what has to be true of a job and its node, and the decision."""

from typing import Any

import pytest

from zato_lite.scheduler.gate import Decision, decide
from zato_lite.store.attempts import ClaimedAttempt
from zato_lite.timetable.job import Job, OneTime

FREE: dict[str, Any] = {
    "is_admitted": True,
    "other_runs": 0,
    "is_frozen": False,
    "free_places": 1,
    "service_runs": 0,
}


def attempt(job: dict[str, Any], **fields: Any) -> ClaimedAttempt:
    definition = Job(name="report", service="s", trigger=OneTime(start=0), **job)
    given: dict[str, Any] = {
        "run_id": 1, "job_id": 1, "run_number": 1, "slot": 0, "start_at": 0, "token": 1,
    }  # fmt: skip
    return ClaimedAttempt(job=definition, **(given | fields))


@pytest.mark.parametrize(
    ("job", "fields", "load", "decision"),
    [
        ({}, {}, {}, "start"),
        # A queued attempt waits for the runs of its job only until it is admitted.
        ({}, {"queued": True}, {"is_admitted": False, "other_runs": 1}, "previous run"),
        ({}, {"queued": True}, {"is_admitted": False}, "start"),
        ({}, {"queued": True, "needs_start_record": True}, {"other_runs": 1}, "start"),
        # A change of the job delays every start.
        ({}, {}, {"is_frozen": True}, "frozen job"),
        ({}, {"kind": "manual"}, {"is_frozen": True, "free_places": 0}, "frozen job"),
        ({}, {}, {"is_frozen": True, "other_runs": 1}, "frozen job"),
        # A claimed slot gives way to a manual run that came after the claim.
        ({}, {}, {"other_runs": 1}, "revoke"),
        ({}, {}, {"other_runs": 1, "free_places": 0}, "revoke"),
        ({"on_overlap": "allow"}, {}, {"other_runs": 5}, "start"),
        ({"on_overlap": "allow", "max_parallel": 2}, {}, {"other_runs": 1}, "start"),
        ({"on_overlap": "allow", "max_parallel": 2}, {}, {"other_runs": 2}, "revoke"),
        # Runs on demand, retries and attempts that had to wait are not revoked.
        ({}, {"kind": "manual"}, {"other_runs": 1}, "start"),
        ({}, {"attempt_number": 2}, {"other_runs": 1}, "start"),
        ({}, {"needs_start_record": True}, {"other_runs": 1}, "start"),
        # Limits of the node and of the service.
        ({}, {}, {"free_places": 0}, "capacity"),
        ({"max_concurrent": 2}, {}, {"service_runs": 1}, "start"),
        ({"max_concurrent": 2}, {}, {"service_runs": 2}, "service limit"),
        ({"max_concurrent": 2}, {}, {"service_runs": 2, "free_places": 0}, "capacity"),
        ({}, {}, {"service_runs": 1_000}, "start"),
    ],
)
def test_an_attempt_is_decided_by_this_table(
    job: dict[str, Any], fields: dict[str, Any], load: dict[str, Any], decision: Decision
) -> None:
    assert decide(attempt(job, **fields), **(FREE | load)) == decision
