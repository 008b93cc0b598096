"""What a definition will do; whole sets of definitions; other schedulers' files."""

from typing import Any

import pytest

from zato_lite.errors import BadInputError, JobNotFoundError, ServiceMissingError
from zato_lite.testing.app import Sandbox
from zato_lite.wire import encode

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
    with pytest.raises(ServiceMissingError):
        await _ask(box, "validate", **{**NIGHTLY, "service": "no.such"})


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
