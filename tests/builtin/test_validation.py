"""Validation of definitions and of changes: all wrong fields together, and what would change."""

from typing import Any

import msgspec
import pytest

from tests.builtin.conftest import ask, ask_as, caller, create_job
from zato_lite import Service
from zato_lite.errors import BadInputError, ConflictError, ForbiddenError
from zato_lite.service.message import Caller
from zato_lite.testing.app import Sandbox

EDITOR = caller("ann", "editor")
EVERY = {"name": "new", "service": "crm.work", "job_type": "interval_based", "minutes": 5}


class Numbers(msgspec.Struct):
    count: int


class Typed(Service[Numbers, Any]):
    name = "crm.typed"

    async def handle(self) -> None:
        pass


def fields_of(answer: dict[str, Any]) -> set[str]:
    assert answer["is_valid"] is not bool(answer["errors"])
    return {error["field"] for error in answer["errors"]}


async def test_all_mistakes_are_reported_together_each_at_its_field(box: Sandbox) -> None:
    box.app.registry.add(Typed)
    await create_job(box, name="taken")
    sent = {
        "name": "taken", "service": "crm.typed", "extra": '{"count": "many"}', "minutes": -1,
        "job_type": "interval_based", "calendar": "none", "timezone": "Mars",
        "on_error_service": "no.such", "on_success_job": "nobody", "on_missed": "never",
    }  # fmt: skip

    found = await ask_as(EDITOR, box, "validate", **sent)

    assert fields_of(found) == {
        "name", "extra", "calendar", "timezone", "on_error_service", "on_success_job",
        "on_missed", "minutes",
    }  # fmt: skip


@pytest.mark.parametrize("who", [caller("v", "viewer"), caller("c", "editor", "billing.*")])
async def test_a_service_that_the_caller_may_not_schedule_is_an_error_of_the_field(
    box: Sandbox, who: Caller
) -> None:
    found = await ask_as(who, box, "validate", **EVERY)

    assert fields_of(found) == {"service"}
    assert "not allowed to schedule service 'crm.work'" in found["errors"][0]["message"]


async def test_a_refused_service_is_not_compared_with_the_deployed_ones(box: Sandbox) -> None:
    confined = caller("c", "editor", "billing.*")

    there, missing = [
        await ask_as(confined, box, "validate", **{**EVERY, "service": name})
        for name in ("crm.work", "crm.away")
    ]

    assert str(there["errors"]).replace("crm.work", "crm.away") == str(missing["errors"])


async def test_a_principal_that_the_caller_may_not_name_is_an_error_of_the_field(
    box: Sandbox,
) -> None:
    found = await ask_as(EDITOR, box, "validate", **EVERY, principal="user:root")

    assert fields_of(found) == {"principal"}


async def test_changes_are_listed_against_the_stored_definition(box: Sandbox) -> None:
    job_id = await create_job(box, priority=3)

    found = await ask_as(EDITOR, box, "validate", id=job_id, minutes=10, priority=None)

    assert found["changes"] == [
        {"field": "minutes", "from": 5, "to": 10},
        {"field": "priority", "from": 3, "to": None},
    ]
    assert (found["version"], found["words_before"]) == (1, "every 5 minutes")
    assert (found["words"], found["warnings"]) == ("every 10 minutes", [])


async def test_no_change_is_an_empty_list(box: Sandbox) -> None:
    job_id = await create_job(box)
    job = await ask(box, "get-by-id", id=job_id)

    found = await ask_as(EDITOR, box, "validate", id=job_id, extra=job["extra"], minutes=5)

    assert (found["is_valid"], found["changes"]) == (True, [])


async def test_a_stale_version_is_an_error_beside_the_changes_against_what_is_stored(
    box: Sandbox,
) -> None:
    job_id = await create_job(box)
    await ask(box, "edit", id=job_id, priority=9)

    found = await ask_as(EDITOR, box, "validate", id=job_id, version=1, minutes=10)

    assert fields_of(found) == {"version"}
    assert found["version"] == 2
    assert found["changes"] == [{"field": "minutes", "from": 5, "to": 10}]


async def test_an_edit_of_a_stale_version_changes_nothing(box: Sandbox) -> None:
    job_id = await create_job(box)

    first = await ask_as(EDITOR, box, "edit", id=job_id, version=1, minutes=6)
    with pytest.raises(ConflictError, match="changed since version 1: it has version 2"):
        await ask_as(EDITOR, box, "edit", id=job_id, version=1, minutes=7)

    job = await ask(box, "get-by-id", id=job_id)
    assert (first["version"], job["version"], job["minutes"]) == (2, 2, 6)


@pytest.mark.parametrize("version", [0, -1, "x", [], 1.5, 10**30])
async def test_a_version_is_a_number_from_one(box: Sandbox, version: Any) -> None:
    job_id = await create_job(box)

    found = await ask_as(EDITOR, box, "validate", id=job_id, version=version)
    with pytest.raises(BadInputError, match="version"):
        await ask_as(EDITOR, box, "edit", id=job_id, version=version)

    assert fields_of(found) == {"version"}


@pytest.mark.parametrize("job_id", [99, 0, "x", {}, 2**70])
async def test_an_id_without_a_job_is_an_error_of_the_field(box: Sandbox, job_id: Any) -> None:
    found = await ask_as(EDITOR, box, "validate", **EVERY, id=job_id)

    assert fields_of(found) == {"id"}


async def test_the_changes_of_a_job_are_shown_to_those_who_may_see_it(box: Sandbox) -> None:
    job_id = await create_job(box)
    confined = caller("c", "editor", "billing.*")

    with pytest.raises(ForbiddenError):
        await ask_as(confined, box, "validate", id=job_id, minutes=1)


async def test_what_an_edit_leaves_alone_is_not_checked_again(box: Sandbox) -> None:
    job_id = await create_job(box, service="later.work", allow_missing_services=True)

    untouched = await ask_as(EDITOR, box, "validate", id=job_id, minutes=9)
    moved = await ask_as(EDITOR, box, "validate", id=job_id, service="later.other")

    assert (fields_of(untouched), fields_of(moved)) == (set(), {"service"})
    await ask_as(EDITOR, box, "edit", id=job_id, minutes=9)


@pytest.mark.parametrize("sent", [None, [], "text", 5, {"name": ["x"]}, {"extra": {"a": 2**80}}])
async def test_any_payload_gets_an_answer(box: Sandbox, sent: Any) -> None:
    answer = await box.app.invoker.invoke("zato.scheduler.job.validate", sent, caller=EDITOR)

    assert not answer["is_valid"]


NOT_DURATIONS: list[Any] = ["", "15", "15 parsecs", "min" * 50, "-5 min", "1.0005 s", [], 3, {}]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("15 min", {"minutes": 15}),
        ("1h30m", {"hours": 1, "minutes": 30}),
        ("2 days and 4 hours", {"days": 2, "hours": 4}),
        ("1.5 s", {"seconds": 1, "milliseconds": 500}),
        ("90 min", {"hours": 1, "minutes": 30}),
        ("hour", {"hours": 1}),
    ],
)
async def test_a_period_may_be_in_words(box: Sandbox, words: str, parts: dict[str, int]) -> None:
    job = {"name": "a", "service": "crm.work", "job_type": "interval_based", "every": words}

    found = await ask(box, "validate", **job)

    periods = ("weeks", "days", "hours", "minutes", "seconds", "milliseconds")
    definition = found["definition"]
    assert {field: definition[field] for field in periods if field in definition} == parts


@pytest.mark.parametrize("words", NOT_DURATIONS)
async def test_other_words_are_not_a_period(box: Sandbox, words: Any) -> None:
    job = {"name": "a", "service": "crm.work", "job_type": "interval_based", "every": words}

    found = await ask(box, "validate", **job)

    assert fields_of(found) <= {"every", "seconds"}
    assert not found["is_valid"]


async def test_a_period_in_words_replaces_the_one_before(box: Sandbox) -> None:
    job_id = await create_job(box)

    await ask(box, "edit", id=job_id, every="2 hours")
    with pytest.raises(BadInputError, match="either"):
        await ask(box, "edit", id=job_id, every="2 hours", minutes=1)

    job = await ask(box, "get-by-id", id=job_id)
    assert (job["hours"], job.get("minutes"), job.get("every")) == (2, None, None)


async def test_other_durations_may_be_in_words(box: Sandbox) -> None:
    job_id = await create_job(
        box, max_execution_time_ms="15 min", catch_up_window_seconds="2 days", jitter_ms="3 s"
    )

    job = await ask(box, "get-by-id", id=job_id)

    assert job["max_execution_time_ms"] == 900_000
    assert (job["catch_up_window_seconds"], job["jitter_ms"]) == (172_800, 3_000)
    for words in ("1 ms", "2 years", "-1 s"):
        with pytest.raises(BadInputError, match="catch_up_window_seconds"):
            await ask(box, "edit", id=job_id, catch_up_window_seconds=words)
