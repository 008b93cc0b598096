"""``self.schedule``, from a service to jobs and back, with the real scheduler behind it."""

import asyncio
import inspect
import re
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, get_args, get_overloads, get_type_hints

import msgspec
import pytest

from zato_lite import Service
from zato_lite.builtin.definition import Definition
from zato_lite.builtin.job_list import JobQuery
from zato_lite.errors import (
    BadInputError,
    ConflictError,
    ForbiddenError,
    JobExistsError,
    JobNotFoundError,
)
from zato_lite.service.job_answers import (
    Explanation,
    HistoryPage,
    JobDetail,
    JobItem,
    ListedJob,
    NewRuns,
)
from zato_lite.service.job_types import JobEdits, JobFilters, StateFilter
from zato_lite.service.message import Caller, Invocation
from zato_lite.service.schedule import BlockingSchedule, Schedule
from zato_lite.store.job_filter import State
from zato_lite.testing.app import Sandbox

HEARD: list[Any] = []


class Target(Service):
    name = "crm.target"

    async def handle(self) -> None:
        HEARD.append((self.request.input, self.job.job_type if self.job else None))


class Order(msgspec.Struct):
    name: str
    count: int


class Planner(Service):
    name = "crm.planner"

    async def handle(self) -> None:
        what = self.request.payload
        operation = getattr(self.schedule, what.pop("operation"))
        self.response.payload = await operation(*what.pop("args", ()), **what)


class Once(Service):
    name = "crm.once"

    async def handle(self) -> None:
        self.response.payload = await self.schedule.onetime(self, Target, **self.request.payload)


class BlockingPlanner(Service):
    name = "crm.blocking-planner"

    def handle(self) -> None:
        what = self.request.payload
        operation = getattr(self.schedule, what.pop("operation"))
        self.response.payload = operation(*what.pop("args", ()), **what)


@pytest.fixture
def planner(box: Sandbox) -> Sandbox:
    HEARD.clear()
    for cls in (Target, Planner, BlockingPlanner, Once):
        box.app.registry.add(cls)
    return box


async def _plan(
    box: Sandbox, operation: str, *args: Any, by: str = "crm.planner", **options: Any
) -> Any:
    return await box.invoke(by, {"operation": operation, "args": args, **options})


@pytest.mark.parametrize(
    ("options", "at"),
    [
        ({}, "2027-01-15T08:00:01"),
        ({"after_seconds": 30, "after_minutes": 1}, "2027-01-15T08:01:31"),
        ({"start_date": "2027-07-29 11:35:49"}, "2027-07-29T11:35:49"),
        ({"start_date": "2027-07-29T11:35:49Z"}, "2027-07-29T11:35:49"),
        ({"start_date": "2027-07-29T11:35:49+02:00"}, "2027-07-29T09:35:49"),
        ({"start_date": "20270729T113549"}, "2027-07-29T11:35:49"),
        ({"start_date": datetime(2027, 7, 29, 11, 35, 49, tzinfo=UTC)}, "2027-07-29T11:35:49"),
        ({"start_date": datetime(2027, 7, 29, 11, 35, 49)}, "2027-07-29T11:35:49"),  # noqa: DTZ001
    ],
    ids=repr,
)
async def test_a_one_time_job_starts_at_its_start_date(
    planner: Sandbox, options: dict[str, Any], at: str
) -> None:
    job_id = await planner.invoke("crm.once", {"prefix": "ann@example.com", **options})

    job = await planner.invoke("zato.scheduler.job.get-by-id", {"id": job_id})
    assert job["start_date"] == at
    assert job["name"].startswith("ann@example.com crm.once -> crm.target ")


async def test_the_target_gets_the_data_itself(planner: Sandbox) -> None:
    await planner.invoke("crm.once", {"data": {"my.key": "my.value"}, "after_seconds": 5})

    await planner.advance(seconds=6)

    assert HEARD == [({"my.key": "my.value"}, "one_time")]


async def test_an_interval_and_a_cron_job_run_until_they_are_cancelled(planner: Sandbox) -> None:
    every = await _plan(planner, "interval", "crm.target", "often", minutes=10, data=[1])
    daily = await _plan(planner, "cron", "crm.target", "daily", "30 8 * * *", data="x")

    await planner.advance(minutes=31)
    listed = await _plan(planner, "list")
    one = await _plan(planner, "get", daily)
    by_name = await _plan(planner, "get", "daily")
    await _plan(planner, "cancel", every)
    await _plan(planner, "cancel", daily)
    await planner.advance(minutes=30)

    assert [kind for _, kind in HEARD].count("interval_based") == 3
    assert [kind for _, kind in HEARD].count("cron_style") == 1
    assert {job["id"] for job in listed} == {every, daily}
    assert one == by_name
    assert await _plan(planner, "list") == []


ODD = "ż «job» 7; DROP TABLE jobs -- % _ /\\ 'x' \N{ROCKET}"
BOTH = pytest.mark.parametrize("by", ["crm.planner", "crm.blocking-planner"])


@BOTH
@pytest.mark.parametrize("name", ["7", ODD], ids=["digits", "odd"])
@pytest.mark.parametrize("is_by_name", [True, False])
async def test_a_job_is_operated_by_its_id_or_its_name(
    planner: Sandbox, by: str, name: str, is_by_name: bool
) -> None:
    async def do(operation: str, *args: Any, **options: Any) -> Any:
        return await _plan(planner, operation, *args, by=by, **options)

    job_id = await do("interval", "crm.target", name=name, minutes=10)
    job = name if is_by_name else job_id

    paused = await do("pause", job, "holidays", until="2027-02-01")
    assert (paused["id"], paused["is_active"], paused["pause_note"]) == (job_id, False, "holidays")
    assert paused["pause_until"] == "2027-02-01T00:00:00"
    assert (await do("resume", job))["is_active"]
    assert (await do("skip_next", job))["skip_next"] == 1
    assert await do("run", job) == 1
    await planner.advance(minutes=21)
    assert [kind for _, kind in HEARD] == ["interval_based"] * 2  # by request, one skipped, one
    history = await do("history", job, outcomes=["ok"], page_size=1)
    assert (history["total"], len(history["rows"])) == (2, 1)
    why = await do("why", job, "2027-01-15T08:10:01")
    assert (why["job_id"], why["outcome"]) == (job_id, "paused")
    found = await do("backfill", job, "2027-01-15T08:10:01", "2027-01-15T08:20:01", dry_run=True)
    assert found["count"] == 2
    edited = await do("edit", job, name=f"{name} 2", data={"a": 1}, hours=1, max_retries=2)
    assert edited == {"id": job_id, "name": f"{name} 2"}
    changed = await do("get", f"{name} 2" if is_by_name else job_id)
    assert (changed["hours"], changed["max_retries"], "minutes" in changed) == (1, 2, False)
    listed = await do("list", include=["words"], state="active", service_name=Target)
    assert [(each["id"], each["words"]) for each in listed] == [(job_id, "every hour")]
    assert await do("delete", f"{name} 2" if is_by_name else job_id) is None
    with pytest.raises(JobNotFoundError):
        await do("get", f"{name} 2" if is_by_name else job_id)


@BOTH
async def test_an_unknown_job_is_not_found_and_nothing_is_changed(
    planner: Sandbox, by: str
) -> None:
    for operation, *args in (
        ("pause",), ("resume",), ("run",), ("skip_next",), ("history",), ("edit",), ("delete",),
        ("why", "2027-01-15"), ("backfill", "2027-01-15", "2027-01-16"),
    ):  # fmt: skip
        with pytest.raises(JobNotFoundError):
            await _plan(planner, operation, "no such job", *args, by=by)


async def test_the_edited_data_replaces_the_input_and_none_clears_it(planner: Sandbox) -> None:
    job = await _plan(planner, "interval", "crm.target", name="a", minutes=1, data=1)
    await _plan(planner, "edit", "a", data={"b": 2})
    await planner.advance(minutes=1)
    await _plan(planner, "edit", job, data=None, version=2)
    await planner.advance(minutes=1)

    assert [heard for heard, _ in HEARD] == [{"b": 2}, {}]
    with pytest.raises(ConflictError):
        await _plan(planner, "edit", job, minutes=5, version=2)


@pytest.mark.parametrize(
    ("data", "heard"),
    [
        (Order("pen", 2), {"name": "pen", "count": 2}),
        ([Order("a", 1)], [{"name": "a", "count": 1}]),
        (False, False),
        ("text", "text"),
        ({"day": datetime(2027, 1, 1, tzinfo=UTC)}, {"day": "2027-01-01T00:00:00Z"}),
        ({}, {}),
    ],
    ids=str,
)
async def test_data_may_be_what_json_does_not_know(
    planner: Sandbox, data: Any, heard: Any
) -> None:
    await _plan(planner, "onetime", "crm.target", data=data, after_seconds=1)
    await planner.advance(seconds=2)

    assert [(heard, "one_time")] == HEARD


async def test_jobs_may_be_made_at_the_same_time(planner: Sandbox) -> None:
    calls = [_plan(planner, "interval", "crm.target", minutes=1, name="one",
                   should_ignore_existing=True) for _ in range(8)]  # fmt: skip
    calls += [_plan(planner, "onetime", "crm.target", data=n, after_seconds=1) for n in range(8)]
    ids = await asyncio.gather(*calls)

    assert len({*ids[:8]}) == 1
    assert len({*ids}) == 9


async def test_a_job_that_exists_may_be_left_as_it_is(planner: Sandbox) -> None:
    options: Any = {"name": "a", "should_ignore_existing": True}
    first = await _plan(planner, "interval", "crm.target", minutes=1, **options)
    second = await _plan(planner, "interval", "crm.target", minutes=9, **options)

    assert first == second
    assert (await _plan(planner, "get", "a"))["minutes"] == 1
    with pytest.raises(JobExistsError):
        await _plan(planner, "interval", "crm.target", minutes=1, name="a")


async def test_a_backfill_before_the_job_s_start_says_why_it_has_no_runs(planner: Sandbox) -> None:
    await _plan(planner, "cron", "crm.target", "0 6 * * *", name="daily")
    span = ("2027-01-01", "2027-01-03")

    none = await _plan(planner, "backfill", "daily", *span)
    forced = await _plan(planner, "backfill", "daily", *span, force=True)

    assert none["runs"] == []
    assert "2 slots before the job's start, 2027-01-15 08:00:01 UTC" in none["reason"]
    assert len(forced["runs"]) == 2


@pytest.mark.parametrize(
    ("operation", "args", "options", "field"),
    [
        ("interval", ("crm.target",), {"name": "", "minutes": 1}, "name"),
        ("interval", ("crm.target",), {"name": "a\nb", "minutes": 1}, "name"),
        ("interval", ("crm.target",), {"name": "x" * 201, "minutes": 1}, "name"),
        ("interval", ("crm.target",), {"name": "a", "minutes": -1}, "minutes"),
        ("interval", ("crm.target",), {"name": "a", "every": "often"}, "every"),
        ("interval", ("crm.target",), {"name": "a", "minutes": 1, "minuets": 1}, "minuets"),
        ("cron", ("crm.target", "99 * * * *"), {"name": "a"}, "Cron definition `99 * * * *`"),
        ("pause", ("daily", "", "never"), {}, "until"),
        ("skip_next", ("daily", -1), {}, "count"),
        ("history", ("daily",), {"page": 0}, "page"),
        ("edit", ("daily",), {"on_missed": "never"}, "on_missed"),
        ("backfill", ("daily", "x", "2027-01-01"), {}, "first"),
        ("why", ("daily", "x"), {}, "at"),
    ],
)
async def test_a_wrong_value_is_refused_with_its_field(
    planner: Sandbox, operation: str, args: tuple[Any, ...], options: dict[str, Any], field: str
) -> None:
    await _plan(planner, "cron", "crm.target", "0 6 * * *", name="daily")

    with pytest.raises(BadInputError) as error:
        await _plan(planner, operation, *args, **options)

    assert field in str(error.value)
    assert [job["name"] for job in await _plan(planner, "list")] == ["daily"]


async def test_code_operates_the_jobs_of_all_but_schedules_only_what_its_caller_may_run(
    planner: Sandbox,
) -> None:
    await _plan(planner, "interval", "crm.target", name="system's", minutes=1)
    ann = Caller("ann", frozenset({"operator"}), ("crm.*",))

    async def as_ann(operation: str, *args: Any, **options: Any) -> Any:
        payload = {"operation": operation, "args": args, **options}
        outcome = await planner.app.invoker.run(Invocation("crm.planner", payload, caller=ann))
        if outcome.error is not None:
            raise outcome.error
        return outcome.payload

    await as_ann("pause", "system's")
    own = await as_ann("interval", "crm.once", name="ann's", minutes=1)
    refused = r"'ann' is not allowed to schedule service 'zato.ping'"
    with pytest.raises(ForbiddenError, match=refused):
        await as_ann("interval", "zato.ping", name="other", minutes=1)
    with pytest.raises(ForbiddenError, match=refused):
        await as_ann("edit", own, service="zato.ping")
    await as_ann("edit", "system's", minutes=5)

    assert (await _plan(planner, "get", "ann's"))["principal"] == "user:ann"
    assert (await _plan(planner, "get", "system's"))["principal"] == "user:ann"


def test_options_are_the_fields_of_a_definition() -> None:
    ours, theirs = get_type_hints(JobEdits), get_type_hints(Definition)
    ignored = {"cluster_id", "id", "service_id", "service_name", "should_ignore_existing"}
    ignored |= {name for name in theirs if name.startswith(("imap_", "link_"))}

    assert ours.keys() - {"data", "version"} == theirs.keys() - ignored
    for name, hint in ours.items():
        known = {*get_args(theirs.get(name, Any))} - {type(None)} or {theirs.get(name, Any)}
        if Any not in known and name not in {"service", "on_success_service", "on_error_service"}:
            mine = {*get_args(hint)} - {type(None)} or {hint}
            assert known <= {*mine, *chain(*map(get_args, mine))}, name


def test_filters_are_those_of_the_list() -> None:
    ours = {*get_type_hints(JobFilters)}

    assert ours == {field.name for field in msgspec.structs.fields(JobQuery)} - {
        "query", "cluster_id"
    }  # fmt: skip
    assert {*get_args(StateFilter)} == {*get_args(State)}


async def test_answers_have_the_fields_that_their_types_say(planner: Sandbox) -> None:
    await _plan(planner, "interval", "crm.target", name="a", minutes=1, tags=["x"], retry_jitter=1)
    await planner.advance(minutes=1)
    for hints, answer in (
        (JobDetail, await _plan(planner, "get", "a")),
        (ListedJob, (await _plan(planner, "list"))[0]),
        (ListedJob, (await _plan(planner, "list", include=["words", "outcomes", "durations"]))[0]),
        (JobItem, await _plan(planner, "pause", "a", "note", until="2028-01-01")),
        (HistoryPage, await _plan(planner, "history", "a")),
        (Explanation, await _plan(planner, "why", "a", "2027-01-15T08:01:01")),
        (NewRuns, await _plan(planner, "backfill", "a", "2027-01-15", "2027-01-15")),
    ):
        msgspec.convert(answer, hints)
        assert answer.keys() <= get_type_hints(hints).keys()


def test_the_table_of_signatures_is_that_of_the_methods() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "jobs.md").read_text("utf-8")
    table = page.split("## From a service")[1].split("## Declared")[0]
    written = [
        signature
        for row in re.findall(r"^\| (`.*?`) \| ", table, re.MULTILINE)
        for signature in re.findall(r"`(.*?)`", row)
    ]

    real = []
    for name, method in vars(Schedule).items():
        if not name.startswith("_"):
            for function in get_overloads(method) or [method]:
                parameters = [*inspect.signature(function).parameters.values()][1:]
                plain = [
                    each.replace(annotation=each.empty, kind=_without_slash(each.kind))
                    for each in parameters
                ]
                real.append(f"{name}{inspect.Signature(plain)}")
    assert sorted(written) == sorted(real)
    assert {*vars(BlockingSchedule)} >= {name for name in vars(Schedule) if name[0] != "_"}


def _without_slash(kind: Any) -> Any:
    positional = inspect.Parameter.POSITIONAL_ONLY
    return inspect.Parameter.POSITIONAL_OR_KEYWORD if kind == positional else kind
