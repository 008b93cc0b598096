from typing import Any

import pytest

from tests.builtin.conftest import ask, create_job
from zato_lite.errors import BadInputError, ConflictError, NotFoundError
from zato_lite.testing.app import Sandbox


async def test_a_calendar_is_created_edited_and_deleted(it: Sandbox) -> None:
    calendar = "zato.scheduler.calendar"
    holidays = {"name": "PL", "dates": ["2027-05-03"], "weekdays": [6], "yearly": ["12-25"]}

    await it.invoke(f"{calendar}.create", holidays)
    with pytest.raises(ConflictError):
        await it.invoke(f"{calendar}.create", holidays)
    await it.invoke(f"{calendar}.edit", {**holidays, "description": "Poland"})
    with pytest.raises(NotFoundError):
        await it.invoke(f"{calendar}.edit", {"name": "DE"})
    shown = await it.invoke(f"{calendar}.get-by-name", {"name": "PL"})
    job_id = await create_job(it, calendar="PL")
    with pytest.raises(ConflictError, match="often"):
        await it.invoke(f"{calendar}.delete", {"name": "PL"})
    await ask(it, "delete", id=job_id)
    await it.invoke(f"{calendar}.delete", {"name": "PL"})

    assert (shown["description"], shown["dates"]) == ("Poland", ("2027-05-03",))
    assert await it.invoke(f"{calendar}.get-list") == []
    with pytest.raises(NotFoundError):
        await it.invoke(f"{calendar}.get-by-name", {"name": "PL"})


@pytest.mark.parametrize(
    "sent",
    [{}, {"name": "x", "dates": ["x"]}, {"name": "x", "weekdays": [9]}, {"name": "x", "dtes": []}],
    ids=repr,
)
async def test_a_calendar_with_wrong_fields_is_refused(it: Sandbox, sent: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        await it.invoke("zato.scheduler.calendar.create", sent)
