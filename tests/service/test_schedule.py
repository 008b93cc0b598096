from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from zato_lite.service.base import Service
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import Invocation
from zato_lite.service.payload import payload_of
from zato_lite.service.registry import Registry

NOON = 1_796_126_400_000_000  # 2026-12-01T12:00:00Z


class StoppedClock:
    def now(self) -> int:
        return NOON

    def monotonic(self) -> float:
        return 0.0

    def call_at(self, instant: int, wake: Any) -> Any:
        raise NotImplementedError


class Create(Service):
    """Keeps what it is asked for where the scheduler would make a job of it."""

    name = "zato.scheduler.job.create"

    async def handle(self) -> None:
        asked.append(self.request.payload)
        self.response.payload = {"id": 7, "name": self.request.payload["name"]}


asked: list[dict[str, Any]] = []


class Target(Service):
    name = "my.target"

    async def handle(self) -> None: ...


class Scheduling(Service):
    name = "my.scheduling"
    options: dict[str, Any]

    async def handle(self) -> Any:
        return await self.schedule.onetime(self, Target, **self.request.payload)


class BlockingScheduling(Service):
    name = "my.blocking"

    def handle(self) -> Any:
        return self.schedule.onetime(self, "my.target", **self.request.payload)


async def scheduled(service: str, **options: Any) -> dict[str, Any]:
    asked.clear()
    registry = Registry()
    for cls in (Create, Target, Scheduling, BlockingScheduling):
        registry.add(cls)
    invoker = Invoker(registry, clock=StoppedClock())
    outcome = await invoker.run(Invocation(service, options, cid="c1"))
    assert outcome.payload == 7, outcome.error
    return asked[0]


@pytest.mark.parametrize("service", ["my.scheduling", "my.blocking"])
async def test_a_one_time_job_is_created_through_the_scheduler_s_service(service: str) -> None:
    request = await scheduled(
        service, prefix="ann@example.com", start_date="2027-07-29 11:35:49", data={"my.key": 1}
    )

    assert payload_of(request.pop("extra")) == {"my.key": 1}
    assert request == {
        "cluster_id": 1,
        "name": f"ann@example.com {service} -> my.target 2026-12-01T12:00:00+00:00 c1",
        "is_active": True,
        "job_type": "one_time",
        "service": "my.target",
        "start_date": "2027-07-29 11:35:49",
    }


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ({}, "2026-12-01T12:00:00+00:00"),
        ({"after_seconds": 90}, "2026-12-01T12:01:30+00:00"),
        ({"after_seconds": 30, "after_minutes": 2}, "2026-12-01T12:02:30+00:00"),
        ({"start_date": datetime(2027, 1, 1)}, "2027-01-01T00:00:00+00:00"),  # noqa: DTZ001
        ({"start_date": datetime(2027, 1, 1, tzinfo=UTC)}, "2027-01-01T00:00:00+00:00"),
        (
            {"start_date": datetime(2027, 1, 1, tzinfo=timezone(timedelta(hours=2)))},
            "2026-12-31T22:00:00+00:00",
        ),
    ],
)
async def test_it_starts_when_it_is_told_to(options: dict[str, Any], start: str) -> None:
    assert (await scheduled("my.scheduling", **options))["start_date"] == start


async def test_a_name_can_be_given_and_data_left_out() -> None:
    request = await scheduled("my.scheduling", name="my-job")

    assert request["name"] == "my-job"
    assert "extra" not in request
