import logging
from typing import Any

import pytest

from tests.scheduler.conftest import Harness
from zato_lite.scheduler import metrics


def failures_logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.message == "run failed"]


async def test_a_failed_run_is_logged_with_all_that_helps(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.fail("s", "no rows")
    await harness.create(trigger=harness.once(1), max_retries=1)

    await harness.advance(1)
    await harness.advance(1)

    first, second = failures_logged(caplog)
    assert (first["levelno"], second["levelno"]) == (logging.WARNING, logging.ERROR)
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert (first["job"], first["service"], first["run"]) == ("report", "s", 1)
    assert (first["outcome"], first["why"]) == ("error", "ValueError: no rows")
    assert first["details"].startswith("Traceback")
    assert first["cid"] == "c"  # what the service's own lines have


async def test_a_job_that_keeps_failing_is_logged_ever_more_seldom_until_it_succeeds(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.fail("s")
    await harness.create()
    for _ in range(9):
        await harness.advance(1)
    harness.fail("s", "in other words")
    await harness.advance(1)
    before = [record["so_far"] for record in failures_logged(caplog)]

    del harness.services["s"]
    await harness.advance(1)
    harness.fail("s")
    await harness.advance(1)

    assert before == [1, 2, 4, 8, 10]
    assert [record["so_far"] for record in failures_logged(caplog)][len(before) :] == [1]


async def test_failures_of_very_many_jobs_are_counted_together(
    harness: Harness, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "MAX_FAILING_JOBS", 2)
    harness.fail("s")
    for number in range(6):
        await harness.create(name=f"j{number}", trigger=harness.once(1))

    await harness.advance(1)

    assert sorted(record["so_far"] for record in failures_logged(caplog)) == [1, 1, 1, 2, 4]


async def test_a_run_that_is_cancelled_has_not_failed(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.block("s")
    job_id = await harness.create(trigger=harness.once(1))
    await harness.advance(1)

    await harness.jobs.cancel_run(job_id, 1)
    await harness.wait_for(lambda: not harness.scheduler.in_flight)

    assert await harness.outcomes() == ["cancelled"]
    assert failures_logged(caplog) == []
