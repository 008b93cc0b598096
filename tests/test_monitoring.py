import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from zato_lite.http.events import Event
from zato_lite.http.metrics import Sample
from zato_lite.monitoring import Sources, metrics
from zato_lite.scheduler.metrics import MOST_JOBS, OTHERS, RunMetrics
from zato_lite.service.base import Service
from zato_lite.store.runs import AttemptResult, ClaimedAttempt
from zato_lite.testing.app import Sandbox, sandbox
from zato_lite.timetable.job import Job, OneTime
from zato_lite.timetable.outcome import NextStep


class Work(Service):
    name = "work"

    async def handle(self) -> None:
        if self.request.payload == "fail":
            raise ValueError("no")


@pytest.fixture
async def it() -> AsyncIterator[Sandbox]:
    async with sandbox(Work) as opened:
        yield opened


def sources(it: Sandbox) -> Sources:
    app = it.app
    return Sources(app.jobs, app.scheduler, app.invoker, app.clock, lambda: (7, 0), lambda: 0.25)


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
    count = metrics(sources(it))

    found = {_key(sample): sample.value for sample in await count()}

    assert found["zato_scheduler_jobs_total", ""] == found["zato_scheduler_jobs_active", ""] == 1
    assert found["zato_lite_store_queue", "write"] == 7
    assert found["zato_lite_loop_lag_seconds", ""] == 0.25
    assert found["zato_scheduler_jobs", "active"] == 1
    assert found["zato_scheduler_slots", "ok"] == 3
    assert found["zato_scheduler_lateness_seconds", "0.99"] == 0
    assert found["zato_lite_service_invocations_total", "work"] == 3
    assert found["zato_scheduler_in_flight", ""] == 0
    assert found["zato_lite_threads_busy", ""] == 0
    assert {_key(sample) for sample in await count()} >= set(found)


async def test_attempts_are_counted_by_job_outcome_and_duration(it: Sandbox) -> None:
    await every_second(it)
    await it.invoke("zato.service.invoke", {"name": "work", "payload": "fail", "is_async": True})
    count = metrics(sources(it))
    await it.advance(seconds=2)

    found = {
        (sample.name.removeprefix("zato_scheduler_"), *sample.labels.values()): sample.value
        for sample in await count()
    }

    assert found["executions_total", "often", "ok"] == 2
    assert found["executions_total", "(async)", "error"] == 1
    assert found["execution_duration_seconds_bucket", "often", "0.005"] == 2
    assert found["execution_duration_seconds_bucket", "often", "+Inf"] == 2
    assert found["execution_duration_seconds_count", "often"] == 2
    assert found["execution_duration_seconds_sum", "often"] == 0
    assert found["uptime_seconds",] == 2
    assert found["clock_jumps_total",] == 0
    assert found["ticks_total",] > 0
    it.clock.set(it.clock.now() + 10_000_000)
    again = {sample.name: sample.value for sample in await count()}
    assert again["zato_scheduler_clock_jumps_total"] == 1


def test_jobs_beyond_some_are_counted_together() -> None:
    tally = RunMetrics()
    for number in range(MOST_JOBS + 2):
        trigger = OneTime(start=0)
        job = Job(name=f"job {number}", service="s", trigger=trigger)
        attempt = ClaimedAttempt(
            run_id=1,
            job_id=1,
            run_number=1,
            slot=0,
            start_at=0,
            token=1,
            job=job,
            started_at=1_000,
        )
        tally.add([AttemptResult(attempt, NextStep("ok"), "ok", 61_001_000)])

    assert len(tally.jobs) == MOST_JOBS + 1
    assert tally.jobs[OTHERS].outcomes == {"ok": 2}
    assert tally.jobs[OTHERS].below[-1] == 2
    assert tally.jobs[OTHERS].microseconds == 122_000_000


async def test_a_running_app_is_ready_and_a_drained_one_is_not(it: Sandbox) -> None:
    assert await it.app.is_ready() == {}

    await it.app.scheduler.drain()

    assert await it.app.is_ready() == {"scheduler": "it does not run"}


def _data(event: Event) -> dict[str, object]:
    found: dict[str, object] = json.loads(event.data)
    return found


def _key(sample: Sample) -> tuple[str, str]:
    return sample.name, next(iter(sample.labels.values()), "")
