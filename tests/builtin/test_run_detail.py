"""Details of a run, and filters of its log."""

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import pytest

from tests.builtin.conftest import ENGINES, ask, ask_as, caller, create_job, open_box
from zato_lite import Service
from zato_lite.builtin.history import delay_parts
from zato_lite.errors import BadInputError
from zato_lite.log import RunCapture
from zato_lite.store.rows import RunRow
from zato_lite.testing.app import Sandbox
from zato_lite.timetable.job import Job, OneTime


class Talk(Service):
    name = "crm.talk"

    async def handle(self) -> None:
        self.logger.info("First line")
        self.logger.warning("Second LINE")
        self.logger.error("third")


class Once(Service):
    name = "crm.once"
    seen: ClassVar[list[str]] = []

    async def handle(self) -> None:
        self.seen.append(self.cid)
        if len(self.seen) % 2:
            raise ValueError("not yet")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Capture the log lines of runs as a server does."""
    capture, root = RunCapture(), logging.getLogger()
    root.addHandler(capture)
    caplog.set_level(logging.INFO)
    yield
    root.removeHandler(capture)


@pytest.fixture(params=ENGINES)
async def box(request: pytest.FixtureRequest, log: None) -> AsyncIterator[Sandbox]:
    async with open_box(request, Talk, Once) as opened:
        yield opened


async def test_a_run_has_its_service_times_node_and_input(box: Sandbox) -> None:
    extra = '{"id": 12345678901234567890123, "x": 1.10}'
    job_id = await create_job(box, service="crm.talk", extra=extra)
    await box.advance(minutes=5)

    record = (await ask(box, "get-run-detail", id=job_id, current_run=1))["record"]

    assert (record["service"], record["input"]) == ("crm.talk", extra)
    assert record["started_iso"] == record["ended_iso"] == "2027-01-15T08:05:00+00:00"
    assert record["claimed_iso"] <= record["started_iso"]
    assert record["delay_parts"] == {"jitter_ms": 0, "claim_ms": 0, "wait_ms": 0}
    assert record["node_name"] != ""


async def messages(box: Sandbox, job_id: int, **sent: Any) -> list[str]:
    found = await ask(box, "get-log-entries", id=job_id, current_run=1, **sent)
    return [entry["message"] for entry in found["entries"]]


async def test_log_lines_are_filtered_by_level_and_words(box: Sandbox) -> None:
    job_id = await create_job(box, service="crm.talk")
    await box.advance(minutes=5)

    assert len(await messages(box, job_id)) == 5
    assert await messages(box, job_id, level="info") == ["First line", "Second LINE", "third"]
    assert await messages(box, job_id, level="warn") == ["Second LINE", "third"]
    assert await messages(box, job_id, level="error") == ["third"]
    assert await messages(box, job_id, query="line") == ["First line", "Second LINE"]
    assert await messages(box, job_id, query="%") == []


async def test_log_lines_are_limited_from_either_end_and_continued(box: Sandbox) -> None:
    job_id = await create_job(box, service="crm.talk")
    await box.advance(minutes=5)
    ref = {"id": job_id, "current_run": 1}

    first = await ask(box, "get-log-entries", **ref, level="info", limit=2)
    rest = await ask(box, "get-log-entries", **ref, level="info", since_idx=first["next_idx"])
    tail = await ask(box, "get-log-entries", **ref, level="info", limit=1, tail=True)
    none = await ask(box, "get-log-entries", **ref, since_idx=tail["next_idx"])

    assert [entry["index"] for entry in first["entries"]] == [1, 2]
    assert (first["total"], first["next_idx"]) == (3, 3)
    assert [entry["message"] for entry in rest["entries"] + tail["entries"]] == ["third"] * 2
    assert (none["entries"], none["next_idx"]) == ([], 5)


@pytest.mark.parametrize(
    "sent",
    [{"level": "odd"}, {"limit": 0}, {"limit": 10**6}, {"query": "x" * 1_001}, {"tail": "maybe"}],
)
async def test_wrong_filters_of_a_log_are_refused(box: Sandbox, sent: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        await messages(box, 1, **sent)


def run_row(**fields: Any) -> RunRow:
    values = {
        "id": 1, "job_id": 7, "job_name": "j", "service": "s", "number": 1, "kind": "scheduled",
        "slot": 1_000_000, "state": "done", "node": 1, "token": 1, "attempt": 1, "crashes": 0,
        "claimed_at": 900_000, "started_at": 1_002_000,
    }  # fmt: skip
    return RunRow(**{**values, **fields})


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({}, (0, 2)),
        ({"claimed_at": 1_001_500}, (1.5, 0.5)),
        ({"claimed_at": 1_005_000}, (2, 0)),
        ({"started_at": 999_000}, (0, -1)),
    ],
)
def test_the_parts_of_a_delay_add_up(fields: dict[str, int], parts: tuple[float, float]) -> None:
    row = run_row(**fields)

    found = delay_parts(row, 0)

    assert found is not None
    assert (found["claim_ms"], found["wait_ms"]) == parts
    assert sum(found.values()) == (row.delay_us or 0) / 1000  # type: ignore[arg-type]
    jittered = delay_parts(run_row(started_at=3_000_000, claimed_at=2_999_000), 1_000)
    assert jittered is not None
    assert sum(jittered.values()) == 2_000  # type: ignore[arg-type]


def test_a_run_that_has_not_started_has_no_delay() -> None:
    assert delay_parts(run_row(started_at=None), 0) is None


async def test_each_attempt_of_a_run_has_the_correlation_id_that_its_service_saw(
    box: Sandbox,
) -> None:
    Once.seen.clear()
    job_id = await create_job(box, service="crm.once", max_retries=1, retry_delay_ms=1_000)
    await box.advance(minutes=6)

    record = (await ask(box, "get-run-detail", id=job_id, current_run=1))["record"]

    assert [*(each["cid"] for each in record["attempts"]), record["cid"]] == Once.seen
    assert len(set(Once.seen)) == 2


async def test_a_request_gives_its_correlation_id_to_its_runs(box: Sandbox) -> None:
    Once.seen.clear()
    trigger = OneTime(start=box.clock.now())
    job = Job(name="", service="crm.once", trigger=trigger, principal="system")
    await box.app.jobs.invoke_async(job, "K1")
    await box.settle()

    assert Once.seen == ["K1"]


async def test_runs_that_callbacks_relate_show_each_other(box: Sandbox) -> None:
    common = {"service": "crm.talk", "minutes": 50}
    after = await create_job(box, name="after", **common)
    called = {"on_success_job": "after", "on_success_service": "crm.talk"}
    job_id = await create_job(box, name="before", **common, **called)
    await ask(box, "execute", id=job_id)
    await box.settle()

    first = (await ask(box, "get-run-detail", id=job_id, current_run=1))["record"]
    caused = {each["job_name"]: each for each in first["callbacks"]}
    second = (
        await ask(box, "get-run-detail", id=after, current_run=caused["after"]["current_run"])
    )["record"]

    assert first["caused_by"] is None
    assert caused["after"]["job_id"] == after
    assert (caused["after"]["outcome"], caused[""]["service"]) == ("ok", "crm.talk")
    assert second["caused_by"] == {
        "job_id": job_id, "job_name": "before", "service": "crm.talk", "current_run": 1,
        "outcome": "ok",
    }  # fmt: skip
    assert second["callbacks"] == []


async def test_a_caller_with_patterns_sees_related_runs_of_its_services_only(
    box: Sandbox,
) -> None:
    called = {"service": "crm.talk", "on_success_service": "crm.once"}
    job_id = await create_job(box, name="before", minutes=50, **called)
    await ask(box, "execute", id=job_id)
    await box.settle()
    sent = {"id": job_id, "current_run": 1}

    seen = [
        (await ask_as(who, box, "get-run-detail", **sent))["record"]["callbacks"]
        for who in (caller("ann", "viewer", "crm.*"), caller("bob", "viewer", "crm.talk"))
    ]

    assert [len(each) for each in seen] == [1, 0]
