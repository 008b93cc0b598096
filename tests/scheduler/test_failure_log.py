import logging
from typing import Any

import pytest

from tests.scheduler.conftest import World
from zato_lite.scheduler import metrics


def _told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(it) for it in caplog.records if it.message == "run failed"]


async def test_a_run_that_fails_is_told_with_all_that_helps(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.fails("s", "no rows")
    await world.create(trigger=world.once(1), max_retries=1)

    await world.go(1)
    await world.go(1)

    first, second = _told(caplog)
    assert (first["levelno"], second["levelno"]) == (logging.WARNING, logging.ERROR)
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert (first["job"], first["service"], first["run"]) == ("report", "s", 1)
    assert (first["outcome"], first["why"]) == ("error", "ValueError: no rows")
    assert first["details"].startswith("Traceback")
    assert first["cid"] == "c"  # what the service's own lines have


async def test_a_job_that_goes_on_failing_is_told_of_ever_more_seldom_until_it_is_ok(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.fails("s")
    await world.create()
    for _ in range(9):
        await world.go(1)
    world.fails("s", "in other words")
    await world.go(1)
    before = [it["so_far"] for it in _told(caplog)]

    del world.services["s"]
    await world.go(1)
    world.fails("s")
    await world.go(1)

    assert before == [1, 2, 4, 8, 10]
    assert [it["so_far"] for it in _told(caplog)][len(before) :] == [1]


async def test_very_many_jobs_that_fail_are_told_of_together(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "MAX_FAILING_JOBS", 2)
    world.fails("s")
    for number in range(6):
        await world.create(name=f"j{number}", trigger=world.once(1))

    await world.go(1)

    assert sorted(it["so_far"] for it in _told(caplog)) == [1, 1, 1, 2, 4]


async def test_a_run_that_is_cancelled_has_not_failed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.gate("s")
    job_id = await world.create(trigger=world.once(1))
    await world.go(1)

    await world.jobs.cancel_run(job_id, 1)
    await world.until(lambda: not world.scheduler.in_flight)

    assert await world.outcomes() == ["cancelled"]
    assert _told(caplog) == []
