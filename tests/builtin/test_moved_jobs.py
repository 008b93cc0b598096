"""Jobs that get a service beyond the caller's patterns between the check and the write."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.builtin.conftest import ask, ask_as, caller, create_job
from zato_lite.errors import ConflictError, ForbiddenError
from zato_lite.scheduler.bulk import BulkCommands
from zato_lite.scheduler.commands import JobCommands
from zato_lite.scheduler.history import RunHistory
from zato_lite.service.message import Caller
from zato_lite.store.audit import AuditLog
from zato_lite.testing.app import Sandbox

ROBOT = caller("robot", "editor", "crm.work", "zato.*")
ADMIN = caller("ann", "admin")
SPAN = {"first": "2027-01-15T07:00", "last": "2027-01-15T07:30"}


@pytest.fixture
async def job_id(box: Sandbox) -> int:
    """Return the id of a job that has a run."""
    found = await create_job(box)
    await ask(box, "execute", id=found)
    await box.settle()
    return found


def moving(box: Sandbox, job_id: int, monkeypatch: pytest.MonkeyPatch, *reads: Any) -> None:
    """Have the job get another service right after the first of these reads."""
    is_moved = False

    def wrapped(read: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def read_and_move(*sent: Any, **named: Any) -> Any:
            nonlocal is_moved
            found = await read(*sent, **named)
            if not is_moved:
                is_moved = True
                await ask(box, "edit", id=job_id, service="crm.fail")
            return found

        return read_and_move

    for kind, name in reads:
        monkeypatch.setattr(kind, name, wrapped(getattr(kind, name)))


async def state(box: Sandbox, job_id: int) -> Any:
    """Return what a caller could have changed."""
    job = await ask(box, "get-by-id", id=job_id)
    runs = await ask(box, "get-history", id=job_id)
    hidden = {"next_iso", "next_run_utc"}
    return {k: v for k, v in job.items() if k not in hidden}, runs["total"]


async def as_if_moved_before(box: Sandbox, job_id: int) -> Any:
    """Return the state of the job after the move alone; move it back."""
    await ask(box, "edit", id=job_id, service="crm.fail")
    expected = await state(box, job_id)
    await ask(box, "edit", id=job_id, service="crm.work")
    expected[0]["version"] += 2
    return expected


@pytest.mark.parametrize(
    ("service", "more"),
    [
        ("execute", {}),
        ("pause", {"note": "mine"}),
        ("resume", {}),
        ("set-active-status", {"is_active": False}),
        ("set-active-status", {"is_active": True}),
        ("skip-next", {}),
        ("delete", {}),
        ("edit", {"extra": "drop"}),
        ("retry-run", {"current_run": 1}),
        ("backfill", SPAN),
    ],
)
async def test_a_job_that_was_moved_meanwhile_is_left_alone(
    box: Sandbox, job_id: int, monkeypatch: pytest.MonkeyPatch, service: str, more: dict[str, Any]
) -> None:
    expected = await as_if_moved_before(box, job_id)
    moving(box, job_id, monkeypatch, (JobCommands, "get"))

    with pytest.raises(ForbiddenError, match=r"not allowed to change or run job 1$"):
        await ask_as(ROBOT, box, service, id=job_id, **more)

    monkeypatch.undo()
    assert await state(box, job_id) == expected


@pytest.mark.parametrize(
    ("service", "more"),
    [
        ("execute-many", {}),
        ("pause-many", {}),
        ("resume-many", {}),
        ("skip-many", {}),
        ("delete-many", {}),
        ("retry-many", {"outcomes": ["ok"]}),
    ],
)
@pytest.mark.parametrize("who", [ROBOT, ADMIN], ids=["confined", "unconfined"])
async def test_a_job_that_was_moved_after_its_selection_is_left_out(  # noqa: PLR0917
    box: Sandbox,
    job_id: int,
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    more: dict[str, Any],
    who: Caller,
) -> None:
    other = await create_job(box, name="other")
    await ask(box, "execute", id=other)
    await box.settle()
    expected = await as_if_moved_before(box, job_id)
    read = "select_runs" if service == "retry-many" else "select"
    moving(box, job_id, monkeypatch, (BulkCommands, read))

    answer = await ask_as(who, box, service, ids=[job_id, other], **more)

    monkeypatch.undo()
    assert answer["count"] == 1
    assert answer.get("left_out", 1) == 1
    assert await state(box, job_id) == expected


async def test_a_change_of_many_jobs_is_recorded_although_one_was_moved(
    box: Sandbox, job_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await create_job(box, name="other")
    moving(box, job_id, monkeypatch, (BulkCommands, "select"))
    monkeypatch.setattr(AuditLog, "record", None)  # the record is written with the change

    await ask_as(ADMIN, box, "pause-many", ids=[job_id, other], note="moving")

    monkeypatch.undo()
    [record, *_] = await ask(box, "get-audit", id=other)
    assert record["after"] == {"is_active": False, "pause_note": "moving"}


@pytest.mark.parametrize(
    ("who", "service"), [(ROBOT, "cancel-run"), (ROBOT, "cancel-many"), (ADMIN, "cancel-many")]
)
async def test_a_run_of_a_moved_job_is_not_cancelled(
    box: Sandbox, job_id: int, monkeypatch: pytest.MonkeyPatch, who: Caller, service: str
) -> None:
    await ask(box, "pause", id=job_id)
    await ask(box, "backfill", id=job_id, **SPAN)
    reads = [(BulkCommands, "select_runs"), (RunHistory, "run")]
    moving(box, job_id, monkeypatch, *reads)

    if service == "cancel-run":
        with pytest.raises(ForbiddenError):
            await ask_as(who, box, service, id=job_id, current_run=4)
    else:
        assert (await ask_as(who, box, service, ids=[job_id]))["count"] == 0

    monkeypatch.undo()
    await box.settle()
    assert "cancelled" not in str(await ask(box, "get-history", id=job_id))


async def test_a_set_is_not_applied_to_a_job_that_was_moved(
    box: Sandbox, job_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = (await ask(box, "export"))["scheduler"][0]
    expected = await as_if_moved_before(box, job_id)
    moving(box, job_id, monkeypatch, (JobCommands, "named"))

    with pytest.raises(ForbiddenError, match=r"not allowed to change or run job 1$"):
        await ask_as(ROBOT, box, "apply", jobs=[{**wanted, "extra": "drop"}])

    monkeypatch.undo()
    assert await state(box, job_id) == expected


async def test_a_job_of_another_service_is_not_compared(box: Sandbox) -> None:
    await create_job(box, service="crm.fail", name="payroll")
    [same] = (await ask(box, "export"))["scheduler"]

    with pytest.raises(ForbiddenError, match=r"not allowed to change or run job 'payroll'$"):
        await ask_as(ROBOT, box, "apply", jobs=[same])


@pytest.mark.parametrize("service", ["delete", "delete-many"])
async def test_a_deletion_does_not_name_jobs_of_other_services(box: Sandbox, service: str) -> None:
    target = await create_job(box, name="mine")
    await create_job(box, name="secret", service="crm.fail", on_success_job="mine")
    sent: dict[str, Any] = {"id": target} if service == "delete" else {"ids": [target]}

    with pytest.raises(ConflictError, match="called back by a job of another service"):
        await ask_as(ROBOT, box, service, **sent)
    with pytest.raises(ConflictError, match="called back by `secret`"):
        await ask_as(ADMIN, box, service, **sent)
