"""URLs of Zato besides those of its scheduler: of its older clients, and of its IDE plugins."""

import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from tests.http.conftest import BASIC
from zato_lite.builtin.services import ListRequest
from zato_lite.config import Server, Settings, Store
from zato_lite.config import Services as ServiceSettings
from zato_lite.errors import BadInputError
from zato_lite.http.app import HttpApp
from zato_lite.http.message import Request
from zato_lite.server import open_edge
from zato_lite.service.base import Service
from zato_lite.service.stream import Event
from zato_lite.service.uploads import BodyLimits
from zato_lite.testing.app import Sandbox, sandbox

MODULE = b"""
from zato.server.service import Int, Service

class Sum(Service):
    name = 'ide.sum'
    input = Int('a'), Int('b')

    def handle(self):
        self.response.payload = {'sum': self.request.input.a + self.request.input.b}
"""


class Double(Service):
    name = "crm.double"

    async def handle(self) -> None:
        match self.request.payload:
            case "text":
                self.response.payload = "<b>"
            case "fail":
                raise ValueError("secret")
            case number:
                self.response.payload = {"double": 2 * number["n"]}


class Ticks(Service):
    name = "crm.ticks"

    async def handle(self) -> AsyncIterator[Event]:
        yield Event(1)


class Raw(Service):
    name = "crm.raw"
    body_limits = BodyLimits(is_streamed=True)

    async def handle(self) -> int:
        return sum([len(piece) async for piece in self.request.stream])


class World(NamedTuple):
    """An application with a project and its edge."""

    harness: Sandbox
    http: HttpApp

    async def ask(
        self, method: str, path: str, body: Any = None, auth: bytes = BASIC, **fields: bytes
    ) -> tuple[int, Any]:
        headers = {b"host": b"localhost", b"authorization": auth}
        headers |= {name.replace("_", "-").encode(): value for name, value in fields.items()}
        data = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        path, _, query = path.partition("?")
        request = Request(method, path, query.encode(), headers, data, "127.0.0.1", path)
        response = await self.http(request)
        return response.status, json.loads(response.body)

    async def add_user(self, name: str, role: str, patterns: tuple[str, ...] = ()) -> bytes:
        user = {"name": name, "password": "a long password", "roles": [role]}
        await self.harness.invoke(
            "zato.security.user.create", {**user, "patterns": list(patterns)}
        )
        return b"Basic " + b64encode(f"{name}:a long password".encode())


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "services").mkdir()
    settings = Settings(
        store=Store("sqlite:///:memory:"),
        server=Server(grace=0.0, port=0),
        services=ServiceSettings(accepts_uploads=True, reload=False),
    )
    async with (
        sandbox(Double, Ticks, Raw, project=tmp_path, settings=settings) as harness,
        open_edge(harness.app, {"ZATO_LITE_ADMIN_PASSWORD": "secret"}) as edge,
    ):
        yield World(harness, edge)


# /zato/json


def read_sio(answer: dict[str, Any]) -> Any:
    """Return the data as JSONSIOClient reads it: the first key besides the envelope's."""
    assert answer["zato_env"]["result"] == "ZATO_OK"
    return next(value for key, value in answer.items() if key not in {"zato_env", "_meta"})


async def test_a_service_answers_at_its_url_of_zato_3_2(world: World) -> None:
    status, answer = await world.ask("POST", "/zato/json/crm.double", {"n": 4})

    assert status == 200
    assert answer["zato_env"].keys() == {"result", "cid", "details"}
    assert read_sio(answer) == {"double": 8}


async def test_a_built_in_service_answers_under_its_own_key(world: World) -> None:
    job = {"name": "a", "is_active": True, "job_type": "interval_based", "service": "crm.double"}
    job |= {"start_date": "2027-01-01", "seconds": 5}

    _, made = await world.ask("POST", "/zato/json/zato.scheduler.job.create", job)
    _, ping = await world.ask("GET", "/zato/json/zato.ping")

    assert made["zato_scheduler_job_create_response"]["name"] == "a"
    assert ping["zato_ping_response"] == {"pong": "zato"}


async def test_an_answer_in_text_is_a_text_in_the_envelope(world: World) -> None:
    _, answer = await world.ask("POST", "/zato/json/crm.double", "text")

    assert read_sio(answer) == "<b>"


@pytest.mark.parametrize(
    ("service", "body", "status", "details"),
    [
        ("crm.double", b"{", 400, "JSON"),
        ("crm.double", "fail", 500, "An error has occurred"),
        ("crm.doublet", {}, 404, "No such service `crm.doublet`; did you mean `crm.double`"),
        ("crm.ticks", {}, 501, "which an envelope cannot hold"),
    ],
)
async def test_an_error_is_in_the_envelope(
    world: World, service: str, body: Any, status: int, details: str
) -> None:
    got, answer = await world.ask("POST", f"/zato/json/{service}", body)

    assert (got, answer.get("zato_env", answer)["details"].count(details)) == (status, 1)
    assert answer.get("zato_env", {"result": "Error"})["result"] in {"ZATO_ERROR", "Error"}


async def test_rights_at_an_old_url_are_those_of_the_service(world: World) -> None:
    viewer = await world.add_user("vera", "viewer")
    confined = await world.add_user("olga", "operator", ("crm.*",))

    assert (await world.ask("POST", "/zato/json/crm.double", {"n": 1}, viewer))[0] == 403
    assert (await world.ask("POST", "/zato/json/crm.double", {"n": 1}, confined))[0] == 200
    assert (await world.ask("POST", "/zato/json/demo.echo", {"n": 1}, confined))[0] == 403
    assert (await world.ask("GET", "/zato/json/zato.scheduler.job.delete"))[0] == 405


async def test_the_envelope_service_has_its_old_url(world: World) -> None:
    body = {"name": "crm.double", "payload": b64encode(b'{"n": 1}').decode()}

    _, answer = await world.ask("POST", "/zato/json/zato.service.invoke", body)

    assert json.loads(b64decode(read_sio(answer))) == {"double": 2}


# By id, and services with streams, in an envelope


async def test_an_envelope_may_name_a_service_by_its_id(world: World) -> None:
    listed = await world.harness.invoke("zato.service.get-list", ListRequest(query="crm.double"))
    body = {"id": listed[0].id, "payload": b64encode(b'{"n": 3}').decode()}

    _, answer = await world.ask("POST", "/zato/admin/invoke", body)
    _, later = await world.ask("POST", "/zato/admin/invoke", {**body, "is_async": True})

    assert json.loads(b64decode(answer["response"])) == {"double": 6}
    assert json.loads(b64decode(later["response"])).keys() == {"run_id"}


async def test_a_viewer_leaves_no_asynchronous_run_behind(world: World) -> None:
    viewer = await world.add_user("vera", "viewer")
    body = {"name": "zato.ping", "payload": ""}

    now, _ = await world.ask("POST", "/zato/admin/invoke", body, viewer)
    status, answer = await world.ask(
        "POST", "/zato/admin/invoke", {**body, "is_async": True}, viewer
    )

    assert (now, status) == (200, 403)
    assert answer["details"] == (
        "user 'vera' is not allowed to invoke service 'zato.service.invoke';"
        " role 'operator' is needed"
    )


async def test_an_id_that_the_caller_may_not_know_is_unknown(world: World) -> None:
    listed = await world.harness.invoke("zato.service.get-list", ListRequest(query="demo.echo"))
    confined = await world.add_user("olga", "operator", ("crm.*",))

    for body, auth in (({"id": listed[0].id}, confined), ({"id": 99_999}, BASIC)):
        status, answer = await world.ask("POST", "/zato/admin/invoke", body, auth)
        assert (status, answer["details"]) == (404, f"No service has the id {body['id']}")

    status, answer = await world.ask("POST", "/zato/admin/invoke", {"payload": ""})
    assert (status, "needs the name or the id" in answer["details"]) == (400, True)


async def test_a_service_that_reads_its_body_itself_gets_that_of_an_envelope(
    world: World,
) -> None:
    body = {"name": "crm.raw", "payload": b64encode(b"12345").decode()}

    status, answer = await world.ask("POST", "/zato/admin/invoke", body)

    assert (status, b64decode(answer["response"])) == (200, b"5")


async def test_a_service_that_reads_a_stream_reads_bytes_and_text_of_other_callers(
    world: World,
) -> None:
    invoke = world.harness.invoke

    assert [await invoke("crm.raw", data) for data in (b"abc", "ä", None)] == [3, 2, 0]
    with pytest.raises(BadInputError, match="send bytes or text, not dict"):
        await invoke("crm.raw", {"a": 1})


async def test_a_stream_of_the_service_that_is_invoked_is_passed_on(world: World) -> None:
    path, body = "/zato/api/invoke/zato.service.invoke", b'{"name": "crm.ticks"}'
    headers = {b"host": b"localhost", b"authorization": BASIC}

    response = await world.http(Request("POST", path, b"", headers, body, "127.0.0.1", path))

    assert response.stream is not None
    assert [piece async for piece in response.stream] == [b"data: 1\n\n"]


# /zato/ping


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_ping_needs_no_credentials(world: World, method: str) -> None:
    assert await world.ask(method, "/zato/ping", b"", b"") == (200, {"pong": "zato"})


# /ide-deploy


async def deploy(world: World, name: str, data: bytes, auth: bytes = BASIC) -> tuple[int, Any]:
    """Send a file as the plugins do; return the status and what they read."""
    body = {"payload_name": name, "payload": b64encode(data).decode()}
    status, answer = await world.ask("POST", "/ide-deploy", body, auth)
    return status, answer.get("zato_ide_deploy_create_response", answer)


async def test_a_plugin_of_an_editor_deploys_a_file(world: World) -> None:
    publisher = await world.add_user("ide_publisher", "admin")

    status, answer = await deploy(world, "ide.py", MODULE, publisher)

    assert (status, answer) == (200, {"success": True, "msg": "deployed"})
    _, answer = await world.ask("POST", "/zato/api/invoke/ide.sum", {"a": 2, "b": 3})
    assert answer == {"sum": 5}
    records = await world.harness.invoke("zato.audit.get-list")
    subjects = [(record["who"], record["subject"]) for record in records]
    assert subjects[0] == ("ide_publisher", "zato.hot-deploy.create")


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("POST", None), ("POST", {})])
async def test_a_plugin_tests_its_connection(world: World, method: str, body: Any) -> None:
    status, answer = await world.ask(method, "/ide-deploy", body)

    message = {"success": True, "msg": "the server accepts uploads"}
    assert (status, answer) == (200, {"zato_ide_deploy_create_response": message})


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("POST", {})])
async def test_a_query_deploys_nothing_as_any_page_can_send_one(
    world: World, method: str, body: Any
) -> None:
    query = urlencode({"payload_name": "ide.py", "payload": b64encode(MODULE).decode()})
    status, answer = await world.ask(
        method, f"/ide-deploy?{query}", body, user_agent=b"Mozilla/5.0"
    )

    message = {"success": True, "msg": "the server accepts uploads"}
    assert (status, answer) == (200, {"zato_ide_deploy_create_response": message})
    assert (await world.ask("POST", "/zato/api/invoke/ide.sum", {"a": 2, "b": 3}))[0] == 404


async def test_a_plugin_shows_why_a_file_was_not_deployed(world: World) -> None:
    assert "SyntaxError" in (await deploy(world, "ide.py", b"class :"))[1]["msg"]
    assert "not a file name" in (await deploy(world, "../ide.py", MODULE))[1]["msg"]
    status, answer = await world.ask("POST", "/ide-deploy", {"payload_name": "a.py"})

    told = answer["zato_ide_deploy_create_response"]
    assert (status, told["success"]) == (200, False)
    assert "payload is missing" in told["msg"]


async def test_only_an_admin_without_patterns_deploys(world: World) -> None:
    for role, patterns in (("editor", ()), ("admin", ("zato.hot-deploy.create",))):
        auth = await world.add_user(f"{role}{len(patterns)}", role, patterns)
        assert (await deploy(world, "ide.py", MODULE, auth))[0] == 403
        assert (await world.ask("GET", "/ide-deploy", None, auth))[0] == 403
    assert (await world.ask("POST", "/ide-deploy", {}, b""))[0] == 401
    assert (await world.ask("GET", "/ide-deploy", sec_fetch_site=b"cross-site"))[0] == 403


async def test_a_server_that_accepts_no_uploads_says_so_to_a_plugin(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    settings = Settings(store=Store("sqlite:///:memory:"), server=Server(grace=0.0, port=0))
    async with (
        sandbox(project=tmp_path, settings=settings) as harness,
        open_edge(harness.app, {"ZATO_LITE_ADMIN_PASSWORD": "secret"}) as edge,
    ):
        world = World(harness, edge)
        tested = await world.ask("GET", "/ide-deploy")
        sent = await deploy(world, "ide.py", MODULE)

    message = "this server does not accept uploads; set accepts_uploads = true under [services]"
    told = {"success": False, "msg": message}
    assert tested == (200, {"zato_ide_deploy_create_response": told})
    assert sent == (200, told)
    assert not (tmp_path / "services" / "ide.py").exists()
