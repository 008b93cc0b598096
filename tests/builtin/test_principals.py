"""On whose behalf runs are made: SEC-1 in all its forms, and what becomes of lost rights."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.builtin.conftest import ENGINES, START, open_box
from zato_lite import Service
from zato_lite.config import Server, Settings, Store
from zato_lite.errors import BadInputError, ForbiddenError
from zato_lite.service.message import SYSTEM, Caller
from zato_lite.store.accounts import Credential, Kind
from zato_lite.testing.app import Sandbox, sandbox
from zato_lite.testing.clock import ManualClock

JOB = "zato.scheduler.job"
PAST = {"job_type": "one_time", "start_date": "2027-01-15T07:00:00"}
EVIL = {"name": "evil", "password": "evil-evil", "roles": ["admin"]}
FAILING = {**PAST, "name": "failing", "service": "crm.fail"}
CREATE_USER = {"name": "zato.security.user.create", "payload": EVIL}
seen: list[Caller] = []


class See(Service):
    name = "crm.see"

    async def handle(self) -> None:
        seen.append(self.caller)


class Pay(Service):
    name = "billing.pay"

    async def handle(self) -> None:
        seen.append(self.caller)


class Fail(Service):
    name = "crm.fail"

    async def handle(self) -> None:
        seen.append(self.caller)
        raise ValueError("no rows")


class Plan(Service):
    name = "crm.plan"

    async def handle(self) -> None:
        sent = self.request.input
        more = {"on_behalf_of": sent["on_behalf_of"]} if "on_behalf_of" in sent else {}
        await self.schedule.onetime(self, sent["service"], "planned", after_seconds=1, **more)


class Queue(Service):
    name = "crm.queue"

    async def handle(self) -> None:
        sent = self.request.input
        await self.invoke_async(sent["service"], sent.get("payload"), **sent.get("options", {}))


class Outer(Service):
    name = "crm.outer"

    async def handle(self) -> None:
        await self.invoke("crm.queue", self.request.input)


@pytest.fixture(params=ENGINES)
async def box(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    seen.clear()
    async with open_box(request, See, Pay, Fail, Plan, Queue, Outer) as opened:
        for name, role, *patterns in (
            ("v", "viewer"),
            ("o", "operator"),
            ("e", "editor"),
            ("a", "admin"),
            ("co", "operator", "crm.*", "zato.scheduler.job.*"),
            ("ce", "editor", "crm.*", "zato.scheduler.*", "zato.service.invoke"),
        ):
            await save(opened, name, role, *patterns)
        yield opened


async def save(
    box: Sandbox,
    name: str,
    role: str,
    *patterns: str,
    kind: Kind = "user",
    is_active: bool = True,
) -> None:
    credential = Credential(kind, name, "", frozenset({role}), patterns, is_active)
    await box.app.accounts.save(credential)


async def caller(box: Sandbox, name: str, kind: Kind = "user") -> Caller:
    found = await box.app.accounts.find(kind, name)
    assert found is not None
    return Caller(found.name, found.roles, found.patterns, found.kind)


async def by(box: Sandbox, name: str, service: str, payload: Any = None) -> Any:
    """Invoke a service as a request of this user would."""
    full = service if "." in service else f"{JOB}.{service}"
    return await box.app.invoker.invoke(full, payload, caller=await caller(box, name))


async def runs(box: Sandbox, job_id: int) -> list[tuple[str, str | None]]:
    rows = (await box.invoke(f"{JOB}.get-history", {"id": job_id}))["rows"]
    return [(row["outcome"], row["error"]) for row in rows]


async def users(box: Sandbox) -> list[str]:
    return [user["name"] for user in await box.invoke("zato.security.user.get-list")]


async def audit(box: Sandbox) -> list[tuple[str, str, str, str]]:
    lines = await box.invoke("zato.audit.get-list", {"page_size": 500})
    fields = ("who", "action", "subject")
    return [(*(line[field] for field in fields), line["outcome"][:3]) for line in lines]


def a_job(service: str, extra: Any = None, **more: Any) -> dict[str, Any]:
    definition = {"name": "a", "service": service, **PAST, **more}
    return definition if extra is None else {**definition, "extra": json.dumps(extra)}


# SEC-1


async def test_a_job_of_a_service_that_invokes_has_the_rights_of_its_creator(box: Sandbox) -> None:
    job_id = (await by(box, "e", "create", a_job("zato.service.invoke", CREATE_USER)))["id"]

    await box.advance(seconds=2)

    [(outcome, error)] = await runs(box, job_id)
    assert outcome == "error"
    assert "user 'e' is not allowed to invoke service 'zato.security.user.create'" in (error or "")
    assert "evil" not in await users(box)
    assert ("e", "refused", "zato.security.user.create", "403") in await audit(box)


INNER = a_job("zato.security.user.create", EVIL, name="inner")
FORMS: dict[str, dict[str, Any]] = {
    "job of create": a_job(f"{JOB}.create", INNER),
    "job of create-many": a_job(f"{JOB}.create-many", {"jobs": [INNER]}),
    "job of apply": a_job(f"{JOB}.apply", {"jobs": [INNER]}),
    "job of edit": a_job(f"{JOB}.edit", {"id": 1, "service": "zato.security.user.create"}),
    "job of a job of create": a_job(
        f"{JOB}.create", a_job(f"{JOB}.create", INNER, name="middle"), name="outer"
    ),
    "invoke of create": a_job(
        "zato.service.invoke", {"name": f"{JOB}.create", "payload": INNER, "is_async": True}
    ),
    "invoke, async": a_job("zato.service.invoke", {**CREATE_USER, "is_async": True}),
    "callback service": a_job("crm.see", on_success_service=f"{JOB}.create"),
    "callback of an error": a_job(
        "zato.service.invoke", {"name": "crm.none"}, on_error_service="zato.service.invoke"
    ),
}


@pytest.mark.parametrize("form", FORMS)
async def test_no_form_of_a_job_makes_an_admin(box: Sandbox, form: str) -> None:
    await by(box, "e", "create", a_job("crm.see", name="target"))
    await by(box, "e", "create", FORMS[form])

    await box.advance(minutes=2)

    assert "evil" not in await users(box)
    jobs = {job["name"]: job for job in await box.invoke(f"{JOB}.get-list")}
    assert {job["principal"] for job in jobs.values()} == {"user:e"}
    assert "inner" not in jobs


@pytest.mark.parametrize(
    "payload",
    [
        {**CREATE_USER, "is_async": True},
        {"name": f"{JOB}.create", "payload": INNER, "is_async": True},
        {
            "name": "zato.service.invoke",
            "payload": {"name": "zato.security.key.create", "payload": {"roles": ["admin"]}},
            "is_async": True,
        },
    ],
    ids=["directly", "a job", "nested"],
)
async def test_an_asynchronous_invocation_has_the_rights_of_its_caller(
    box: Sandbox, payload: dict[str, Any]
) -> None:
    with suppress(BadInputError, ForbiddenError):
        await by(box, "e", "zato.service.invoke", payload)
    await box.advance(minutes=1)

    assert "evil" not in await users(box)
    assert await box.invoke("zato.security.key.get-list") == []
    assert await box.invoke(f"{JOB}.get-list") == []


async def test_a_confined_editor_reaches_no_other_service_through_a_job(box: Sandbox) -> None:
    pay = a_job("billing.pay", name="pay")
    for service, extra in [
        (f"{JOB}.create", pay),
        ("zato.service.invoke", {"name": "billing.pay"}),
        ("zato.service.invoke", {"name": "billing.pay", "is_async": True}),
    ]:
        await by(box, "ce", "create", a_job(service, extra, name=f"{service} {extra}"))

    await box.advance(minutes=1)

    assert seen == []
    assert {line[0] for line in await audit(box)} == {"ce"}


async def test_what_a_run_changes_is_recorded_under_the_principals_name(box: Sandbox) -> None:
    target = (await by(box, "a", "create", a_job("crm.see", name="target")))["id"]
    await by(box, "e", "create", a_job(f"{JOB}.pause", {"id": target}, name="b"))
    nested = {"name": f"{JOB}.skip-next", "payload": {"id": target}}
    await by(box, "e", "create", a_job("zato.service.invoke", nested, name="c"))
    await by(box, "a", "create", a_job("zato.service.edit", {"name": "crm.see"}, name="d"))
    nested = {"name": "zato.service.edit", "payload": {"name": "crm.see"}}
    await by(box, "a", "create", a_job("zato.service.invoke", nested, name="e"))

    await box.advance(minutes=1)

    changes = await audit(box)
    assert ("e", f"{JOB}.pause", f"{target} target", "ok") in changes
    assert ("e", f"{JOB}.skip-next", f"{target} target", "ok") in changes
    assert changes.count(("a", "zato.service.edit", "crm.see", "ok")) == 2


async def test_a_service_sees_the_principal_of_the_job(box: Sandbox) -> None:
    await by(box, "e", "create", a_job("crm.see"))
    await box.invoke(f"{JOB}.create", a_job("crm.see", name="b"))

    await box.advance(minutes=1)

    assert {one.name for one in seen} == {"e", "system"}
    assert SYSTEM in seen


# Rights that are lost


EVERY = {"service": "crm.see", "job_type": "interval_based", "minutes": 1}


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        ("deleted", "user 'e' does not exist"),
        ("inactive", "user 'e' is inactive"),
        ("viewer", "user 'e' is not allowed to invoke service 'crm.see'"),
        ("billing.*", "user 'e' is not allowed to invoke service 'crm.see'"),
    ],
)
async def test_a_run_for_a_user_without_the_right_is_denied(
    box: Sandbox, loss: str, reason: str
) -> None:
    definition = {**EVERY, "name": "a", "on_error_service": "crm.see"}
    job_id = (await by(box, "e", "create", definition))["id"]
    await box.advance(minutes=1)
    seen.clear()

    if loss == "deleted":
        await by(box, "a", "zato.security.user.delete", {"name": "e"})
    elif loss == "inactive":
        await by(box, "a", "zato.security.user.edit", {"name": "e", "is_active": False})
    elif loss == "viewer":
        await by(box, "a", "zato.security.user.edit", {"name": "e", "roles": ["viewer"]})
    else:
        await by(box, "a", "zato.security.user.edit", {"name": "e", "patterns": [loss]})
    await box.advance(minutes=1)

    (outcome, error), *_ = await runs(box, job_id)
    assert (outcome, (error or "").partition(";")[0]) == ("denied", reason)
    [alert] = seen  # by the service for errors, on behalf of nobody with a right
    assert (alert.name, alert.roles) == ("e", frozenset())
    why = await box.invoke(f"{JOB}.why", {"id": job_id, "at": "2027-01-15T08:02:01"})
    assert why["outcome"] == "denied"
    assert reason in why["reason"]
    state = await box.invoke(f"{JOB}.get-current-state")
    assert state["outcome_counts"]["denied"] == 1
    assert box.app.scheduler.metrics.jobs["a"].outcomes["denied"] == 1


async def test_a_right_that_is_given_back_counts_at_the_next_run(box: Sandbox) -> None:
    job_id = (await by(box, "e", "create", {**EVERY, "name": "a"}))["id"]
    await save(box, "e", "viewer")
    await box.advance(minutes=1)
    await save(box, "e", "operator")
    await box.advance(minutes=1)

    assert [outcome for outcome, _ in await runs(box, job_id)][:2] == ["ok", "denied"]


async def test_a_credential_that_another_process_changes_counts_at_the_next_claim(
    box: Sandbox,
) -> None:
    job_id = (await by(box, "e", "create", {**EVERY, "name": "a"}))["id"]
    await box.advance(minutes=1)

    database: Any = box.app.accounts._database
    await database.write(lambda c: list(c.execute("DELETE FROM credential WHERE name = 'e'")))
    await box.advance(minutes=1)

    assert [outcome for outcome, _ in await runs(box, job_id)][:2] == ["denied", "ok"]


async def test_a_key_and_a_user_of_one_name_are_two_principals(box: Sandbox) -> None:
    await save(box, "same", "editor", kind="key")
    await save(box, "same", "viewer")
    definition = {**EVERY, "name": "a"}
    key = await caller(box, "same", "key")
    job_id = (await box.app.invoker.invoke(f"{JOB}.create", definition, caller=key))["id"]
    await box.advance(minutes=1)

    await box.app.accounts.delete("key", "same")
    await box.advance(minutes=1)

    rows = await runs(box, job_id)
    assert [outcome for outcome, _ in rows][:2] == ["denied", "ok"]
    assert "key 'same' does not exist" in (rows[0][1] or "")


async def test_a_waiting_retry_is_denied_when_the_right_is_lost(box: Sandbox) -> None:
    missing = {"name": "crm.none"}
    retried = {"max_retries": 5, "retry_delay_ms": 60_000}
    job_id = (await by(box, "e", "create", a_job("zato.service.invoke", missing, **retried)))["id"]
    await box.advance(seconds=1)

    await save(box, "e", "viewer")
    await box.advance(minutes=2)

    assert [outcome for outcome, _ in await runs(box, job_id)] == ["denied"]


# What code creates


@pytest.mark.parametrize("outer", ["crm.queue", "crm.outer"])
async def test_an_asynchronous_invocation_by_code_is_on_behalf_of_the_root_caller(
    box: Sandbox, outer: str
) -> None:
    await save(box, "only", "operator", "crm.queue", "crm.outer")
    await by(box, "only", outer, {"service": "crm.see"})
    await box.settle()

    assert [one.name for one in seen] == ["only"]  # its own code needs no right to crm.see


async def test_code_needs_the_rights_of_its_caller_for_a_later_built_in_service(
    box: Sandbox,
) -> None:
    await by(box, "o", "crm.queue", {"service": "zato.security.user.create", "payload": EVIL})
    await box.settle()
    assert "evil" not in await users(box)

    options = {"on_behalf_of": "system"}
    sent = {"service": "zato.security.user.create", "payload": EVIL, "options": options}
    await by(box, "o", "crm.queue", sent)
    await box.settle()
    assert "evil" in await users(box)


async def test_a_job_that_code_creates_is_on_behalf_of_the_root_caller_or_the_system(
    box: Sandbox,
) -> None:
    await by(box, "o", "crm.plan", {"service": "crm.see"})
    assert (await box.invoke(f"{JOB}.get-list"))[0]["principal"] == "user:o"
    await box.advance(seconds=2)
    assert [one.name for one in seen] == ["o"]

    await box.invoke(f"{JOB}.delete", {"id": 1})
    await by(box, "o", "crm.plan", {"service": "crm.see", "on_behalf_of": "system"})
    assert (await box.invoke(f"{JOB}.get-list"))[0]["principal"] == "system"


@pytest.mark.parametrize("field", ["on_behalf_of", "principal"])
@pytest.mark.parametrize("service", ["create", "create-many", "apply", "edit", "validate"])
async def test_a_request_cannot_name_another_principal(
    box: Sandbox, service: str, field: str
) -> None:
    job_id = (await by(box, "e", "create", a_job("crm.see")))["id"]
    for named in ("system", "user:a", "key:a", "notice:user:a", "code:user:a"):
        wanted = {**a_job("crm.see", name="b"), field: named}
        sent = {"create-many": {"jobs": [wanted]}, "apply": {"jobs": [wanted]}}
        payload = {"id": job_id, field: named} if service == "edit" else sent.get(service, wanted)
        if service == "validate":
            with_error = False
            try:
                with_error = not (await by(box, "e", service, payload))["is_valid"]
            except ForbiddenError:
                with_error = True
            assert with_error
            continue
        with pytest.raises((BadInputError, ForbiddenError)):
            await by(box, "e", service, payload)

    [job] = await box.invoke(f"{JOB}.get-list")
    assert job["principal"] == "user:e"


# Transfers


async def test_an_edit_transfers_the_job_to_its_editor(box: Sandbox) -> None:
    job_id = (await by(box, "a", "create", a_job("crm.see", start_date="2027-01-16")))["id"]

    await by(box, "e", "edit", {"id": job_id, "service": "zato.service.invoke"})

    job = await box.invoke(f"{JOB}.get-by-id", {"id": job_id})
    assert job["principal"] == "user:e"
    changed = {"id": job_id, "principal": job["principal"], "extra": json.dumps(CREATE_USER)}
    await by(box, "e", "edit", changed)
    await by(box, "a", "execute", {"id": job_id})  # by an admin, on behalf of the editor
    await box.settle()
    assert "evil" not in await users(box)
    [row] = (await box.invoke(f"{JOB}.get-history", {"id": job_id}))["rows"]
    assert (row["outcome"], row["principal"], row["requested_by"]) == ("error", "user:e", "user:a")


async def test_an_edit_needs_the_right_to_what_the_job_runs(box: Sandbox) -> None:
    job_id = (await by(box, "a", "create", a_job("zato.store.backup", start_date="2027-02-01")))[
        "id"
    ]

    with pytest.raises(ForbiddenError):
        await by(box, "e", "edit", {"id": job_id, "name": "mine"})

    assert (await box.invoke(f"{JOB}.get-by-id", {"id": job_id}))["principal"] == "user:a"


@pytest.mark.parametrize("service", ["pause", "resume", "skip-next", "set-active-status"])
async def test_operating_a_job_transfers_nothing(box: Sandbox, service: str) -> None:
    job_id = (await by(box, "a", "create", a_job("crm.see", start_date="2027-02-01")))["id"]

    more = {"is_active": True} if service == "set-active-status" else {}
    await by(box, "o", service, {"id": job_id, **more})

    assert (await box.invoke(f"{JOB}.get-by-id", {"id": job_id}))["principal"] == "user:a"


@pytest.mark.parametrize("service", ["execute", "retry-run", "backfill"])
async def test_a_requested_run_is_on_behalf_of_the_jobs_principal(
    box: Sandbox, service: str
) -> None:
    job_id = (await by(box, "e", "create", {**EVERY, "name": "a"}))["id"]
    await box.advance(minutes=1)
    seen.clear()

    span = {"first": "2027-01-15T08:01:01", "last": "2027-01-15T08:01:01"}
    await by(box, "co", service, {"id": job_id, "current_run": 1, **span})
    await box.settle()

    assert [one.name for one in seen] == ["e"]
    row = (await box.invoke(f"{JOB}.get-history", {"id": job_id}))["rows"][0]
    assert (row["principal"], row["requested_by"]) == ("user:e", "user:co")


async def test_a_callback_job_runs_for_its_own_principal_if_the_caller_back_may_invoke_it(
    box: Sandbox,
) -> None:
    called = a_job("crm.see", name="called", start_date="2027-02-01")
    await by(box, "a", "create", called)
    await by(box, "e", "create", a_job("crm.see", name="calls", on_success_job="called"))
    await box.advance(minutes=1)
    assert {one.name for one in seen} == {"a", "e"}

    await by(box, "a", "edit", {"id": 1, "service": "zato.service.invoke"})
    await by(box, "a", "edit", {"id": 1, "service": "zato.store.check"})
    await by(box, "e", "execute", {"id": 2})
    await box.settle()

    outcome, error = (await runs(box, 1))[0]
    assert outcome == "denied"
    assert "user 'e' is not allowed to invoke service 'zato.store.check'" in (error or "")


# Export and apply


async def test_the_principal_survives_export_and_apply(box: Sandbox) -> None:
    await by(box, "e", "create", a_job("crm.see"))
    await by(box, "o", "crm.plan", {"service": "crm.see", "on_behalf_of": "system"})
    document = (await by(box, "a", "export"))["document"]

    assert (await by(box, "a", "apply", {"document": document}))["updated"] == []
    for job in await box.invoke(f"{JOB}.get-list"):
        await box.invoke(f"{JOB}.delete", {"id": job["id"]})
    await by(box, "a", "apply", {"document": document})

    principals = {job["name"]: job["principal"] for job in await box.invoke(f"{JOB}.get-list")}
    assert principals == {"a": "user:e", "planned": "system"}


async def test_an_editor_applies_the_jobs_of_others_unchanged_or_as_its_own(box: Sandbox) -> None:
    await by(box, "a", "create", a_job("crm.see", start_date="2027-02-01"))
    exported = (await by(box, "e", "export"))["scheduler"]

    await by(box, "e", "apply", {"jobs": exported})
    assert (await box.invoke(f"{JOB}.get-list"))[0]["principal"] == "user:a"
    exported[0]["extra"] = "mine"
    await by(box, "e", "apply", {"jobs": exported})
    assert (await box.invoke(f"{JOB}.get-list"))[0]["principal"] == "user:e"


async def test_a_named_principal_must_exist_and_have_the_right(box: Sandbox) -> None:
    with pytest.raises(BadInputError, match="'user:ghost' does not exist"):
        await by(box, "a", "create", a_job("crm.see", principal="user:ghost"))
    with pytest.raises(ForbiddenError, match="user 'v' is not allowed"):
        await by(box, "a", "create", a_job("crm.see", principal="user:v"))

    await by(box, "a", "create", a_job("crm.see", principal="user:o"))

    await box.advance(minutes=1)
    assert [one.name for one in seen] == ["o"]


# Adoption


async def test_a_job_of_an_unknown_creator_is_denied_until_an_admin_adopts_it(
    box: Sandbox,
) -> None:
    job_id = (await by(box, "e", "create", {**EVERY, "name": "a"}))["id"]
    await by(box, "e", "create", {**EVERY, "name": "b"})
    await box.app.jobs.adopt([job_id], "")
    await box.advance(minutes=1)
    [(outcome, error)] = await runs(box, job_id)
    assert (outcome, error) == (
        "denied", "who created the job is not known; zato.scheduler.job.adopt adopts it"
    )  # fmt: skip

    with pytest.raises(BadInputError, match="ids"):
        await by(box, "a", "adopt", {})
    assert await by(box, "a", "adopt", {"all": True}) == {"adopted": 1}
    seen.clear()
    await box.advance(minutes=1)

    assert {one.name for one in seen} == {"a", "e"}
    assert [outcome for outcome, _ in await runs(box, job_id)] == ["ok", "denied"]
    assert (await audit(box))[0] == ("a", f"{JOB}.adopt", "1 jobs: all", "ok")


async def test_jobs_of_a_deleted_user_are_adopted_by_id_or_with_all(box: Sandbox) -> None:
    ids = [(await by(box, "e", "create", {**EVERY, "name": name}))["id"] for name in "abc"]
    await box.app.accounts.delete("user", "e")

    assert await by(box, "a", "adopt", {"ids": ids[:1]}) == {"adopted": 1}
    assert await by(box, "a", "adopt", {"all": True}) == {"adopted": 2}
    assert await by(box, "a", "adopt", {"ids": [99]}) == {"adopted": 0}

    assert {job["principal"] for job in await box.invoke(f"{JOB}.get-list")} == {"user:a"}


async def test_a_retry_that_waits_is_made_on_behalf_of_who_adopts_the_job(box: Sandbox) -> None:
    retries = {"max_retries": 1, "retry_delay_ms": 60_000}
    job_id = (await by(box, "e", "create", {**FAILING, **retries}))["id"]
    await box.advance(seconds=1)
    await box.app.accounts.delete("user", "e")

    await by(box, "a", "adopt", {"ids": [job_id]})
    await box.advance(minutes=2)

    assert [caller.name for caller in seen] == ["e", "a"]
    assert [outcome for outcome, _ in await runs(box, job_id)] == ["error"]


def test_a_principal_is_part_of_a_definition_only_if_it_is_known() -> None:
    assert msgspec.structs.fields(Caller)[3].name == "kind"
    assert Caller("a", kind="key").principal == "key:a"
    assert SYSTEM.principal == "system"


# Alerts and events


@pytest.mark.parametrize(("service", "alerted"), [("crm.see", True), (f"{JOB}.pause", False)])
async def test_the_alert_of_a_silent_job_has_the_rights_of_its_principal(
    box: Sandbox, service: str, alerted: bool
) -> None:
    definition = {
        **EVERY,
        "name": "a",
        "service": "zato.service.invoke",
        "extra": '{"name": "no"}',
    }
    job = {**definition, "alert_after_intervals": 1, "on_error_service": service}
    job_id = (await by(box, "e", "create", {**job, "is_active": True}))["id"]
    await box.app.accounts.delete("user", "e")
    await box.advance(minutes=5)

    alerts = [one for one in seen if one.name == "e"]
    assert bool(alerts) is alerted
    assert {frozenset(one.roles) for one in alerts} <= {frozenset()}
    assert (await box.invoke(f"{JOB}.get-by-id", {"id": job_id}))["is_active"]


async def test_a_denied_run_is_an_event(box: Sandbox) -> None:
    await by(box, "e", "create", {**EVERY, "name": "a"})
    await save(box, "e", "viewer")
    box.app.events.is_wanted = box.app.events.is_needed = True

    await box.advance(minutes=1)

    ended = [json.loads(event.data) for event in box.app.events._events][-1]
    assert (ended["job_name"], ended["outcome"]) == ("a", "denied")


async def test_a_denied_run_pauses_the_job_as_any_failed_one(box: Sandbox) -> None:
    job = {**EVERY, "name": "a", "pause_after_failures": 2}
    job_id = (await by(box, "e", "create", job))["id"]
    await save(box, "e", "viewer")

    await box.advance(minutes=5)

    assert [outcome for outcome, _ in await runs(box, job_id)] == ["denied", "denied"]


async def test_a_run_that_another_process_takes_over_is_still_on_behalf_of_its_principal(
    tmp_path: Path,
) -> None:
    seen.clear()
    settings = Settings(store=Store(f"sqlite:///{tmp_path}/z.db"), server=Server(grace=0.0))
    clock = ManualClock(START)
    async with sandbox(See, Queue, clock=clock, settings=settings) as box:
        await save(box, "o", "operator")
        await by(box, "o", "crm.queue", {"service": "crm.see", "options": {"delay": 60}})
    clock.advance(minutes=2)

    async with sandbox(See, Queue, clock=clock, settings=settings) as box:
        await box.settle()

    assert [(one.name, one.roles) for one in seen] == [("o", frozenset({"operator"}))]


# What the server's files declare


SERVICE_FILE = """
from zato_lite import Service, every
from tests.builtin.test_principals import seen

class Declared(Service):
    name = "crm.declared"
    schedule = every(minutes=1)

    async def handle(self) -> None:
        seen.append(self.caller)
"""
JOBS_FILE = """
scheduler:
- {name: of file, service: crm.declared, job_type: interval_based, minutes: 1}
- {name: named, service: crm.declared, job_type: interval_based, minutes: 1, principal: "user:e"}
"""


async def test_jobs_of_the_servers_files_are_of_the_system(tmp_path: Path) -> None:
    seen.clear()
    (tmp_path / "services").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "services" / "declared.py").write_text(SERVICE_FILE, encoding="utf-8")
    (tmp_path / "config" / "jobs.yaml").write_text(JOBS_FILE, encoding="utf-8")
    database = f"sqlite:///{tmp_path}/z.db"
    settings = Settings(store=Store(database), server=Server(grace=0.0))
    async with sandbox(project=tmp_path, clock=ManualClock(START), settings=settings) as box:
        await save(box, "e", "editor")
        rows = {job["name"]: job for job in await box.invoke(f"{JOB}.get-list")}
        principals = {name: job["principal"] for name, job in rows.items()}
        assert principals == {"of file": "system", "named": "user:e", "crm.declared": "system"}
        await box.advance(minutes=2)
        assert {one.name for one in seen} == {"system", "e"}
        for name in ("of file", "crm.declared"):
            await by(box, "e", "edit", {"id": rows[name]["id"], "extra": "evil"})

    async with sandbox(project=tmp_path, clock=ManualClock(START), settings=settings) as box:
        again = {job["name"]: job for job in await box.invoke(f"{JOB}.get-list")}

    assert {name: job["principal"] for name, job in again.items()} == principals
    assert not any("extra" in job for job in again.values())
