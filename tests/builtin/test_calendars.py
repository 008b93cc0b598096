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


@pytest.mark.parametrize(
    "sent",
    [{}, {"name": "x", "dates": ["x"]}, {"name": "x", "weekdays": [9]}, {"name": "x", "dtes": []}],
    ids=repr,
)
async def test_a_calendar_with_wrong_fields_is_refused(box: Sandbox, sent: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        await box.invoke("zato.scheduler.calendar.create", sent)
