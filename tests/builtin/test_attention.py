"""Attention: each kind of trouble, with its sentence, and nothing of jobs that are fine."""

from typing import Any

import pytest

from tests.builtin.conftest import ask, create_job, idle_sandbox
from zato_lite.errors import BadInputError
from zato_lite.store.sql import execute
from zato_lite.testing.app import Sandbox

MINUTE = 60_000_000
NOT_SOON = {"minutes": 0, "hours": 1, "allow_missing_services": True}


async def attention(box: Sandbox, **sent: Any) -> Any:
    """Return the jobs in trouble."""
    return await box.invoke("zato.scheduler.get-attention", sent)


async def only(box: Sandbox) -> Any:
    """Return the only trouble."""
    found = await attention(box)
    [item] = found["items"]
    assert found["counts"] == {kind: int(kind == item["kind"]) for kind in found["counts"]}
    return item


async def add_slots(box: Sandbox, job_id: int, outcome: str, count: int) -> None:
    """Record slots without a run, as a claim does, of the last minutes."""
    now = box.clock.now()
    await box.app.scheduler._database.write(
        lambda c: execute(
            c,
            "INSERT INTO ledger (job_id, outcome, first, last, count, reason, number)"
            " VALUES (?, ?, ?, ?, ?, 'the server was down', 1)",
            (job_id, outcome, now - 2 * MINUTE, now - MINUTE, count),
        )
    )


async def test_jobs_that_are_fine_are_left_out(box: Sandbox) -> None:
    await create_job(box)
    await ask(box, "pause", id=await create_job(box, name="paused"))
    await box.advance(minutes=10)

    found = await attention(box)

    assert (found["items"], found["total"]) == ([], 0)
    assert len(found["counts"]) == 8


async def test_a_failing_job_is_shown_with_its_error_and_its_latest_run(box: Sandbox) -> None:
    await create_job(box, service="crm.fail")
    await box.advance(minutes=15)

    item = await only(box)

    assert (item["kind"], item["action"], item["run"], item["slots"]) == ("failing", "retry", 3, 3)
    assert item["sentence"] == "3 runs in a row failed: ValueError: no rows"
    assert item["since_iso"] == "2027-01-15T08:05:00+00:00"


async def test_an_error_of_the_server_s_own_is_shown_without_its_module(box: Sandbox) -> None:
    await create_job(box, service="crm.gone", allow_missing_services=True)
    await box.advance(minutes=5)

    found = await attention(box, kinds=["failing"])

    [item] = found["items"]
    begin = "The latest run failed: ServiceMissingError: Service `crm.gone` does not exist"
    assert item["sentence"].startswith(begin)


async def test_a_failing_job_is_shown_after_its_failed_runs_were_pruned(
    box: Sandbox,
) -> None:
    await create_job(box, service="crm.fail")
    await box.advance(minutes=10)
    await box.app.scheduler._database.write(lambda c: execute(c, "DELETE FROM run"))

    item = await only(box)

    assert (item["kind"], item["action"], item["run"]) == ("failing", "open", None)
    assert item["sentence"] == "2 runs in a row failed: its failed runs were pruned"


async def test_a_failing_job_that_succeeded_between_is_shown_with_both_numbers(
    box: Sandbox,
) -> None:
    job_id = await create_job(box, service="crm.fail")
    await box.advance(minutes=10)
    await ask(box, "edit", id=job_id, service="crm.work")
    await box.advance(minutes=5)
    await ask(box, "edit", id=job_id, service="crm.fail")
    await box.advance(minutes=5)

    item = await only(box)

    assert item["sentence"] == "The latest run failed, 3 of the latest 4: ValueError: no rows"
    assert item["since_iso"] == "2027-01-15T08:20:00+00:00"


async def test_a_job_that_its_failures_paused_can_be_resumed(box: Sandbox) -> None:
    await create_job(box, service="crm.fail", pause_after_failures=2)
    await box.advance(minutes=15)

    item = await only(box)

    assert (item["kind"], item["action"], item["run"]) == ("paused_by_itself", "resume", 2)
    assert item["sentence"] == "Paused automatically after 2 failed runs in a row"
    assert item["since_iso"] == "2027-01-15T08:10:00+00:00"


async def test_a_job_paused_by_a_quarantined_run_has_another_kind(box: Sandbox) -> None:
    job_id = await create_job(box)
    note = "paused automatically: a run was quarantined after 3 crashes"
    await box.app.jobs.pause(job_id, note, by="system")

    item = await only(box)

    assert (item["kind"], item["sentence"]) == ("quarantined", note.capitalize())


async def test_a_job_whose_service_is_not_deployed_is_shown_before_it_fails(box: Sandbox) -> None:
    await create_job(box, service="crm.gone", allow_missing_services=True)

    item = await only(box)

    assert (item["kind"], item["action"]) == ("undeployed", "deploy")
    assert item["sentence"] == "Service crm.gone is not deployed"


async def test_a_late_job_is_shown_with_its_slot() -> None:
    async with idle_sandbox() as box:
        await create_job(box, allow_missing_services=True)
        box.clock.advance(milliseconds=6 * 60_000)

        [item] = (await attention(box, kinds=["late"]))["items"]

    assert item["kind"] == "late"
    assert item["sentence"] == "Due since 2027-01-15 08:05:00 UTC; no node has claimed it"


async def test_a_silent_job_is_shown_once_an_alert_was_raised(box: Sandbox) -> None:
    await create_job(box, alert_after_intervals=1, service="crm.fail")
    await box.advance(minutes=12)

    found = await attention(box, kinds=["silent"])

    [item] = found["items"]
    assert (item["kind"], item["sentence"]) == (
        "silent",
        "No success since 2027-01-15 08:00:01 UTC",
    )


async def test_missed_slots_can_be_backfilled_as_they_are_shown(box: Sandbox) -> None:
    job_id = await create_job(box)
    await box.advance(minutes=9)
    await add_slots(box, job_id, "missed", 2)

    item = await only(box)
    await ask(box, "backfill", id=job_id, first=item["first_iso"], last=item["last_iso"])

    assert (item["kind"], item["action"], item["slots"]) == ("missed", "backfill", 2)
    assert item["sentence"] == (
        "2 slots missed, from 2027-01-15 08:07:01 UTC to 2027-01-15 08:08:01 UTC:"
        " the server was down"
    )


async def test_a_job_overlaps_itself_from_three_skipped_slots_in_an_hour_on(box: Sandbox) -> None:
    few, many = [await create_job(box, name=name) for name in ("few", "many")]
    await box.advance(minutes=1)
    await add_slots(box, few, "skipped_already_in_flight", 2)
    await add_slots(box, many, "skipped_already_in_flight", 3)

    item = await only(box)

    assert (item["kind"], item["job_name"], item["action"]) == ("overlapping", "many", "edit")


async def test_the_most_urgent_are_first_and_the_numbers_are_of_all(box: Sandbox) -> None:
    for number in range(3):
        await create_job(box, name=f"failing {number}", service="crm.fail")
    await create_job(box, name="gone", service="crm.gone", **NOT_SOON)
    await box.advance(minutes=5)

    found = await attention(box, limit=2, kinds=["failing", "undeployed"])

    assert [item["kind"] for item in found["items"]] == ["undeployed", "failing"]
    assert found["counts"] == {"undeployed": 1, "failing": 3}
    assert found["total"] == 4


@pytest.mark.parametrize(
    ("kind", "outcome"), [("missed", "missed"), ("overlapping", "skipped_already_in_flight")]
)
async def test_all_jobs_are_counted_beyond_the_limit(
    box: Sandbox, kind: str, outcome: str
) -> None:
    for number in range(3):
        job_id = await create_job(box, name=f"late-{number}", **NOT_SOON)
        await add_slots(box, job_id, outcome, 4)

    counts = {
        limit: (len(found["items"]), found["counts"][kind])
        for limit in (2, 3, 4)
        if (found := await attention(box, kinds=[kind], limit=limit))
    }

    assert counts == {2: (2, 3), 3: (3, 3), 4: (3, 3)}


@pytest.mark.parametrize(
    ("sent", "field"), [({"kinds": ["odd"]}, "kinds"), ({"limit": 0}, "limit"), ({"id": 1}, "id")]
)
async def test_a_wrong_field_is_named(box: Sandbox, sent: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInputError) as refused:
        await attention(box, **sent)

    assert [error.field for error in refused.value.errors] == [field]
