"""A clock that is set back: what is said, and the way to continue."""

import logging
from typing import Any

import pytest

from tests.scheduler.conftest import Harness
from zato_lite.timetable.job import SECOND, Interval, Job

START = 1_800_000_000_000_000
MINUTE, HOUR = 60 * SECOND, 3_600 * SECOND


def job(name: str = "often", start: int = START, **fields: Any) -> Job:
    return Job(name=name, service="s", trigger=Interval(start=start, seconds=60), **fields)


async def lived(harness: Harness, hours: int, job_: Job) -> int:
    """Create a job, let it run at each of its slots for some hours; return its id."""
    [job_id] = await harness.jobs.create([job_])
    for _ in range(hours * 60):
        await harness.advance(60)
    return job_id


async def slots(harness: Harness, job_id: int, kind: str = "scheduled") -> list[int]:
    rows = await harness.store.read(
        lambda c: list(
            c.execute("SELECT slot FROM run WHERE job_id = ? AND kind = ?", (job_id, kind))
        )
    )
    return [row[0] for row in rows]


@pytest.mark.parametrize("back", [10 * MINUTE, 3 * HOUR])
async def test_a_clock_set_back_is_a_warning_until_time_has_caught_up(
    harness: Harness, back: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await lived(harness, 3, job())
    await harness.scheduler.check_clock()
    before = harness.scheduler.clock_warning
    calls = len(harness.calls)

    harness.clock.set(harness.clock.now() - back)
    await harness.scheduler.check_clock()
    during = harness.jobs.clock_warning
    await harness.advance(60)
    held = len(harness.calls) - calls
    harness.clock.advance(seconds=back / SECOND)
    await harness.scheduler.check_clock()

    assert (before, held, harness.scheduler.clock_warning) == ("", 0, "")
    assert "1 jobs have run their slots up to 2027-01-15T11:00:00+00:00" in during
    events = [record.message for record in caplog.records]
    assert events == [
        "clock set back",
        "jobs held up by the clock",
        "jobs no longer held up by the clock",
    ]


async def test_jobs_continue_from_now_on_when_asked_to(harness: Harness) -> None:
    ran = await lived(harness, 3, job())
    later = await lived(harness, 0, job("later", START + 100 * HOUR))
    before = await slots(harness, ran)
    harness.clock.set(START + HOUR + 30 * SECOND)
    await harness.scheduler.check_clock()

    continued = await harness.jobs.continue_jobs()
    for _ in range(3):
        await harness.advance(60)

    after = await slots(harness, ran)
    new = sorted(set(after) - {slot for slot in before if slot <= START + HOUR})
    assert continued == 1
    assert new == [START + HOUR + minute * MINUTE for minute in (1, 2, 3)]
    assert len(await slots(harness, ran, "backfill")) == len([s for s in before if s > new[0] - 1])
    assert harness.scheduler.clock_warning == ""
    assert await slots(harness, later) == []
    assert await harness.jobs.continue_jobs() == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"on_crash": "fail"},
        {"jitter_ms": 500},
        {"repeats": 10_000},
        {"on_overlap": "queue_all"},
        {"on_missed": "skip"},
    ],
)
async def test_any_policy_continues(harness: Harness, fields: dict[str, Any]) -> None:
    job_id = await lived(harness, 1, job(**fields))
    harness.clock.set(START + 10 * MINUTE + SECOND)
    await harness.scheduler.check_clock()

    assert await harness.jobs.continue_jobs() == 1
    calls = len(harness.calls)
    for _ in range(4):
        await harness.advance(30)
        await harness.advance(30)

    assert len(harness.calls) - calls >= 3
    assert max(await slots(harness, job_id)) < START + 16 * MINUTE


async def test_a_job_that_has_not_begun_or_is_new_is_not_held_up(harness: Harness) -> None:
    await harness.jobs.create([job("later", START + 100 * HOUR)])

    harness.clock.set(START - HOUR)
    await harness.jobs.create([job("new")])
    await harness.scheduler.check_clock()

    assert harness.scheduler.clock_warning == ""


async def test_a_step_forward_is_logged_and_holds_up_nothing(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    await lived(harness, 1, job())

    harness.clock.set(harness.clock.now() + 3 * HOUR)
    await harness.scheduler.check_clock()

    assert [record.message for record in caplog.records] == ["clock set forward"]
    assert harness.scheduler.clock_warning == ""


async def test_small_corrections_are_not_called_steps(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    await lived(harness, 1, job())

    for _ in range(20):
        harness.clock.set(harness.clock.now() - SECOND // 2)
        await harness.scheduler.check_clock()

    assert not [record for record in caplog.records if record.message.startswith("clock set")]
