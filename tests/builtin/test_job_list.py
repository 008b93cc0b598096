"""The list of jobs as a table shows it: filters, order, states and figures."""

from typing import Any

import pytest

from tests.builtin.conftest import START, ask, create_job, idle_sandbox
from zato_lite.errors import BadInputError
from zato_lite.scheduler import job_lists
from zato_lite.store.sql import execute
from zato_lite.testing.app import Sandbox

TABLE = ["outcomes", "durations", "words"]


async def table(box: Sandbox, **sent: Any) -> Any:
    """Return a page of the list with counts."""
    return await ask(box, "get-list", **{"include": [], **sent})


async def names(box: Sandbox, **sent: Any) -> list[str]:
    """Return the names of a list, in its order."""
    return [item["name"] for item in (await table(box, **sent))["rows"]]


async def make_jobs(box: Sandbox) -> dict[str, int]:
    """Create a job for each state, and let ten minutes pass."""
    ids = {
        "good": await create_job(box, name="good"),
        "bad": await create_job(box, name="bad", service="crm.fail"),
        "paused": await create_job(box, name="paused", minutes=7),
        "slow": await create_job(box, name="slow", minutes=60),
    }
    await ask(box, "pause", id=ids["paused"], note="for now")
    await box.advance(minutes=10)
    return ids


async def test_a_job_has_one_state_and_the_counts_have_all(box: Sandbox) -> None:
    await make_jobs(box)

    found = await table(box)

    states = {item["name"]: item["state"] for item in found["rows"]}
    assert states == {"bad": "failing", "good": "active", "paused": "paused", "slow": "active"}
    assert found["counts"] == {
        "all": 4, "active": 3, "paused": 1, "failing": 1, "running": 0, "missed": 0, "late": 0,
    }  # fmt: skip
    assert found["total"] == 4


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("active", ["bad", "good", "slow"]),
        ("paused", ["paused"]),
        ("failing", ["bad"]),
        ("running", []),
        ("missed", []),
        ("late", []),
    ],
)
async def test_a_state_filters_and_leaves_the_counts_alone(
    box: Sandbox, state: str, expected: list[str]
) -> None:
    await make_jobs(box)

    found = await table(box, state=state)

    assert [item["name"] for item in found["rows"]] == expected
    assert found["total"] == len(expected)
    assert found["counts"]["all"] == 4


async def test_failures_of_any_job_are_counted_until_a_run_succeeds(box: Sandbox) -> None:
    ids = await make_jobs(box)
    [before] = (await table(box, state="failing"))["rows"]

    await ask(box, "edit", id=ids["bad"], service="crm.work")
    await box.advance(minutes=5)

    assert (before["failures"], before["last_outcome"]) == (2, "error")
    assert (await table(box, state="failing"))["rows"] == []
    [after] = [item for item in (await table(box))["rows"] if item["name"] == "bad"]
    assert (after["failures"], after["state"], after["last_outcome"]) == (0, "active", "ok")


async def test_a_job_with_missed_slots_is_missed_until_it_runs(box: Sandbox) -> None:
    job_id = await create_job(box, name="late", on_missed="skip")
    await box.advance(minutes=5)
    hour = START - START % 3_600_000_000
    entry = "INSERT INTO ledger (job_id, outcome, first, last, count, reason, number)"
    await box.app.scheduler._database.write(
        lambda c: execute(
            c,
            f"{entry} VALUES (?, 'missed', ?, ?, 2, 'down', 1)",
            (job_id, hour + 360_000_000, hour + 420_000_000),
        )
    )

    missed = await table(box)
    await box.advance(minutes=5)

    assert missed["counts"]["missed"] == 1
    assert missed["rows"][0]["state"] == "missed"
    assert await names(box, state="missed") == []


async def test_a_due_job_that_no_node_claims_is_late_unless_the_scheduler_is_paused() -> None:
    async with idle_sandbox() as box:
        await create_job(box, name="due", allow_missing_services=True)
        box.clock.advance(milliseconds=(5 * 60 + 10) * 1_000)

        late = await table(box)
        await box.app.jobs.pause_all("maintenance")
        paused = await table(box)

    assert (late["counts"]["late"], late["rows"][0]["state"]) == (1, "late")
    assert (paused["counts"]["late"], paused["rows"][0]["state"]) == (0, "active")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"sort": "name", "dir": "desc"}, ["slow", "paused", "good", "bad"]),
        ({"sort": "next"}, ["good", "bad", "slow", "paused"]),
        ({"sort": "next", "dir": "desc"}, ["slow", "good", "bad", "paused"]),
        ({"sort": "failed", "dir": "desc"}, ["bad", "good", "slow", "paused"]),
        ({"sort": "last", "dir": "desc"}, ["bad", "good", "slow", "paused"]),
        ({"sort": "duration"}, ["good", "bad", "slow", "paused"]),
    ],
    ids=str,
)
async def test_a_list_is_sorted_and_jobs_without_the_value_are_last(
    box: Sandbox, sent: dict[str, Any], expected: list[str]
) -> None:
    await make_jobs(box)

    found = await names(box, **sent)
    unpaged = [item["name"] for item in await ask(box, "get-list", **sent)]

    if sent["sort"] in {"last", "duration"}:  # both ran at the same instants
        assert {*found[:2]} == {"good", "bad"}
        found[:2], unpaged[:2] = sorted(found[:2]), sorted(unpaged[:2])
        expected = [*sorted(expected[:2]), *expected[2:]]
    assert found == unpaged == expected


async def test_a_list_is_filtered_by_words_service_and_next_slot(box: Sandbox) -> None:
    await make_jobs(box)

    assert await names(box, query="OO") == ["good"]
    assert await names(box, service_name="crm.fail") == ["bad"]
    assert await names(box, service_name="crm.*") == ["bad", "good", "paused", "slow"]
    assert await names(box, service_name="crm._*") == []
    assert await names(box, next_before="2027-01-15T08:20:00") == ["bad", "good"]


async def test_a_table_has_words_outcomes_and_durations(box: Sandbox) -> None:
    await make_jobs(box)

    rows = {item["name"]: item for item in (await table(box, include=TABLE))["rows"]}
    plain = (await table(box))["rows"][0]

    assert rows["bad"]["outcomes"] == [["error", 0.0], ["error", 0.0]]
    assert (rows["bad"]["failed_share"], rows["good"]["failed_share"]) == (1.0, 0.0)
    assert (rows["good"]["p50_ms"], rows["slow"]["p50_ms"]) == (0.0, None)
    assert rows["good"]["words"] == "every 5 minutes"
    assert not plain.keys() & {"words", "outcomes", "p50_ms"}


async def test_with_is_another_name_of_include(box: Sandbox) -> None:
    await create_job(box)

    found = await ask(box, "get-list", **{"with": ["words"], "page_size": 1})

    assert found["rows"][0]["words"] == "every 5 minutes"


async def test_pages_of_a_table_make_up_the_whole(box: Sandbox) -> None:
    await make_jobs(box)

    pages = [await table(box, page_size=3, cur_page=page, sort="next") for page in (1, 2)]

    found = [item["name"] for page in pages for item in page["rows"]]
    assert found == await names(box, sort="next")
    assert [page["total"] for page in pages] == [4, 4]


async def test_too_many_jobs_are_not_sorted_by_their_runs(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_jobs(box)
    monkeypatch.setattr(job_lists, "MAX_SORTED", 3)

    with pytest.raises(BadInputError, match="4 jobs are too many to be sorted by 'last'"):
        await table(box, sort="last")

    assert len(await names(box, sort="last", state="active")) == 3
    assert len(await names(box, sort="next")) == 4


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"sort": "next_run"}, "sort"),
        ({"dir": "up"}, "dir"),
        ({"state": "broken"}, "state"),
        ({"include": ["colours"]}, "include"),
        ({"page_size": 501}, "page_size"),
        ({"next_before": "soon"}, "next_before"),
        ({"order": "name"}, "order"),
    ],
    ids=str,
)
async def test_a_wrong_or_unknown_field_is_named(
    box: Sandbox, sent: dict[str, Any], field: str
) -> None:
    with pytest.raises(BadInputError) as refused:
        await ask(box, "get-list", **sent)

    assert [error.field for error in refused.value.errors] == [field]


async def test_one_job_has_the_figures_of_the_table_on_request(box: Sandbox) -> None:
    ids = await make_jobs(box)

    [row] = (await table(box, query="good", include=TABLE))["rows"]
    by_id = await ask(box, "get-by-id", id=ids["good"], include=TABLE)
    by_name = await ask(box, "get-by-name", name="good", **{"with": ["words"]})
    plain = await ask(box, "get-by-id", id=ids["good"])

    figures = ("words", "outcomes", "p50_ms", "p95_ms", "failed_share")
    assert [by_id[name] for name in figures] == [row[name] for name in figures]
    assert by_id["outcomes"]
    assert by_name["words"] == row["words"]
    assert not {*figures} & plain.keys()
    with pytest.raises(BadInputError, match="include"):
        await ask(box, "get-by-id", id=ids["good"], include=["x"])
