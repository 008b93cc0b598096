import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from zato_lite.http.events import Event
from zato_lite.http.observe import Sample
from zato_lite.observe import metrics
from zato_lite.service.base import Service
from zato_lite.testing.app import Sandbox, sandbox


class Work(Service):
    name = "work"

    async def handle(self) -> None:
        if self.request.payload == "fail":
            raise ValueError("no")


@pytest.fixture
async def it() -> AsyncIterator[Sandbox]:
    async with sandbox(Work) as opened:
        yield opened


async def every_second(it: Sandbox) -> None:
    await it.invoke(
        "zato.scheduler.job.create",
        {
            "name": "often",
            "service": "work",
            "job_type": "interval_based",
            "start_date": "2020-01-01",
            "seconds": 1,
        },
    )


async def test_what_happens_to_jobs_is_told_to_who_listens(it: Sandbox) -> None:
    async with aclosing(it.app.events.subscribe(None)) as stream:
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)

        await every_second(it)
        await it.advance(seconds=1)

        seen = [await first, await anext(stream)]
        events = [event for event in seen if event is not None]
        assert [event.kind for event in events] == ["run-started", "run-ended"]
        assert _data(events[0])["job_name"] == "often"
        assert _data(events[1])["outcome"] == "ok"


async def test_figures_are_counted(it: Sandbox) -> None:
    await every_second(it)
    await it.advance(seconds=3)
    count = metrics(it.app.jobs, it.app.scheduler, it.app.invoker, it.app.clock)

    found = {_key(sample): sample.value for sample in await count()}

    assert found["zato_scheduler_jobs", "active"] == 1
    assert found["zato_scheduler_slots", "ok"] == 3
    assert found["zato_scheduler_lateness_seconds", "0.99"] == 0
    assert found["zato_lite_service_invocations_total", "work"] == 3
    assert found["zato_scheduler_in_flight", ""] == 0
    assert found["zato_lite_threads_busy", ""] == 0
    assert {_key(sample) for sample in await count()} >= set(found)


async def test_a_running_app_is_ready_and_a_drained_one_is_not(it: Sandbox) -> None:
    assert await it.app.is_ready() == {}

    await it.app.scheduler.drain()

    assert await it.app.is_ready() == {"scheduler": "it does not run"}


def _data(event: Event) -> dict[str, object]:
    found: dict[str, object] = json.loads(event.data)
    return found


def _key(sample: Sample) -> tuple[str, str]:
    return sample.name, next(iter(sample.labels.values()), "")
