"""``zato-lite mcp``: services as tools of the Model Context Protocol, over stdin and stdout."""

import asyncio
import json
import re
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode
from zlib import crc32

import click

from zato_lite import __version__
from zato_lite.cli.client import AnswerError, decoded, details_of
from zato_lite.cli.verb import Session, verb
from zato_lite.errors import ConfigError, NotFoundError, ZatoLiteError

_INVOKE, _SCHEMAS = "/zato/api/invoke/", "#/components/schemas/"
_MAX_NAME = 64
_ERROR = 400
_WHOLE = "payload"
"""Argument for an input that is not an object."""

INSTRUCTIONS = (
    "Tools are services of a zato-lite server. Those of zato_scheduler_job_* show its jobs, their"
    " runs, and why a slot did not run. Times are ISO 8601."
)


class ToolService(NamedTuple):
    """A service as a tool.

    Attributes:
        name: of the tool; clients accept letters, digits, hyphens and underscores.
        service: the name of the service.
        schema: JSON Schema of the arguments.
        queries: the arguments that are sent in the query.
        is_whole: the only argument is the input itself, as that is not an object.
        is_safe: the service only reads.
    """

    name: str
    service: str
    description: str
    schema: dict[str, Any]
    queries: Collection[str]
    is_whole: bool
    is_safe: bool


@verb(
    None,
    "mcp",
    examples=(
        "mcp --url https://jobs.example --key-file key.txt",
        "mcp --allow 'crm.*' --allow zato.scheduler.job.execute",
    ),
)
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    metavar="PATTERN",
    help="Offer also services that may change something; '*' for all.",
)
def mcp(session: Session, allowed: Sequence[str]) -> None:
    """Offer the services of a server to programs that speak MCP.

    Tools are the services that the user or key may invoke and that only read: those of the
    scheduler, and the project's whose REST channels are all for GET. The program starts this
    command, and talks to it by standard input and output.
    """
    try:
        from mcp.server.stdio import stdio_server  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        words = "the MCP SDK is not installed; pip install 'zato-lite[mcp]'"
        raise ConfigError(f"{words} ({error})") from error
    server = make_server(session, allowed)

    async def run() -> None:
        async with stdio_server() as (received, sent):
            await server.run(received, sent, server.create_initialization_options())

    asyncio.run(run())


class Offer:
    """The tools of a session's server; requests are made in threads, one after the other."""

    def __init__(self, session: Session, allowed: Sequence[str]) -> None:
        self._session, self._allowed = session, allowed
        self._lock = threading.Lock()  # of the one connection

    def tools(self) -> list[ToolService]:
        """Return the tools that the server offers now."""
        document = json.loads(self._request("GET", "/openapi.json"))
        return [*tools_of(document, self._allowed)]

    def invoke(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Invoke a tool's service; return the text of its answer."""
        found = {tool.name: tool for tool in self.tools()}
        if name not in found:
            raise NotFoundError(f"tool {name!r} is not offered; list the tools again")
        return self._request("POST", *request_of(found[name], arguments))

    def _request(self, method: str, path: str, body: str | None = None) -> str:
        with self._lock:
            status, text = self._session.client.request(method, path, body)
        if status >= _ERROR:
            raise AnswerError(status, details_of(text), text)
        return str(text)


def make_server(session: Session, allowed: Sequence[str]) -> Any:
    """Return a server of the SDK whose tools are the services of a session's server."""
    from mcp import MCPError, types  # noqa: PLC0415 - an extra
    from mcp.server.lowlevel import Server  # noqa: PLC0415

    offer = Offer(session, allowed)

    async def list_tools(_: Any, __: Any) -> Any:
        try:
            found = await asyncio.to_thread(offer.tools)
        except ZatoLiteError as error:
            raise MCPError(types.INTERNAL_ERROR, str(error)) from error
        return types.ListToolsResult(tools=[_shown(tool, types) for tool in found])

    async def call_tool(_: Any, params: Any) -> Any:
        try:
            text = await asyncio.to_thread(offer.invoke, params.name, params.arguments or {})
        except ZatoLiteError as error:
            return types.CallToolResult(
                content=[types.TextContent(text=str(error))], is_error=True
            )
        answer = decoded(text)
        return types.CallToolResult(
            content=[types.TextContent(text=text)],
            structured_content=answer if isinstance(answer, dict) else None,
        )

    return Server(
        "zato-lite",
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _shown(tool: ToolService, types: Any) -> Any:
    return types.Tool(
        name=tool.name,
        description=tool.description,
        input_schema=tool.schema,
        annotations=types.ToolAnnotations(title=tool.service, read_only_hint=tool.is_safe),
    )


def tools_of(document: Mapping[str, Any], allowed: Sequence[str]) -> Iterator[ToolService]:
    """Yield the tools of an OpenAPI document: services that only read, and those allowed."""
    schemas = document["components"]["schemas"]
    names: set[str] = set()
    for path, verbs in document["paths"].items():
        operation = verbs.get("post")
        if not path.startswith(_INVOKE) or operation is None:
            continue
        service, is_safe = path.removeprefix(_INVOKE), operation.get("x-safe", False)
        is_ours = service.startswith("zato.scheduler.") or not service.startswith(_BUILT_IN)
        if not (is_safe and is_ours) and not any(fnmatchcase(service, p) for p in allowed):
            continue
        content = operation.get("requestBody", {}).get("content", {"application/json": {}})
        if "application/json" not in content:
            continue
        queries = {
            each["name"]: each["schema"]
            for each in operation.get("parameters", ())
            if each["in"] == "query"
        }
        body = content["application/json"].get("schema", {})
        schema, is_whole = _arguments(body, queries, schemas)
        words = (operation["summary"], operation.get("description", ""))
        yield ToolService(
            _tool_name(service, names),
            service,
            "\n\n".join(filter(None, words)),
            schema,
            frozenset(queries),
            is_whole,
            is_safe,
        )


_BUILT_IN = ("zato.", "demo.", "helpers.", "pub.", "test.")
"""Beginnings of the names of built-in services."""


def request_of(tool: ToolService, arguments: Mapping[str, Any]) -> tuple[str, str]:
    """Return the path and the body of the request that invokes a tool's service."""
    query = {name: value for name, value in arguments.items() if name in tool.queries}
    rest = {name: value for name, value in arguments.items() if name not in tool.queries}
    path = _INVOKE + quote(tool.service, safe="")
    path += f"?{urlencode(query, doseq=True)}" if query else ""
    return path, json.dumps(rest.get(_WHOLE) if tool.is_whole else rest)


def _tool_name(service: str, taken: set[str]) -> str:
    """Return a name that clients accept, and that no other tool has."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", service)
    if name in taken or len(name) > _MAX_NAME:
        name = f"{name[: _MAX_NAME - 9]}_{crc32(service.encode()):08x}"
    taken.add(name)
    return name


def _arguments(
    schema: Mapping[str, Any], queries: Mapping[str, Any], schemas: Mapping[str, Any]
) -> tuple[dict[str, Any], bool]:
    """Return the JSON Schema of a tool's arguments, and True if the body is one of them."""
    definitions: dict[str, Any] = {}
    left = [*_references([schema, queries])]
    while left:
        if (name := left.pop()) not in definitions:
            definitions[name] = _local(schemas[name])
            left += _references(schemas[name])
    found = _local(schema)
    if reference := found.get("$ref"):
        found = dict(definitions[reference.rpartition("/")[2]])
    is_whole = bool(found) and found.get("type") != "object"
    if is_whole:
        found = {"properties": {_WHOLE: found}, "required": [_WHOLE]}
    if queries:
        found["properties"] = {**found.get("properties", {}), **_local(queries)}
    found = {"type": "object", **found}
    return ({**found, "$defs": definitions} if definitions else found), is_whole


def _local(value: Any) -> Any:
    """Return a schema whose references are to its own definitions."""
    if isinstance(value, dict):
        return {
            key: f"#/$defs/{each.removeprefix(_SCHEMAS)}"
            if key == "$ref" and isinstance(each, str)
            else _local(each)
            for key, each in value.items()
        }
    return [_local(each) for each in value] if isinstance(value, list) else value


def _references(value: Any) -> Iterator[str]:
    """Yield the names of the schemas to which a schema refers."""
    if isinstance(value, dict):
        if isinstance(reference := value.get("$ref"), str):
            yield reference.removeprefix(_SCHEMAS)
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)
