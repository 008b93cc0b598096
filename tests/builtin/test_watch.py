from typing import Any

from zato_lite import Service
from zato_lite.builtin.watch import CHECK
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


class Told(Service):
    name = "crm.told"
    heard: list[Any] = []  # noqa: RUF012 - it is what this double is for

    async def handle(self) -> None:
        self.heard.append(self.request.payload)


async def _silent_job(it: Sandbox) -> int:
    definition = {
        "name": "sync", "service": "crm.flaky", "job_type": "interval_based", "hours": 1,
        "start_date": "2027-01-15T08:00:00", "alert_after_intervals": 2,
        "on_error_service": None, "pause_after_failures": None,
    }  # fmt: skip
    return int((await it.invoke(f"{JOB}.create", definition))["id"])


async def test_a_job_that_brings_no_success_raises_one_alert_a_silence() -> None:
    Told.heard.clear()
    Flaky.is_well = False
    async with sandbox(Flaky, Told, clock=ManualClock(START)) as it:
        job_id = await _silent_job(it)
        await it.invoke(f"{JOB}.edit", {"id": job_id, "on_error_service": "crm.told"})

        await it.advance(hours=2, minutes=5)
        before = [told for told in Told.heard if told["outcome"] == "silent"]
        await it.advance(hours=2)
        first = [told for told in Told.heard if told["outcome"] == "silent"]
        Flaky.is_well = True
        await it.advance(hours=1)
        Flaky.is_well = False
        await it.advance(hours=4)
        second = [told for told in Told.heard if told["outcome"] == "silent"]

        assert before == []
        assert [(told["job_name"], told["slots_without_success"]) for told in first] == [
            ("sync", 3)
        ]
        assert len(second) == 2


async def test_who_looks_after_such_jobs_is_a_job_like_any_other() -> None:
    async with sandbox(Flaky, clock=ManualClock(START)) as it:
        none = await it.invoke(f"{JOB}.get-list", {"query": CHECK})
        await _silent_job(it)

        [check] = await it.invoke(f"{JOB}.get-list", {"query": CHECK})
        answer = await it.invoke(CHECK)

        assert none == []
        assert (check["service"], check["minutes"]) == (CHECK, 1)
        assert answer == {"silent": [], "alerted": []}
