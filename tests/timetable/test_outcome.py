from typing import Any

import pytest

from zato_lite.timetable.job import SECOND, Job, OneTime
from zato_lite.timetable.outcome import Callback, NextStep, next_step, retry_delay

NOW = 1_800_000_000 * SECOND


def a_job(**policies: Any) -> Job:
    return Job(name="j", service="s", trigger=OneTime(start=NOW), **policies)


def test_a_success_resets_the_failures_in_a_row() -> None:
    assert next_step(a_job(), "ok", 1, 0, 4, NOW) == NextStep("ok")


def test_success_calls_back_the_service_and_then_the_job() -> None:
    job = a_job(on_success_service="a", on_success_job="b", on_error_service="c")

    result = next_step(job, "ok", 1, 0, 0, NOW)

    assert result.callbacks == (Callback("service", "a"), Callback("job", "b"))


@pytest.mark.parametrize("outcome", ["error", "timeout"])
def test_a_failure_is_retried_and_the_last_one_calls_back(outcome: Any) -> None:
    job = a_job(max_retries=1, on_error_service="c", on_error_job="d")

    retried = next_step(job, outcome, 1, 0, 0, NOW)
    failed = next_step(job, outcome, 2, 0, 0, NOW)

    assert retried == NextStep(None, NOW + SECOND)
    assert failed.outcome == outcome
    assert failed.callbacks == (Callback("service", "c"), Callback("job", "d"))
    assert failed.failures == 1


def test_retry_delays_grow_up_to_the_maximum() -> None:
    job = a_job(max_retries=10**6, retry_delay_ms=1_000, retry_max_delay_ms=60_000)

    delays = [retry_delay(job, attempt) // SECOND for attempt in (1, 2, 3, 6, 7, 8, 100_000)]

    assert delays == [1, 2, 4, 32, 60, 60, 60]


def test_retry_jitter_varies_delays_reproducibly() -> None:
    job = a_job(retry_delay_ms=1_000, retry_jitter=0.5)

    delays = [retry_delay(job, 1, job_id=number) for number in range(200)]

    assert delays == [retry_delay(job, 1, job_id=number) for number in range(200)]
    assert len(set(delays)) == 200
    assert all(SECOND // 2 <= delay <= SECOND * 3 // 2 for delay in delays)


def test_a_cancelled_run_does_not_count_as_a_failure() -> None:
    job = a_job(max_retries=5, on_error_service="c", pause_after_failures=1)

    assert next_step(job, "cancelled", 1, 0, 3, NOW) == NextStep("cancelled", failures=3)


def test_a_run_whose_process_died_runs_again_immediately() -> None:
    assert next_step(a_job(), "lost", 1, 1, 0, NOW) == NextStep(None, NOW)


def test_a_run_during_which_max_crashes_processes_died_is_quarantined() -> None:
    result = next_step(a_job(on_error_service="c"), "lost", 3, 3, 0, NOW)

    assert result.outcome == "lost"
    assert result.is_quarantined
    assert result.callbacks == (Callback("service", "c"),)


def test_a_run_may_be_closed_as_lost_at_its_first_crash() -> None:
    result = next_step(a_job(on_crash="fail", max_retries=5), "lost", 1, 1, 0, NOW)

    assert result.outcome == "lost"
    assert not result.is_quarantined


def test_a_job_pauses_itself_after_failures_in_a_row() -> None:
    job = a_job(pause_after_failures=3)

    assert next_step(job, "error", 1, 0, 1, NOW).pause_note is None
    assert next_step(job, "error", 1, 0, 2, NOW).pause_note == (
        "paused automatically after 3 failed runs in a row"
    )
