"""Figures of a span: counts of each part, of all jobs, of some and by service."""

from collections import Counter
from typing import Any

import pytest

from tests.builtin.conftest import ask, create_job
from zato_lite.errors import BadInputError
from zato_lite.testing.app import Sandbox

HOUR = {"start": "2027-01-15T08:00:00", "until": "2027-01-15T09:00:00", "buckets": 4}


async def figures(box: Sandbox, **sent: Any) -> Any:
    """Return the figures of an hour in four parts."""
    return await box.invoke("zato.scheduler.get-figures", {**HOUR, **sent})


async def make_runs(box: Sandbox) -> dict[str, int]:
    """Create a job that succeeds and one that fails, and let 20 minutes pass."""
    ids = {
        "good": await create_job(box, name="good"),
        "bad": await create_job(box, name="bad", service="crm.fail", minutes=10),
    }
    await box.advance(minutes=20)
    return ids


async def test_outcomes_are_counted_by_part(box: Sandbox) -> None:
    await make_runs(box)

    found = await figures(box)

    [only] = found["groups"]
    assert (only["id"], only["name"]) == (None, "")
    assert only["counts"] == {"ok": [2, 2, 0, 0], "error": [1, 1, 0, 0]}
    assert only["totals"] == found["last_hour"] == {"ok": 4, "error": 2}
    assert found["bucket_ms"] == 900_000


async def test_slots_without_a_run_are_counted_in_the_part_of_each(box: Sandbox) -> None:
    job_id = await create_job(box)
    await box.advance(minutes=6)
    await ask(box, "pause", id=job_id)
    await box.advance(minutes=20)
    await ask(box, "resume", id=job_id)

    [only] = (await figures(box))["groups"]

    assert only["counts"] == {"ok": [1, 0, 0, 0], "paused": [1, 3, 0, 0]}


async def test_figures_of_each_job_are_in_order_and_of_jobs_without_runs_empty(
    box: Sandbox,
) -> None:
    ids = await make_runs(box)
    idle = await create_job(box, name="idle", minutes=0, hours=5)

    found = await figures(box, group="job", ids=[ids["bad"], idle, ids["good"]])

    series = {each["name"]: (each["id"], each["totals"]) for each in found["groups"]}
    assert series == {
        "good": (ids["good"], {"ok": 4}),
        "bad": (ids["bad"], {"error": 2}),
        "idle": (idle, {}),
    }


async def test_some_jobs_may_be_one_series(box: Sandbox) -> None:
    ids = await make_runs(box)

    by_id = await figures(box, ids=[ids["bad"]])
    by_service = await figures(box, service_name="crm.w*")

    assert by_id["groups"][0]["totals"] == by_id["last_hour"] == {"error": 2}
    assert by_service["groups"][0]["totals"] == by_service["last_hour"] == {"ok": 4}


async def test_the_figures_of_services_are_those_of_all_jobs(box: Sandbox) -> None:
    await make_runs(box)

    whole = (await figures(box))["groups"][0]["totals"]
    parts = (await figures(box, group="service"))["groups"]

    assert [each["name"] for each in parts] == ["crm.fail", "crm.work"]
    assert sum((Counter(each["totals"]) for each in parts), Counter()) == whole


@pytest.mark.parametrize("sent", [{}, {"ids": [1]}, {"service_name": "crm.work"}], ids=str)
async def test_percentiles_are_of_runs_that_succeeded(box: Sandbox, sent: dict[str, Any]) -> None:
    await make_runs(box)

    found = await figures(box, include=["percentiles"], **sent)

    [only] = found["groups"]
    assert (
        only["duration"]
        == only["lateness"]
        == {
            "p50_ms": [0.0, 0.0, None, None],
            "p95_ms": [0.0, 0.0, None, None],
        }
    )
    assert found["is_sampled"] is False


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"until": "2028-03-15"}, "until"),
        ({"buckets": 401}, "buckets"),
        ({"group": "job"}, "group"),
        ({"group": "day"}, "group"),
        ({"include": ["all"]}, "include"),
        ({"query": "x"}, "query"),
    ],
    ids=str,
)
async def test_a_wrong_field_is_named(box: Sandbox, sent: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInputError) as refused:
        await figures(box, **sent)

    assert [error.field for error in refused.value.errors] == [field]
