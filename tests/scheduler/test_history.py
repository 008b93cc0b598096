"""Queries about past and present runs."""

import logging
from typing import Any

from tests.scheduler.conftest import Harness, record
from zato_lite.service.message import Invocation
from zato_lite.timetable.job import SECOND


async def test_what_a_service_logs_is_kept_with_its_run(harness: Harness) -> None:
    async def chatty(invocation: Invocation) -> dict[str, int]:
        assert invocation.sink is not None
        invocation.sink(record("got %s rows", 3))
        return {"rows": 3}

    harness.services["s"] = chatty
    job_id = await harness.create(trigger=harness.once(1))
    await harness.advance(1)

    lines = await harness.history.log_entries(job_id, 1)
    run = await harness.history.run(job_id, 1)
    assert [(level, text) for _, level, text in lines] == [
        ("system", "Job started, delay: < 1ms"),
        ("info", "got 3 rows"),
        ("system", "Job completed, outcome: ok, duration: < 1ms"),
    ]
    assert [level for _, level, _ in await harness.history.log_entries(job_id, 1, since=2)] == [
        "system"
    ]
    assert run is not None
    assert run.result == '{"rows":3}'


async def test_a_million_lines_are_too_many(harness: Harness) -> None:
    async def loud(invocation: Invocation) -> None:
        assert invocation.sink is not None
        for _ in range(5_000):
            invocation.sink(record("x" * 10))

    harness.services["s"] = loud
    job_id = await harness.create(trigger=harness.once(1))
    await harness.advance(1)

    lines = await harness.history.log_entries(job_id, 1)
    assert len(lines) == 1_003
    assert lines[-2][2] == "4000 more lines were left out"


async def test_lines_of_a_run_in_flight_can_be_read(harness: Harness) -> None:
    gate = harness.block("s")
    waiting = harness.services["s"]

    async def chatty(invocation: Invocation) -> None:
        assert invocation.sink is not None
        invocation.sink(logging.LogRecord("s", logging.ERROR, "s.py", 1, "%d", ("x",), None))
        await waiting(invocation)

    harness.services["s"] = chatty
    job_id = await harness.create(trigger=harness.once(1))
    await harness.advance(1)

    lines = await harness.history.log_entries(job_id, 1)
    gate.set()
    await harness.scheduler.wait_until_idle()

    assert [text for _, _, text in lines] == ["Job started, delay: < 1ms", "%d"]


async def test_runs_are_listed_newest_first_by_pages(harness: Harness) -> None:
    job_id = await harness.create()
    for _ in range(5):
        await harness.advance(1)

    page, total = await harness.history.history(job_id, limit=2, offset=1)

    assert [row.number for row in page] == [4, 3]
    assert total == 5


async def test_runs_are_listed_by_outcome_and_time_with_the_runs_in_flight(
    harness: Harness,
) -> None:
    harness.fail("bad")
    good, bad = await harness.create(name="good"), await harness.create(name="bad", service="bad")
    await harness.advance(1)
    between = harness.clock.now() + 1
    await harness.advance(1)
    harness.block("s")
    await harness.advance(1)

    failed, _ = await harness.history.history(outcomes=["error"])
    late, _ = await harness.history.history(good, since=between, numbers=[1])

    assert {row.job_id for row in failed if row.outcome == "error"} == {bad}
    assert "running" in {row.outcome for row in failed}
    assert [row.number for row in late] == [3, 2, 1]


async def test_neighbours_and_last_runs_and_recent_outcomes(harness: Harness) -> None:
    job_id = await harness.create()
    idle = await harness.create(name="idle", trigger=harness.once(1000))
    await harness.advance(1)
    harness.fail("s")
    await harness.advance(1)

    assert await harness.history.neighbours(job_id, 1) == (None, 2)
    assert await harness.history.recent_outcomes([job_id, idle]) == {job_id: ["ok", "error"]}
    last = await harness.history.last_runs([job_id, idle])
    assert {each: row.number for each, row in last.items()} == {job_id: 2}


async def test_how_things_stand(harness: Harness) -> None:
    begin = harness.clock.now()
    await harness.create()
    await harness.create(name="off", is_active=False)
    for _ in range(4):
        await harness.advance(1)

    summary = await harness.history.summary(since=begin, until=begin + 10 * SECOND, buckets=5)

    assert (summary.total_jobs, summary.active_jobs, summary.paused_jobs) == (2, 1, 1)
    assert summary.outcomes["ok"] == 4
    assert [bucket.counts.get("ok", 0) for bucket in summary.buckets] == [1, 2, 1, 0, 0]
    assert len(summary.recent) >= 4
    assert summary.last_hour == {"ok": 4}


async def test_there_is_a_summary_of_nothing(harness: Harness) -> None:
    summary = await harness.history.summary()

    assert (summary.total_runs, summary.buckets, summary.recent) == (0, (), ())


async def test_the_process_itself_is_a_node(harness: Harness) -> None:
    nodes = await harness.jobs.nodes()

    assert [(node.id, node.name) for node in nodes] == [(harness.scheduler.node_id, "zato-lite")]


def failing(harness: Harness, times: int, lines: int = 1) -> None:
    """Make a service that logs in each attempt and succeeds after a number of failures."""

    async def fail(invocation: Invocation) -> None:
        assert invocation.sink is not None
        assert invocation.job is not None
        attempt = invocation.job.attempt
        for _ in range(lines):
            invocation.sink(record("at it for the %s. time", attempt))
        if attempt <= times:
            raise ValueError("no")

    harness.services["s"] = fail


async def test_the_lines_of_all_attempts_are_kept_in_order(harness: Harness) -> None:
    failing(harness, 2)
    job_id = await harness.create(trigger=harness.once(1), max_retries=2, retry_delay_ms=1_000)
    await harness.advance(1)
    between = await harness.history.log_entries(job_id, 1)
    for _ in range(3):
        await harness.advance(1)

    lines = await harness.history.log_entries(job_id, 1)

    assert [text for _, _, text in lines] == [
        "Job started, delay: < 1ms",
        "at it for the 1. time",
        "Attempt 1 ended, outcome: error, duration: < 1ms",
        "Attempt 2 started",
        "at it for the 2. time",
        "Attempt 2 ended, outcome: error, duration: < 1ms",
        "Attempt 3 started",
        "at it for the 3. time",
        "Job completed, outcome: ok, duration: < 1ms",
    ]
    assert lines[: len(between)] == between
    assert len(between) == 3


async def test_lines_of_an_attempt_in_flight_follow_those_of_the_ones_before(
    harness: Harness,
) -> None:
    failing(harness, 1)
    job_id = await harness.create(trigger=harness.once(1), max_retries=2, retry_delay_ms=1_000)
    await harness.advance(1)
    work, gate = harness.services["s"], harness.block("s")
    waiting = harness.services["s"]

    async def slow(invocation: Invocation) -> None:
        await work(invocation)
        await waiting(invocation)

    harness.services["s"] = slow
    await harness.advance(1)

    lines = await harness.history.log_entries(job_id, 1, since=3)
    gate.set()
    await harness.scheduler.wait_until_idle()

    assert [text for _, _, text in lines] == ["Attempt 2 started", "at it for the 2. time"]
    again = await harness.history.log_entries(job_id, 1, since=3)
    assert again[:2] == lines


async def test_many_attempts_keep_fewer_lines_each(harness: Harness) -> None:
    failing(harness, 6, lines=1_200)
    job_id = await harness.create(trigger=harness.once(1), max_retries=6, retry_delay_ms=0)
    await harness.advance(1)
    await harness.wait_for(lambda: len(harness.calls) == 7)

    texts = [text for _, _, text in await harness.history.log_entries(job_id, 1)]

    kept = [texts.count(f"at it for the {attempt}. time") for attempt in range(1, 8)]
    assert kept == [1_000, 1_000, 1_000, 1_000, 1_000, 100, 100]
    assert texts.count("200 more lines were left out") == 5
    assert texts.count("1100 more lines were left out") == 2
    summary, _ = await harness.history.history(job_id)
    assert len((await harness.history.logs_of(summary))[0]) == len(texts)


async def test_no_secret_gets_into_what_is_kept_of_a_run(harness: Harness) -> None:
    async def tell(invocation: Invocation) -> Any:
        assert invocation.sink is not None
        invocation.sink(record("asked with password=%s", "hunter2"))
        if invocation.payload == "fail":
            raise ValueError("Authorization: Bearer hunter2hunter2X")
        return {"api_key": "hunter2", "rows": 3}

    harness.services["s"] = tell
    ok = await harness.create(trigger=harness.once())
    failed = await harness.create(name="other", trigger=harness.once(), extra="fail")

    await harness.advance(1)
    await harness.scheduler.wait_until_idle()

    for job_id in (ok, failed):
        (run,) = await harness.runs(job_id)
        lines = await harness.history.log_entries(job_id, 1)
        assert "hunter2" not in f"{run.error} {run.result} {lines}"
        assert "password=***" in str(lines)
    assert (await harness.runs(ok))[0].result == '{"api_key":"***","rows":3}'
