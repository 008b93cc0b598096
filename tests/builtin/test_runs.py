"""Runs of all jobs: filters and pages."""

from typing import Any

import pytest

from tests.builtin.conftest import ask, create_job
from zato_lite.errors import BadInputError
from zato_lite.store import run_list
from zato_lite.testing.app import Sandbox


async def runs(box: Sandbox, **sent: Any) -> Any:
    """Return a page of runs."""
    return await box.invoke("zato.scheduler.get-runs", sent)


async def names(box: Sandbox, **sent: Any) -> list[tuple[str, int]]:
    """Return the job and the number of each run of a page."""
    rows = (await runs(box, **sent))["rows"]
    return [(row["job_name"], row["current_run"]) for row in rows]


async def make_runs(box: Sandbox) -> dict[str, int]:
    """Create a job that succeeds and one that fails, and let ten minutes pass."""
    ids = {
        "good": await create_job(box, name="good"),
        "bad": await create_job(box, name="bad", service="crm.fail", minutes=10),
    }
    await box.advance(minutes=10)
    await ask(box, "execute", id=ids["good"])
    await box.settle()
    return ids


async def test_runs_are_listed_newest_first_with_their_service_and_node(box: Sandbox) -> None:
    await make_runs(box)

    found = await runs(box)

    assert [row["job_name"] for row in found["rows"]] in (
        ["good", "bad", "good", "good"],
        ["good", "good", "bad", "good"],
    )
    first = found["rows"][0]
    assert (first["kind"], first["service"], first["outcome"]) == ("manual", "crm.work", "ok")
    assert first["node"]
    assert first["finished_iso"] == "2027-01-15T08:10:01+00:00"
    assert found["next_before"] is None


async def test_runs_are_filtered(box: Sandbox) -> None:
    ids = await make_runs(box)
    node = (await box.invoke("zato.scheduler.status"))["nodes"][0]["name"]
    everything = await names(box)

    assert await names(box, outcomes=["error"]) == [("bad", 1)]
    assert await names(box, outcomes=["error", "ok"]) == everything
    assert await names(box, outcomes=["running"]) == []
    assert await names(box, id=ids["bad"]) == [("bad", 1)]
    assert await names(box, query="BA") == [("bad", 1)]
    assert await names(box, service_name="crm.f*") == [("bad", 1)]
    assert await names(box, kind="manual") == [("good", 3)]
    assert await names(box, until="2027-01-15T08:06:00") == [("good", 1)]
    assert len(await names(box, since="2027-01-15T08:06:00")) == 3
    assert await names(box, node=node) == everything
    assert await names(box, node="elsewhere") == []


async def test_pages_make_up_the_whole(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    await create_job(box, minutes=0, seconds=30)
    await box.advance(minutes=6)
    everything = [row["run_id"] for row in (await runs(box, limit=200))["rows"]]
    monkeypatch.setattr(run_list, "MAX_EXAMINED", 4)

    for sent in ({"limit": 5}, {"limit": 2, "query": "often"}, {"limit": 3, "outcomes": ["ok"]}):
        found, before = [], None
        while True:
            page = await runs(box, before=before, **sent)
            found += [row["run_id"] for row in page["rows"]]
            if (before := page["next_before"]) is None:
                break

        assert found == everything
    assert len(everything) == 12


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"outcomes": ["fine"]}, "outcomes"),
        ({"kind": "odd"}, "kind"),
        ({"limit": 201}, "limit"),
        ({"page": 2}, "page"),
        ({"before": 0}, "before"),
    ],
    ids=str,
)
async def test_a_wrong_field_is_named(box: Sandbox, sent: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInputError) as refused:
        await runs(box, **sent)

    assert [error.field for error in refused.value.errors] == [field]
