"""Time zones with their other names and present offsets."""

from typing import Any

import pytest

from tests.builtin.conftest import ask
from zato_lite.errors import BadInputError
from zato_lite.testing.app import Sandbox


async def zones(box: Sandbox, **sent: Any) -> dict[str, dict[str, Any]]:
    found = await box.invoke("zato.scheduler.get-zones", sent)
    return {zone["name"]: zone for zone in found["zones"]}


async def test_a_zone_has_its_other_names_and_its_offset_now(box: Sandbox) -> None:
    found = await zones(box)

    assert found["Europe/Warsaw"] == {
        "name": "Europe/Warsaw", "aliases": ["Poland"], "offset": "+01:00", "abbreviation": "CET",
    }  # fmt: skip
    assert "Poland" not in found
    assert found["Asia/Kolkata"]["offset"] == "+05:30"
    assert {"localtime", "posixrules", "Factory"}.isdisjoint(found)


@pytest.mark.parametrize(
    ("query", "name"),
    [("calcutta", "Asia/Kolkata"), ("new york", "America/New_York"), ("POLAND", "Europe/Warsaw")],
)
async def test_a_zone_is_found_by_words_of_any_of_its_names(
    box: Sandbox, query: str, name: str
) -> None:
    assert name in await zones(box, query=query)


async def test_every_name_is_a_zone_of_a_job(box: Sandbox) -> None:
    found = await zones(box, limit=3)
    names = [name for zone in found.values() for name in (zone["name"], *zone["aliases"])]

    for name in names:
        job = {"name": "a", "service": "crm.work", "job_type": "one_time", "timezone": name}
        assert (await ask(box, "validate", **job))["is_valid"]
    assert len(found) == 3


@pytest.mark.parametrize("sent", [{"limit": 0}, {"limit": "x"}, {"query": "x" * 101}, {"odd": 1}])
async def test_wrong_input_is_refused(box: Sandbox, sent: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        await zones(box, **sent)
