"""Timeline: lanes of jobs with their runs, slots without a run and coming slots."""

from typing import Any

import pytest

from tests.builtin.conftest import ask, create_job
from zato_lite.errors import BadInputError
from zato_lite.testing.app import Sandbox

SPAN = {"start": "2027-01-15T08:00:00", "until": "2027-01-15T09:00:00"}
MINUTE = 60_000


async def timeline(box: Sandbox, **sent: Any) -> Any:
    """Return the timeline of an hour."""
    return await box.invoke("zato.scheduler.get-timeline", {**SPAN, **sent})


async def lane(box: Sandbox, **sent: Any) -> Any:
    """Return the only lane of a timeline."""
    [found] = (await timeline(box, **sent))["jobs"]
    return found


async def test_a_lane_has_runs_before_now_and_slots_after_it(box: Sandbox) -> None:
    job_id = await create_job(box)
    await box.advance(minutes=17)

    found = await timeline(box)

    [only] = found["jobs"]
    ok = found["outcomes"].index("ok")
    assert (only["id"], only["name"], only["words"]) == (job_id, "often", "every 5 minutes")
    assert only["runs"] == [(n * 5 * MINUTE, 0, ok, n, 1) for n in (1, 2, 3)]
    assert only["coming"] == [n * 5 * MINUTE for n in range(4, 12)]
    assert (only["density"], only["ranges"], only["state"]) == ([], [], "active")
    assert (found["total"], found["now_iso"][:16]) == (1, "2027-01-15T08:17")


async def test_near_runs_with_one_outcome_are_one_mark(box: Sandbox) -> None:
    await create_job(box)
    await box.advance(minutes=31)

    found = await lane(box, resolution_ms=11 * MINUTE)

    assert [(start, number, count) for start, _, _, number, count in found["runs"]] == [
        (5 * MINUTE, 1, 3),
        (20 * MINUTE, 4, 3),
    ]


async def test_excluded_days_are_ranges_with_a_reason(box: Sandbox) -> None:
    await box.invoke("zato.scheduler.calendar.create", {"name": "PL", "weekdays": [5, 6]})
    await create_job(box, calendar="PL", minutes=0, hours=12)

    found = await timeline(box, until="2027-01-18T09:00:00")

    [only] = found["jobs"]
    saturday, sunday = only["ranges"]
    hour = 60 * MINUTE
    assert only["coming"] == [11 * hour, 71 * hour]
    excluded = found["outcomes"].index("excluded")
    assert saturday[:4] == (23 * hour, 35 * hour, excluded, 2)
    assert sunday[:4] == (47 * hour, 59 * hour, excluded, 2)
    assert found["reasons"] == ["calendar PL: Saturday", "calendar PL: Sunday"]


async def test_a_pause_is_a_range_up_to_its_end(box: Sandbox) -> None:
    job_id = await create_job(box)
    await box.advance(minutes=7)
    await ask(box, "pause", id=job_id, note="bank", until="2027-01-15T08:52:00")

    found = await timeline(box)

    [only] = found["jobs"]
    [[first, last, code, count, reason]] = only["ranges"]
    assert (first // MINUTE, last, count) == (7, 52 * MINUTE, 0)
    assert (found["outcomes"][code], found["reasons"][reason]) == ("paused", "paused: bank")
    assert only["coming"] == [55 * MINUTE]


async def test_a_pause_of_the_scheduler_is_in_every_lane(box: Sandbox) -> None:
    await create_job(box)
    await create_job(box, name="other")
    await box.app.jobs.pause_all("maintenance")

    found = await timeline(box)

    assert [job["coming"] for job in found["jobs"]] == [[], []]
    assert found["reasons"] == ["the scheduler is paused: maintenance"]


async def test_too_many_coming_slots_are_counted_in_parts(box: Sandbox) -> None:
    await create_job(box, minutes=0, seconds=1)

    found = await lane(box)

    assert found["coming"] == []
    # From 08:00:01, which is now, to 09:00:00, which the span does not include.
    assert sum(count for _, _, count in found["density"]) == 3_598
    assert len(found["density"]) == 48


async def test_repeats_limit_the_coming_slots(box: Sandbox) -> None:
    await create_job(box, repeats=3)
    await box.advance(minutes=6)

    assert (await lane(box))["coming"] == [10 * MINUTE, 15 * MINUTE]


async def test_lanes_are_ordered_by_who_needs_attention_then_by_next_slot(box: Sandbox) -> None:
    for name, minutes, service in (("a", 30, "crm.work"), ("b", 5, "crm.work")):
        await create_job(box, name=name, minutes=minutes, service=service)
    await create_job(box, name="c", minutes=6, service="crm.fail")
    await box.advance(minutes=7)

    first = await timeline(box, limit=2)
    rest = await timeline(box, limit=2, offset=2)
    by_name = await timeline(box, order="name", query="b")

    assert [job["name"] for job in (*first["jobs"], *rest["jobs"])] == ["c", "b", "a"]
    assert (first["total"], by_name["total"]) == (3, 1)
    assert first["jobs"][0]["state"] == "failing"


async def test_lanes_by_ids_are_in_their_order(box: Sandbox) -> None:
    ids = [await create_job(box, name=name) for name in ("x", "y")]

    found = await timeline(box, ids=[ids[1], 99, ids[0]])

    assert [job["id"] for job in found["jobs"]] == [ids[1], ids[0]]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"until": "2027-01-15T08:00:00"}, "until"),
        ({"until": "2027-01-30T08:00:00"}, "until"),
        ({"ids": [1] * 201}, "ids"),
        ({"limit": 201}, "limit"),
        ({"order": "last"}, "order"),
        ({"since": "2027-01-15"}, "since"),
        ({"start": None}, "start"),
    ],
    ids=str,
)
async def test_a_wrong_field_is_named(box: Sandbox, sent: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInputError) as refused:
        await timeline(box, **sent)

    assert [error.field for error in refused.value.errors] == [field]
