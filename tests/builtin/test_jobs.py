"""The services of jobs: what is good, what is wrong, what is missing, what is hostile."""

import asyncio
import sys
from types import FrameType
from typing import Any

import pytest

from zato_lite.builtin.definition_many import BATCH_SIZE as AT_ONCE
from zato_lite.builtin.job_list import page_headers
from zato_lite.errors import (
    BadInputError,
    JobExistsError,
    JobNotFoundError,
    ServiceMissingError,
)
from zato_lite.service.message import Invocation
from zato_lite.testing.app import Sandbox

JOB = "zato.scheduler.job"
EVERY: dict[str, Any] = {
    "cluster_id": 1,
    "name": "often",
    "is_active": True,
    "service": "crm.work",
    "job_type": "interval_based",
    "start_date": "2027-01-15T07:00:00",
    "minutes": 5,
}
HOSTILE = [
    "../../etc/passwd",
    "'; DROP TABLE job; --",
    "<script>alert(1)</script>",
    '"quoted" %s {} $HOME `id`',
    "zażółć gęślą jaźń 🚀",
    "%_ escaped \\ like",
]


async def _create(box: Sandbox, **fields: Any) -> int:
    answer = await box.invoke(f"{JOB}.create", {**EVERY, **fields})
    return int(answer["id"])


async def _get(box: Sandbox, job_id: int) -> dict[str, Any]:
    found: dict[str, Any] = await box.invoke(f"{JOB}.get-by-id", {"cluster_id": 1, "id": job_id})
    return found


async def test_a_created_job_is_got_by_id_and_by_name(box: Sandbox) -> None:
    answer = await box.invoke(f"{JOB}.create", EVERY)

    by_id = await _get(box, answer["id"])
    assert answer == {"id": by_id["id"], "name": "often"}
    assert by_id == await box.invoke(f"{JOB}.get-by-name", {"cluster_id": 1, "name": "often"})
    assert by_id["next_run_utc"] == "2027-01-15T08:05:00"
    assert (by_id["last_run_utc"], by_id["last_duration_ms"]) == ("", None)


async def test_a_cron_job_comes_back_as_it_was_given(box: Sandbox) -> None:
    cron = {**EVERY, "minutes": None, "job_type": "cron_style", "cron_definition": " @hourly "}

    answer = await box.invoke(f"{JOB}.create", cron)

    assert answer["cron_definition"] == "@hourly"


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name_is_just_a_name(box: Sandbox, name: str) -> None:
    job_id = await _create(box, name=name)

    assert (await _get(box, job_id))["name"] == name
    found = await box.invoke(f"{JOB}.get-list", {"query": name})
    assert [job["name"] for job in found] == [name]
    assert len(await box.invoke(f"{JOB}.get-list", {"query": "often"})) == 0


@pytest.mark.parametrize(
    "name", ["a\0b", "a\u202eb", "a\nb", "x" * 10_000, "\ud800", 7, ["a"]], ids=ascii
)
async def test_a_name_with_unreadable_characters_is_refused(box: Sandbox, name: Any) -> None:
    with pytest.raises(BadInputError) as caught:
        await _create(box, name=name)

    assert [error.field for error in caught.value.errors] == ["name"]
    assert await box.invoke(f"{JOB}.get-list") == []


async def test_a_name_is_taken_once(box: Sandbox) -> None:
    await _create(box)

    with pytest.raises(JobExistsError, match=r"^Job `often` already exists$"):
        await _create(box)

    answer = await box.invoke(f"{JOB}.create", {**EVERY, "should_ignore_existing": True})
    assert answer == {}


@pytest.mark.parametrize("field", ["service", "on_success_service", "on_error_service"])
async def test_a_service_must_be_deployed(box: Sandbox, field: str) -> None:
    with pytest.raises(ServiceMissingError, match=r"^Service `no\.such` does not exist"):
        await _create(box, **{field: "no.such"})


async def test_a_missing_callback_job_is_accepted_with_a_warning(
    box: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    first = await _create(box, on_success_job="second")
    await box.invoke(f"{JOB}.create-many", {"jobs": [{**EVERY, "name": "second"}]})
    await box.invoke(f"{JOB}.edit", {"id": first, "on_error_job": "other"})
    applied = {"jobs": [{**EVERY, "name": "third", "on_error_job": "fourth"}]}
    await box.invoke(f"{JOB}.apply", {**applied, "dry_run": True})
    await box.invoke(f"{JOB}.apply", applied)

    warned = [
        record for record in caplog.records if record.getMessage() == "callback jobs missing"
    ]
    assert [vars(record)["missing_jobs"] for record in warned] == [
        ["second"],
        ["other"],
        ["fourth"],
    ]


async def test_jobs_that_are_created_together_may_call_each_other_back(
    box: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    ping, pong = {**EVERY, "name": "ping"}, {**EVERY, "name": "pong"}
    jobs = [{**ping, "on_success_job": "pong"}, {**pong, "on_success_job": "ping"}]

    await box.invoke(f"{JOB}.create-many", {"jobs": jobs})

    assert "callback jobs missing" not in caplog.text


async def test_a_calendar_must_exist(box: Sandbox) -> None:
    with pytest.raises(BadInputError, match="'PL' does not exist; available: none"):
        await _create(box, calendar="PL")

    await box.invoke("zato.scheduler.calendar.create", {"name": "PL", "dates": ["2027-01-15"]})
    assert await _create(box, calendar="PL")


@pytest.mark.parametrize(
    ("service", "payload"),
    [
        ("edit", {"priority": 1}),
        ("delete", {}),
        ("execute", {}),
        ("set-active-status", {"is_active": True}),
        ("get-by-id", {}),
        ("pause", {}),
        ("resume", {}),
        ("skip-next", {}),
        ("backfill", {"first": "2027-01-01", "last": "2027-01-02"}),
        ("why", {"at": "2027-01-01"}),
        ("retry-run", {"current_run": 1}),
    ],
)
async def test_a_missing_job_is_reported(
    box: Sandbox, service: str, payload: dict[str, Any]
) -> None:
    with pytest.raises(JobNotFoundError):
        await box.invoke(f"{JOB}.{service}", {"id": 99, **payload})


@pytest.mark.parametrize("job_id", [0, -1, "x", 2**63, True, 1.5, [1], {"a": 1}], ids=repr)
async def test_an_id_is_a_positive_whole_number(box: Sandbox, job_id: Any) -> None:
    with pytest.raises(BadInputError) as caught:
        await box.invoke(f"{JOB}.get-by-id", {"id": job_id})

    assert caught.value.errors[0].field == "id"


@pytest.mark.parametrize("service", ["create", "edit", "delete", "get-list", "get-history", "why"])
@pytest.mark.parametrize("payload", [[1], "text", 7])
async def test_a_payload_that_is_not_an_object_is_refused(
    box: Sandbox, service: str, payload: Any
) -> None:
    with pytest.raises(BadInputError):
        await box.invoke(f"{JOB}.{service}", payload)


async def test_an_edit_changes_the_sent_fields_only(box: Sandbox) -> None:
    job_id = await _create(box, extra="x", priority=3)

    answer = await box.invoke(f"{JOB}.edit", {"id": job_id, "name": "renamed", "priority": None})

    after = await _get(box, job_id)
    assert answer == {"id": job_id, "name": "renamed"}
    assert (after["name"], after["extra"], after.get("priority")) == ("renamed", "x", None)
    assert after["next_run_utc"] == "2027-01-15T08:05:00"


async def test_a_wrong_edit_changes_nothing(box: Sandbox) -> None:
    job_id = await _create(box)
    await _create(box, name="other")
    before = await _get(box, job_id)

    with pytest.raises(BadInputError):
        await box.invoke(f"{JOB}.edit", {"id": job_id, "priority": 1, "minutes": -1})
    with pytest.raises(JobExistsError):
        await box.invoke(f"{JOB}.edit", {"id": job_id, "priority": 1, "name": "other"})
    with pytest.raises(ServiceMissingError):
        await box.invoke(f"{JOB}.edit", {"id": job_id, "priority": 1, "service": "no.such"})

    assert await _get(box, job_id) == before


async def test_many_are_created_all_or_none(box: Sandbox) -> None:
    good = [{**EVERY, "name": f"job-{n}"} for n in range(100)]

    answer = await box.invoke(f"{JOB}.create-many", {"jobs": good})
    with pytest.raises(JobExistsError):
        await box.invoke(f"{JOB}.create-many", {"jobs": [{**EVERY, "name": "new"}, good[0]]})
    with pytest.raises(BadInputError, match=r"jobs\[1\]"):
        await box.invoke(f"{JOB}.create-many", {"jobs": [{**EVERY, "name": "new"}, {}]})

    assert len(set(answer["ids"])) == 100
    assert len(await box.invoke(f"{JOB}.get-list")) == 100


async def test_other_tasks_run_while_many_definitions_are_checked(box: Sandbox) -> None:
    many = [{**EVERY, "name": f"job-{n}"} for n in range(10 * AT_ONCE)]
    turns = 0

    asked = asyncio.create_task(box.invoke(f"{JOB}.create-many", {"jobs": [*many, {}]}))
    while not asked.done():
        turns += 1
        await asyncio.sleep(0)

    with pytest.raises(BadInputError, match=r"jobs\[2560\]"):
        await asked
    assert turns > 10


async def test_a_list_comes_in_pages_with_zatos_headers(box: Sandbox) -> None:
    jobs = [{**EVERY, "name": f"job-{n:02}"} for n in range(45)]
    await box.invoke(f"{JOB}.create-many", {"jobs": jobs})

    outcome = await box.app.invoker.run(
        Invocation(f"{JOB}.get-list", {"paginate": True, "cur_page": 2})
    )

    assert [job["name"] for job in outcome.payload] == [f"job-{n}" for n in range(20, 40)]
    assert outcome.overrides is not None
    assert outcome.overrides.sent_headers == {
        "X-Zato-Page-Current": "2",
        "X-Zato-Page-Size": "20",
        "X-Zato-Page-Total": "3",
        "X-Zato-Page-Previous": "1",
        "X-Zato-Page-Next": "3",
        "X-Zato-Page-Has-Previous": "True",
        "X-Zato-Page-Has-Next": "True",
        "X-Zato-Result-Total": "45",
    }


@pytest.mark.parametrize(
    ("page", "previous", "following"), [(1, "None", "2"), (2, "1", "3"), (3, "2", "None")]
)
def test_the_first_and_the_last_page_have_texts_that_zatos_clients_read(
    page: int, previous: str, following: str
) -> None:
    headers = page_headers(page, 20, 45)

    assert headers["X-Zato-Page-Previous"] == previous
    assert headers["X-Zato-Page-Next"] == following
    assert headers["X-Zato-Page-Has-Previous"] == str(previous != "None")
    assert headers["X-Zato-Page-Has-Next"] == str(following != "None")


async def test_a_list_is_searched_by_words_and_by_service(box: Sandbox) -> None:
    await _create(box, name="Nightly report PL")
    await _create(box, name="nightly REPORT de", service="crm.fail")

    both = await box.invoke(f"{JOB}.get-list", {"query": "report night"})
    one = await box.invoke(f"{JOB}.get-list", {"query": "report", "service_name": "crm.fail"})

    assert len(both) == 2
    assert [job["name"] for job in one] == ["nightly REPORT de"]


@pytest.mark.parametrize(
    "sent", [{"cur_page": 0}, {"page_size": 501}, {"page_size": "x"}, {"paginate": "maybe"}]
)
async def test_an_invalid_page_is_refused(box: Sandbox, sent: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        await box.invoke(f"{JOB}.get-list", sent)


async def test_a_deleted_job_is_gone_and_its_name_free(box: Sandbox) -> None:
    job_id = await _create(box)

    assert await box.invoke(f"{JOB}.delete", {"id": job_id}) == {}

    with pytest.raises(JobNotFoundError):
        await _get(box, job_id)
    assert await _create(box) != job_id


@pytest.mark.parametrize("field", ["id", "job_id"])
async def test_a_job_is_executed_by_either_name_of_its_id(box: Sandbox, field: str) -> None:
    job_id = await _create(box, is_active=False)

    await box.invoke(f"{JOB}.execute", {field: job_id})
    await box.settle()

    history = await box.invoke(f"{JOB}.get-history", {"id": job_id})
    assert [(row["kind"], row["outcome"]) for row in history["rows"]] == [("manual", "ok")]


async def test_a_job_that_is_switched_off_does_not_run(box: Sandbox) -> None:
    job_id = await _create(box)

    await box.invoke(f"{JOB}.set-active-status", {"id": job_id, "is_active": False})
    await box.advance(minutes=20)
    await box.invoke(f"{JOB}.set-active-status", {"id": job_id, "is_active": "true"})
    await box.advance(minutes=5)

    history = await box.invoke(f"{JOB}.get-history", {"id": job_id})
    assert [row["planned_fire_time_iso"] for row in history["rows"]] == [
        "2027-01-15T08:25:00+00:00"
    ]
    ledger = await box.invoke(f"{JOB}.get-ledger", {"id": job_id})
    assert [(row["outcome"], row["count"]) for row in ledger["rows"]] == [("paused", 4)]


async def test_the_largest_extra_is_stored_unchanged_and_a_larger_one_refused(
    box: Sandbox,
) -> None:
    extra = "ż" * 500_000
    job_id = await _create(box, extra=extra)

    assert (await _get(box, job_id))["extra"] == extra
    with pytest.raises(BadInputError, match="at most 500000 characters"):
        await _create(box, name="bigger", extra=extra + "x")


async def test_a_creation_takes_few_python_calls_to_the_store(box: Sandbox) -> None:
    await calls_to_the_store(box, {**EVERY, "name": "first", "hours": 1})

    alike = await calls_to_the_store(box, {**EVERY, "name": "alike", "hours": 1})
    unlike = await calls_to_the_store(box, {**EVERY, "name": "unlike", "hours": 7})

    assert alike <= 30
    assert unlike <= 60


async def calls_to_the_store(box: Sandbox, definition: dict[str, Any]) -> int:
    """Return the number of Python calls from the service's ``handle`` to the store's part."""
    names: list[str] = []

    def count(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and (names or frame.f_code.co_qualname == "AuditedService.handle"):
            names.append(frame.f_code.co_qualname)

    sys.setprofile(count)
    try:
        await box.invoke(f"{JOB}.create", definition)
    finally:
        sys.setprofile(None)
    return names.index("JobCommands.create")
