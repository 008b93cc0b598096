"""Forecast as a service: jobs with the durations of their runs, and remarks on the span."""

from typing import Any

import pytest

from tests.builtin.conftest import ask, create_job
from zato_lite.errors import BadInputError
from zato_lite.scheduler import job_lists
from zato_lite.scheduler.job_lists import JobLists
from zato_lite.store import job_figures
from zato_lite.store.ports import Connection
from zato_lite.store.sql import execute
from zato_lite.testing.app import Sandbox

HOURLY = {"job_type": "cron_style", "cron_definition": "0 * * * *", "minutes": None}


async def foretell(box: Sandbox, **sent: Any) -> Any:
    """Return a forecast of a day."""
    return await box.invoke("zato.scheduler.get-forecast", {"days": 1, **sent})


async def have_taken(box: Sandbox, seconds: int) -> None:
    """Have all runs taken so many seconds."""
    await box.app.scheduler._database.write(
        lambda c: execute(c, "UPDATE run SET finished_at = started_at + ?", (seconds * 1_000_000,))
    )


@pytest.fixture
async def ran(box: Sandbox) -> Sandbox:
    """Return a sandbox with an interval of five minutes whose two runs took a minute."""
    await create_job(box)
    await box.advance(minutes=10)
    await have_taken(box, 60)
    return box


async def test_the_load_is_that_of_the_runs_so_far(ran: Sandbox) -> None:
    found = await foretell(ran)

    assert found["start_iso"] == "2027-01-15T08:00:00+00:00"
    assert found["runs"] == [12] * 24
    assert found["concurrent"] == pytest.approx([0.2] * 24)
    assert found["peak"] == [1] * 24
    assert (found["jobs"], found["unknown"], found["left_out"]) == (1, 0, 0)
    assert (found["capacity"], found["over_capacity"]) == (10_000, [])


async def test_durations_are_read_again_after_further_runs(ran: Sandbox) -> None:
    before = await foretell(ran)
    await ran.advance(minutes=5)
    await have_taken(ran, 150)

    after = await foretell(ran)

    assert (before["concurrent"][0], after["concurrent"][0]) == pytest.approx((0.2, 0.5))


async def test_a_job_that_overlaps_itself_is_named(ran: Sandbox) -> None:
    await have_taken(ran, 600)

    [overlap] = (await foretell(ran))["overlapping"]

    assert (overlap["job_name"], overlap["period_ms"], overlap["p95_ms"]) == (
        "often",
        300_000,
        600_000,
    )
    assert overlap["sentence"] == (
        "100 % of the latest runs took longer than the time between two slots: every 5 minutes"
    )


async def test_a_proposal_can_be_sent_as_it_is(box: Sandbox) -> None:
    for number in range(6):
        await create_job(box, name=f"hourly {number}", **HOURLY)
    [collision] = (await foretell(box))["collisions"]

    for each in collision["proposal"]:
        await ask(
            box,
            "edit",
            id=each["job_id"],
            version=each["version"],
            **{each["field"]: each["to"]},
        )

    assert (collision["at"], collision["count"]) == ("minute 0 of every hour", 6)
    assert {each["to"] for each in collision["proposal"]} == {"H * * * *"}
    assert (await foretell(box))["collisions"] == []


async def test_clock_changes_and_days_off_are_remarked(box: Sandbox) -> None:
    await box.invoke("zato.scheduler.calendar.create", {"name": "PL", "weekdays": [6]})
    await create_job(box, timezone="Europe/Warsaw", calendar="PL")

    found = await foretell(box, start="2027-03-27T00:00:00", days=3)

    [change], [day] = found["clock_changes"], found["days_off"]
    assert change == {
        "at_iso": "2027-03-28T01:00:00+00:00",
        "timezone": "Europe/Warsaw",
        "shift_ms": 3_600_000,
        "jobs": 1,
        "sentence": "the clock goes forward to 2027-03-28 03:00:00 Europe/Warsaw",
    }
    assert day == {"date": "2027-03-28", "calendar": "PL", "reason": "Sunday", "jobs": 1}


async def test_jobs_are_selected_as_in_lists(box: Sandbox) -> None:
    await create_job(box, name="one")
    await create_job(box, name="two", is_active=False)

    assert (await foretell(box, query="one"))["jobs"] == 1
    assert (await foretell(box, state="paused"))["runs"] == [0] * 24


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"days": 15}, "days"),
        ({"bucket_minutes": 4}, "bucket_minutes"),
        ({"limit": 0}, "limit"),
        ({"until": "2027-01-16"}, "until"),
        ({"start": "9999-12-29T00:00:00+00:00", "days": 14}, "start"),
    ],
    ids=str,
)
async def test_a_wrong_field_is_named(box: Sandbox, sent: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInputError) as refused:
        await foretell(box, **sent)

    assert [error.field for error in refused.value.errors] == [field]


async def test_two_forecasts_at_a_time_do_not_empty_each_others_memory(
    ran: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await create_job(ran, name="other")
    await foretell(ran)
    lists = next(each for each in ran.app.invoker.resources.values() if type(each) is JobLists)
    read, is_inner = job_figures.latest_runs, False

    def read_beside_another(connection: Connection, *sent: Any) -> Any:
        nonlocal is_inner
        if not is_inner:
            is_inner = True
            monkeypatch.setattr(job_lists, "_MAX_KNOWN", 0)
            [*lists._with_durations(connection, [other])]  # as another thread of the store
        return read(connection, *sent)

    monkeypatch.setattr(job_figures, "latest_runs", read_beside_another)
    await ran.app.scheduler._database.write(
        lambda c: execute(c, "UPDATE timer SET number = number + 1 WHERE job_id = ?", (other,))
    )

    found = await foretell(ran)

    assert is_inner
    assert sum(found["runs"]) > 0
