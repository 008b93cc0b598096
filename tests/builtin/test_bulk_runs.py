"""Bulk services for runs: cancel and retry."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.builtin.conftest import (
    ENGINES,
    Fail,
    Work,
    ask,
    ask_as,
    caller,
    create_job,
    open_box,
)
from zato_lite import Service
from zato_lite.errors import BadInputError, ConflictError, ForbiddenError, NotFoundError
from zato_lite.testing.app import Sandbox


class Hang(Service):
    name = "crm.hang"

    async def handle(self) -> None:
        await asyncio.Event().wait()


@pytest.fixture(params=ENGINES)
async def box(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    async with open_box(request, Work, Fail, Hang) as opened:
        yield opened


async def history(box: Sandbox, job_id: int) -> list[tuple[int, str, str]]:
    """Return the number, kind and outcome of each run of a job, oldest first."""
    rows = (await ask(box, "get-history", id=job_id))["rows"]
    return [(row["current_run"], row["kind"], row["outcome"]) for row in rows][::-1]


async def hanging(box: Sandbox, *names: str) -> list[int]:
    """Create jobs with a run in flight; return their ids."""
    ids = [
        await create_job(box, name=name, service="crm.hang", start_date="2027-02-01")
        for name in names
    ]
    await ask(box, "execute-many", ids=ids)
    return ids


async def test_all_runs_in_flight_of_jobs_are_cancelled(box: Sandbox) -> None:
    [a, b] = await hanging(box, "a", "b")

    counted = await ask(box, "cancel-many", query="", dry_run=True)
    with pytest.raises(ConflictError, match="has 2 runs, and `expected` is 3"):
        await ask(box, "cancel-many", query="", expected=3)
    cancelled = await ask(box, "cancel-many", query="", expected=2)
    await box.settle()

    assert counted["runs"] == cancelled["runs"]
    assert [(run["id"], run["job_name"], run["current_run"]) for run in cancelled["runs"]] == [
        (a, "a", 1),
        (b, "b", 1),
    ]
    assert await history(box, a) == await history(box, b) == [(1, "manual", "cancelled")]


async def test_runs_are_cancelled_by_their_ids_and_ended_ones_are_left_out(box: Sandbox) -> None:
    done = await create_job(box, name="done", start_date="2027-02-01")
    await ask(box, "execute", id=done)
    await box.settle()
    [job_id] = await hanging(box, "a")
    rows = [(await ask(box, "get-history", id=each))["rows"][0] for each in (done, job_id)]

    found = await ask(box, "cancel-many", run_ids=[row["run_id"] for row in rows])
    await box.settle()

    assert [run["id"] for run in found["runs"]] == [job_id]
    assert await history(box, done) == [(1, "manual", "ok")]


async def test_the_latest_runs_of_jobs_are_retried_if_they_failed(box: Sandbox) -> None:
    good = await create_job(box, name="good")
    bad = await create_job(box, name="bad", service="crm.fail")
    await box.advance(minutes=11)

    found = await ask(box, "retry-many", query="", expected=1)
    await box.settle()

    assert [(run["id"], run["current_run"]) for run in found["runs"]] == [(bad, 3)]
    assert [kind for _, kind, _ in await history(box, bad)] == ["scheduled", "scheduled", "retry"]
    assert len(await history(box, good)) == 2


async def test_all_failures_of_a_span_are_retried(box: Sandbox) -> None:
    bad = await create_job(box, name="bad", service="crm.fail")
    await box.advance(minutes=21)
    span = {"since_iso": "2027-01-15T08:05:00", "until_iso": "2027-01-15T08:10:00"}

    counted = await ask(box, "retry-many", ids=[bad], **span, dry_run=True)
    found = await ask(box, "retry-many", ids=[bad], **span, expected=2)
    await box.settle()

    assert [run["current_run"] for run in counted["runs"]] == [1, 2]
    assert [run["current_run"] for run in found["runs"]] == [5, 6]
    assert [run["run_id"] for run in counted["runs"]] == [run["run_id"] for run in found["runs"]]


async def test_runs_of_any_outcome_are_retried_by_their_ids(box: Sandbox) -> None:
    job_id = await create_job(box)
    await box.advance(minutes=6)
    [row] = (await ask(box, "get-history", id=job_id))["rows"]

    found = await ask(box, "retry-many", run_ids=[row["run_id"]])

    assert [run["current_run"] for run in found["runs"]] == [2]


async def test_a_run_in_flight_is_not_retried(box: Sandbox) -> None:
    [job_id] = await hanging(box, "a")
    [run] = (await ask(box, "cancel-many", ids=[job_id], dry_run=True))["runs"]

    found = await ask(box, "retry-many", run_ids=[run["run_id"]])

    assert (found["count"], len(await history(box, job_id))) == (0, 1)


@pytest.mark.parametrize("service", ["cancel-many", "retry-many"])
@pytest.mark.parametrize(
    ("sent", "error", "words"),
    [
        ({}, BadInputError, "run_ids"),
        ({"query": "a"}, BadInputError, "expected"),
        ({"run_ids": [1], "query": "a", "expected": 1}, BadInputError, "either"),
        ({"run_ids": ["x"]}, BadInputError, "run_ids"),
        ({"run_ids": [0]}, BadInputError, "run_ids"),
        ({"run_ids": [1] * 10_001}, BadInputError, "run_ids"),
        ({"run_ids": [2**63]}, BadInputError, "run_ids"),
        ({"run_ids": [1], "runs": [1]}, BadInputError, "runs"),
        ({"run_ids": [1, 99]}, NotFoundError, "Runs not found: 99"),
        ({"ids": [99]}, NotFoundError, "Jobs not found: 99"),
        ({"run_ids": [1], "expected": 2}, ConflictError, "has 1 runs, and `expected` is 2"),
    ],
)
async def test_a_wrong_selection_of_runs_changes_nothing(
    box: Sandbox, service: str, sent: dict[str, Any], error: type[Exception], words: str
) -> None:
    job_id = await create_job(box, service="crm.fail")
    await box.advance(minutes=6)
    before = await history(box, job_id)

    with pytest.raises(error, match=words):
        await ask(box, service, **sent)

    assert await history(box, job_id) == before


@pytest.mark.parametrize("outcomes", ["odd", [5], {}])
async def test_wrong_outcomes_to_retry_are_refused(box: Sandbox, outcomes: Any) -> None:
    with pytest.raises(BadInputError, match="outcomes"):
        await ask(box, "retry-many", query="", expected=0, outcomes=outcomes)


@pytest.mark.parametrize("service", ["cancel-many", "retry-many"])
async def test_one_run_beyond_the_callers_rights_refuses_all(box: Sandbox, service: str) -> None:
    mine = await create_job(box, name="mine")
    other = await create_job(box, name="other", service="crm.fail")
    await box.advance(minutes=6)
    robot = caller("robot", "operator", "crm.work", "zato.*")
    rows = [(await ask(box, "get-history", id=job_id))["rows"][0] for job_id in (mine, other)]
    run_ids = [row["run_id"] for row in rows]

    with pytest.raises(ForbiddenError, match=f"allowed to cancel or retry run {run_ids[1]}$"):
        await ask_as(robot, box, service, run_ids=run_ids)

    assert len(await history(box, other)) == 1
    assert (await ask_as(robot, box, service, query="", dry_run=True))["count"] == 0


async def test_one_row_of_the_audit_log_has_the_runs(box: Sandbox) -> None:
    await create_job(box, service="crm.fail")
    await box.advance(minutes=11)
    span = {"since_iso": "2027-01-15T08:00:00"}

    await ask_as(caller("ann", "operator"), box, "retry-many", query="", **span, expected=2)

    rows = await box.app.audit_log.list(limit=10)
    assert [(row.who, row.action.rpartition(".")[2], row.subject) for row in rows] == [
        ("ann", "retry-many", "2 runs: 1-2")
    ]
