"""List of all routes and services over HTTP and the role that each requires.

The app is whole: real services, real credentials, a real store. Whatever is new has to be put into
one of these tables, which is when its author decides who may have it.
"""

import dataclasses
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from zato_lite.clock import SystemClock
from zato_lite.config import Server, Settings, Store
from zato_lite.dashboard.pages import dashboard_routes
from zato_lite.http.app import HttpApp
from zato_lite.http.message import Request
from zato_lite.http.mount import METHODS
from zato_lite.http.passwords import new_key
from zato_lite.server import open_edge
from zato_lite.service.access import needed_role
from zato_lite.service.base import Service
from zato_lite.service.entry import Entry
from zato_lite.store.accounts import Credential
from zato_lite.testing.app import sandbox

ROLES = ("viewer", "operator", "editor", "admin")
JOB = "zato.scheduler.job"

ANYBODY = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/zato/ping"),
    ("POST", "/zato/session"),
    ("DELETE", "/zato/session"),
    ("GET", "/zato/set-password"),
    ("POST", "/zato/set-password"),
    *(("GET", route.path) for route in dashboard_routes()),
}
ROUTES = ANYBODY | {
    ("GET", "/zato/session"),
    ("POST", "/zato/admin/invoke"),
    ("POST", "/zato/json/zato.service.invoke"),
    *((method, "/zato/json/*") for method in METHODS),
    ("GET", "/ide-deploy"),
    ("POST", "/ide-deploy"),
    ("GET", "/zato/events"),
    ("GET", "/zato/events/log"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/docs/"),
    ("GET", "/docs/index.html"),
    ("GET", "/docs/docs.css"),
    ("GET", "/docs/docs.js"),
}
ODD = ("health", "healthz", "ready", "readyz", "static", "login", "docs", "metrics", "ping",
       "zato", "session", "openapi.json", "events")  # fmt: skip
"""Names of services that resemble public routes."""

SERVICES = {
    "viewer": {
        "demo.ping", "zato.ping", "zato.scheduler.calendar.get-by-name",
        "zato.scheduler.calendar.get-days", "zato.scheduler.calendar.get-list",
        f"{JOB}.get-by-id", f"{JOB}.get-by-name",
        f"{JOB}.get-current-state", f"{JOB}.get-history", f"{JOB}.get-last-run-list",
        f"{JOB}.get-ledger", f"{JOB}.get-list", f"{JOB}.get-log-entries", f"{JOB}.get-run-detail",
        f"{JOB}.get-upcoming", f"{JOB}.simulate", f"{JOB}.validate", f"{JOB}.why",
        "zato.security.session.delete", "zato.security.session.delete-all",
        "zato.security.session.get-list",
        "zato.scheduler.get-zones", "zato.scheduler.status",
        "zato.scheduler.get-timeline", "zato.scheduler.get-figures",
        "zato.scheduler.get-runs",
        "zato.scheduler.get-forecast",
        "zato.scheduler.get-attention",
        "zato.service.get-by-name",
        "zato.service.get-deployment-info-list", "zato.service.get-list",
        "zato.service.is-deployed",
    },
    "operator": {
        "demo.echo", "demo.sleep", "helpers.echo", "pub.helpers.input-logger", "pub.zato.ping",
        "test.raise", "zato.helpers.echo", "zato.helpers.input-logger",
        "zato.helpers.raw-request-logger", f"{JOB}.backfill", f"{JOB}.cancel-many",
        f"{JOB}.cancel-run", f"{JOB}.retry-many", f"{JOB}.skip-many",
        f"{JOB}.execute", f"{JOB}.execute-many", f"{JOB}.pause", f"{JOB}.pause-many",
        f"{JOB}.resume-many", f"{JOB}.resume", f"{JOB}.retry-run",
        f"{JOB}.set-active-status", f"{JOB}.skip-next", "zato.service.invoke",
        *ODD, "crm.customer",
    },
    "editor": {
        "zato.scheduler.calendar.create", "zato.scheduler.calendar.delete",
        "zato.scheduler.calendar.edit", "zato.scheduler.calendar.rename", f"{JOB}.apply",
        f"{JOB}.check-silent", f"{JOB}.create",
        f"{JOB}.create-many", f"{JOB}.delete", f"{JOB}.delete-many", f"{JOB}.edit",
        f"{JOB}.export", f"{JOB}.get-audit", f"{JOB}.import",
        "zato.scheduler.pause", "zato.scheduler.resume", "zato.scheduler.continue",
    },
    "admin": {
        f"{JOB}.adopt", "zato.audit.get-list", "zato.hot-deploy.create", "zato.notify.email",
        "zato.notify.webhook", "zato.ping2", "zato.security.key.create",
        "zato.security.key.delete", "zato.security.key.edit", "zato.security.key.get-list",
        "zato.security.key.rotate", "zato.security.user.create",
        "zato.security.user.delete", "zato.security.user.edit", "zato.security.user.get-list",
        "zato.service.edit", "zato.store.backup", "zato.store.check",
    },
}  # fmt: skip
"""Least role for each service."""


class Customer(Service[Any, Any]):
    name = "crm.customer"
    rest = ("GET /customers/{id}", "/any")

    async def handle(self) -> None:
        self.response.payload = {}


class World(NamedTuple):
    """Application with a key for each role, and one without a role."""

    http: HttpApp
    keys: dict[str, str]
    entries: dict[str, Entry]

    async def ask(
        self, key: str | None, method: str, path: str, body: bytes = b"{}"
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request with a key or without credentials."""
        headers = {b"host": b"localhost"}
        if key is not None:
            headers[b"x-api-key"] = self.keys[key].encode()
        plain, _, query = path.partition("?")
        request = Request(method, plain, query.encode(), headers, body, "127.0.0.1", plain)
        response = await self.http(request)
        if response.stream is not None:
            await response.stream.aclose()  # type: ignore[attr-defined]
        return response.status, dict(response.headers), response.body

    @property
    def calls(self) -> int:
        """Return the number of invocations so far."""
        return sum(entry.calls for entry in self.entries.values())


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(
        store=Store("sqlite:///:memory:"),
        server=Server(grace=0.0, port=0, channels={"GET /configured": "demo.echo"}),
    )


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    odd = [type(f"Odd{n}", (Customer,), {"name": name, "rest": ()}) for n, name in enumerate(ODD)]
    async with sandbox(Customer, *odd, settings=settings) as it:
        app = dataclasses.replace(it.app, clock=SystemClock())
        keys = {}
        for role in (*ROLES, ""):
            key = new_key()
            roles = frozenset({role}) if role else frozenset[str]()
            await app.accounts.save(
                Credential("key", key.name, key.hash, roles, (), is_active=True)
            )
            keys[role] = key.text
        async with open_edge(app, {"ZATO_LITE_ADMIN_PASSWORD": "secret"}) as http:
            yield World(http, keys, app.registry.entries)


def ways(service: str) -> list[tuple[str, str, bytes]]:
    """Return all requests that invoke a service over HTTP."""
    verbs = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW")
    invoke = [(verb, f"/zato/api/invoke/{service}", b"{}") for verb in verbs]
    plain = {"name": service, "payload": b64encode(b"{}").decode()}
    envelopes = [plain, {**plain, "is_async": True}]
    found = [*invoke, *(("POST", "/zato/admin/invoke", json.dumps(e).encode()) for e in envelopes)]
    if service == "crm.customer":
        found += [("GET", "/customers/7", b""), ("HEAD", "/customers/7", b"")]
        found += [(verb, "/any", b"") for verb in verbs]
    found.append(("POST", f"/zato/json/{service}", json.dumps({"name": service}).encode()))
    if service == "demo.echo":
        found += [("GET", "/configured", b""), ("GET", "/configured?a=b", b"")]
    return found


async def test_the_tables_of_this_test_list_all_routes_and_services(world: World) -> None:
    own = world.http.router.routes
    routes = {(method, route.path) for route in own for method in route.methods}

    assert routes | {("GET", "/zato/ping")} == ROUTES
    assert {channel.path for channel, _ in world.http.router.table.channels} == {
        "/customers/{id}",
        "/any",
        "/configured",
    }
    assert set(world.entries) == set().union(*SERVICES.values())
    assert sum(map(len, SERVICES.values())) == len(world.entries)


async def test_only_public_routes_are_open_without_credentials(world: World) -> None:
    for method, path in ROUTES - ANYBODY:
        status, headers, _ = await world.ask(None, method, path)
        assert (method, path, status) == (method, path, 401)
        assert "WWW-Authenticate" in headers
    for name in world.entries:
        for method, path, body in ways(name):
            assert (name, method, (await world.ask(None, method, path, body))[0]) == (
                name,
                method,
                401,
            )

    assert world.calls == 0


async def test_credentials_without_a_role_open_only_public_routes(world: World) -> None:
    for method, path in ROUTES - ANYBODY:
        body = b'{"name": "demo.ping"}'
        assert (path, (await world.ask("", method, path, body))[0]) == (path, 403)


@pytest.mark.parametrize("role", ["", *ROLES])
async def test_a_role_invokes_its_services_and_no_others(world: World, role: str) -> None:
    above = ROLES[ROLES.index(role) + 1 :] if role else ROLES
    for name in set().union(*(SERVICES[other] for other in above)):
        for method, path, body in ways(name):
            status, _, answer = await world.ask(role, method, path, body)
            assert (name, method, status) == (name, method, 403)
            details = json.loads(answer)["details"]
            lacks = needed_role(name) if f"service '{name}'" in details else "viewer"
            assert " is not allowed to " in details
            assert details.endswith(f"; role '{lacks}' is needed")

    assert world.calls == 0
    below = {"operator": "login", "editor": f"{JOB}.export", "admin": "zato.audit.get-list"}
    status, _, _ = await world.ask(
        role, "POST", f"/zato/api/invoke/{below.get(role, 'demo.ping')}"
    )
    assert status == (200 if role else 403)


async def test_other_spellings_of_a_url_do_not_reach_a_service(world: World) -> None:
    for name in ("zato.audit.get-list", "login", "health"):
        for path in (
            f"/{name}",
            f"/zato/{name}",
            f"/zato/api/invoke/{name}/",
            f"/zato/api/invoke//{name}",
            f"/zato/api/invoke/./{name}",
            f"/zato/api/invoke/zato.ping/../{name}",
            f"//zato/api/invoke/{name}",
            f"/zato/ping/../api/invoke/{name}",
            f"/ZATO/api/invoke/{name}",
            f"/zato/api/invoke/{name};a=b",
            f"/zato/ping/{name}",
            f"/docs/../zato/api/invoke/{name}",
        ):
            for key in (None, "viewer"):
                status, _, _ = await world.ask(key, "POST", path)
                assert (path, status in {401, 403, 404, 405}) == (path, True)

    assert world.calls == 0


async def test_public_routes_disclose_no_private_data(world: World) -> None:
    told = {path: (await world.ask(None, "GET", path))[::2] for path in ("/healthz", "/zato/ping")}
    status, _, body = await world.ask(None, "GET", "/readyz")

    assert told == {"/healthz": (200, b"ok\n"), "/zato/ping": (200, b'{"pong":"zato"}')}
    assert (status, json.loads(body)["is_ready"]) in {(200, True), (503, False)}
    assert (await world.ask(None, "POST", "/zato/session"))[0] == 400
    assert (await world.ask(None, "PUT", "/zato/ping"))[0] == 405
