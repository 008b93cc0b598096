import asyncio

import pytest

from tests.builtin.conftest import ask, create_job
from zato_lite import Service
from zato_lite.errors import BadInputError
from zato_lite.testing.app import Sandbox


async def test_why_answers_for_every_kind_of_instant(box: Sandbox) -> None:
    await box.invoke("zato.scheduler.calendar.create", {"name": "PL", "dates": ["2027-01-16"]})
    daily = await create_job(
        box, name="daily", job_type="cron_style", minutes=None, cron_definition="0 9 * * *",
        start_date="2027-01-10", end_date="2027-01-20", calendar="PL",
    )  # fmt: skip
    await box.advance(days=2)
    box.clock.advance(days=2)
    await box.settle()

    async def why(at: str) -> str:
        return str((await ask(box, "why", id=daily, at=at))["outcome"])

    assert await why("2027-01-15 09:00:00") == "ok"
    assert await why("2027-01-16 09:00:00") == "excluded"
    assert await why("2027-01-17 09:00:00") == "missed"
    assert await why("2027-01-18 09:00:00") == "ok"
    assert await why("2027-01-19 09:00:00") == "not_yet"
    assert await why("2027-01-19 09:30:00") == "not_on_schedule"
    assert await why("2027-01-20 09:00:00") == "after_end"
    assert await why("2027-01-09 09:00:00") == "before_start"
    assert await why("2027-01-12 09:00:00") == "before_creation"


async def test_why_explains_a_run_in_flight_and_coalesced_slots(box: Sandbox) -> None:
    gate = asyncio.Event()

    class Gated(Service):
        name = "crm.gated"

        async def handle(self) -> None:
            await gate.wait()

    box.app.registry.add(Gated)
    job_id = await create_job(box, service="crm.gated")

    async def pass_five_minutes() -> None:
        box.clock.advance(minutes=5)
        for _ in range(3):
            await box.app.scheduler.tick()
            await asyncio.sleep(0)

    await pass_five_minutes()
    running = await ask(box, "why", id=job_id, at="2027-01-15T08:05:00")
    await pass_five_minutes()
    skipped = await ask(box, "why", id=job_id, at="2027-01-15T08:10:00")
    gate.set()
    await box.settle()
    box.clock.advance(minutes=20)
    await box.settle()
    coalesced = await ask(box, "why", id=job_id, at="2027-01-15T08:15:00")
    latest = await ask(box, "why", id=job_id, at="2027-01-15T08:30:00")

    assert (running["outcome"], "in flight" in running["reason"]) == ("running", True)
    assert skipped["outcome"] == "skipped_already_in_flight"
    assert (coalesced["outcome"], latest["outcome"]) == ("missed", "ok")
    assert "coalesced" in coalesced["reason"]


async def test_why_requires_a_job_and_an_instant(box: Sandbox) -> None:
    await create_job(box)

    with pytest.raises(BadInputError, match="id"):
        await ask(box, "why", at="2027-01-01")
    with pytest.raises(BadInputError, match="at"):
        await ask(box, "why", name="often")


@pytest.mark.parametrize("whole", [False, True])
async def test_a_pause_explains_held_runs_and_due_slots(box: Sandbox, whole: bool) -> None:
    job_id = await create_job(box, service="crm.fail", max_retries=1, retry_delay_ms=3_600_000)
    await box.advance(minutes=5)
    await box.settle()
    if whole:
        await box.invoke("zato.scheduler.pause", {"note": "moving house"})
    else:
        await ask(box, "pause", id=job_id, note="moving house")
    who = "scheduler" if whole else "job"

    held = await ask(box, "why", id=job_id, at="2027-01-15T08:05:00")
    await box.advance(minutes=5)
    due = await ask(box, "why", id=job_id, at="2027-01-15T08:10:00")

    assert held["reason"].endswith(f"held: the {who} is paused: moving house")
    assert (due["outcome"], due["reason"]) == ("paused", f"the {who} is paused: moving house")


async def test_why_and_status_say_that_the_clock_was_set_back(box: Sandbox) -> None:
    job_id = await create_job(box)
    await box.advance(hours=3)
    box.clock.set(box.clock.now() - 3 * 3_600_000_000)
    await box.app.scheduler.check_clock()

    held = await ask(box, "why", id=job_id, at="2027-01-15T08:05:00")
    status = await box.invoke("zato.scheduler.status")
    continued = await box.invoke("zato.scheduler.continue")
    free = await ask(box, "why", id=job_id, at="2027-01-15T08:05:00")
    later = await box.invoke("zato.scheduler.status")

    assert "the clock was set back" in held["reason"]
    assert "zato.scheduler.continue" in held["reason"]
    assert "1 jobs have run their slots" in status["clock_warning"]
    assert continued == {"jobs": 1}
    assert "set back" not in free["reason"]
    assert later["clock_warning"] == ""
