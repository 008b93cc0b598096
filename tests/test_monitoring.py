import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from zato_lite.http.events import Event
from zato_lite.service.base import Service
from zato_lite.testing.app import Sandbox, sandbox


class Work(Service):
    name = "work"

    async def handle(self) -> None:
        if self.request.payload == "fail":
            raise ValueError("no")


@pytest.fixture
async def opened() -> AsyncIterator[Sandbox]:
    async with sandbox(Work) as found:
        yield found


async def create_job_of_one_second(opened: Sandbox) -> None:
    await opened.invoke(
        "zato.scheduler.job.create",
        {
            "name": "often",
            "service": "work",
            "job_type": "interval_based",
            "start_date": "2020-01-01",
            "seconds": 1,
        },
    )


async def test_runs_of_jobs_are_published_to_subscribers(opened: Sandbox) -> None:
    async with aclosing(opened.app.events.subscribe(None)) as stream:
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)

        await create_job_of_one_second(opened)
        await opened.advance(seconds=1)

        events = [await first]
        while events[-1] is None or events[-1].kind != "run-ended":
            events.append(await anext(stream))
        found = {event.kind: _data(event) for event in events if event is not None}
        assert list(found) == ["job-changed", "run-started", "run-ended"]
        assert found["run-started"]["job_name"] == "often"
        assert found["run-ended"]["outcome"] == "ok"


async def test_a_running_app_is_ready_and_a_drained_one_is_not(opened: Sandbox) -> None:
    assert await opened.app.is_ready() == {}

    await opened.app.scheduler.drain()

    assert await opened.app.is_ready() == {"scheduler": "not running"}


def _data(event: Event) -> dict[str, object]:
    found: dict[str, object] = json.loads(event.data)
    return found
