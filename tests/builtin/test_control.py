from typing import Any

import pytest

from tests.builtin.conftest import ask, create_job, outcomes_of
from zato_lite.errors import BadInputError, NotFoundError
from zato_lite.testing.app import Sandbox


async def test_a_pause_has_a_note_and_ends_with_resume(box: Sandbox) -> None:
    job_id = await create_job(box)

    shown = await ask(box, "pause", id=job_id, note="waiting for the bank")
    await box.advance(minutes=10)
    why = await ask(box, "why", id=job_id, at="2027-01-15T08:05:00")
    await ask(box, "resume", id=job_id)
    await box.advance(minutes=5)

    assert (shown["is_active"], shown["pause_note"]) == (False, "waiting for the bank")
    assert (why["outcome"], "waiting for the bank" in why["reason"]) == ("paused", True)
    after = await ask(box, "why", id=job_id, at="2027-01-15T08:05:00")
    assert (after["outcome"], "waiting for the bank" in after["reason"]) == ("paused", True)
    assert await outcomes_of(box, job_id) == ["ok"]


async def test_a_pause_with_an_end_is_followed_by_runs(box: Sandbox) -> None:
    job_id = await create_job(box)

    await ask(box, "pause", id=job_id, note="", until="2027-01-15T08:12:00")
    await box.advance(minutes=20)

    assert await outcomes_of(box, job_id) == ["ok", "ok"]


@pytest.mark.parametrize("service", ["pause", "pause-many"])
async def test_the_end_of_a_pause_is_later_than_its_begin(box: Sandbox, service: str) -> None:
    job_id = await create_job(box)
    which = {"id": job_id} if service == "pause" else {"ids": [job_id]}

    with pytest.raises(BadInputError, match="until: 2020-01-01 00:00:00 UTC has passed") as caught:
        await ask(box, service, until="2020-01-01", **which)

    assert [error.field for error in caught.value.errors] == ["until"]
    assert (await ask(box, "get-by-id", id=job_id))["is_active"] is True


@pytest.mark.parametrize("service", ["pause", "resume", "skip-next"])
async def test_the_answer_of_a_change_has_the_last_run(box: Sandbox, service: str) -> None:
    job_id = await create_job(box)
    await box.advance(minutes=5)
    more = {"count": 1} if service == "skip-next" else {}

    item = await ask(box, service, id=job_id, **more)

    stored = await ask(box, "get-by-id", id=job_id)
    assert item["last_run_utc"] == stored["last_run_utc"] != ""


async def test_skipped_slots_are_in_the_ledger(box: Sandbox) -> None:
    job_id = await create_job(box)

    await ask(box, "skip-next", id=job_id, count=2)
    await box.advance(minutes=15)

    assert await outcomes_of(box, job_id) == ["ok"]
    ledger = (await ask(box, "get-ledger", id=job_id))["rows"]
    assert sum(row["count"] for row in ledger) == 2


async def test_a_run_is_retried_and_a_span_of_slots_backfilled(box: Sandbox) -> None:
    job_id = await create_job(box)
    await box.advance(minutes=5)

    again = await ask(box, "retry-run", job_id=job_id, current_run=1)
    filled = await ask(
        box, "backfill", id=job_id, first="2027-01-15T07:00:00", last="2027-01-15T07:10:00"
    )
    await box.settle()

    assert again == {"current_run": 2}
    assert filled == {"runs": [3, 4, 5], "reason": ""}
    rows = (await ask(box, "get-history", id=job_id))["rows"][::-1]
    assert [row["kind"] for row in rows] == ["scheduled", "retry", *["backfill"] * 3]
    assert rows[4]["planned_fire_time_iso"] == "2027-01-15T07:10:00+00:00"


NOW = {"start_date": "2027-01-15T08:00"}


@pytest.mark.parametrize(
    ("definition", "count", "reason"),
    [
        (
            NOW | {"minutes": 10},
            6,
            "left out: 6 slots before the job's start, 2027-01-15 08:00:00 UTC",
        ),
        ({"minutes": 10, "start_date": "2027-01-15T07:30"}, 6, "left out: 3 slots before"),
        (
            NOW | {"job_type": "cron_style", "cron_definition": "*/10 * * * *"},
            6,
            "left out: 6 slots before the job's start",
        ),
        (
            NOW | {"job_type": "cron_style", "cron_definition": "@every 10m"},
            6,
            "left out: 6 slots before the job's start",
        ),
        ({"job_type": "one_time", "start_date": "2027-01-16"}, 0, "its only slot is 2027-01-16"),
        (
            {"job_type": "cron_style", "cron_definition": "0 3 * * *"},
            0,
            "the schedule has no slot from 2027-01-15 07:00:00 UTC",
        ),
    ],
)
async def test_a_backfill_before_the_start_says_so_and_takes_force(
    box: Sandbox, definition: dict[str, Any], count: int, reason: str
) -> None:
    job_id = await create_job(box, **definition)
    span = {"id": job_id, "first": "2027-01-15T07:00", "last": "2027-01-15T07:59"}

    answer = await ask(box, "backfill", **span)
    forced = await ask(box, "backfill", **span, force=True)

    assert answer["reason"].startswith(reason)
    assert len(forced["runs"]) == count
    assert (forced["reason"] == "") == (count > 0)


async def test_a_backfill_after_the_end_says_so(box: Sandbox) -> None:
    job_id = await create_job(box, minutes=10, end_date="2027-01-15T08:20")
    span = {"id": job_id, "first": "2027-01-15T08:00", "last": "2027-01-15T08:40"}

    answer = await ask(box, "backfill", **span)

    assert len(answer["runs"]) == 2
    assert "3 slots at or after the job's end, 2027-01-15 08:20:00 UTC" in answer["reason"]
    assert len((await ask(box, "backfill", **span, force=True))["runs"]) == 5


@pytest.mark.parametrize(
    "sent",
    [
        {"first": "2027-01-15"},
        {"first": "2027-01-15", "last": "2027-01-14"},
        {"first": "x", "last": "2027-01-14"},
        {"first": "1970-01-01", "last": "2027-01-14"},
    ],
    ids=repr,
)
async def test_a_backfill_without_a_valid_span_is_refused(
    box: Sandbox, sent: dict[str, Any]
) -> None:
    job_id = await create_job(box, start_date="1970-01-01")

    with pytest.raises(BadInputError):
        await ask(box, "backfill", id=job_id, **sent)


async def test_only_an_existing_run_can_be_cancelled(box: Sandbox) -> None:
    job_id = await create_job(box)
    await box.advance(minutes=5)

    ended = await ask(box, "cancel-run", job_id=job_id, current_run=1)

    assert ended == {"is_cancelled": False}
    with pytest.raises(NotFoundError):
        await ask(box, "cancel-run", job_id=job_id, current_run=2)


async def test_the_scheduler_is_paused_and_resumed(box: Sandbox) -> None:
    job_id = await create_job(box)

    paused = await box.invoke("zato.scheduler.pause", {"note": "maintenance"})
    await box.advance(minutes=10)
    during = await box.invoke("zato.scheduler.status")
    await box.invoke("zato.scheduler.resume")
    await box.advance(minutes=5)
    after = await box.invoke("zato.scheduler.status")

    assert paused["note"] == "maintenance"
    assert (during["is_paused"], during["pause_note"]) == (True, "maintenance")
    assert (after["is_paused"], after["total_jobs"], len(after["nodes"])) == (False, 1, 1)
    assert await outcomes_of(box, job_id) == ["ok"]
    why = await ask(box, "why", name="often", at="2027-01-15T08:05:00")
    assert why["outcome"] == "paused"


async def test_a_backfill_is_counted_before_it_is_made(box: Sandbox) -> None:
    job_id = await create_job(box)
    span = {"first": "2027-01-15T06:00:00", "last": "2027-01-15T07:12:00"}

    found = await ask(box, "backfill", id=job_id, **span, dry_run=True)
    runs = await ask(box, "get-history", id=job_id)

    assert (found["count"], found["runs"]) == (3, [])
    assert found["first_iso"] == "2027-01-15T07:00:00+00:00"
    assert found["last_iso"] == "2027-01-15T07:10:00+00:00"
    assert "left out: 12 slots before the job's start" in found["reason"]
    assert runs["total"] == 0


async def test_a_dry_run_of_a_backfill_has_the_errors_of_the_real_one(box: Sandbox) -> None:
    job_id = await create_job(box)

    for span in (("2027-01-15T07:00:00", "2030-01-15"), ("2027-01-15", "2027-01-14")):
        first, last = span
        with pytest.raises(BadInputError):
            await ask(box, "backfill", id=job_id, first=first, last=last, dry_run=True)
