from typing import Any

from zato_lite import Service
from zato_lite.builtin.deadman import CHECK
from zato_lite.testing.app import Sandbox, sandbox
from zato_lite.testing.clock import ManualClock
from zato_lite.timetable.zone import parse_moment

JOB = "zato.scheduler.job"
START = parse_moment("2027-01-15 08:00:01", None)


class Flaky(Service):
    name = "crm.flaky"
    is_well = False

    async def handle(self) -> None:
        if not type(self).is_well:
            raise ValueError("no rows")


class Callback(Service):
    name = "crm.callback"
    received: list[Any] = []  # noqa: RUF012 - it is what this double is for

    async def handle(self) -> None:
        self.received.append(self.request.payload)


async def _silent_job(box: Sandbox, **fields: Any) -> int:
    """Create a watched job; the tests invoke the check themselves, not every minute."""
    definition = {
        "name": "sync", "service": "crm.flaky", "job_type": "interval_based", "hours": 1,
        "start_date": "2027-01-15T08:00:00", "alert_after_intervals": 2, **fields,
    }  # fmt: skip
    job_id = int((await box.invoke(f"{JOB}.create", definition))["id"])
    check = await box.invoke(f"{JOB}.get-by-name", {"name": CHECK})
    await box.invoke(f"{JOB}.pause", {"id": check["id"]})
    return job_id


async def _alerts(box: Sandbox) -> list[dict[str, Any]]:
    await box.invoke(CHECK)
    await box.settle()
    return [alert for alert in Callback.received if alert["outcome"] == "silent"]


async def test_a_job_without_success_raises_one_alert_for_each_silence() -> None:
    Callback.received.clear()
    Flaky.is_well = False
    async with sandbox(Flaky, Callback, clock=ManualClock(START)) as box:
        await _silent_job(box, on_error_service="crm.callback")

        await box.advance(hours=2, minutes=5)
        before = await _alerts(box)
        await box.advance(hours=1)
        first = await _alerts(box)
        again = await _alerts(box)
        Flaky.is_well = True
        await box.advance(hours=1)
        well = await _alerts(box)
        Flaky.is_well = False
        await box.advance(hours=3)
        second = await _alerts(box)

        assert before == []
        assert [(alert["job_name"], alert["slots_without_success"]) for alert in first] == [
            ("sync", 3)
        ]
        assert first == again == well
        assert len(second) == 2


async def test_the_check_for_silent_jobs_is_a_job_like_any_other() -> None:
    async with sandbox(Flaky, clock=ManualClock(START)) as box:
        none = await box.invoke(f"{JOB}.get-list", {"query": CHECK})
        await _silent_job(box)

        [check] = await box.invoke(f"{JOB}.get-list", {"query": CHECK})
        answer = await box.invoke(CHECK)

        assert none == []
        assert (check["service"], check["minutes"]) == (CHECK, 1)
        assert answer == {"silent": [], "alerted": []}


async def test_slots_of_a_pause_do_not_count_as_silence() -> None:
    Callback.received.clear()
    Flaky.is_well = True
    async with sandbox(Flaky, Callback, clock=ManualClock(START)) as box:
        job_id = await _silent_job(box, on_error_service="crm.callback")
        await box.invoke(f"{JOB}.pause", {"id": job_id, "note": "a long one"})
        box.clock.advance(hours=12)
        during = await _alerts(box)

        await box.invoke(f"{JOB}.resume", {"id": job_id})
        await box.advance(minutes=30)

        assert during == await _alerts(box) == []


async def test_an_alert_is_raised_once_even_after_the_last_success_was_pruned() -> None:
    Callback.received.clear()
    Flaky.is_well = True
    async with sandbox(Flaky, Callback, clock=ManualClock(START)) as box:
        await _silent_job(box, on_error_service="crm.callback", keep_runs=1)
        await box.advance(hours=1, minutes=5)
        await _alerts(box)
        Flaky.is_well = False

        await box.advance(hours=4)
        first = await _alerts(box)
        await box.advance(hours=4)

        assert len(first) == len(await _alerts(box)) == 1
