"""Lists of all jobs are read in parts: nothing is left out, doubled or in another order."""

import asyncio

import pytest

from tests.builtin.conftest import ask, create_job
from zato_lite.builtin import enmasse
from zato_lite.builtin.documents import write_document
from zato_lite.errors import BadInputError
from zato_lite.scheduler.commands import PART_SIZE
from zato_lite.testing.app import Sandbox

_DEFINITION = {
    "service": "crm.work",
    "job_type": "interval_based",
    "start_date": "2027-02-01T00:00:00",
    "minutes": 5,
}


async def _create(box: Sandbox, count: int) -> list[str]:
    names = [f"job {number:04}: ż{'$' * (number % 3)}" for number in range(count)]
    await ask(box, "create-many", jobs=[{"name": name, **_DEFINITION} for name in names])
    return names


@pytest.mark.parametrize("count", [0, 1, PART_SIZE - 1, PART_SIZE, PART_SIZE + 1, 2 * PART_SIZE])
async def test_all_jobs_are_listed_by_name(box: Sandbox, count: int) -> None:
    names = await _create(box, count)

    everything = await ask(box, "get-list")
    matching = await ask(box, "get-list", query="JOB 00")

    assert [item["name"] for item in everything] == names
    assert [item["name"] for item in matching] == [name for name in names if "00" in name]


async def test_a_list_survives_changes_between_its_parts(box: Sandbox) -> None:
    names = await _create(box, 2 * PART_SIZE + 5)
    rows = [row.job.name async for part in box.app.jobs.parts() for row in part]
    parts = box.app.jobs.parts()

    first = await anext(parts)
    await box.app.jobs.delete(first[0].id)
    await create_job(box, name="a new one before the others")
    await create_job(box, name="z behind them")
    rest = [row.job.name async for part in parts for row in part]

    assert rows == names
    assert [row.job.name for row in first] + rest == [*names, "z behind them"]


@pytest.mark.parametrize("count", [0, 1, PART_SIZE + 3])
async def test_an_export_in_parts_is_one_document(box: Sandbox, count: int) -> None:
    names = await _create(box, count)

    exported = await ask(box, "export")

    document = exported["document"]
    assert document == write_document(
        {"scheduler": [_escaped(each) for each in exported["scheduler"]]}
    )
    assert [each["name"] for each in enmasse.parse(document, {})] == names
    if count:
        applied = await ask(box, "apply", document=document)
        assert applied["unchanged"] == names


def _escaped(definition: dict[str, object]) -> dict[str, object]:
    return {**definition, "name": str(definition["name"]).replace("$", "$$")}


async def test_last_runs_of_many_jobs_are_in_the_order_of_the_request(box: Sandbox) -> None:
    job_id = await create_job(box)
    await box.advance(minutes=5)
    ids = [10_000 + number for number in range(PART_SIZE)] + [job_id] + [5]

    items = (await ask(box, "get-last-run-list", id_list=ids))["items"]

    assert [item["id"] for item in items] == ids
    assert [bool(item["last_run_utc"]) for item in items] == [*[False] * PART_SIZE, True, False]


async def test_others_have_turns_while_all_jobs_are_listed(box: Sandbox) -> None:
    await _create(box, 4 * PART_SIZE)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await ask(box, "get-list")
    counting.cancel()

    assert turns >= 8


@pytest.mark.parametrize(
    ("field", "item", "most"),
    [
        ("dates", "2027-01-01", 5_000),
        ("included", "2027-01-01", 5_000),
        ("yearly", "12-25", 500),
        ("ranges", {"first": "2027-01-01", "last": "2027-01-02"}, 1_000),
        ("weekdays", 6, 7),
    ],
)
async def test_the_lists_of_a_calendar_are_limited(
    box: Sandbox, field: str, item: object, most: int
) -> None:
    calendar = "zato.scheduler.calendar.create"

    await box.invoke(calendar, {"name": "full", field: [item] * most})
    with pytest.raises(BadInputError) as refused:
        await box.invoke(calendar, {"name": "more", field: [item] * (most + 1)})

    assert refused.value.errors[0].field == field
    assert f"a list of at most {most} items" in str(refused.value)


async def test_a_simulation_has_at_most_1000_definitions(box: Sandbox) -> None:
    jobs = [{"name": f"j{number}", **_DEFINITION} for number in range(1_001)]

    simulated = await ask(box, "simulate", jobs=jobs[:1_000], until="2027-02-01T00:00:01")
    with pytest.raises(BadInputError) as refused:
        await ask(box, "simulate", jobs=jobs, until="2027-02-01T00:00:01")

    assert len(simulated["slots"]) == 1_000
    assert "at most 1000 definitions" in str(refused.value)


@pytest.mark.parametrize(
    "variables",
    ["".join(f"V{number}=1\n" for number in range(50_000)), f"V={'x' * 500_000}\n"],
    ids=["many", "long"],
)
async def test_a_crontab_does_not_multiply_its_variables_by_its_lines(
    box: Sandbox, variables: str
) -> None:
    document = variables + "* * * * * x\n" * 20_000

    with pytest.raises(BadInputError, match="variables are too long for the number of lines"):
        await ask(box, "import", format="crontab", service="crm.work", document=document)
