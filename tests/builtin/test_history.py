from typing import Any

import pytest

from tests.builtin.conftest import ask, create_job
from zato_lite.errors import BadInputError
from zato_lite.testing.app import Sandbox


async def test_the_history_lists_runs_newest_first(box: Sandbox) -> None:
    job_id = await create_job(box)
    await box.advance(minutes=15)

    found = await ask(box, "get-history", id=job_id, page_size=2)

    assert (found["total"], found["page"], found["page_size"]) == (3, 1, 2)
    assert [row["current_run"] for row in found["rows"]] == [3, 2]
    row = found["rows"][0]
    assert (row["job_name"], row["outcome"], row["error"]) == ("often", "ok", None)
    assert row["planned_fire_time_iso"] == "2027-01-15T08:15:00+00:00"
    assert row["delay_ms"] == 0
    assert row["log_summary"]["system"] == 2


async def test_a_failed_run_is_listed_with_its_error(box: Sandbox) -> None:
    job_id = await create_job(box, service="crm.fail")
    await box.advance(minutes=5)

    [row] = (await ask(box, "get-history", id=job_id, outcomes=["error"]))["rows"]

    assert "ValueError: no rows" in row["error"]
    assert (await ask(box, "get-history", id=job_id, outcomes="ok"))["rows"] == []
    assert len((await ask(box, "get-history", id=job_id, outcomes="all"))["rows"]) == 1


async def test_polling_returns_runs_since_an_instant_and_runs_in_flight(box: Sandbox) -> None:
    job_id = await create_job(box)
    await box.advance(minutes=15)

    new = await ask(box, "get-history", id=job_id, since_iso="2027-01-15T08:14:00")
    stamped = await ask(box, "get-history", id=job_id, since_timestamp=1_800_000_840)
    again = await ask(
        box, "get-history", id=job_id, since_iso="2027-01-15T08:14:00", running_runs=[1]
    )

    assert [row["current_run"] for row in new["rows"]] == [3]
    assert set(new) == {"rows", "total"}
    assert stamped["rows"] == new["rows"]
    assert [row["current_run"] for row in again["rows"]] == [3, 1]


@pytest.mark.parametrize(
    "sent",
    [
        {"id": "x"},
        {"page": 0},
        {"page_size": 1001},
        {"outcomes": ["fine"]},
        {"since_iso": "later"},
        {"since_timestamp": "later"},
        {"running_runs": "1"},
    ],
    ids=repr,
)
async def test_wrong_history_parameters_are_refused(box: Sandbox, sent: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        await ask(box, "get-history", **{"id": 1, **sent})


async def test_a_run_is_returned_with_the_numbers_of_its_neighbours(box: Sandbox) -> None:
    job_id = await create_job(box)
    await box.advance(minutes=15)

    found = await ask(box, "get-run-detail", job_id=job_id, current_run=2)
    missing = await ask(box, "get-run-detail", job_id=job_id, current_run=99)

    assert (found["prev_run"], found["next_run"]) == (1, 3)
    assert found["record"]["result"] == '{"worked":true}'
    assert missing == {"record": None, "prev_run": None, "next_run": None}


async def test_a_retried_run_is_returned_with_its_earlier_attempts(box: Sandbox) -> None:
    job_id = await create_job(box, service="crm.fail", max_retries=2, retry_delay_ms=1000)
    await box.advance(minutes=5)
    await box.advance(seconds=10)

    record = (await ask(box, "get-run-detail", job_id=job_id, current_run=1))["record"]

    assert (record["outcome"], record["attempt"]) == ("error", 3)
    assert [each["attempt"] for each in record["attempts"]] == [1, 2]


async def test_last_runs_of_several_jobs_are_returned_together(box: Sandbox) -> None:
    job_id = await create_job(box)
    await box.advance(minutes=5)

    found = await ask(box, "get-last-run-list", id_list=[job_id, 99])

    assert found["items"] == [
        {"id": job_id, "last_run_utc": "2027-01-15T08:05:00+00:00", "last_duration_ms": 0.0},
        {"id": 99, "last_run_utc": "", "last_duration_ms": None},
    ]


async def test_the_current_state_has_zatos_shape(box: Sandbox) -> None:
    await create_job(box)
    await create_job(box, name="failing", service="crm.fail")
    await create_job(box, name="paused", is_active=False)
    await box.advance(minutes=10)

    state = await ask(
        box,
        "get-current-state",
        chart_since_iso="2027-01-15T08:00:00",
        chart_until_iso="2027-01-15T10:00:00",
    )

    assert (state["total_jobs"], state["active_jobs"], state["paused_jobs"]) == (3, 2, 1)
    assert (state["outcome_counts"]["ok"], state["outcome_counts"]["error"]) == (2, 2)
    assert (state["runs_last_hour"], state["recent_last_hour"]) == (4, 2)
    buckets = state["chart_buckets"]["buckets"]
    assert len(buckets) == 120
    assert [buckets[5]["ok"], buckets[10]["error"]] == [1, 1]
    often = next(job for job in state["jobs"] if job["name"] == "often")
    assert often["recent_outcomes"] == ["ok", "ok"]
    assert (often["interval_ms"], often["is_running"]) == (300_000, False)
    assert len(state["recent_events"]) == 4
