"""``/openapi.json``: the OpenAPI 3.1 description of the services, made from their types."""

import inspect
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple, get_args

from zato_lite import __version__
from zato_lite.http.admission import Admission
from zato_lite.http.endpoints.operations import (
    BUILT_IN,
    DEFAULT_ERROR,
    ERRORS,
    FORM,
    ServiceDescription,
    content_of,
    error_responses,
    operations_of,
)
from zato_lite.http.endpoints.schemas import Components, used_schemas
from zato_lite.http.message import BYTES, JSON, Request, Response
from zato_lite.http.router import Router
from zato_lite.http.routes import Channel, Entry, Route, Services
from zato_lite.http.streamed import stream_type
from zato_lite.service.access import is_built_in, is_safe
from zato_lite.service.answers import answers_of
from zato_lite.service.binding import Binding, binding_of
from zato_lite.service.message import Caller
from zato_lite.service.offload import offload
from zato_lite.service.typed import is_custom, is_stream, schema_of
from zato_lite.service.uploads import BodyLimits, has_uploads
from zato_lite.wire import encode

_SHARED: dict[str, Any] = {
    "WrongField": {
        "title": "WrongField",
        "type": "object",
        "required": ["field", "value", "message"],
        "properties": {
            "field": {"type": "string"},
            "value": {},
            "message": {"type": "string"},
        },
    },
    "Error": {
        "title": "Error",
        "type": "object",
        "required": ["result", "cid", "details"],
        "properties": {
            "result": {"const": "Error"},
            "cid": {
                "type": "string",
                "description": "Correlation id of the request in the log.",
            },
            "details": {"type": "string"},
            "errors": {"type": "array", "items": {"$ref": "#/components/schemas/WrongField"}},
        },
        "example": {"result": "Error", "cid": "K00000001", "details": "Job not found"},
    },
    "Pong": {
        "title": "Pong",
        "type": "object",
        "properties": {"pong": {"const": "zato"}},
        "required": ["pong"],
    },
}


class ApiInfo(NamedTuple):
    """The name of an API, as the settings give it; without a version, it is the framework's."""

    title: str = "zato-lite"
    version: str = ""
    description: str = ""


UNTITLED = ApiInfo()


def openapi_route(
    services: Services, admission: Admission, router: Router, info: ApiInfo
) -> Route:
    """Return the route; it describes the services that the caller may invoke."""
    cached: tuple[Any, ApiDescription] | None = None

    def document(key: tuple[Any, ...], may_invoke: Callable[[str], bool]) -> bytes:
        nonlocal cached
        if cached is None or cached[0] != key:
            described = [_describe(entry, router) for entry in services]
            cached = key, ApiDescription(described, info)
        return encode(cached[1].document(may_invoke))

    async def describe_api(request: Request, caller: Caller | None) -> Response:
        rights = await admission.admit(request)
        key = router.table, *(entry.cls for entry in services)
        return Response(
            200, await offload(document, key, rights.may_invoke, owner=rights.caller.principal)
        )

    return Route(("GET",), "/openapi.json", describe_api)


def openapi_document(
    services: Iterable[ServiceDescription], info: ApiInfo = UNTITLED
) -> dict[str, Any]:
    """Return the document of all these services."""
    return ApiDescription(services, info).document(lambda name: True)


class ApiDescription:
    """The operations of all services and their schemas."""

    def __init__(self, services: Iterable[ServiceDescription], info: ApiInfo) -> None:
        components = Components(_SHARED)
        self._operations = [*operations_of(services, components)]
        self._schemas, self._info = components.schemas, info

    def document(self, may_invoke: Callable[[str], bool]) -> dict[str, Any]:
        """Return the document of the services that a caller may invoke."""
        paths: dict[str, Any] = {"/zato/ping": {"get": _ping("ping"), "post": _ping("ping_post")}}
        tags: dict[str, None] = {}
        allowed: dict[str, bool] = {}
        for service, path, verb, content in self._operations:
            if service not in allowed:
                allowed[service] = may_invoke(service)
            if allowed[service]:
                paths.setdefault(path, {})[verb] = content
                tags.update(dict.fromkeys(content["tags"]))
        responses = {status: _error(text) for status, text in ERRORS.items()}
        responses["default"] = _error(DEFAULT_ERROR)
        return {
            "openapi": "3.1.0",
            "info": _info(self._info),
            "tags": [{"name": name} for name in sorted(tags)],
            "paths": paths,
            "security": [{"basic": []}, {"bearer": []}, {"key": []}],
            "components": {
                "schemas": used_schemas([paths, responses], self._schemas),
                "responses": responses,
                "securitySchemes": {
                    "basic": {"type": "http", "scheme": "basic"},
                    "bearer": {"type": "http", "scheme": "bearer"},
                    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                },
            },
        }


def _info(info: ApiInfo) -> dict[str, str]:
    found = {"title": info.title, "version": info.version or __version__}
    return {**found, "description": info.description} if info.description else found


def _describe(entry: Entry, router: Router) -> ServiceDescription:
    text = inspect.cleandoc(entry.cls.__doc__ or "").replace("``", "`")
    summary, _, description = text.partition("\n\n")
    binding = None if is_custom(entry.input) else binding_of(entry.input)
    channels = tuple(channel for channel, name in router.table.channels if name == entry.name)
    return ServiceDescription(
        entry.name,
        " ".join(summary.split()),
        channels,
        schema_of(entry.input),
        schema_of(entry.output),
        description.strip(),
        binding.fields if binding else (),
        answers_of(entry.cls),
        _body_of(entry, binding),
        stream_type(*get_args(entry.output)[:1]) if is_stream(entry.output) else "",
        is_safe(entry.name) if is_built_in(entry.name) else _only_reads(channels),
        entry.is_internal,
    )


def _only_reads(channels: Collection[Channel]) -> bool:
    """Return True if a project's service has channels, and all are for GET."""
    return bool(channels) and all({*channel.methods} <= {"GET", "HEAD"} for channel in channels)


def _body_of(entry: Entry, binding: Binding | None) -> str:
    limits: BodyLimits | None = getattr(entry.cls, "body_limits", None)
    if limits is not None and limits.is_streamed:
        return BYTES
    return FORM if binding and any(has_uploads(f.type) for f in binding.fields) else JSON


def _error(description: str) -> dict[str, Any]:
    schema = {"schema": {"$ref": "#/components/schemas/Error"}}
    return {"description": description, "content": {"application/json": schema}}


def _ping(operation_id: str) -> dict[str, Any]:
    content = content_of({"$ref": "#/components/schemas/Pong"}, _SHARED)
    ok = {"description": "OK", "content": {"application/json": content}}
    return {
        "operationId": operation_id,
        "summary": "Check that the server responds; needs no credentials.",
        "tags": ["zato"],
        BUILT_IN: True,
        "security": [],
        "responses": {"200": ok, **error_responses()},
    }
