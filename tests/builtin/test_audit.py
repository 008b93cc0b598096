from typing import Any

import pytest

from zato_lite.errors import BadInputError, ForbiddenError, JobExistsError, JobNotFoundError
from zato_lite.service.message import Caller
from zato_lite.testing.app import Sandbox

JOB = "zato.scheduler.job"
ANN = Caller("ann", frozenset({"editor"}))
ROBOT = Caller("robot", frozenset({"editor"}), ("crm.work", "zato.scheduler.*"))
EVERY = {"name": "often", "service": "crm.work", "job_type": "interval_based", "minutes": 5}


async def _as(box: Sandbox, caller: Caller, service: str, payload: Any = None) -> Any:
    return await box.app.invoker.invoke(f"{JOB}.{service}", payload, caller=caller)


async def test_changes_and_refused_attempts_are_recorded_with_their_caller(box: Sandbox) -> None:
    job_id = (await _as(box, ANN, "create", EVERY))["id"]
    with pytest.raises(JobExistsError):
        await _as(box, ANN, "create", EVERY)
    with pytest.raises(JobNotFoundError):
        await _as(box, ANN, "delete", {"id": 99})
    await _as(box, ANN, "get-list")
    await box.invoke(f"{JOB}.execute", {"id": job_id})

    lines = await box.invoke("zato.audit.get-list")

    assert [
        (line["who"], line["action"].rpartition(".")[2], line["subject"]) for line in lines[::-1]
    ] == [
        ("ann", "create", "often"),
        ("ann", "create", "'often'"),
        ("ann", "delete", "99"),
    ]
    assert [line["outcome"][:3] for line in lines[::-1]] == ["ok", "409", "404"]
    assert lines[0]["time"].startswith("2027-01-15T08:00:01")


@pytest.mark.parametrize(
    "fields",
    [
        {"service": "crm.fail"},
        {"on_error_service": "crm.fail"},
        {"on_success_service": "zato.hot-deploy.create"},
    ],
    ids=repr,
)
async def test_a_caller_cannot_schedule_a_service_that_it_may_not_invoke(
    box: Sandbox, fields: dict[str, str]
) -> None:
    job_id = (await _as(box, ROBOT, "create", EVERY))["id"]
    wanted = {**EVERY, "name": "other", **fields}

    for service, payload in [
        ("create", wanted),
        ("create-many", {"jobs": [wanted]}),
        ("apply", {"jobs": [wanted]}),
        ("edit", {"id": job_id, **fields}),
    ]:
        with pytest.raises(ForbiddenError, match="user 'robot' is not allowed to schedule"):
            await _as(box, ROBOT, service, payload)

    assert len(await box.invoke(f"{JOB}.get-list")) == 1


async def test_a_caller_cannot_edit_a_job_that_it_could_not_have_created(box: Sandbox) -> None:
    job_id = (await box.invoke(f"{JOB}.create", {**EVERY, "service": "crm.fail"}))["id"]

    with pytest.raises(ForbiddenError):
        await _as(box, ROBOT, "edit", {"id": job_id, "extra": "drop everything"})


@pytest.mark.parametrize("field", ["on_success_job", "on_error_job"])
async def test_a_caller_cannot_name_a_callback_job_whose_service_it_may_not_invoke(
    box: Sandbox, field: str
) -> None:
    await box.invoke(f"{JOB}.create", {**EVERY, "name": "payroll", "service": "crm.fail"})
    job_id = (await _as(box, ROBOT, "create", EVERY))["id"]
    wanted = {**EVERY, "name": "other", field: "payroll"}

    for service, payload in [
        ("create", wanted),
        ("create-many", {"jobs": [wanted]}),
        ("apply", {"jobs": [wanted]}),
        ("edit", {"id": job_id, field: "payroll"}),
    ]:
        with pytest.raises(
            ForbiddenError, match="robot' is not allowed to call back job 'payroll'"
        ):
            await _as(box, ROBOT, service, payload)

    assert len(await box.invoke(f"{JOB}.get-list")) == 2
    await _as(box, ROBOT, "create", {**wanted, field: "often"})
    await _as(box, ANN, "create", {**wanted, "name": "hers"})


async def test_a_callback_job_exists_or_is_created_in_the_same_request(
    box: Sandbox,
) -> None:
    calls = {**EVERY, "on_success_job": "later"}
    later = {**EVERY, "name": "later"}

    with pytest.raises(
        BadInputError, match="on_success_job: callback job does not exist"
    ) as caught:
        await _as(box, ROBOT, "create", calls)

    assert caught.value.errors[0].value == "later"
    await _as(box, ROBOT, "create-many", {"jobs": [calls, later]})
    await box.invoke(f"{JOB}.create", {**calls, "name": "other", "on_success_job": "not yet"})


@pytest.mark.parametrize(
    ("service", "more"),
    [
        ("execute", {}),
        ("resume", {}),
        ("set-active-status", {"is_active": True}),
        ("backfill", {"first": "2027-01-15T07:00", "last": "2027-01-15T08:00"}),
        ("retry-run", {"job_id": 1, "current_run": 1}),
    ],
)
async def test_a_caller_with_patterns_cannot_start_runs_of_other_services(
    box: Sandbox, service: str, more: dict[str, Any]
) -> None:
    job_id = (await box.invoke(f"{JOB}.create", {**EVERY, "service": "crm.fail"}))["id"]
    await box.invoke(f"{JOB}.execute", {"id": job_id})
    await box.settle()

    with pytest.raises(ForbiddenError, match=r"'robot' is not allowed to change or run job 1$"):
        await _as(box, ROBOT, service, {"id": job_id, **more})

    await _as(box, ANN, service, {"id": job_id, **more})
