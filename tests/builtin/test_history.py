"""What ran, what came of it, why a slot did not run; pauses, skips, and runs on demand."""

import asyncio
from typing import Any

import pytest

from zato_lite import Service
from zato_lite.errors import BadInputError, ConflictError, NotFoundError
from zato_lite.testing.app import Sandbox

JOB = "zato.scheduler.job"


async def _create(it: Sandbox, **fields: Any) -> int:
    definition = {
        "name": "often", "service": "crm.work", "job_type": "interval_based",
        "start_date": "2027-01-15T07:00:00", "minutes": 5, "extra": "a text", **fields,
    }  # fmt: skip
    return int((await it.invoke(f"{JOB}.create", definition))["id"])


async def _ask(it: Sandbox, name: str, /, **sent: Any) -> Any:
    return await it.invoke(f"{JOB}.{name}", sent)


async def _outcomes(it: Sandbox, job_id: int) -> list[str]:
    rows = (await _ask(it, "get-history", id=job_id))["rows"]
    return [row["outcome"] for row in rows][::-1]


async def test_the_history_tells_each_run_newest_first(it: Sandbox) -> None:
    job_id = await _create(it)
    await it.advance(minutes=15)

    found = await _ask(it, "get-history", id=job_id, page_size=2)

    assert (found["total"], found["page"], found["page_size"]) == (3, 1, 2)
    assert [row["current_run"] for row in found["rows"]] == [3, 2]
    row = found["rows"][0]
    assert (row["job_name"], row["outcome"], row["error"]) == ("often", "ok", None)
    assert row["planned_fire_time_iso"] == "2027-01-15T08:15:00+00:00"
    assert row["delay_ms"] == 0
    assert row["log_summary"]["system"] == 2


async def test_a_failure_is_told_with_its_reason(it: Sandbox) -> None:
    job_id = await _create(it, service="crm.fail")
    await it.advance(minutes=5)

    [row] = (await _ask(it, "get-history", id=job_id, outcomes=["error"]))["rows"]

    assert "ValueError: no rows" in row["error"]
    assert (await _ask(it, "get-history", id=job_id, outcomes="ok"))["rows"] == []
    assert len((await _ask(it, "get-history", id=job_id, outcomes="all"))["rows"]) == 1


async def test_polling_gets_what_is_new(it: Sandbox) -> None:
    job_id = await _create(it)
    await it.advance(minutes=15)

    new = await _ask(it, "get-history", id=job_id, since_iso="2027-01-15T08:14:00")
    stamped = await _ask(it, "get-history", id=job_id, since_timestamp=1_800_000_840)
    again = await _ask(
        it, "get-history", id=job_id, since_iso="2027-01-15T08:14:00", running_runs=[1]
    )

    assert [row["current_run"] for row in new["rows"]] == [3]
    assert set(new) == {"rows", "total"}
    assert stamped["rows"] == new["rows"]
    assert [row["current_run"] for row in again["rows"]] == [3, 1]


@pytest.mark.parametrize(
    "sent",
    [
        {"id": "x"},
        {"page": 0},
        {"page_size": 1001},
        {"outcomes": ["fine"]},
        {"since_iso": "later"},
        {"since_timestamp": "later"},
        {"running_runs": "1"},
    ],
    ids=repr,
)
async def test_what_cannot_be_asked_is_refused(it: Sandbox, sent: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        await _ask(it, "get-history", **{"id": 1, **sent})


async def test_one_run_is_told_with_its_neighbours(it: Sandbox) -> None:
    job_id = await _create(it)
    await it.advance(minutes=15)

    found = await _ask(it, "get-run-detail", job_id=job_id, current_run=2)
    missing = await _ask(it, "get-run-detail", job_id=job_id, current_run=99)

    assert (found["prev_run"], found["next_run"]) == (1, 3)
    assert found["record"]["result"] == '{"worked":true}'
    assert missing == {"record": None, "prev_run": None, "next_run": None}


async def test_a_retried_run_tells_its_attempts(it: Sandbox) -> None:
    job_id = await _create(it, service="crm.fail", max_retries=2, retry_delay_ms=1000)
    await it.advance(minutes=5)
    await it.advance(seconds=10)

    record = (await _ask(it, "get-run-detail", job_id=job_id, current_run=1))["record"]

    assert (record["outcome"], record["attempt"]) == ("error", 3)
    assert [each["attempt"] for each in record["attempts"]] == [1, 2]


async def test_last_runs_are_told_for_many_at_once(it: Sandbox) -> None:
    job_id = await _create(it)
    await it.advance(minutes=5)

    found = await _ask(it, "get-last-run-list", id_list=[job_id, 99])

    assert found["items"] == [
        {"id": job_id, "last_run_utc": "2027-01-15T08:05:00+00:00", "last_duration_ms": 0.0},
        {"id": 99, "last_run_utc": "", "last_duration_ms": None},
    ]


async def test_the_current_state_has_zatos_shape(it: Sandbox) -> None:
    await _create(it)
    await _create(it, name="failing", service="crm.fail")
    await _create(it, name="paused", is_active=False)
    await it.advance(minutes=10)

    state = await _ask(
        it,
        "get-current-state",
        chart_since_iso="2027-01-15T08:00:00",
        chart_until_iso="2027-01-15T10:00:00",
    )

    assert (state["total_jobs"], state["active_jobs"], state["paused_jobs"]) == (3, 2, 1)
    assert (state["outcome_counts"]["ok"], state["outcome_counts"]["error"]) == (2, 2)
    assert (state["runs_last_hour"], state["recent_last_hour"]) == (4, 2)
    buckets = state["chart_buckets"]["buckets"]
    assert len(buckets) == 120
    assert [buckets[5]["ok"], buckets[10]["error"]] == [1, 1]
    often = next(job for job in state["jobs"] if job["name"] == "often")
    assert often["recent_outcomes"] == ["ok", "ok"]
    assert (often["interval_ms"], often["is_running"]) == (300_000, False)
    assert len(state["recent_events"]) == 4


async def test_a_pause_has_a_note_and_ends_when_told(it: Sandbox) -> None:
    job_id = await _create(it)

    shown = await _ask(it, "pause", id=job_id, note="waiting for the bank")
    await it.advance(minutes=10)
    why = await _ask(it, "why", id=job_id, at="2027-01-15T08:05:00")
    await _ask(it, "resume", id=job_id)
    await it.advance(minutes=5)

    assert (shown["is_active"], shown["pause_note"]) == (False, "waiting for the bank")
    assert (why["outcome"], "waiting for the bank" in why["reason"]) == ("paused", True)
    after = await _ask(it, "why", id=job_id, at="2027-01-15T08:05:00")
    assert (after["outcome"], "waiting for the bank" in after["reason"]) == ("paused", True)
    assert await _outcomes(it, job_id) == ["ok"]


async def test_a_pause_until_ends_by_itself(it: Sandbox) -> None:
    job_id = await _create(it)

    await _ask(it, "pause", id=job_id, note="", until="2027-01-15T08:12:00")
    await it.advance(minutes=20)

    assert await _outcomes(it, job_id) == ["ok", "ok"]


async def test_slots_are_skipped_as_asked(it: Sandbox) -> None:
    job_id = await _create(it)

    await _ask(it, "skip-next", id=job_id, count=2)
    await it.advance(minutes=15)

    assert await _outcomes(it, job_id) == ["ok"]
    ledger = (await _ask(it, "get-ledger", id=job_id))["rows"]
    assert sum(row["count"] for row in ledger) == 2


async def test_a_slot_is_run_again_and_a_stretch_filled_in(it: Sandbox) -> None:
    job_id = await _create(it)
    await it.advance(minutes=5)

    again = await _ask(it, "retry-run", job_id=job_id, current_run=1)
    filled = await _ask(
        it, "backfill", id=job_id, first="2027-01-15T07:00:00", last="2027-01-15T07:10:00"
    )
    await it.settle()

    assert again == {"current_run": 2}
    assert filled == {"runs": [3, 4, 5]}
    rows = (await _ask(it, "get-history", id=job_id))["rows"][::-1]
    assert [row["kind"] for row in rows] == ["scheduled", "retry", *["backfill"] * 3]
    assert rows[4]["planned_fire_time_iso"] == "2027-01-15T07:10:00+00:00"


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
async def test_a_backfill_that_cannot_be_is_refused(it: Sandbox, sent: dict[str, Any]) -> None:
    job_id = await _create(it, start_date="1970-01-01")

    with pytest.raises(BadInputError):
        await _ask(it, "backfill", id=job_id, **sent)


async def test_a_run_that_is_not_there_cannot_be_cancelled(it: Sandbox) -> None:
    job_id = await _create(it)
    await it.advance(minutes=5)

    ended = await _ask(it, "cancel-run", job_id=job_id, current_run=1)

    assert ended == {"is_cancelled": False}
    with pytest.raises(NotFoundError):
        await _ask(it, "cancel-run", job_id=job_id, current_run=2)


async def test_the_scheduler_stands_still_and_goes_on(it: Sandbox) -> None:
    job_id = await _create(it)

    paused = await it.invoke("zato.scheduler.pause", {"note": "maintenance"})
    await it.advance(minutes=10)
    during = await it.invoke("zato.scheduler.status")
    await it.invoke("zato.scheduler.resume")
    await it.advance(minutes=5)
    after = await it.invoke("zato.scheduler.status")

    assert paused["note"] == "maintenance"
    assert (during["is_paused"], during["pause_note"]) == (True, "maintenance")
    assert (after["is_paused"], after["total_jobs"], len(after["nodes"])) == (False, 1, 1)
    assert await _outcomes(it, job_id) == ["ok"]
    why = await _ask(it, "why", name="often", at="2027-01-15T08:05:00")
    assert why["outcome"] == "paused"


async def test_why_answers_for_every_kind_of_instant(it: Sandbox) -> None:
    await it.invoke("zato.scheduler.calendar.create", {"name": "PL", "dates": ["2027-01-16"]})
    daily = await _create(
        it, name="daily", job_type="cron_style", minutes=None, cron_definition="0 9 * * *",
        start_date="2027-01-10", end_date="2027-01-20", calendar="PL",
    )  # fmt: skip
    await it.advance(days=2)
    it.clock.advance(days=2)
    await it.settle()

    async def why(at: str) -> str:
        return str((await _ask(it, "why", id=daily, at=at))["outcome"])

    assert await why("2027-01-15 09:00:00") == "ok"
    assert await why("2027-01-16 09:00:00") == "excluded"
    assert await why("2027-01-17 09:00:00") == "missed"
    assert await why("2027-01-18 09:00:00") == "ok"
    assert await why("2027-01-19 09:00:00") == "not_yet"
    assert await why("2027-01-19 09:30:00") == "not_on_schedule"
    assert await why("2027-01-20 09:00:00") == "after_end"
    assert await why("2027-01-09 09:00:00") == "before_start"
    assert await why("2027-01-12 09:00:00") == "before_creation"


async def test_why_tells_which_run_was_in_flight_and_what_was_coalesced(it: Sandbox) -> None:
    gate = asyncio.Event()

    class Gated(Service):
        name = "crm.gated"

        async def handle(self) -> None:
            await gate.wait()

    it.app.registry.add(Gated)
    job_id = await _create(it, service="crm.gated")

    async def pass_five_minutes() -> None:
        it.clock.advance(minutes=5)
        for _ in range(3):
            await it.app.scheduler.tick()
            await asyncio.sleep(0)

    await pass_five_minutes()
    running = await _ask(it, "why", id=job_id, at="2027-01-15T08:05:00")
    await pass_five_minutes()
    skipped = await _ask(it, "why", id=job_id, at="2027-01-15T08:10:00")
    gate.set()
    await it.settle()
    it.clock.advance(minutes=20)
    await it.settle()
    coalesced = await _ask(it, "why", id=job_id, at="2027-01-15T08:15:00")
    latest = await _ask(it, "why", id=job_id, at="2027-01-15T08:30:00")

    assert (running["outcome"], "in flight" in running["reason"]) == ("running", True)
    assert skipped["outcome"] == "skipped_already_in_flight"
    assert (coalesced["outcome"], latest["outcome"]) == ("missed", "ok")
    assert "coalesced" in coalesced["reason"]


async def test_why_wants_a_job_and_an_instant(it: Sandbox) -> None:
    await _create(it)

    with pytest.raises(BadInputError, match="id"):
        await _ask(it, "why", at="2027-01-01")
    with pytest.raises(BadInputError, match="at"):
        await _ask(it, "why", name="often")


async def test_a_calendar_lives_from_create_to_delete(it: Sandbox) -> None:
    calendar = "zato.scheduler.calendar"
    holidays = {"name": "PL", "dates": ["2027-05-03"], "weekdays": [6], "yearly": ["12-25"]}

    await it.invoke(f"{calendar}.create", holidays)
    with pytest.raises(ConflictError):
        await it.invoke(f"{calendar}.create", holidays)
    await it.invoke(f"{calendar}.edit", {**holidays, "description": "Poland"})
    with pytest.raises(NotFoundError):
        await it.invoke(f"{calendar}.edit", {"name": "DE"})
    shown = await it.invoke(f"{calendar}.get-by-name", {"name": "PL"})
    job_id = await _create(it, calendar="PL")
    with pytest.raises(ConflictError, match="often"):
        await it.invoke(f"{calendar}.delete", {"name": "PL"})
    await _ask(it, "delete", id=job_id)
    await it.invoke(f"{calendar}.delete", {"name": "PL"})

    assert (shown["description"], shown["dates"]) == ("Poland", ("2027-05-03",))
    assert await it.invoke(f"{calendar}.get-list") == []
    with pytest.raises(NotFoundError):
        await it.invoke(f"{calendar}.get-by-name", {"name": "PL"})


@pytest.mark.parametrize(
    "sent",
    [{}, {"name": "x", "dates": ["x"]}, {"name": "x", "weekdays": [9]}, {"name": "x", "dtes": []}],
    ids=repr,
)
async def test_a_calendar_that_cannot_be_is_refused(it: Sandbox, sent: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        await it.invoke("zato.scheduler.calendar.create", sent)
