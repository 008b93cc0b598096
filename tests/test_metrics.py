from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import msgspec
import pytest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from zato_lite.http.metrics import LatencyRecorder
from zato_lite.metrics import Exposition, Snapshot, Sources, WorkerFile, rendered, worker_file
from zato_lite.outgoing.http import RestResponse
from zato_lite.scheduler.history import RunHistory
from zato_lite.scheduler.metrics import MAX_COUNTED_JOBS, OTHERS, RunMetrics
from zato_lite.service.base import Service
from zato_lite.store.attempts import AttemptResult, ClaimedAttempt
from zato_lite.testing.app import Sandbox, sandbox
from zato_lite.timetable.job import Job, OneTime
from zato_lite.timetable.outcome import NextStep

Figures = dict[tuple[str, ...], float]


class Work(Service):
    name = "work"

    async def handle(self) -> None:
        if self.request.payload == "fail":
            raise ValueError("no")


@pytest.fixture
async def opened() -> AsyncIterator[Sandbox]:
    async with sandbox(Work) as found:
        yield found


def exposition(opened: Sandbox, file: WorkerFile | None = None, restarts: int = 0) -> Exposition:
    app = opened.app
    history = cast("RunHistory", app.invoker.resources[RunHistory])
    sources = Sources(
        history, app.scheduler, app.invoker, app.clock, lambda: (7, 0), lambda: 0.25,
        lambda: restarts,
    )  # fmt: skip
    return Exposition(sources, file)


async def figures(exposed: Exposition, latency: LatencyRecorder | None = None) -> Figures:
    return parsed(await exposed.render(latency or LatencyRecorder()))


def parsed(text: bytes) -> Figures:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


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


async def test_figures_are_counted(opened: Sandbox) -> None:
    await create_job_of_one_second(opened)
    await opened.advance(seconds=3)
    exposed = exposition(opened)

    found = await figures(exposed)

    assert found["zato_scheduler_jobs_total",] == found["zato_scheduler_jobs_active",] == 1
    assert found["zato_lite_store_queue", "write"] == 7
    assert found["zato_lite_loop_lag_seconds",] == 0.25
    assert found["zato_scheduler_jobs", "active"] == 1
    assert found["zato_scheduler_slots", "ok"] == 3
    assert found["zato_scheduler_lateness_seconds", "0.99"] == 0
    assert found["zato_lite_service_invocations_total", "work"] == 3
    assert found["zato_scheduler_in_flight",] == 0
    assert found["zato_lite_threads_busy",] == 0
    assert set(await figures(exposed)) >= set(found)


async def test_attempts_are_counted_by_job_outcome_and_duration(opened: Sandbox) -> None:
    await create_job_of_one_second(opened)
    fail = {"name": "work", "payload": "fail", "is_async": True}
    await opened.invoke("zato.service.invoke", fail)
    exposed = exposition(opened)
    await opened.advance(seconds=2)

    found = {
        (name.removeprefix("zato_scheduler_"), *labels): value
        for (name, *labels), value in (await figures(exposed)).items()
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


async def test_a_clock_that_is_set_is_counted_as_a_jump(opened: Sandbox) -> None:
    exposed = exposition(opened)

    opened.clock.set(opened.clock.now() + 10_000_000)

    assert (await figures(exposed))["zato_scheduler_clock_jumps_total",] == 1
    assert (await figures(exposed))["zato_scheduler_clock_jumps_total",] == 1


def test_jobs_beyond_some_are_counted_together() -> None:
    runs = RunMetrics()
    for number in range(MAX_COUNTED_JOBS + 2):
        trigger = OneTime(start=0)
        job = Job(name=f"job {number}", service="s", trigger=trigger)
        attempt = ClaimedAttempt(
            run_id=1, job_id=1, attempt_number=1, run_number=1, slot=0, start_at=0, token=1,
            job=job, started_at=1_000,
        )  # fmt: skip
        runs.record([AttemptResult(attempt, NextStep("ok"), "ok", 61_001_000)])

    assert len(runs.jobs) == MAX_COUNTED_JOBS + 1
    assert runs.jobs[OTHERS].outcomes == {"ok": 2}
    assert runs.jobs[OTHERS].below[-1] == 2
    assert runs.jobs[OTHERS].microseconds == 122_000_000


# Sums over workers


def metrics_of(requests: float, busy: float = 0, lag: float = 0) -> list[Metric]:
    by_status = CounterMetricFamily("requests_total", "Requests.", labels=["status"])
    by_status.add_metric(["200"], requests)
    return [
        by_status,
        GaugeMetricFamily("busy", "Busy threads.", busy),
        GaugeMetricFamily("zato_lite_loop_lag_seconds", "Lag.", lag),
    ]


def shown(families: list[Metric]) -> Figures:
    return parsed(rendered(families))


DEAD_PID = 4_194_305
"""Above the kernel's largest."""


def test_a_scrape_sums_counters_and_gauges_over_workers(tmp_path: Path) -> None:
    first, second = WorkerFile(tmp_path / "0.json"), WorkerFile(tmp_path / "1.json")

    first.save(metrics_of(3, busy=1, lag=0.5))
    found = shown(second.merge(metrics_of(4, busy=2, lag=0.25)))

    assert found["requests_total", "200"] == 7
    assert found["busy",] == 3
    assert found["zato_lite_loop_lag_seconds",] == 0.5


def test_counters_of_a_dead_worker_stay_and_its_gauges_go(tmp_path: Path) -> None:
    dead, living = WorkerFile(tmp_path / "0.json"), WorkerFile(tmp_path / "1.json")
    families = dead.save(metrics_of(3, busy=1))
    (tmp_path / "0.json").write_bytes(msgspec.json.encode(Snapshot(DEAD_PID, families)))

    found = shown(living.merge(metrics_of(4, busy=2)))

    assert found["requests_total", "200"] == 7
    assert found["busy",] == 2


def test_a_worker_continues_the_counters_of_the_one_that_it_replaces(tmp_path: Path) -> None:
    WorkerFile(tmp_path / "0.json").save(metrics_of(3, busy=1))

    found = shown(WorkerFile(tmp_path / "0.json").merge(metrics_of(1, busy=2)))

    assert found["requests_total", "200"] == 4
    assert found["busy",] == 2


def test_a_damaged_snapshot_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_bytes(b"{")

    found = shown(WorkerFile(tmp_path / "0.json").merge(metrics_of(1)))

    assert found["requests_total", "200"] == 1


async def test_restarts_within_a_process_are_counted_once(opened: Sandbox, tmp_path: Path) -> None:
    for restarts in range(3):
        exposed = exposition(opened, WorkerFile(tmp_path / "0.json"), restarts)
        assert (await figures(exposed))["zato_lite_restarts_total",] == restarts
        assert (await figures(exposed))["zato_lite_restarts_total",] == restarts


def test_only_a_worker_has_a_snapshot_file(tmp_path: Path) -> None:
    assert worker_file({}) is None
    assert worker_file({"ZATO_LITE_METRICS_FILE": str(tmp_path / "0.json")}) is not None


async def test_figures_of_outgoing_connections_are_exposed() -> None:
    class Asks(Service):
        name = "asks"

        async def handle(self) -> None:
            await self.out.rest["crm"].get("/")

    fakes = {"rest.crm": lambda request: RestResponse(404)}
    async with sandbox(Asks, outgoing=fakes) as opened:
        await opened.invoke("asks")

        found = await figures(exposition(opened))

    assert found["zato_lite_outgoing_total", "crm", "rest", "404"] == 1
    assert found["zato_lite_outgoing_seconds_count", "crm", "rest"] == 1
