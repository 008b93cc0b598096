"""Each role with each kind of patterns, each built-in service, the caller's own and another's job.

The table below says what is expected, and docs/access.md shows it. Everything is real: requests
with keys, the HTTP edge, services, a store. A new service has to be put into the table.
"""

import base64
import dataclasses
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

from zato_lite import Service
from zato_lite.clock import SystemClock
from zato_lite.config import Server, Services, Settings, Store
from zato_lite.http.app import HttpApp
from zato_lite.http.message import Request
from zato_lite.http.passwords import new_key
from zato_lite.server import open_edge
from zato_lite.service.access import ROLES, matches
from zato_lite.store.accounts import Credential
from zato_lite.testing.app import Sandbox, sandbox
from zato_lite.testing.clock import ManualClock
from zato_lite.timetable.zone import parse_moment

DOCS = Path(__file__).parents[1] / "docs" / "access.md"
JOB = "zato.scheduler.job"
OWN, FOREIGN = "crm.work", "billing.pay"
START = parse_moment("2027-01-15 08:00:01", None)
SPAN = {"first": "2027-01-15T08:00:00", "last": "2027-01-15T08:00:00"}
FORBIDDEN, OK = 403, 200

PATTERNS: dict[str, tuple[str, ...]] = {
    "none": (),
    "crm": ("crm.*",),
    "crm and jobs": ("crm.*", f"{JOB}.*"),
    "crm and built-in": ("crm.*", "zato.*"),
}

Effect = Literal["refused", "left out", "an error of its entry", "not deployed", ""]
"""What becomes of another's job, service or user for a caller with patterns; empty: no target."""


class Row(NamedTuple):
    """Expectations for a service.

    Attributes:
        role: the least role.
        patterns: what a caller with patterns needs: ``name``, a pattern that matches the service's
            name; ``-``, nothing; ``none``, to have no patterns.
        foreign: the effect on another's.
        payload: returns the input for a world, its own target or another's.
        status: of an admitted request.
        needs_operator: the definition's services need the right to be invoked; else it has errors.
    """

    role: str
    patterns: Literal["name", "-", "none"]
    foreign: Effect
    payload: "Callable[[World, str], Any]"
    status: int = OK
    needs_operator: bool = False


def nothing(world: "World", target: str) -> Any:
    return {}


def fixed(**fields: Any) -> "Callable[[World, str], Any]":
    return lambda world, target: fields


def job(**more: Any) -> "Callable[[World, str], Any]":
    """Return the input for a new job of the target."""
    return lambda world, target: {"id": world.new_job[target], **more}


def run(**more: Any) -> "Callable[[World, str], Any]":
    """Return the input for the first run of a job of the target that stays."""
    return lambda world, target: {"id": world.old_job[target], "current_run": 1, **more}


def definition(world: "World", target: str) -> dict[str, Any]:
    name = f"new {next(world.numbers)}"
    return {"name": name, "service": target, "job_type": "one_time", "start_date": "2027-02-01"}


def ids(world: "World", target: str) -> dict[str, Any]:
    return {"ids": [world.new_job[target]]}


def first_run(world: "World", target: str) -> dict[str, Any]:
    return {"run_ids": [{OWN: 1, FOREIGN: 2}[target]]}


def credential(world: "World", target: str) -> dict[str, Any]:
    pattern = target.partition(".")[0] + ".*"
    return {"roles": ["viewer"], "patterns": [pattern]}


def new_user(world: "World", target: str) -> dict[str, Any]:
    name = f"user {next(world.numbers)}"
    return {"name": name, "password": "a long password", **credential(world, target)}


def upload(world: "World", target: str) -> dict[str, Any]:
    return {"payload_name": "x.py", "payload": base64.b64encode(b"X = 1").decode()}


def crontab(world: "World", target: str) -> dict[str, Any]:
    document = f"0 4 * * * command{next(world.numbers)}\n"
    return {"format": "crontab", "document": document, "service": target}


def jobs_of(world: "World", target: str) -> dict[str, Any]:
    return {"jobs": [definition(world, target)]}


MATRIX: dict[str, Row] = {
    f"{JOB}.get-list": Row("viewer", "-", "left out", nothing),
    f"{JOB}.get-by-id": Row("viewer", "-", "refused", run()),
    f"{JOB}.get-by-name": Row(
        "viewer", "-", "refused", lambda world, target: {"name": f"old {target}"}
    ),
    f"{JOB}.get-history": Row("viewer", "-", "refused", run()),
    f"{JOB}.get-run-detail": Row("viewer", "-", "refused", run()),
    f"{JOB}.get-log-entries": Row("viewer", "-", "refused", run()),
    f"{JOB}.get-ledger": Row("viewer", "-", "left out", nothing),
    f"{JOB}.get-last-run-list": Row(
        "viewer", "-", "left out", lambda world, target: {"id_list": [*world.old_job.values()]}
    ),
    "zato.scheduler.get-figures": Row(
        "viewer",
        "-",
        "left out",
        fixed(start="2027-01-15T08:00:00", until="2027-01-15T09:00:00", group="service"),
    ),
    "zato.scheduler.get-runs": Row("viewer", "-", "left out", nothing),
    "zato.scheduler.get-forecast": Row("viewer", "-", "left out", nothing),
    "zato.scheduler.get-attention": Row("viewer", "-", "left out", nothing),
    "zato.scheduler.get-timeline": Row(
        "viewer",
        "-",
        "left out",
        fixed(start="2027-01-15T08:00:00", until="2027-01-15T09:00:00"),
    ),
    f"{JOB}.get-current-state": Row("viewer", "-", "left out", nothing),
    f"{JOB}.get-upcoming": Row("viewer", "-", "refused", job()),
    f"{JOB}.why": Row("viewer", "-", "refused", job(at="2027-01-15T09:00:00")),
    f"{JOB}.simulate": Row("viewer", "-", "left out", fixed(until="2027-01-15T09:00:00")),
    f"{JOB}.validate": Row(
        "viewer", "-", "an error of its entry", definition, needs_operator=True
    ),
    f"{JOB}.get-audit": Row("editor", "-", "refused", job()),
    f"{JOB}.export": Row("editor", "-", "left out", nothing),
    f"{JOB}.execute": Row("operator", "name", "refused", job()),
    f"{JOB}.pause": Row("operator", "name", "refused", job()),
    f"{JOB}.resume": Row("operator", "name", "refused", job()),
    f"{JOB}.set-active-status": Row("operator", "name", "refused", job(is_active=False)),
    f"{JOB}.skip-next": Row("operator", "name", "refused", job()),
    f"{JOB}.cancel-run": Row("operator", "name", "refused", run()),
    f"{JOB}.retry-run": Row("operator", "name", "refused", run()),
    f"{JOB}.backfill": Row("operator", "name", "refused", job(**SPAN)),
    f"{JOB}.execute-many": Row("operator", "name", "refused", ids),
    f"{JOB}.pause-many": Row("operator", "name", "refused", ids),
    f"{JOB}.resume-many": Row("operator", "name", "refused", ids),
    f"{JOB}.skip-many": Row("operator", "name", "refused", ids),
    f"{JOB}.cancel-many": Row("operator", "name", "refused", first_run),
    f"{JOB}.retry-many": Row("operator", "name", "refused", first_run),
    f"{JOB}.create": Row("editor", "name", "refused", definition),
    f"{JOB}.create-many": Row("editor", "name", "refused", jobs_of),
    f"{JOB}.edit": Row("editor", "name", "refused", job(extra="x")),
    f"{JOB}.delete": Row("editor", "name", "refused", job()),
    f"{JOB}.delete-many": Row("editor", "name", "refused", ids),
    f"{JOB}.apply": Row("editor", "name", "refused", jobs_of),
    f"{JOB}.import": Row("editor", "name", "an error of its entry", crontab),
    f"{JOB}.adopt": Row("admin", "none", "", fixed(ids=[1])),
    f"{JOB}.check-silent": Row("editor", "none", "", nothing),
    "zato.scheduler.pause": Row("editor", "none", "", nothing),
    "zato.scheduler.resume": Row("editor", "none", "", nothing),
    "zato.scheduler.continue": Row("editor", "none", "", nothing),
    "zato.scheduler.get-zones": Row("viewer", "-", "", nothing),
    "zato.scheduler.status": Row("viewer", "none", "", nothing),
    "zato.scheduler.calendar.get-list": Row("viewer", "name", "", nothing),
    "zato.scheduler.calendar.get-by-name": Row("viewer", "name", "", fixed(name="x"), 404),
    "zato.scheduler.calendar.get-days": Row(
        "viewer", "name", "", fixed(name="x", year=2027, weekdays=[6])
    ),
    "zato.scheduler.calendar.create": Row(
        "editor", "none", "", lambda world, target: {"name": f"c{next(world.numbers)}"}
    ),
    "zato.scheduler.calendar.rename": Row(
        "editor", "none", "", fixed(name="x", new_name="y"), 404
    ),
    "zato.scheduler.calendar.edit": Row("editor", "none", "", fixed(name="x"), 404),
    "zato.scheduler.calendar.delete": Row("editor", "none", "", fixed(name="x"), 404),
    "zato.service.get-list": Row("viewer", "-", "left out", nothing),
    "zato.service.get-by-name": Row(
        "viewer", "-", "refused", lambda world, target: {"name": target}
    ),
    "zato.service.is-deployed": Row(
        "viewer", "-", "not deployed", lambda world, target: {"name": target}
    ),
    "zato.service.get-deployment-info-list": Row("viewer", "none", "", nothing),
    "zato.service.invoke": Row(
        "operator", "name", "refused", lambda world, target: {"name": target}
    ),
    "zato.service.edit": Row("admin", "name", "refused", lambda world, target: {"name": target}),
    "zato.hot-deploy.create": Row("admin", "none", "", upload),
    "zato.security.user.create": Row("admin", "name", "refused", new_user),
    "zato.security.user.edit": Row(
        "admin", "name", "refused", lambda world, target: {"name": target, "is_active": True}
    ),
    "zato.security.user.delete": Row(
        "admin", "name", "refused", lambda world, target: {"name": f"gone {target}"}
    ),
    "zato.security.user.get-list": Row("admin", "name", "left out", nothing),
    "zato.security.key.create": Row("admin", "name", "refused", credential),
    "zato.security.key.delete": Row(
        "admin", "name", "refused", lambda world, target: {"name": f"gone {target}"}
    ),
    "zato.security.key.edit": Row(
        "admin", "name", "refused", lambda world, target: {"name": target, "is_active": True}
    ),
    "zato.security.key.rotate": Row(
        "admin", "name", "refused", lambda world, target: {"name": target}
    ),
    "zato.security.key.get-list": Row("admin", "name", "left out", nothing),
    "zato.security.session.get-list": Row("viewer", "-", "", nothing),
    "zato.security.session.delete": Row("viewer", "-", "", fixed(id="x"), 404),
    "zato.security.session.delete-all": Row("viewer", "-", "", nothing),
    "zato.audit.get-list": Row("admin", "none", "", nothing),
    "zato.store.check": Row("admin", "none", "", nothing),
    "zato.store.backup": Row(
        "admin", "none", "", lambda world, target: {"name": f"b{next(world.numbers)}"}
    ),
    "zato.notify.webhook": Row("admin", "name", "", nothing, 400),
    "zato.notify.email": Row("admin", "name", "", nothing, 400),
    "zato.ping": Row("viewer", "name", "", nothing),
    "zato.ping2": Row("admin", "name", "", nothing),
    "pub.zato.ping": Row("operator", "name", "", nothing),
    "zato.helpers.echo": Row("operator", "name", "", nothing),
    "zato.helpers.input-logger": Row("operator", "name", "", nothing),
    "zato.helpers.raw-request-logger": Row("operator", "name", "", nothing),
    "helpers.echo": Row("operator", "name", "", nothing),
    "pub.helpers.input-logger": Row("operator", "name", "", nothing),
    "demo.ping": Row("viewer", "name", "", nothing),
    "demo.echo": Row("operator", "name", "", nothing),
    "demo.sleep": Row("operator", "name", "", fixed(seconds=0, jitter=0)),
    "test.raise": Row("operator", "name", "", nothing, 500),
}


def expected(role: str, patterns: tuple[str, ...], service: str, target: str) -> int:
    """Return the status that the table says, 403 for a refusal."""
    row = MATRIX[service]
    if ROLES.index(role) < ROLES.index(row.role):
        return FORBIDDEN
    if not patterns:
        return row.status
    is_named = row.patterns == "-" or (row.patterns == "name" and matches(service, patterns))
    is_refused = row.foreign == "refused" and target == FOREIGN
    return row.status if is_named and not is_refused else FORBIDDEN


class Work(Service[Any, Any]):
    name = OWN

    async def handle(self) -> None:
        self.response.payload = {}


class Pay(Work):
    name = FOREIGN


class World:
    """Application with a key for each role and set of patterns, and jobs of both services."""

    def __init__(self, box: Sandbox, http: HttpApp) -> None:
        self.box, self.http = box, http
        self.numbers: Iterator[int] = itertools.count()
        self.keys: dict[tuple[str, str], str] = {}
        self.old_job: dict[str, int] = {}
        self.new_job: dict[str, int] = {}

    async def prepare(self) -> None:
        accounts = self.box.app.accounts
        for role, name in itertools.product(ROLES, PATTERNS):
            key = new_key()
            roles, patterns = frozenset({role}), PATTERNS[name]
            await accounts.save(Credential("key", key.name, key.hash, roles, patterns))
            self.keys[role, name] = key.text
        for target in (OWN, FOREIGN):
            self.old_job[target] = await self.create(target, "old")
            await self.box.invoke(f"{JOB}.execute", {"id": self.old_job[target]})
            await self.box.settle()
            await self.box.invoke(f"{JOB}.pause", {"id": self.old_job[target]})
        await self.box.advance(minutes=20)
        for target in (OWN, FOREIGN):  # the slots of the pause are in the ledger
            await self.box.invoke(f"{JOB}.resume", {"id": self.old_job[target]})
            troubled = await self.create(target, "troubled")
            await self.box.app.jobs.pause(troubled, "paused automatically", by="system")

    async def create(self, target: str, name: str) -> int:
        fields = {"job_type": "interval_based", "minutes": 10, "start_date": "2027-01-15T08:00:00"}
        answer = await self.box.invoke(
            f"{JOB}.create", {"name": f"{name} {target}", "service": target, **fields}
        )
        return int(answer["id"])

    async def renew(self, target: str) -> None:
        """Make what a request may delete or change."""
        self.new_job[target] = await self.create(target, f"n{next(self.numbers)}")
        patterns = (target.partition(".")[0] + ".*",)
        for name in (target, f"gone {target}"):
            for kind in ("user", "key"):
                user = Credential(kind, name, "", frozenset({"viewer"}), patterns)
                await self.box.app.accounts.save(user)

    async def ask(self, role: str, patterns: str, service: str, payload: Any) -> tuple[int, bytes]:
        headers = {b"host": b"localhost", b"x-api-key": self.keys[role, patterns].encode()}
        path = f"/zato/api/invoke/{service}"
        body = json.dumps(payload).encode()
        request = Request("POST", path, b"", headers, body, "127.0.0.1", path)
        response = await self.http(request)
        return response.status, response.body


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    settings = Settings(
        store=Store("sqlite:///:memory:"),
        server=Server(grace=0.0, port=0),
        services=Services(accepts_uploads=True, reload=False),
    )
    clock = ManualClock(START)
    (tmp_path / "services").mkdir()
    async with sandbox(Work, Pay, project=tmp_path, clock=clock, settings=settings) as box:
        app = dataclasses.replace(box.app, clock=SystemClock())
        async with open_edge(app, {"ZATO_LITE_ADMIN_PASSWORD": "secret secret"}) as http:
            made = World(box, http)
            await made.prepare()
            yield made


def test_the_table_lists_all_built_in_services(world: World) -> None:
    built_in = {entry.name for entry in world.box.app.registry if entry.is_internal}

    assert set(MATRIX) == built_in


@pytest.mark.parametrize("patterns", PATTERNS)
@pytest.mark.parametrize("role", ROLES)
async def test_the_table_holds(world: World, role: str, patterns: str) -> None:
    deviations = []
    for service, row in MATRIX.items():
        for target in (OWN, FOREIGN) if row.foreign else (OWN,):
            await world.renew(target)
            payload = row.payload(world, target)

            status, body = await world.ask(role, patterns, service, payload)

            if status != expected(role, PATTERNS[patterns], service, target):
                deviations.append((service, target, status, body[:200]))
            is_named = "billing" in json.dumps(payload) or not PATTERNS[patterns]
            if target == FOREIGN and status >= 400 and b"billing" in body and not is_named:
                deviations.append((service, "names the other's", status, body[:200]))
            if row.foreign not in {"", "left out", "refused"} and status == OK:
                is_confined = target == FOREIGN and bool(PATTERNS[patterns])
                is_confined |= row.needs_operator and role == "viewer"
                has_worked = b'"is_deployed":true' in body or b'"errors":[]' in body
                if has_worked is is_confined:
                    deviations.append((service, target, status, body[:200]))
            if row.foreign == "left out" and status == OK:
                await world.renew(FOREIGN)
                status, body = await world.ask(role, patterns, service, payload)
                is_shown = (b"billing" in body) or (b'"id":2,' in body)
                if is_shown is bool(PATTERNS[patterns]):
                    deviations.append((service, "shows the other's", is_shown, body[:200]))
                if b"crm.work" not in body and b'"id":1,' not in body:
                    deviations.append((service, "hides the caller's own", status, body[:200]))

    assert deviations == []


async def test_metrics_are_for_callers_without_patterns(world: World) -> None:
    for role, patterns in world.keys:
        headers = {b"host": b"localhost", b"x-api-key": world.keys[role, patterns].encode()}
        request = Request("GET", "/metrics", b"", headers, b"", "127.0.0.1", "/metrics")

        response = await world.http(request)

        assert (patterns, response.status) == (patterns, FORBIDDEN if PATTERNS[patterns] else OK)


async def test_a_query_of_a_confined_caller_selects_its_own_jobs(world: World) -> None:
    payload = {"query": "old", "expected": 1}

    status, body = await world.ask("operator", "crm and jobs", f"{JOB}.pause-many", payload)

    assert (status, json.loads(body)["names"]) == (OK, [f"old {OWN}"])


@pytest.mark.parametrize("is_async", [False, True])
async def test_an_envelope_has_the_rights_of_its_caller(world: World, is_async: bool) -> None:
    evil = {"name": "evil", "password": "evil-evil", "roles": ["admin"]}
    inner = {**definition(world, "zato.security.user.create"), "extra": json.dumps(evil)}
    outer = {**definition(world, f"{JOB}.create"), "extra": json.dumps(inner)}
    nested = {"name": "zato.security.user.create", "payload": evil}
    fine = definition(world, OWN)
    for service, payload in [
        (f"{JOB}.create", inner),
        (f"{JOB}.create", {**outer, "start_date": "2027-01-15T07:00:00"}),
        ("zato.service.invoke", nested),
        (f"{JOB}.create", fine),
    ]:
        text = base64.b64encode(json.dumps(payload).encode()).decode()
        body = json.dumps({"name": service, "payload": text, "is_async": is_async}).encode()
        headers = {b"host": b"localhost", b"x-api-key": world.keys["editor", "none"].encode()}
        path = "/zato/admin/invoke"
        await world.http(Request("POST", path, b"", headers, body, "127.0.0.1", path))
    await world.box.advance(minutes=1)

    users = {user["name"] for user in await world.box.invoke("zato.security.user.get-list")}
    assert "evil" not in users
    found = {job["name"]: job for job in await world.box.invoke(f"{JOB}.get-list")}
    assert found[fine["name"]]["principal"].startswith("key:")
    assert found[fine["name"]]["principal"].removeprefix("key:") in world.keys["editor", "none"]
    assert inner["name"] not in found
    refused = [
        line
        for line in await world.box.invoke("zato.audit.get-list", {"page_size": 100})
        if line["outcome"].startswith("403")
    ]
    assert {line["who"] for line in refused} == {found[fine["name"]]["principal"][4:]}


def test_the_table_is_in_the_docs() -> None:
    words = {"name": "match its name", "-": "are not needed", "none": "must be none"}
    lines = [
        f"| `{service}` | {row.role} | {words[row.patterns]} | {row.foreign} |"
        for service, row in MATRIX.items()
    ]

    text = DOCS.read_text(encoding="utf-8")

    assert [line for line in lines if line not in text] == []
    assert text.count("\n| `") == len(lines)


@pytest.mark.parametrize(
    ("service", "sent"),
    [
        (f"{JOB}.create", {"service": "billing.pai"}),
        (f"{JOB}.create", {"service": "crm.pay"}),
        (f"{JOB}.create-many", {"service": "billing.pai"}),
        (f"{JOB}.edit", {"service": "billing.pai"}),
        (f"{JOB}.validate", {"service": "billing.pai"}),
        (f"{JOB}.validate", {"service": "crm.pay"}),
        (f"{JOB}.validate", {"service": FOREIGN, "extra": "[]"}),
        (f"{JOB}.apply", {"service": "billing.pai"}),
        (f"{JOB}.import", {"service": "billing.pai"}),
        (f"{JOB}.import", {"service": "crm.pay"}),
        ("zato.service.get-by-name", {"name": "billing.pai"}),
        ("zato.service.get-by-name", {"name": "crm.billing.pay"}),
        ("zato.service.invoke", {"name": "billing.pai"}),
        ("zato.service.invoke", {"name": "crm.billing.pay"}),
        ("zato.service.edit", {"name": "billing.pai"}),
        ("crm.billing.pay", {}),
        ("crm.pay", {}),
    ],
)
async def test_errors_suggest_no_services_of_others(
    world: World, service: str, sent: dict[str, Any]
) -> None:
    filled: dict[str, Any] = {**definition(world, OWN), **sent}
    if service.endswith((".create-many", ".apply")):
        filled = {"jobs": [filled]}
    elif service.endswith(".import"):
        filled = {**crontab(world, OWN), **sent}
    elif service.endswith(".edit"):
        filled = {"id": world.old_job[OWN], **sent}

    status, body = await world.ask("admin", "crm and built-in", service, filled)

    assert status in {OK, 400, 403, 404}
    asked = sent.get("name", sent.get("service", service)).encode()
    assert b"billing.pay" not in body.replace(asked, b"")
    assert b"did you mean" not in body


@pytest.mark.parametrize("service", ["get-by-name", "invoke", "edit"])
async def test_ids_of_services_of_others_are_unknown(world: World, service: str) -> None:
    [found] = await world.box.invoke("zato.service.get-list", {"query": FOREIGN})

    status, body = await world.ask(
        "admin", "crm and built-in", f"zato.service.{service}", {"id": found.id}
    )

    assert (status, FOREIGN.encode() in body) == (404, False)


@pytest.mark.parametrize("role", ["editor", "admin"])
@pytest.mark.parametrize(
    ("service", "more"),
    [
        ("execute", {}), ("pause", {}), ("resume", {}), ("skip-next", {}), ("delete", {}),
        ("edit", {"minutes": 50}), ("set-active-status", {"is_active": False}),
        ("backfill", SPAN), ("retry-run", {"current_run": 1}), ("cancel-run", {"current_run": 1}),
        ("pause-many", None), ("delete-many", None), ("execute-many", None),
        ("get-by-id", {}), ("get-history", {}), ("get-log-entries", {"current_run": 1}),
        ("why", {"at": "2027-01-15T09:00:00"}), ("get-audit", {}),
    ],
)  # fmt: skip
async def test_a_job_that_concerns_everything_is_not_that_of_a_caller_with_patterns(
    world: World, role: str, service: str, more: dict[str, Any] | None
) -> None:
    fields = {"job_type": "interval_based", "minutes": 10, "start_date": "2027-01-15T08:00:00"}
    watch = {"name": "watch", "service": f"{JOB}.check-silent", **fields}
    job_id = (await world.box.invoke(f"{JOB}.create", watch))["id"]
    await world.box.advance(minutes=10)
    sent = {"ids": [job_id]} if more is None else {"id": job_id, **more}

    status, body = await world.ask(role, "crm and built-in", f"{JOB}.{service}", sent)
    shown, _ = await world.ask(role, "none", f"{JOB}.get-by-id", {"id": job_id})
    _, listed = await world.ask(role, "crm and built-in", f"{JOB}.get-list", {})

    assert (status, b"check-silent" in body) == (FORBIDDEN, False)
    assert shown == OK
    assert b"check-silent" not in listed


async def test_a_caller_with_patterns_does_not_switch_built_in_services(world: World) -> None:
    sent = {"name": f"{JOB}.get-list", "is_active": False}

    confined, _ = await world.ask("admin", "crm and built-in", "zato.service.edit", sent)
    other, _ = await world.ask("viewer", "none", f"{JOB}.get-list", {})

    assert (confined, other) == (FORBIDDEN, OK)
