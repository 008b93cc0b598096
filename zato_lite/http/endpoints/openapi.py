"""``/openapi.json``: the OpenAPI 3.1 description of the services, made from their types."""

import inspect
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version
from typing import Any, NamedTuple

from zato_lite.http.admission import Admission
from zato_lite.http.endpoints.examples import NoExampleError, example_of
from zato_lite.http.message import Request, Response
from zato_lite.http.router import Router
from zato_lite.http.routes import Channel, Entry, Route, Services
from zato_lite.service.message import Caller
from zato_lite.service.typed import schema_of
from zato_lite.wire import encode

_ERROR = {
    "type": "object",
    "required": ["result", "cid", "details"],
    "properties": {
        "result": {"const": "Error"},
        "cid": {
            "type": "string",
            "description": "Correlation id of the request in the log.",
        },
        "details": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "value", "message"],
                "properties": {
                    "field": {"type": "string"},
                    "value": {},
                    "message": {"type": "string"},
                },
            },
        },
    },
    "example": {"result": "Error", "cid": "K00000001", "details": "Job not found"},
}
_STATUSES = {
    "400": "Bad input; every wrong field is named.",
    "401": "Credentials are missing or wrong.",
    "403": "The caller is not allowed to do this.",
    "404": "Not found.",
    "405": "Method not allowed.",
    "408": "The request took too long to arrive.",
    "409": "Conflict with the present state.",
    "413": "The body is too large.",
    "414": "The URL is too long.",
    "415": "The content coding is not supported.",
    "421": "The host is not served here.",
    "429": "Too many requests.",
    "431": "The header block is too large.",
    "500": "Internal error; see the log by cid.",
    "503": "Unavailable; try again later.",
    "504": "The invocation timed out.",
}
_VERBS = ("get", "put", "post", "delete", "options", "head", "patch")


class ServiceDescription(NamedTuple):
    """A service as the document describes it.

    Attributes:
        channels: its REST channels.
        input, output: JSON Schemas; empty for anything.
    """

    name: str
    summary: str
    channels: tuple[Channel, ...]
    input: dict[str, Any]
    output: dict[str, Any]


def openapi_route(services: Services, admission: Admission, router: Router) -> Route:
    """Return the route; it describes the services that the caller may invoke."""

    async def describe_api(request: Request, caller: Caller | None) -> Response:
        rights = await admission.admit(request)
        described = [
            _describe(entry, router) for entry in services if rights.may_invoke(entry.name)
        ]
        return Response(200, encode(openapi_document(described, version("zato-lite"))))

    return Route(("GET",), "/openapi.json", describe_api)


def openapi_document(services: Iterable[ServiceDescription], version: str) -> dict[str, Any]:
    """Return the whole document."""
    schemas: dict[str, Any] = {"Error": _ERROR}
    paths: dict[str, Any] = {
        "/zato/ping": {"get": _ping(), "post": {**_ping(), "operationId": "ping:post"}}
    }
    for service in services:
        operation = _operation(service, schemas)
        paths[f"/zato/api/invoke/{service.name}"] = {
            "post": {**operation, "operationId": service.name}
        }
        for channel in service.channels:
            _add_channel(paths, channel, service, operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "zato-lite", "version": version},
        "paths": paths,
        "security": [{"basic": []}, {"key": []}],
        "components": {
            "schemas": schemas,
            "responses": {status: _error(text) for status, text in _STATUSES.items()},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "key": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _describe(entry: Entry, router: Router) -> ServiceDescription:
    return ServiceDescription(
        entry.name,
        inspect.cleandoc(entry.cls.__doc__ or "").split("\n\n")[0].replace("``", "`"),
        tuple(channel for channel, name in router.table.channels if name == entry.name),
        schema_of(entry.input),
        schema_of(entry.output),
    )


def _error(description: str) -> dict[str, Any]:
    schema = {"schema": {"$ref": "#/components/schemas/Error"}}
    return {"description": description, "content": {"application/json": schema}}


def _ping() -> dict[str, Any]:
    output = {"type": "object", "properties": {"pong": {"const": "zato"}}, "required": ["pong"]}
    return {
        "operationId": "ping",
        "summary": "Check that the server responds; needs no credentials.",
        "security": [],
        "responses": {**_ok(_content(output, {})), **_errors()},
    }


def _content(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return JSON content of a schema, with an example if one can be made."""
    if schema:
        with suppress(NoExampleError):
            return {"schema": schema, "example": example_of(schema, schemas)}
    return {"schema": schema}


def _operation(service: ServiceDescription, schemas: dict[str, Any]) -> dict[str, Any]:
    taken = _move_definitions(service.input, service.name, schemas)
    given = _move_definitions(service.output, service.name, schemas)
    return {
        "summary": service.summary or service.name,
        "tags": [service.name.rpartition(".")[0] or service.name],
        "responses": {**_ok(_content(given, schemas)), **_errors()},
        "requestBody": {
            "required": bool(service.input.get("required")),
            "content": {"application/json": _content(taken, schemas)},
        },
    }


def _add_channel(
    paths: dict[str, Any],
    channel: Channel,
    service: ServiceDescription,
    invoke: dict[str, Any],
) -> None:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in channel.parameters
    ]
    methods = _VERBS if channel.methods == ("*",) else [m.lower() for m in channel.methods]
    for method in methods:
        if method in _VERBS:
            operation = {**invoke, "operationId": f"{service.name}:{method}:{channel.path}"}
            if method in {"get", "head", "delete", "options"}:
                operation.pop("requestBody")
            if parameters:
                operation["parameters"] = parameters
            paths.setdefault(channel.path, {})[method] = operation


def _ok(output: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": output}
    if not output["schema"]:  # without a declared output, a service may answer text or bytes
        content |= {"text/plain": {"schema": {"type": "string"}}, "application/octet-stream": {}}
    return {"200": {"description": "OK", "content": content}}


def _errors() -> dict[str, Any]:
    return {status: {"$ref": f"#/components/responses/{status}"} for status in _STATUSES}


def _move_definitions(
    schema: dict[str, Any], service: str, schemas: dict[str, Any]
) -> dict[str, Any]:
    """Move a schema's definitions to the document, under the service's name."""
    if not schema:
        return {}
    prefix = "".join(letter if letter.isalnum() else "_" for letter in service)
    for name, definition in schema.get("$defs", {}).items():
        schemas[f"{prefix}.{name}"] = _with_moved_references(definition, prefix)
    return dict(_with_moved_references({k: v for k, v in schema.items() if k != "$defs"}, prefix))


def _with_moved_references(value: Any, prefix: str) -> Any:
    if isinstance(value, list):
        return [_with_moved_references(item, prefix) for item in value]
    if not isinstance(value, dict):
        return value
    moved = {key: _with_moved_references(item, prefix) for key, item in value.items()}
    reference = moved.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        moved["$ref"] = f"#/components/schemas/{prefix}.{reference.removeprefix('#/$defs/')}"
    return moved
