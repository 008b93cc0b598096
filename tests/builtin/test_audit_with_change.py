"""Every audited change is recorded in its own transaction: a crash cannot leave one without name.

Here, the audit log cannot be written to by itself: a record that does not go with its change is
lost.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.builtin.conftest import ask, create_job
from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.deploy import built_in_services
from zato_lite.service.message import Caller
from zato_lite.store.accounts import Credential
from zato_lite.store.audit import AuditLog, AuditRecord
from zato_lite.store.sessions import Session, Sessions
from zato_lite.testing.app import Sandbox

JOB, CALENDAR = "zato.scheduler.job", "zato.scheduler.calendar"
SECURITY = "zato.security"
ADMIN = Caller("ann", frozenset({"admin"}))
NEW: dict[str, Any] = {
    "name": "new", "service": "crm.work", "job_type": "one_time", "start_date": "2030-01-01",
}  # fmt: skip
APS = '[{"id": "imported", "func": "crm.work", "trigger": "interval", "hours": 1}]'
SLOT = "2027-01-15T07:05:00"

Prepare = Callable[[int, str], dict[str, Any]]
"""Makes the input of the id of a job with one run and the hash of a session."""

INPUTS: dict[str, Prepare] = {
    f"{JOB}.adopt": lambda job, _: {"ids": [job]},
    f"{JOB}.apply": lambda job, _: {"jobs": [NEW]},
    f"{JOB}.backfill": lambda job, _: {"id": job, "first": SLOT, "last": SLOT, "force": True},
    f"{JOB}.create": lambda job, _: NEW,
    f"{JOB}.create-many": lambda job, _: {"jobs": [NEW]},
    f"{JOB}.delete": lambda job, _: {"id": job},
    f"{JOB}.delete-many": lambda job, _: {"ids": [job]},
    f"{JOB}.edit": lambda job, _: {"id": job, "minutes": 7},
    f"{JOB}.execute": lambda job, _: {"id": job},
    f"{JOB}.execute-many": lambda job, _: {"ids": [job]},
    f"{JOB}.import": lambda job, _: {"format": "apscheduler", "document": APS, "dry_run": False},
    f"{JOB}.pause": lambda job, _: {"id": job},
    f"{JOB}.pause-many": lambda job, _: {"ids": [job]},
    f"{JOB}.resume": lambda job, _: {"id": job},
    f"{JOB}.resume-many": lambda job, _: {"ids": [job]},
    f"{JOB}.retry-run": lambda job, _: {"id": job, "current_run": 1},
    f"{JOB}.set-active-status": lambda job, _: {"id": job, "is_active": False},
    f"{JOB}.retry-many": lambda job, _: {"ids": [job], "outcomes": ["ok"]},
    f"{JOB}.skip-many": lambda job, _: {"ids": [job]},
    f"{JOB}.skip-next": lambda job, _: {"id": job},
    f"{CALENDAR}.create": lambda job, _: {"name": "PL", "dates": ["2027-05-03"]},
    f"{CALENDAR}.delete": lambda job, _: {"name": "CZ"},
    f"{CALENDAR}.edit": lambda job, _: {"name": "CZ", "dates": ["2027-05-03"]},
    f"{CALENDAR}.rename": lambda job, _: {"name": "CZ", "new_name": "SK"},
    "zato.scheduler.continue": lambda job, _: {},
    "zato.scheduler.pause": lambda job, _: {},
    "zato.scheduler.resume": lambda job, _: {},
    f"{SECURITY}.key.create": lambda job, _: {},
    f"{SECURITY}.key.edit": lambda job, _: {"name": "k", "owner": "ann"},
    f"{SECURITY}.key.rotate": lambda job, _: {"name": "k"},
    f"{SECURITY}.key.delete": lambda job, _: {"name": "k"},
    f"{SECURITY}.session.delete": lambda job, session: {"id": session[:16]},
    f"{SECURITY}.session.delete-all": lambda job, _: {"user": "bob"},
    f"{SECURITY}.user.create": lambda job, _: {"name": "eve", "password": "eve's password"},
    f"{SECURITY}.user.delete": lambda job, _: {"name": "bob"},
    f"{SECURITY}.user.edit": lambda job, _: {"name": "bob", "roles": ["viewer"]},
}
WITHOUT_CHANGE_OF_THE_STORE = {
    f"{JOB}.cancel-many",
    f"{JOB}.cancel-run",  # the run's own result is the change; it is written by the scheduler
    "zato.service.edit",  # of the registry, until the server's next start
    "zato.store.backup",
}


def test_every_audited_service_is_tried() -> None:
    audited = {cls.name for cls in built_in_services() if issubclass(cls, AuditedService)}

    assert audited == INPUTS.keys() | WITHOUT_CHANGE_OF_THE_STORE


@pytest.mark.parametrize("service", sorted(INPUTS))
async def test_a_change_is_recorded_in_its_transaction(
    box: Sandbox, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await _prepare(box)
    session = Session("0123456789abcdef", "bob", box.app.clock.now(), box.app.clock.now())
    await _resource(box, Sessions).add(session)

    async def lost(log: AuditLog, record: AuditRecord) -> None:
        pass

    monkeypatch.setattr(AuditLog, "record", lost)
    await box.app.invoker.invoke(service, INPUTS[service](job_id, session.hash), caller=ADMIN)

    lines = await box.invoke("zato.audit.get-list")
    assert [(line["who"], line["action"], line["outcome"]) for line in lines] == [
        ("ann", service, "ok")
    ]
    assert lines[0]["subject"]


async def _prepare(box: Sandbox) -> int:
    job_id = await create_job(box)
    await ask(box, "execute", id=job_id)
    await box.settle()
    await box.invoke(f"{CALENDAR}.create", {"name": "CZ"})
    for kind, name in (("user", "bob"), ("key", "k")):
        credential = Credential(kind, name, "", frozenset({"viewer"}))  # type: ignore[arg-type]
        await box.app.accounts.save(credential)
    return job_id


def _resource(box: Sandbox, kind: type) -> Any:
    return box.app.invoker.resources[kind]
