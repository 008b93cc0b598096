"""Bulk services: one change of many jobs."""

import asyncio
import time
from typing import Any

import pytest

from tests.builtin.conftest import ask, create_job
from zato_lite.builtin.bulk import id_ranges
from zato_lite.errors import BadInputError, ConflictError, ForbiddenError, NotFoundError
from zato_lite.scheduler.bulk import BulkCommands
from zato_lite.service.message import Caller
from zato_lite.store.job_filter import JobFilter
from zato_lite.store.selection import Selection
from zato_lite.testing.app import Sandbox

pytestmark = pytest.mark.usefixtures("without_collector")

SERVICES = ["delete-many", "pause-many", "resume-many", "execute-many", "skip-many"]


async def some(box: Sandbox, *names: str, **fields: Any) -> list[int]:
    return [await create_job(box, name=name, **fields) for name in names]


async def names(box: Sandbox, **query: Any) -> list[str]:
    return [job["name"] for job in await ask(box, "get-list", **query)]


async def active(box: Sandbox) -> list[str]:
    return [job["name"] for job in await ask(box, "get-list") if job["is_active"]]


async def test_jobs_are_paused_and_resumed_by_id_and_by_name(box: Sandbox) -> None:
    [a, b, _] = await some(box, "a", "b", "c")

    paused = await ask(box, "pause-many", ids=[a], names=["b"], note="moving")
    assert paused == {"count": 2, "ids": [a, b], "names": ["a", "b"], "dry_run": False}
    assert await active(box) == ["c"]
    assert (await ask(box, "get-by-id", id=a))["pause_note"] == "moving"

    await ask(box, "resume-many", query="", expected=3)
    assert await active(box) == ["a", "b", "c"]
    assert "pause_note" not in {k for k, v in (await ask(box, "get-by-id", id=a)).items() if v}


async def test_a_query_selects_what_the_list_shows(box: Sandbox) -> None:
    await some(box, "report a", "report b", "other")
    await create_job(box, name="report c", service="crm.fail")
    shown = await names(box, query="REPORT", service_name="crm.work")

    with pytest.raises(ConflictError, match="has 2 jobs, and `expected` is 3"):
        await ask(box, "delete-many", query="REPORT", service_name="crm.work", expected=3)
    assert len(await names(box)) == 4
    deleted = await ask(
        box, "delete-many", query="REPORT", service_name="crm.work", expected=len(shown)
    )

    assert deleted["names"] == shown == ["report a", "report b"]
    assert await names(box) == ["other", "report c"]


@pytest.mark.parametrize("service", SERVICES)
async def test_a_dry_run_selects_and_changes_nothing(box: Sandbox, service: str) -> None:
    ids = await some(box, "a", "b")
    before = await ask(box, "get-list")

    answer = await ask(box, service, ids=ids, dry_run=True)

    assert (answer["count"], answer["dry_run"]) == (2, True)
    assert await ask(box, "get-list") == before


async def test_jobs_are_executed_together_also_paused_ones(box: Sandbox) -> None:
    ids = await some(box, *(f"j{number:03}" for number in range(120)), is_active=False)

    answer = await ask(box, "execute-many", query="j", expected=120)
    await box.settle()

    assert answer["ids"] == ids
    for job_id in (ids[0], ids[-1]):
        rows = (await ask(box, "get-history", id=job_id))["rows"]
        assert [(row["kind"], row["outcome"]) for row in rows] == [("manual", "ok")]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    ("sent", "error", "words"),
    [
        ({}, BadInputError, "ids"),
        ({"ids": []}, BadInputError, "ids"),
        ({"query": "a"}, BadInputError, "expected"),
        ({"ids": [1], "query": "a", "expected": 1}, BadInputError, "either"),
        ({"ids": ["x"]}, BadInputError, "ids"),
        ({"ids": [0]}, BadInputError, "ids"),
        ({"names": "a"}, BadInputError, "names"),
        ({"ids": [1], "job_ids": [1]}, BadInputError, "job_ids"),
        ({"ids": [1, 99], "names": ["nobody"]}, NotFoundError, "Jobs not found: 99, `nobody`"),
        ({"ids": [1, 2], "expected": 1}, ConflictError, "has 2 jobs, and `expected` is 1"),
    ],
)
async def test_a_wrong_selection_changes_nothing(
    box: Sandbox, service: str, sent: dict[str, Any], error: type[Exception], words: str
) -> None:
    await some(box, "a", "b")
    before = await ask(box, "get-list")

    with pytest.raises(error, match=words):
        await ask(box, service, **sent)

    assert await ask(box, "get-list") == before


async def test_jobs_that_refer_to_each_other_are_deleted_together_only(box: Sandbox) -> None:
    [target] = await some(box, "t")
    [source] = await some(box, "s", on_success_job="t")
    with pytest.raises(ConflictError, match=r"job `t` is called back by `s` \(on_success_job\)"):
        await ask(box, "delete-many", ids=[target], dry_run=True)
    with pytest.raises(ConflictError, match="job `t` is called back by `s`"):
        await ask(box, "delete-many", names=["t"])

    await ask(box, "delete-many", ids=[target, source])
    assert await names(box) == []


async def test_one_row_of_the_audit_log_has_the_ids(box: Sandbox) -> None:
    ids = await some(box, "a", "b", "c", "d")
    ann = Caller("ann", roles=frozenset({"editor"}))
    await invoke_as(box, ann, "pause-many", {"ids": [*ids[:2], ids[3]]})
    with pytest.raises(NotFoundError):
        await invoke_as(box, ann, "delete-many", {"ids": [99]})

    rows = await box.app.audit_log.list(limit=10)
    found = [(row.who, row.action.rpartition(".")[2], row.subject, row.outcome) for row in rows]
    assert ("ann", "pause-many", f"3 jobs: {id_ranges([*ids[:2], ids[3]])}", "ok") in found
    assert ("ann", "delete-many", "", "404: Jobs not found: 99") in found
    assert id_ranges([7, 1, 2, 3]) == "1-3, 7"
    assert id_ranges([]) == ""


@pytest.mark.parametrize("service", SERVICES)
async def test_one_job_beyond_the_callers_rights_refuses_all(box: Sandbox, service: str) -> None:
    mine = await create_job(box, name="mine")
    other = await create_job(box, name="other", service="crm.fail")
    robot = Caller("robot", roles=frozenset({"editor"}), patterns=("crm.work", "zato.*"))
    before = await ask(box, "get-list")

    with pytest.raises(ForbiddenError, match=r"'robot' is not allowed to change or run job 2$"):
        await invoke_as(box, robot, service, {"ids": [mine, other]})
    assert await ask(box, "get-list") == before

    assert (await invoke_as(box, robot, service, {"ids": [mine]}))["count"] == 1


async def invoke_as(box: Sandbox, caller: Caller, service: str, payload: Any) -> Any:
    name = f"zato.scheduler.job.{service}"
    return await box.app.invoker.invoke(name, payload, caller=caller)


async def test_the_filters_of_a_list_select_jobs(box: Sandbox) -> None:
    [a, b, _] = await some(box, "a", "b", "c")
    await ask(box, "pause-many", ids=[a, b])

    counted = await ask(box, "resume-many", state="paused", dry_run=True)
    with pytest.raises(ConflictError, match="has 2 jobs"):
        await ask(box, "resume-many", state="paused", expected=3)
    await ask(box, "resume-many", state="paused", service_name="crm.*", expected=2)

    assert (counted["ids"], await active(box)) == ([a, b], ["a", "b", "c"])


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "filters",
    [{"state": "odd"}, {"tag": 5}, {"tag": "x" * 51}, {"next_before": "soon"}, {"query": []}],
)
async def test_a_wrong_filter_is_refused(
    box: Sandbox, service: str, filters: dict[str, Any]
) -> None:
    with pytest.raises(BadInputError, match=next(iter(filters))):
        await ask(box, service, **filters, expected=1)


async def test_the_next_slots_of_jobs_are_skipped(box: Sandbox) -> None:
    ids = await some(box, "a", "b")

    await ask(box, "skip-many", ids=ids, count=2)
    await box.advance(minutes=16)

    for job_id in ids:
        assert len((await ask(box, "get-history", id=job_id))["rows"]) == 1  # of 08:15


@pytest.mark.parametrize("box", ["memory"], indirect=True)
async def test_the_loop_is_never_held_for_long(box: Sandbox) -> None:
    jobs = [
        {
            "name": f"j{number}", "service": "crm.work", "job_type": "interval_based",
            "start_date": "2027-01-16", "minutes": 5,
        }
        for number in range(2_000)
    ]  # fmt: skip
    await ask(box, "create-many", jobs=jobs)
    longest, before, is_over = 0.0, time.thread_time(), False

    async def watch() -> None:
        nonlocal longest, before
        while not is_over:
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, before = max(longest, now - before), now

    watching = asyncio.create_task(watch())
    for service in ("pause-many", "resume-many", "delete-many"):
        before = time.thread_time()
        await ask(box, service, query="j", expected=2_000)
    is_over = True
    await watching

    assert longest < 0.2  # CPU time; 20 ms on a quiet machine
    assert await names(box) == []


async def test_more_jobs_than_can_be_changed_are_refused(box: Sandbox) -> None:
    await some(box, "a", "b", "c")
    scheduler = box.app.scheduler
    bulk = BulkCommands(scheduler._database, scheduler, box.clock)
    every = Selection(filter=JobFilter())

    found = await bulk.select(every._replace(limit=3))

    assert [each.name for each in found] == ["a", "b", "c"]
    with pytest.raises(BadInputError, match="more than 2 jobs; select fewer"):
        await bulk.select(every._replace(limit=2))
