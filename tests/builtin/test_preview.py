"""What a definition will do; whole sets of definitions; other schedulers' files."""

from typing import Any

import msgspec
import pytest

from zato_lite import Service
from zato_lite.errors import (
    BadInputError,
    JobExistsError,
    JobNotFoundError,
    ServiceMissingError,
    ZatoLiteError,
)
from zato_lite.testing.app import Sandbox
from zato_lite.timetable import slots as slots_module
from zato_lite.timetable import upcoming as upcoming_module
from zato_lite.timetable.job import Job
from zato_lite.wire import encode
from zato_lite.zato.elements import Int

JOB = "zato.scheduler.job"
NIGHTLY = {
    "name": "nightly", "service": "crm.work", "job_type": "cron_style", "extra": "x",
    "cron_definition": "30 2 * * *", "timezone": "Europe/Warsaw",
}  # fmt: skip


async def _ask(box: Sandbox, name: str, /, **sent: Any) -> Any:
    return await box.invoke(f"{JOB}.{name}", sent)


async def test_a_definition_is_shown_in_words_and_slots_before_it_exists(box: Sandbox) -> None:
    found = await _ask(
        box,
        "get-upcoming",
        job_type="cron_style",
        cron_definition="30 2 * * *",
        timezone="Europe/Warsaw",
        after="2027-03-27T00:00:00Z",
        count=2,
    )

    assert "02:30" in found["words"]
    assert [slot["local"] for slot in found["slots"]] == [
        "2027-03-27T02:30:00+01:00",
        "2027-03-28T03:00:00+02:00",
    ]
    assert any("does not exist" in remark for remark in found["slots"][1]["remarks"])


async def test_the_next_slots_of_a_job_are_shown_by_id_by_name_and_with_changes(
    box: Sandbox,
) -> None:
    job_id = (await box.invoke(f"{JOB}.create", NIGHTLY))["id"]

    by_id = await _ask(box, "get-upcoming", id=job_id, count=1)
    by_name = await _ask(box, "get-upcoming", name="nightly", count=1)
    changed = await _ask(box, "get-upcoming", id=job_id, count=1, cron_definition="45 2 * * *")

    assert by_id == by_name
    assert by_id["slots"][0]["local"] == "2027-01-16T02:30:00+01:00"
    assert changed["slots"][0]["local"] == "2027-01-16T02:45:00+01:00"


async def test_a_definition_is_validated_without_being_created(box: Sandbox) -> None:
    good = await _ask(box, "validate", **NIGHTLY)
    wrong = await _ask(box, "validate", **{**NIGHTLY, "timezone": "Mars", "priority": "x"})

    assert (good["is_valid"], good["definition"]["cron_definition"]) == (True, "30 2 * * *")
    assert {error["field"] for error in wrong["errors"]} == {"timezone", "priority"}
    assert await _ask(box, "get-list") == []


async def test_all_slots_of_a_set_are_simulated_in_order(box: Sandbox) -> None:
    hourly = {**NIGHTLY, "name": "hourly", "cron_definition": "@hourly"}

    found = await _ask(
        box, "simulate", jobs=[NIGHTLY, hourly], start="2027-01-16", until="2027-01-16T02:00:00"
    )
    cut = await _ask(
        box, "simulate", jobs=[hourly], start="2027-01-16", until="2028-01-01", limit=3
    )

    assert [(slot["name"], slot["slot"][11:16]) for slot in found["slots"]] == [
        ("hourly", "01:00"),
        ("nightly", "01:30"),
        ("hourly", "02:00"),
    ]
    assert (found["is_complete"], cut["is_complete"], len(cut["slots"])) == (True, False, 3)


async def test_a_set_is_compared_then_applied_and_the_second_time_changes_nothing(
    box: Sandbox,
) -> None:
    await box.invoke(f"{JOB}.create", NIGHTLY)
    wanted = [{**NIGHTLY, "extra": "y"}, {**NIGHTLY, "name": "new"}]

    told = await _ask(box, "apply", jobs=wanted, dry_run=True)
    before = await _ask(box, "get-list")
    done = await _ask(box, "apply", jobs=wanted)
    again = await _ask(box, "apply", jobs=wanted)

    assert told["updated"] == [{"name": "nightly", "changes": {"extra": {"from": "x", "to": "y"}}}]
    assert told["created"] == ["new"]
    assert len(before) == 1
    assert {**done, "dry_run": True} == told
    assert (again["created"], again["updated"]) == ([], [])
    assert again["unchanged"] == ["nightly", "new"]


async def test_nothing_of_a_set_is_applied_when_one_is_wrong(box: Sandbox) -> None:
    with pytest.raises(BadInputError):
        await _ask(box, "apply", jobs=[NIGHTLY, {**NIGHTLY, "name": "bad", "timezone": "Mars"}])
    with pytest.raises(ServiceMissingError):
        await _ask(box, "apply", jobs=[NIGHTLY, {**NIGHTLY, "name": "bad", "service": "no.such"}])
    with pytest.raises(BadInputError):
        await _ask(box, "apply")

    assert await _ask(box, "get-list") == []


async def test_export_apply_export_is_the_same_to_the_letter(box: Sandbox) -> None:
    await box.invoke(f"{JOB}.create", NIGHTLY)
    every = {"name": "$often", "service": "crm.work", "job_type": "interval_based", "hours": 1,
             "jitter_ms": 5, "on_error_service": "crm.fail", "extra": "a=1\nb=2"}  # fmt: skip
    await box.invoke(f"{JOB}.create", every)

    first = await _ask(box, "export")
    unchanged = await _ask(box, "apply", document=first["document"])
    for job in await _ask(box, "get-list"):
        await _ask(box, "delete", id=job["id"])
    await _ask(box, "apply", document=first["document"])
    second = await _ask(box, "export")

    assert unchanged["unchanged"] == ["$often", "nightly"]
    assert second == first


async def test_a_crontab_is_previewed_first_and_then_created(box: Sandbox) -> None:
    crontab = "*/5 * * * * /usr/bin/true\n@reboot /usr/bin/start\n99 * * * * wrong\n"
    sent = {"format": "crontab", "document": crontab, "service": "crm.work"}

    told = await _ask(box, "import", **sent)
    none = await _ask(box, "get-list")
    done = await _ask(box, "import", **sent, dry_run=False)

    assert none == []
    assert (told["created"], done["created"]) == (0, 1)
    assert [bool(entry["errors"]) for entry in told["entries"]] == [False, True, True]
    assert len(await _ask(box, "get-list")) == 1


async def test_what_cannot_be_imported_is_refused(box: Sandbox) -> None:
    with pytest.raises(BadInputError) as caught:
        await _ask(box, "import", format="crontab", timezone="Mars")
    with pytest.raises(BadInputError):
        await _ask(box, "import", format="pickle", document="x")

    assert {error.field for error in caught.value.errors} == {"document", "timezone", "service"}


async def test_quartz_and_celery_and_apscheduler_come_in_too(box: Sandbox) -> None:
    quartz = await _ask(
        box, "import", format="quartz", document="0 0 12 ? * 2-6\nbad\n", service="crm.work"
    )
    celery = await _ask(
        box, "import", format="celery", document='{"a": {"task": "crm.work", "schedule": 30}}'
    )
    trigger = {"type": "interval", "hours": 1}
    exported = encode({"jobs": [{"id": "a", "func": "no.such", "trigger": trigger}]}).decode()
    other = await _ask(box, "import", format="apscheduler", document=exported)

    assert quartz["entries"][0]["definition"]["cron_definition"] == "0 0 12 ? * 1-5"
    assert quartz["entries"][1]["errors"]
    assert celery["entries"][0]["errors"] == []
    assert other["entries"][0]["errors"] == ["Service `no.such` does not exist"]


async def test_a_job_that_is_missing_has_no_slots(box: Sandbox) -> None:
    with pytest.raises(JobNotFoundError):
        await _ask(box, "get-upcoming", id=99)


TAKEN = {**NIGHTLY, "name": "taken"}
REFUSED = [
    ("service", {"service": "no.such"}),
    ("on_success_service", {"on_success_service": "no.such"}),
    ("on_error_service", {"on_error_service": "no.such"}),
    ("calendar", {"calendar": "none"}),
    ("name", {"name": "taken"}),
    ("timezone", {"timezone": "Mars"}),
    ("job_type", {"job_type": "cron"}),
    ("cron_definition", {"cron_definition": "0 99 * * *"}),
    ("on_success_job", {"on_success_job": "nightly"}),
    ("extra", {"service": "typed.order", "extra": "[1]"}),
]


@pytest.mark.parametrize(("field", "changes"), REFUSED)
async def test_validate_and_create_agree_on_what_is_refused(
    box: Sandbox, field: str, changes: dict[str, Any]
) -> None:
    box.app.registry.add(Order)
    await _ask(box, "create", **TAKEN)
    definition = {**NIGHTLY, **changes}

    found = await _ask(box, "validate", **definition)

    assert (found["is_valid"], {each["field"] for each in found["errors"]}) == (False, {field})
    for name in ("create", "apply", "create-many"):
        sent = definition if name == "create" else {"jobs": [definition]}
        if (name, field) == ("apply", "name"):
            continue  # which would change the existing job
        with pytest.raises(ZatoLiteError):
            await _ask(box, name, **sent)


async def test_unknown_names_are_reported_beside_wrong_fields(box: Sandbox) -> None:
    sent = {
        **NIGHTLY,
        "service": "no.such",
        "calendar": "none",
        "timezone": "Mars",
        "priority": "x",
    }

    found = await _ask(box, "validate", **sent)

    assert {each["field"] for each in found["errors"]} == {
        "service", "calendar", "timezone", "priority"
    }  # fmt: skip


async def test_the_name_of_the_job_itself_is_not_in_its_way(box: Sandbox) -> None:
    job_id = (await _ask(box, "create", **TAKEN))["id"]

    assert (await _ask(box, "validate", **TAKEN, id=job_id))["is_valid"]
    assert (await _ask(box, "validate", **TAKEN, should_ignore_existing=True))["is_valid"]
    assert not (await _ask(box, "validate", **TAKEN, id=job_id + 1))["is_valid"]


async def test_a_callback_job_that_does_not_exist_yet_is_a_warning(box: Sandbox) -> None:
    found = await _ask(box, "validate", **{**NIGHTLY, "on_error_job": "later"})

    assert found["is_valid"]
    assert found["warnings"] == ["callback job `later` does not exist yet"]


class Order(Service):
    name = "typed.order"
    input = "sku", Int("count"), "-note"

    async def handle(self) -> None:
        self.response.payload = self.request.input.count


class Struct(msgspec.Struct):
    at: str
    numbers: list[int] = []


class Native(Service[Struct, Any]):
    name = "typed.native"

    async def handle(self) -> None:
        pass


class Unchecked(Service):
    name = "typed.not"

    async def handle(self) -> None:
        pass


EXTRAS: list[tuple[str, Any, bool]] = [
    ("typed.order", '{"sku": "a", "count": 1}', True),
    ("typed.order", "sku=a\ncount=1", True),
    ("typed.order", '{"sku": "a"}', False),
    ("typed.order", '{"sku": "a", "count": "x"}', False),
    ("typed.order", None, False),
    ("typed.order", "just text", False),
    ("typed.native", {"at": "x", "numbers": [1]}, True),
    ("typed.native", {"at": "x", "numbers": ["1"]}, False),
    ("typed.native", {"numbers": []}, False),
    ("typed.native", {"zato_embedded": True, "data": {"at": "x"}}, True),
    ("typed.native", None, False),
    ("typed.not", "anything", True),
    ("typed.not", None, True),
    ("zato.scheduler.job.pause", {"id": 1}, True),
    ("zato.scheduler.job.pause", {"id": "x"}, False),
]


@pytest.mark.parametrize(("service", "extra", "fits"), EXTRAS)
async def test_extra_is_checked_against_the_input_of_the_service(
    box: Sandbox, service: str, extra: Any, fits: bool
) -> None:
    for cls in (Order, Native, Unchecked):
        box.app.registry.add(cls)
    sent = {**NIGHTLY, "service": service, "extra": extra}
    other = (await _ask(box, "create", **TAKEN))["id"]
    asks = {
        "create": sent,
        "create-many": {"jobs": [{**NIGHTLY, "name": "a"}, {**sent, "name": "b"}]},
        "apply": {"jobs": [{**sent, "name": "c"}], "dry_run": True},
        "edit": {"id": other, "service": service, "extra": extra},
    }

    assert (await _ask(box, "validate", **{**sent, "name": "d"}))["is_valid"] is fits
    for name, payload in asks.items():
        if fits:
            await _ask(box, name, **payload)
            continue
        with pytest.raises(BadInputError) as caught:
            await _ask(box, name, **payload)
        assert {error.field for error in caught.value.errors} == {"extra"}


async def test_a_service_may_be_deployed_later_where_that_is_asked_for(box: Sandbox) -> None:
    early = {**NIGHTLY, "service": "typed.order", "extra": "[1]", "allow_missing_services": True}

    assert (await _ask(box, "validate", **early))["is_valid"]
    await _ask(box, "create", **early)
    await _ask(box, "apply", jobs=[{**early, "name": "b"}, {**NIGHTLY, "name": "c"}])
    with pytest.raises(ServiceMissingError):
        await _ask(box, "apply", jobs=[{**early, "name": "d"}, {**NIGHTLY, "service": "no.such"}])

    box.app.registry.add(Order)
    with pytest.raises(BadInputError, match=r"typed\.order"):
        await _ask(box, "create", **{**early, "name": "e"})


@pytest.mark.parametrize(
    "fields",
    [
        {"cron_definition": "@every 5m", "timezone": "UTC"},
        {"cron_definition": "@EVERY 90s", "timezone": "Europe/Warsaw"},
        {"cron_definition": "@every 1h30m", "timezone": "Asia/Tokyo", "cron_day_and": True},
        {"cron_definition": "@hourly", "timezone": "Australia/Lord_Howe"},
        {"cron_definition": "H H * * *", "timezone": "Europe/Warsaw"},
        {"job_type": "interval_based", "minutes": 5, "cron_definition": None},
        {"job_type": "one_time", "start_date": "2027-02-01", "cron_definition": None},
    ],
)
async def test_all_previews_agree_on_a_job(box: Sandbox, fields: dict[str, Any]) -> None:
    definition = {**NIGHTLY, **fields}

    shown = await _ask(box, "get-upcoming", **definition, count=2)
    created = (await _ask(box, "create", **definition))["id"]
    stored = await _ask(box, "get-upcoming", id=created, count=2)
    simulated = await _ask(box, "simulate", until="2027-03-15")

    assert (await _ask(box, "validate", **definition, id=created))["words"] == shown["words"]
    assert shown == stored
    assert [each["slot"] for each in simulated["slots"]][:2] == [
        each["slot"] for each in shown["slots"]
    ]
    assert simulated["errors"] == []


async def test_one_job_that_cannot_be_computed_does_not_end_a_simulation(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "broken", "c"):
        await _ask(box, "create", **{**NIGHTLY, "name": name, "cron_definition": "@hourly"})
    compute = slots_module.next_slot

    def next_slot(job: Job, *rest: Any) -> Any:
        if job.name == "broken":
            raise BadInputError("not a job of this version")
        return compute(job, *rest)

    monkeypatch.setattr(upcoming_module, "next_slot", next_slot)

    found = await _ask(box, "simulate", until="2027-01-15T10:00:00")

    assert [each["name"] for each in found["slots"]] == ["a", "c", "a", "c"]
    assert found["errors"] == [{"name": "broken", "message": "not a job of this version"}]


async def test_wrong_definitions_of_a_simulation_are_named_by_their_place(box: Sandbox) -> None:
    jobs = [NIGHTLY, {**NIGHTLY, "timezone": "Mars"}, {**NIGHTLY, "name": ""}]

    with pytest.raises(BadInputError) as caught:
        await _ask(box, "simulate", jobs=jobs, until="2027-01-16")

    assert [error.field for error in caught.value.errors] == ["jobs[1].timezone", "jobs[2].name"]


@pytest.mark.parametrize("name", ["get-upcoming", "simulate"])
async def test_a_preview_refuses_a_calendar_that_does_not_exist(box: Sandbox, name: str) -> None:
    definition = {**NIGHTLY, "calendar": "none"}
    sent = definition if name == "get-upcoming" else {"jobs": [definition], "until": "2027-02-01"}

    with pytest.raises(BadInputError, match="calendar"):
        await _ask(box, name, **sent)


@pytest.mark.parametrize(
    "jobs",
    [
        [{**NIGHTLY, "name": "a"}, {**NIGHTLY, "name": "a"}],
        [{**NIGHTLY, "service": "no.such"}],
        [{**NIGHTLY, "on_error_job": "nightly"}],
        [{**NIGHTLY, "calendar": "none"}],
        [{**NIGHTLY, "service": "typed.order"}],
        [{**NIGHTLY, "name": "a\ud800"}],
        [{**NIGHTLY, "extra": "\ud800"}],
        [{**NIGHTLY, "name": "new"}, {**TAKEN, "hours": 1}],
        [{**NIGHTLY, "name": "new"}],
    ],
)
async def test_a_dry_run_has_the_errors_of_the_real_one_and_changes_nothing(
    box: Sandbox, jobs: list[dict[str, Any]]
) -> None:
    box.app.registry.add(Order)
    await _ask(box, "create", **TAKEN)
    before = await _ask(box, "export")
    outcomes: list[Any] = []

    for dry_run in (True, False):
        try:
            answer = await _ask(box, "apply", jobs=jobs, dry_run=dry_run)
            outcomes.append({**answer, "dry_run": None})
        except ZatoLiteError as error:
            outcomes.append((type(error), str(error)))
        if dry_run:
            assert await _ask(box, "export") == before

    assert outcomes[0] == outcomes[1]


async def test_a_rehearsal_meets_names_that_were_taken_meanwhile(box: Sandbox) -> None:
    await _ask(box, "create", **TAKEN)
    [row] = (await box.app.jobs.list())[0]

    for dry_run in (True, False):
        with pytest.raises(JobExistsError):
            await box.app.jobs.apply([row.job], {}, dry_run=dry_run)
        with pytest.raises(JobNotFoundError):
            await box.app.jobs.apply([], {row.id + 1: row.job}, dry_run=dry_run)


async def test_a_name_twice_in_one_request_is_said_so(box: Sandbox) -> None:
    with pytest.raises(JobExistsError, match="`nightly` is defined twice in this request"):
        await _ask(box, "create-many", jobs=[NIGHTLY, NIGHTLY])


async def test_names_that_look_alike_are_one_name(box: Sandbox) -> None:
    await _ask(box, "create", **{**NIGHTLY, "name": "caf\u00e9"})

    with pytest.raises(JobExistsError):
        await _ask(box, "create", **{**NIGHTLY, "name": "cafe\u0301"})
    assert (await _ask(box, "get-by-name", name="cafe\u0301"))["name"] == "caf\u00e9"
    found = await _ask(box, "apply", jobs=[{**NIGHTLY, "name": "cafe\u0301"}])
    assert found["unchanged"] == ["caf\u00e9"]


@pytest.mark.parametrize("name", ["localtime", "posixrules", "Factory", "LOCALTIME"])
async def test_a_zone_is_not_proposed_in_place_of_itself(box: Sandbox, name: str) -> None:
    with pytest.raises(BadInputError) as caught:
        await _ask(box, "create", **{**NIGHTLY, "timezone": name})

    assert name.lower() not in str(caught.value).lower().partition("did you mean")[2]


async def test_other_sections_of_an_enmasse_document_are_differences(box: Sandbox) -> None:
    document = "scheduler: []\nsecurity: [{name: a}]\nsql: [{name: b}, {name: c}]\n"

    found = await _ask(box, "apply", document=document)

    assert found["differences"] == [
        "section `security` has no effect here, only in the server's own file: 1 entries left out",
        "section `sql` has no effect here, only in the server's own file: 2 entries left out",
    ]


@pytest.mark.parametrize("value", [{}, [], "maybe", 2, None])
async def test_validate_takes_any_value_of_should_ignore_existing_as_create_does(
    box: Sandbox, value: Any
) -> None:
    job = {"name": "a", "service": "crm.work", "job_type": "one_time"}

    answer = await _ask(box, "validate", **job, should_ignore_existing=value)

    assert answer["is_valid"]


async def test_slots_are_shown_in_the_caller_s_zone_beside_the_job_s(box: Sandbox) -> None:
    job_id = (await box.invoke(f"{JOB}.create", NIGHTLY))["id"]

    found = await _ask(box, "get-upcoming", id=job_id, count=1, mine="Asia/Tokyo")

    assert found["timezone"] == "Europe/Warsaw"
    assert found["slots"][0]["local"] == "2027-01-16T02:30:00+01:00"
    assert found["slots"][0]["mine"] == "2027-01-16T10:30:00+09:00"


async def test_only_remarkable_slots_have_notes_with_codes_and_values(box: Sandbox) -> None:
    await box.invoke("zato.scheduler.calendar.create", {"name": "off", "yearly": ["12-25"]})

    found = await _ask(
        box, "get-upcoming", **NIGHTLY, calendar="off", only_remarkable=True, mine="UTC"
    )

    assert [(slot["local"], slot["notes"][0]["code"]) for slot in found["slots"]] == [
        ("2027-03-28T03:00:00+02:00", "clock_gap"),
        ("2027-10-31T02:30:00+02:00", "clock_fold"),
        ("2027-12-26T02:30:00+01:00", "excluded"),
    ]
    assert found["slots"][0]["notes"][0]["wall"] == "2027-03-28 02:30:00"
    excluded = found["slots"][2]["notes"][0]
    assert (excluded["first_iso"], excluded["count"], excluded["reason"]) == (
        "2027-12-25T01:30:00+00:00",
        1,
        "calendar off: 12-25",
    )


@pytest.mark.parametrize(
    "sent", [{"mine": "Mars"}, {"mine": 5}, {"only_remarkable": "perhaps"}, {"mine": "../UTC"}]
)
async def test_wrong_options_of_a_preview_are_refused(box: Sandbox, sent: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        await _ask(box, "get-upcoming", **NIGHTLY, **sent)
