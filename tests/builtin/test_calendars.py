from typing import Any

import pytest

from tests.builtin.conftest import ask, create_job
from zato_lite.errors import BadInputError, ConflictError, NotFoundError
from zato_lite.testing.app import Sandbox


async def test_a_calendar_is_created_edited_and_deleted(box: Sandbox) -> None:
    calendar = "zato.scheduler.calendar"
    holidays = {"name": "PL", "dates": ["2027-05-03"], "weekdays": [6], "yearly": ["12-25"]}

    await box.invoke(f"{calendar}.create", holidays)
    with pytest.raises(ConflictError):
        await box.invoke(f"{calendar}.create", holidays)
    await box.invoke(f"{calendar}.edit", {**holidays, "description": "Poland"})
    with pytest.raises(NotFoundError):
        await box.invoke(f"{calendar}.edit", {"name": "DE"})
    shown = await box.invoke(f"{calendar}.get-by-name", {"name": "PL"})
    job_id = await create_job(box, calendar="PL")
    with pytest.raises(ConflictError, match="often"):
        await box.invoke(f"{calendar}.delete", {"name": "PL"})
    await ask(box, "delete", id=job_id)
    await box.invoke(f"{calendar}.delete", {"name": "PL"})

    assert (shown["description"], shown["dates"]) == ("Poland", ("2027-05-03",))
    assert await box.invoke(f"{calendar}.get-list") == []
    with pytest.raises(NotFoundError):
        await box.invoke(f"{calendar}.get-by-name", {"name": "PL"})


async def test_a_renamed_calendar_stays_with_its_jobs(box: Sandbox) -> None:
    calendar = "zato.scheduler.calendar"
    await box.invoke(f"{calendar}.create", {"name": "PL", "dates": ["2027-01-15"]})
    await box.invoke(f"{calendar}.create", {"name": "DE"})
    ids = [await create_job(box, name=name, calendar="PL") for name in ("a", "b")]
    await create_job(box, name="c", calendar="DE")

    for old, new, error in (
        ("PL", "DE", ConflictError),
        ("PL", "PL", ConflictError),
        ("FR", "IT", NotFoundError),
        ("PL", "", BadInputError),
    ):
        with pytest.raises(error):
            await box.invoke(f"{calendar}.rename", {"name": old, "new_name": new})
    await box.invoke(f"{calendar}.rename", {"name": "PL", "new_name": "Polska"})

    jobs = {job["name"]: job["calendar"] for job in await ask(box, "get-list")}
    assert jobs == {"a": "Polska", "b": "Polska", "c": "DE"}
    shown = await box.invoke(f"{calendar}.get-list")
    assert [each["name"] for each in shown] == ["DE", "Polska"]
    await box.advance(hours=16, minutes=1)
    ledger = await ask(box, "get-ledger", id=ids[0])
    assert "Polska" in str(ledger)


async def test_jobs_that_use_a_calendar_are_those_that_their_definitions_say(box: Sandbox) -> None:
    calendar = "zato.scheduler.calendar"
    for name in ("PL", "DE"):
        await box.invoke(f"{calendar}.create", {"name": name})
    common = {"service": "crm.work", "job_type": "interval_based", "days": 1, "calendar": "PL"}
    many = [{**common, "name": name} for name in ("b", "c", "d")]
    b, c, _ = (await ask(box, "create-many", jobs=many))["ids"]
    a, *_ = [await create_job(box, name=name, calendar="DE") for name in ("a", "e", "f")]
    await create_job(box, name="g")
    await ask(box, "edit", id=a, calendar="PL")
    await ask(box, "edit", id=b, calendar=None)
    await ask(box, "delete", id=c)
    await box.invoke(f"{calendar}.rename", {"name": "DE", "new_name": "EU"})

    found = {}
    for name in ("PL", "EU"):
        days = await box.invoke(f"{calendar}.get-days", {"name": name, "year": 2027})
        found[name] = [job["name"] for job in days["jobs"]], days["job_count"]

    assert found == {"PL": (["a", "d"], 2), "EU": (["e", "f"], 2)}


async def test_the_days_off_of_a_year_have_reasons(box: Sandbox) -> None:
    calendar = "zato.scheduler.calendar"
    holidays = {
        "name": "PL",
        "dates": ["2027-01-15"],
        "yearly": ["easter+1"],
        "ranges": [{"first": "2027-12-30", "last": "2028-01-02", "reason": "freeze"}],
    }
    await box.invoke(f"{calendar}.create", holidays)
    ids = [await create_job(box, name=name, calendar="PL") for name in ("b", "a")]

    found = await box.invoke(f"{calendar}.get-days", {"name": "PL", "year": 2027})
    preview = await box.invoke(
        f"{calendar}.get-days", {"name": "PL", "year": 2027, "yearly": ["12-25"]}
    )

    assert [(day["date"], day["reason"]) for day in found["days"]] == [
        ("2027-01-15", "2027-01-15"),
        ("2027-03-29", "easter+1"),
        ("2027-12-30", "freeze"),
        ("2027-12-31", "freeze"),
    ]
    assert found["jobs"] == [{"id": ids[1], "name": "a"}, {"id": ids[0], "name": "b"}]
    assert found["job_count"] == 2
    assert [day["date"] for day in preview["days"]] == ["2027-12-25"]
    with pytest.raises(NotFoundError):
        await box.invoke(f"{calendar}.get-days", {"name": "DE", "year": 2027})
    with pytest.raises(BadInputError, match="not a valid rule"):
        await box.invoke(f"{calendar}.get-days", {"name": "x", "year": 2027, "yearly": ["x"]})


@pytest.mark.parametrize(
    "sent",
    [{}, {"name": "x", "dates": ["x"]}, {"name": "x", "weekdays": [9]}, {"name": "x", "dtes": []}],
    ids=repr,
)
async def test_a_calendar_with_wrong_fields_is_refused(box: Sandbox, sent: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        await box.invoke("zato.scheduler.calendar.create", sent)
