"""Services that change something are not invoked by methods that any page can use."""

from collections.abc import AsyncIterator

import pytest

from tests.http.conftest import BASIC
from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.deploy import built_in_services, is_safe
from zato_lite.config import Server, Settings, Store
from zato_lite.http.app import HttpApp
from zato_lite.http.message import Request, Response
from zato_lite.server import open_edge
from zato_lite.service.base import Service
from zato_lite.testing.app import sandbox

CHANGES = {
    "zato.hot-deploy.create",
    "zato.notify.email",
    "zato.notify.webhook",
    "zato.service.invoke",
}
"""Services that change something, or invoke others, and have no audit record of their own."""


class Work(Service):
    name = "crm.work"
    rest = ("GET /work", "/any-work")

    async def handle(self) -> str:
        return "done"


@pytest.fixture
async def http() -> AsyncIterator[HttpApp]:
    channels = {"GET /delete": "zato.scheduler.job.delete", "/list": "zato.scheduler.job.get-list"}
    server = Server(grace=0.0, port=0, channels=channels)
    settings = Settings(store=Store("sqlite:///:memory:"), server=server)
    async with (
        sandbox(Work, settings=settings) as harness,
        open_edge(harness.app, {"ZATO_LITE_ADMIN_PASSWORD": "secret"}) as edge,
    ):
        yield edge


async def ask(http: HttpApp, method: str, path: str, **fields: str) -> Response:
    headers = {name.replace("_", "-").encode(): value.encode() for name, value in fields.items()}
    headers = {b"host": b"localhost:17010", b"authorization": BASIC, **headers}
    return await http(Request(method, path, b"", headers, b"", "127.0.0.1", path))


def test_each_service_that_changes_something_is_unsafe() -> None:
    unsafe = {cls.name for cls in built_in_services() if not is_safe(cls)}
    audited = {cls.name for cls in built_in_services() if issubclass(cls, AuditedService)}

    assert audited <= unsafe
    assert unsafe - audited >= CHANGES
    assert not any(".get-" in name for name in unsafe)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PROPFIND"])
async def test_a_safe_method_does_not_reach_a_service_that_changes(
    http: HttpApp, method: str
) -> None:
    for cls in built_in_services():
        if not is_safe(cls):
            response = await ask(http, method, f"/zato/api/invoke/{cls.name}")
            assert (response.status, dict(response.headers)["Allow"]) == (
                405,
                "DELETE, PATCH, POST, PUT",
            )


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_an_unsafe_method_reaches_it(http: HttpApp, method: str) -> None:
    assert (await ask(http, method, "/zato/api/invoke/zato.scheduler.job.delete")).status == 400


async def test_a_channel_of_a_built_in_service_is_held_to_the_same(http: HttpApp) -> None:
    assert (await ask(http, "GET", "/delete")).status == 405
    assert (await ask(http, "GET", "/list")).status == 200


@pytest.mark.parametrize(
    "service",
    [
        "zato.scheduler.job.get-list",
        "zato.security.user.get-list",
        "zato.audit.get-list",
        "crm.work",
    ],
)
async def test_a_service_that_reads_is_invoked_by_get(http: HttpApp, service: str) -> None:
    assert (await ask(http, "GET", f"/zato/api/invoke/{service}")).status == 200


MOZILLA = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
POWERSHELL = "Mozilla/5.0 (Windows NT; Windows NT 10.0) WindowsPowerShell/5.1"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 200),
        ({"user_agent": "curl/8.5.0"}, 200),
        ({"user_agent": POWERSHELL}, 200),
        ({"referer": "http://localhost:17010/docs"}, 200),
        ({"referer": "http://localhost:17010"}, 200),
        ({"referer": "about:blank", "user_agent": "curl/8.5.0"}, 200),
        ({"referer": "/docs"}, 200),
        ({"user_agent": MOZILLA, "referer": "http://localhost:17010/docs"}, 200),
        ({"user_agent": MOZILLA, "sec_fetch_site": "none"}, 200),
        ({"user_agent": MOZILLA, "origin": "http://localhost:17010"}, 200),
        ({"referer": "http://evil.example/"}, 403),
        ({"referer": "http://evil.example/?http://localhost:17010/"}, 403),
        ({"referer": "http://localhost:17010@evil.example/"}, 403),
        ({"referer": "http://localhost:17010.evil.example/"}, 403),
        ({"referer": "http://localhost:8080/"}, 403),
        ({"referer": "https://evil.example?localhost:17010"}, 403),
        ({"referer": "android-app://com.evil"}, 403),
        ({"referer": "http://"}, 403),
        ({"user_agent": MOZILLA}, 403),
        ({"user_agent": MOZILLA, "referer": "http://evil.example/"}, 403),
        ({"user_agent": MOZILLA, "origin": "null"}, 403),
        ({"sec_fetch_site": "cross-site", "referer": "http://localhost:17010/"}, 403),
    ],
)
async def test_a_page_of_another_site_cannot_ask(
    http: HttpApp, fields: dict[str, str], status: int
) -> None:
    assert (await ask(http, "GET", "/zato/api/invoke/crm.work", **fields)).status == status


async def test_a_person_can_open_pages_in_a_browser_without_site_fields(http: HttpApp) -> None:
    for path in ("/docs", "/openapi.json", "/metrics", "/work"):
        assert (await ask(http, "GET", path, user_agent=MOZILLA)).status == 200


async def test_only_http_1_0_gets_here_without_a_host(http: HttpApp) -> None:
    for path in ("/healthz", "/zato/ping"):
        assert (await http(Request("GET", path, raw_path=path))).status == 200
