"""Services as tools of the Model Context Protocol, for the SDK's own client."""

import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import mcp
import pytest
from mcp.client.stdio import StdioServerParameters

from tests.cli.conftest import PASSWORD, Running, run
from zato_lite.cli.mcp import make_server, request_of, tools_of
from zato_lite.cli.verb import Session

SERVICES = '''
import enum
import msgspec
from typing import Annotated
from zato_lite import Query, Service


class Line(msgspec.Struct):
    sku: str


class Order(msgspec.Struct):
    id: int
    lines: list[Line] = []


class Read(Service[Order, Order]):
    """Read an order.

    With its lines.
    """

    rest = "GET /orders/{id}"

    async def handle(self):
        return self.request.input


class Save(Service[Order, Order]):
    async def handle(self):
        return self.request.input


class Both(Service):
    rest = ("GET /both", "POST /both")

    async def handle(self):
        return 1


class Colour(enum.Enum):
    RED = "red"


class Page(msgspec.Struct):
    text: str
    number: Annotated[int, Query()] = 1
    colour: Annotated[Colour, Query()] = Colour.RED


class Find(Service[Page, list[str]]):
    rest = "GET /found"

    async def handle(self):
        return [f"{self.request.input.text} {self.request.input.number}"]


class Add(Service[list[int], int]):
    rest = "GET /sums"

    async def handle(self):
        return sum(self.request.input)


class Fail(Service):
    rest = "GET /fail"

    async def handle(self):
        raise ValueError("no money")
'''


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    project = tmp_path_factory.mktemp("mcp")
    (project / "services").mkdir()
    (project / "services" / "mcpshop.py").write_text(SERVICES)
    with Running(project) as running:
        yield running


@asynccontextmanager
async def connected(
    shop: Running, monkeypatch: pytest.MonkeyPatch, allowed: Sequence[str] = (), **key: Any
) -> AsyncIterator[mcp.Client]:
    monkeypatch.setenv("ZATO_LITE_PASSWORD", PASSWORD)
    for name, value in key.items():
        monkeypatch.setenv(name, value)
    with closing(Session(url=shop.url, asks=False)) as session:
        async with mcp.Client(make_server(session, allowed)) as client:
            yield client


async def tools_by_name(client: mcp.Client) -> dict[str, Any]:
    return {tool.name: tool for tool in (await client.list_tools()).tools}


async def call(client: mcp.Client, tool: str, arguments: dict[str, Any]) -> Any:
    return await client.call_tool(tool, arguments)


async def test_tools_are_the_services_that_only_read(
    shop: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(shop, monkeypatch) as client:
        tools = await tools_by_name(client)

    own = {name for name in tools if not name.startswith("zato_")}
    assert own == {"mcpshop_read", "mcpshop_find", "mcpshop_add", "mcpshop_fail"}
    assert {"zato_scheduler_job_get-list", "zato_scheduler_job_why"} <= tools.keys()
    assert "zato_scheduler_job_create" not in tools
    assert not [name for name in tools if name.startswith("zato_security")]
    read = tools["mcpshop_read"]
    assert read.description == "Read an order.\n\nWith its lines."
    assert read.annotations.read_only_hint
    assert read.input_schema["required"] == ["id"]
    assert read.input_schema["properties"]["lines"]["items"] == {"$ref": "#/$defs/Line"}
    assert read.input_schema["$defs"]["Line"]["required"] == ["sku"]
    find = tools["mcpshop_find"].input_schema
    assert find["properties"].keys() == {"text", "number", "colour"}
    assert find["properties"]["colour"]["$ref"] == "#/$defs/Colour"
    assert find["$defs"]["Colour"]["enum"] == ["red"]
    assert "colour" not in find["$defs"]["PageBody"]["properties"]


async def test_a_tool_invokes_its_service(shop: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(shop, monkeypatch) as client:
        order = {"id": 7, "lines": [{"sku": "a"}]}
        read = await call(client, "mcpshop_read", order)
        found = await call(client, "mcpshop_find", {"text": "x", "number": 3})
        added = await call(client, "mcpshop_add", {"payload": [1, 2]})
        jobs = await call(client, "zato_scheduler_job_get-list", {})

    assert (read.structured_content, read.is_error) == (order, False)
    assert found.content[0].text == '["x 3"]'
    assert added.content[0].text == "3"
    assert jobs.content[0].text == "[]"


async def test_errors_of_services_are_sentences(
    shop: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(shop, monkeypatch) as client:
        wrong = await call(client, "mcpshop_read", {"id": "x"})
        failed = await call(client, "mcpshop_fail", {})
        unknown = await call(client, "mcpshop_save", {"id": 1})

    assert [each.is_error for each in (wrong, failed, unknown)] == [True] * 3
    assert "id: Expected `int`" in wrong.content[0].text
    assert failed.content[0].text.startswith("An error has occurred; zato-lite log ")
    assert unknown.content[0].text.startswith("tool 'mcpshop_save' is not offered")


async def test_services_that_change_something_are_tools_if_they_are_allowed(
    shop: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = ["mcpshop.save", "zato.scheduler.job.*"]
    async with connected(shop, monkeypatch, allowed) as client:
        tools = await tools_by_name(client)
        job = {"name": "m", "service": "mcpshop.both", "job_type": "interval_based", "hours": 1}
        made = await call(client, "zato_scheduler_job_create", job)
        run_now = await call(
            client, "zato_scheduler_job_execute", {"id": made.structured_content["id"]}
        )

    assert "mcpshop_both" not in tools
    assert not tools["mcpshop_save"].annotations.read_only_hint
    assert made.structured_content["name"] == "m"
    assert not run_now.is_error
    assert shop.ask("zato.scheduler.job.get-by-name", {"name": "m"})["name"] == "m"


async def test_tools_are_those_that_the_key_may_invoke(
    shop: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    rights = {"roles": ["operator"], "patterns": ["mcpshop.r*"]}
    key = shop.ask("zato.security.key.create", rights)["key"]

    async with connected(shop, monkeypatch, ["*"], ZATO_LITE_API_KEY=key) as client:
        tools = await tools_by_name(client)
        refused = await call(client, "mcpshop_find", {"text": "x"})

    assert {name for name in tools if name.startswith("mcpshop")} == {"mcpshop_read"}
    assert refused.is_error


async def test_a_server_that_is_gone_is_an_error_of_the_tool(
    shop: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZATO_LITE_PASSWORD", PASSWORD)
    with closing(Session(url="http://127.0.0.1:9", asks=False)) as session:
        async with mcp.Client(make_server(session, ())) as client:
            answer = await call(client, "mcpshop_read", {"id": 1})
            with pytest.raises(Exception, match="connection refused"):
                await client.list_tools()

    assert answer.is_error
    assert "connection refused" in answer.content[0].text


def operation(**more: Any) -> dict[str, Any]:
    return {"post": {"summary": "Do.", "x-safe": True, **more}}


def document(*names: str, **more: Any) -> dict[str, Any]:
    paths = {f"/zato/api/invoke/{name}": operation(**more) for name in names}
    return {"paths": {**paths, "/zato/ping": {"get": {}}}, "components": {"schemas": {}}}


def test_names_of_tools_are_short_and_different() -> None:
    long = "a" * 70
    tools = [*tools_of(document("a.b", "a_b", f"{long}1", f"{long}2"), ())]

    names = [tool.name for tool in tools]
    assert names[0] == "a_b"
    assert len({*names}) == 4
    assert max(map(len, names)) <= 64


def test_services_that_read_forms_are_left_out() -> None:
    form: dict[str, Any] = {"content": {"multipart/form-data": {}}}

    assert not [*tools_of(document("a.form", requestBody=form), ["*"])]


def test_an_input_that_is_not_declared_takes_any_arguments() -> None:
    [tool] = tools_of(document("a.any"), ())

    assert tool.schema == {"type": "object"}
    assert request_of(tool, {"x": [1]}) == ("/zato/api/invoke/a.any", '{"x": [1]}')


def test_without_the_sdk_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server.stdio", None)

    ran = run("mcp", ZATO_LITE_PASSWORD=PASSWORD)

    assert ran.status == 2
    assert "pip install 'zato-lite[mcp]'" in ran.err


@pytest.mark.e2e
async def test_the_command_speaks_over_stdio(shop: Running) -> None:
    command = Path(sys.executable).with_name("zato-lite")
    environ = {"ZATO_LITE_PASSWORD": PASSWORD, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    program = StdioServerParameters(
        command=str(command), args=["mcp", "--url", shop.url], env=environ
    )

    async with mcp.Client(program) as client:
        tools = await tools_by_name(client)
        read = await call(client, "mcpshop_read", {"id": 7})

    assert "mcpshop_read" in tools
    assert read.structured_content == {"id": 7, "lines": []}
