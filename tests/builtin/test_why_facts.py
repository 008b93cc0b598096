"""Facts and actions of an explanation: reasons as values, and requests that can be sent."""

import asyncio
from typing import Any

import pytest

from tests.builtin.conftest import ask, ask_as, caller, create_job
from zato_lite import Service
from zato_lite.builtin.why import began_after, outage_of
from zato_lite.store.rows import NodeRow
from zato_lite.testing.app import Sandbox
from zato_lite.timetable.pauses import PastPause, pause_of, with_author

ANN = caller("ann", "editor")


async def why(box: Sandbox, job_id: int, at: str) -> dict[str, Any]:
    found: dict[str, Any] = await ask(box, "why", id=job_id, at=at)
    assert found["code"] == found["outcome"]
    assert "\n" not in found["sentence"]
    return found


def facts(found: dict[str, Any]) -> dict[str, Any]:
    return {fact["kind"]: fact for fact in found["facts"]}


def codes(found: dict[str, Any]) -> list[str]:
    return [action["code"] for action in found["actions"]]


async def test_a_failed_run_can_be_opened_and_retried(box: Sandbox) -> None:
    job_id = await create_job(box, service="crm.fail")
    await box.advance(minutes=5)

    found = await why(box, job_id, "2027-01-15T08:05:00")
    run = facts(found)["run"]
    retry = next(action for action in found["actions"] if action["code"] == "retry")
    answer = await box.invoke(retry["service"], retry["input"])

    assert (run["current_run"], run["outcome"]) == (1, "error")
    assert codes(found) == ["open_run", "retry"]
    assert found["sentence"].endswith("ended: error: ValueError: no rows")
    assert answer == {"current_run": 2}
    assert found["previous_slot"] == "2027-01-15T08:00:00+00:00"
    assert found["next_slot"] == "2027-01-15T08:10:00+00:00"


async def test_a_skipped_slot_names_the_run_that_was_in_flight(box: Sandbox) -> None:
    gate = asyncio.Event()

    class Gated(Service):
        name = "crm.gated"

        async def handle(self) -> None:
            await gate.wait()

    box.app.registry.add(Gated)
    job_id = await create_job(box, service="crm.gated")
    for _ in range(2):
        box.clock.advance(minutes=5)
        for _ in range(3):
            await box.app.scheduler.tick()
            await asyncio.sleep(0)

    during = await why(box, job_id, "2027-01-15T08:10:00")
    gate.set()
    await box.settle()
    after = await why(box, job_id, "2027-01-15T08:10:00")

    assert during["code"] == "skipped_already_in_flight"
    assert facts(during)["blocking_run"]["current_run"] == 1
    assert facts(during)["blocking_run"]["ended_iso"] is None
    assert codes(during) == ["backfill", "open_run", "cancel"]
    assert facts(after)["blocking_run"]["outcome"] == "ok"
    assert codes(after) == ["backfill", "open_run"]


async def test_a_pause_says_who_has_paused_and_until_when(box: Sandbox) -> None:
    job_id = await create_job(box)
    await ask_as(ANN, box, "pause", id=job_id, note="the bank moves", until="2027-01-16")
    await box.advance(minutes=7)

    during = await why(box, job_id, "2027-01-15T08:05:00")
    await ask(box, "resume", id=job_id)
    after = await why(box, job_id, "2027-01-15T08:05:00")

    assert during["reason"] == "the job is paused by user:ann: the bank moves"
    assert facts(during)["pause"] == {
        "kind": "pause", "of": "job", "by": "user:ann", "note": "the bank moves",
        "since_iso": "2027-01-15T08:00:01+00:00", "until_iso": "2027-01-16T00:00:00+00:00",
    }  # fmt: skip
    assert codes(during)[0] == "resume"
    assert after["reason"] == "paused by user:ann: the bank moves"
    assert (facts(after)["pause"]["by"], facts(after)["pause"]["of"]) == ("user:ann", "job")


async def test_a_pause_of_the_scheduler_says_who(box: Sandbox) -> None:
    job_id = await create_job(box)
    await ask_as(ANN, box, "zato.scheduler.pause", note="maintenance")
    await box.advance(minutes=7)

    during = await why(box, job_id, "2027-01-15T08:05:00")
    await box.invoke("zato.scheduler.resume")
    after = await why(box, job_id, "2027-01-15T08:05:00")

    assert facts(during)["pause"]["of"] == "scheduler"
    assert codes(during)[0] == "resume_scheduler"
    assert after["reason"] == "the scheduler was paused by ann: maintenance"
    assert facts(after)["pause"]["by"] == "ann"


async def test_an_excluded_slot_names_the_calendar_and_the_day(box: Sandbox) -> None:
    await box.invoke("zato.scheduler.calendar.create", {"name": "PL", "yearly": ["01-15"]})
    job_id = await create_job(box, calendar="PL")
    await box.advance(minutes=6)

    found = await why(box, job_id, "2027-01-15T08:05:00")
    await box.advance(days=1)
    recorded = await why(box, job_id, "2027-01-15T08:05:00")

    assert facts(found)["calendar"] == {
        "kind": "calendar", "name": "PL", "day": "2027-01-15", "reason": "01-15",
    }  # fmt: skip
    assert facts(recorded)["calendar"] == facts(found)["calendar"]
    assert (found["code"], facts(recorded)["slots"]["outcome"]) == ("excluded", "excluded")


@pytest.mark.parametrize(
    ("at", "code", "fact", "action"),
    [
        ("2027-01-15T06:00:00", "before_start", "bounds", "edit"),
        ("2027-01-15T09:00:00", "after_end", "bounds", "edit"),
        ("2027-01-15T08:01:00", "not_on_schedule", "schedule", "execute"),
        ("2027-01-15T07:30:00", "before_creation", "creation", "backfill"),
        ("2027-01-15T08:25:00", "not_yet", None, "execute"),
    ],
)
async def test_an_instant_without_a_record_has_a_fact_of_the_definition(
    box: Sandbox, at: str, code: str, fact: str | None, action: str
) -> None:
    job_id = await create_job(box, end_date="2027-01-15T08:30:00")

    found = await why(box, job_id, at)

    assert found["code"] == code
    assert list(facts(found)) == ([] if fact is None else [fact])
    assert action in codes(found)


async def test_all_actions_name_services_that_take_their_input(box: Sandbox) -> None:
    job_id = await create_job(box, service="crm.fail", repeats=1)
    await box.advance(minutes=5)

    for at in ("2027-01-15T08:05:00", "2027-01-15T08:10:00", "2027-01-15T08:11:00"):
        for action in (await why(box, job_id, at))["actions"]:
            await box.invoke(action["service"], action["input"])


def test_an_outage_ends_when_the_first_process_begins() -> None:
    nodes = [NodeRow(1, "a", 1, 50, 90), NodeRow(2, "b", 2, 70, 90)]

    assert (began_after(nodes, 40), began_after(nodes, 60)) == (50, None)
    assert began_after([], 40) is None


def test_an_outage_is_the_one_that_the_reason_of_a_slot_mentions() -> None:
    reason = "its time had passed; the server was down from 2027-01-15 08:00:00 UTC to"

    assert outage_of(f"{reason} 2027-01-15 09:00:01 UTC") == (
        "2027-01-15T08:00:00+00:00",
        "2027-01-15T09:00:01+00:00",
    )
    assert outage_of("its time had passed") is None


@pytest.mark.parametrize("by", ["", "user:ann", "key:ci"])
@pytest.mark.parametrize("note", ["", "moving: by Monday", " by night"])
def test_the_reason_of_a_pause_can_be_read_again(by: str, note: str) -> None:
    assert pause_of(with_author("paused", by, note)) == PastPause("job", by, note)
