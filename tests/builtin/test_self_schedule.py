"""``self.schedule``, from a service to jobs and back, with the real scheduler behind it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from zato_lite import Service
from zato_lite.testing.app import Sandbox

HEARD: list[Any] = []


class Target(Service):
    name = "crm.target"

    async def handle(self) -> None:
        HEARD.append((self.request.input, self.job.job_type if self.job else None))


class Planner(Service):
    name = "crm.planner"

    async def handle(self) -> None:
        what = self.request.payload
        operation = getattr(self.schedule, what.pop("operation"))
        self.response.payload = await operation(*what.pop("args", ()), **what)


class Once(Service):
    name = "crm.once"

    async def handle(self) -> None:
        self.response.payload = await self.schedule.onetime(self, Target, **self.request.payload)


@pytest.fixture
def planner(box: Sandbox) -> Sandbox:
    HEARD.clear()
    for cls in (Target, Planner, Once):
        box.app.registry.add(cls)
    return box


async def _plan(box: Sandbox, operation: str, *args: Any, **options: Any) -> Any:
    return await box.invoke("crm.planner", {"operation": operation, "args": args, **options})


@pytest.mark.parametrize(
    ("options", "at"),
    [
        ({}, "2027-01-15T08:00:01"),
        ({"after_seconds": 30, "after_minutes": 1}, "2027-01-15T08:01:31"),
        ({"start_date": "2027-07-29 11:35:49"}, "2027-07-29T11:35:49"),
        ({"start_date": "2027-07-29T11:35:49Z"}, "2027-07-29T11:35:49"),
        ({"start_date": "2027-07-29T11:35:49+02:00"}, "2027-07-29T09:35:49"),
        ({"start_date": "20270729T113549"}, "2027-07-29T11:35:49"),
        ({"start_date": datetime(2027, 7, 29, 11, 35, 49, tzinfo=UTC)}, "2027-07-29T11:35:49"),
        ({"start_date": datetime(2027, 7, 29, 11, 35, 49)}, "2027-07-29T11:35:49"),  # noqa: DTZ001
    ],
    ids=repr,
)
async def test_a_one_time_job_starts_at_its_start_date(
    planner: Sandbox, options: dict[str, Any], at: str
) -> None:
    job_id = await planner.invoke("crm.once", {"prefix": "ann@example.com", **options})

    job = await planner.invoke("zato.scheduler.job.get-by-id", {"id": job_id})
    assert job["start_date"] == at
    assert job["name"].startswith("ann@example.com crm.once -> crm.target ")


async def test_the_target_gets_the_data_itself(planner: Sandbox) -> None:
    await planner.invoke("crm.once", {"data": {"my.key": "my.value"}, "after_seconds": 5})

    await planner.advance(seconds=6)

    assert HEARD == [({"my.key": "my.value"}, "one_time")]


async def test_an_interval_and_a_cron_job_run_until_they_are_cancelled(planner: Sandbox) -> None:
    every = await _plan(planner, "interval", "crm.target", "often", minutes=10, data=[1])
    daily = await _plan(planner, "cron", "crm.target", "daily", "30 8 * * *", data="x")

    await planner.advance(minutes=31)
    listed = await _plan(planner, "list")
    one = await _plan(planner, "get", daily)
    by_name = await _plan(planner, "get", "daily")
    await _plan(planner, "cancel", every)
    await _plan(planner, "cancel", daily)
    await planner.advance(minutes=30)

    assert [kind for _, kind in HEARD].count("interval_based") == 3
    assert [kind for _, kind in HEARD].count("cron_style") == 1
    assert {job["id"] for job in listed} == {every, daily}
    assert one == by_name
    assert await _plan(planner, "list") == []
