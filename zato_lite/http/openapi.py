"""The OpenAPI 3.1 description of what is served, made from the services' types: pure."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from zato_lite.http.examples import NoExampleError, example_of
from zato_lite.http.routes import Channel

_ERROR = {
    "type": "object",
    "required": ["result", "cid", "details"],
    "properties": {
        "result": {"const": "Error"},
        "cid": {"type": "string", "description": "Names the request in the server's log."},
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
    "400": "What was sent cannot be used; every wrong field is named.",
    "401": "Credentials are missing or wrong.",
    "403": "The caller may not do this.",
    "404": "There is no such thing.",
    "405": "The path answers to other methods.",
    "408": "The request took too long to arrive.",
    "409": "It contradicts what is there.",
    "413": "Too much was sent.",
    "414": "The URL is too long.",
    "415": "The content has a coding that is not supported.",
    "421": "Another host is meant.",
    "429": "Too often.",
    "431": "The header block is too large.",
    "500": "Something went wrong; the log knows.",
    "503": "Not now.",
    "504": "The time was up.",
}
_VERBS = ("get", "put", "post", "delete", "options", "head", "patch")


class Described(NamedTuple):
    """A service as it is described.

    Attributes:
        channels: its REST channels.
        takes, gives: JSON Schemas, empty for anything.
    """

    name: str
    text: str
    channels: tuple[Channel, ...]
    takes: dict[str, Any]
    gives: dict[str, Any]


def description(services: Iterable[Described], version: str) -> dict[str, Any]:
    """The whole document."""
    schemas: dict[str, Any] = {"Error": _ERROR}
    paths: dict[str, Any] = {"/zato/ping": {"get": _ping()}}
    for service in services:
        takes = _hoisted(service.takes, service.name, schemas)
        gives = _hoisted(service.gives, service.name, schemas)
        taken, given = _content(takes, schemas), _content(gives, schemas)
        invoked = _operation(service, taken, given)
        paths[f"/zato/api/invoke/{service.name}"] = {
            "post": {**invoked, "operationId": service.name}
        }
        for channel in service.channels:
            _add_channel(paths, channel, service, invoked)
    return {
        "openapi": "3.1.0",
        "info": {"title": "zato-lite", "version": version},
        "paths": paths,
        "security": [{"basic": []}, {"key": []}],
        "components": {
            "schemas": schemas,
            "responses": {
                status: {
                    "description": text,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Error"}}
                    },
                }
                for status, text in _STATUSES.items()
            },
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "key": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _ping() -> dict[str, Any]:
    answer = {"type": "object", "properties": {"pong": {"const": "zato"}}, "required": ["pong"]}
    return {
        "operationId": "ping",
        "summary": "Whether the server answers; for anybody.",
        "security": [],
        "responses": {**_ok(_content(answer, {})), **_errors()},
    }


def _content(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """JSON of a schema, with an example if there is one."""
    if schema:
        with suppress(NoExampleError):
            return {"schema": schema, "example": example_of(schema, schemas)}
    return {"schema": schema}


def _operation(service: Described, takes: dict[str, Any], gives: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": service.text or service.name,
        "tags": [service.name.rpartition(".")[0] or service.name],
        "responses": {**_ok(gives), **_errors()},
    }
    operation["requestBody"] = {
        "required": bool(service.takes.get("required")),
        "content": {"application/json": takes},
    }
    return operation


def _add_channel(
    paths: dict[str, Any], channel: Channel, service: Described, invoked: dict[str, Any]
) -> None:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in channel.parameters
    ]
    methods = _VERBS if channel.methods == ("*",) else [m.lower() for m in channel.methods]
    for method in methods:
        if method in _VERBS:
            operation = {**invoked, "operationId": f"{service.name}:{method}:{channel.path}"}
            if method in {"get", "head", "delete", "options"}:
                operation.pop("requestBody")
            if parameters:
                operation["parameters"] = parameters
            paths.setdefault(channel.path, {})[method] = operation


def _ok(gives: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": gives}
    if not gives[
        "schema"
    ]:  # a service that does not say what it answers may answer with text or bytes
        content |= {"text/plain": {"schema": {"type": "string"}}, "application/octet-stream": {}}
    return {"200": {"description": "OK", "content": content}}


def _errors() -> dict[str, Any]:
    return {status: {"$ref": f"#/components/responses/{status}"} for status in _STATUSES}


def _hoisted(schema: dict[str, Any], service: str, schemas: dict[str, Any]) -> dict[str, Any]:
    """The schema with its definitions moved to the document's, under the service's name."""
    if not schema:
        return {}
    prefix = "".join(letter if letter.isalnum() else "_" for letter in service)
    for name, definition in schema.get("$defs", {}).items():
        schemas[f"{prefix}.{name}"] = _moved(definition, prefix)
    return dict(_moved({k: v for k, v in schema.items() if k != "$defs"}, prefix))


def _moved(value: Any, prefix: str) -> Any:
    if isinstance(value, list):
        return [_moved(item, prefix) for item in value]
    if not isinstance(value, dict):
        return value
    moved = {key: _moved(item, prefix) for key, item in value.items()}
    reference = moved.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        moved["$ref"] = f"#/components/schemas/{prefix}.{reference.removeprefix('#/$defs/')}"
    return moved
