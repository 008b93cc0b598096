"""Operations of an OpenAPI document: their parameters, bodies and answers. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from zato_lite.http.endpoints.examples import NoExampleError, example_of
from zato_lite.http.endpoints.schemas import Components, free_name, slug
from zato_lite.http.message import BYTES, JSON, LINES
from zato_lite.http.responses import BODILESS
from zato_lite.http.router import INVOKE_PREFIX
from zato_lite.http.routes import ANY_METHOD, Channel
from zato_lite.service.answers import Answer
from zato_lite.service.binding import Body, BoundField, Cookie, Header, Path, Query
from zato_lite.service.typed import schema_of

ERRORS = {
    "400": "Bad input; every wrong field is named.",
    "401": "Credentials are missing or wrong.",
    "403": "The caller is not allowed to do this.",
    "500": "Internal error; see the log by cid.",
}
"""Statuses of errors that most answers of services can have; ``default`` is for all others."""

DEFAULT_ERROR = "An error, such as 404, 409, 413, 429, 503 or 504."

_VERBS = ("get", "put", "post", "delete", "options", "head", "patch")
_BODILESS = frozenset({"get", "head", "delete", "options"})
FORM = "multipart/form-data"
_ANY_BODY: dict[str, dict[str, Any]] = {
    JSON: {},
    FORM: {"type": "object"},
    BYTES: {"type": "string", "format": "binary"},
}
"""Schemas of bodies that are not declared."""

SAFE = "x-safe"
"""Field of an operation of POST whose service only reads."""

BUILT_IN = "x-built-in"
"""Field of an operation of a built-in service."""

_ERROR_FROM = 400
_PLACES: dict[type, str] = {Header: "header", Cookie: "cookie", Query: "query"}


class ServiceDescription(NamedTuple):
    """A service as the document describes it.

    Attributes:
        channels: its REST channels.
        input, output: JSON Schemas; empty for anything.
        fields: the fields of its input with their sources.
        answers: its declared answers by status.
        body: content type of its request body.
        stream: the content type of an answer that is a stream; empty for another.
        is_safe: it only reads, as far as is known.
        is_internal: it is a built-in service.
    """

    name: str
    summary: str
    channels: tuple[Channel, ...]
    input: dict[str, Any]
    output: dict[str, Any]
    description: str = ""
    fields: Collection[BoundField] = ()
    answers: Mapping[int, Answer] = {}
    body: str = JSON
    stream: str = ""
    is_safe: bool = False
    is_internal: bool = False


class Operation(NamedTuple):
    """An operation and its place in the document."""

    service: str
    path: str
    verb: str
    content: dict[str, Any]


def operations_of(
    services: Iterable[ServiceDescription], components: Components
) -> Iterator[Operation]:
    """Yield the operations of services; their schemas are added to the components."""
    ids: set[str] = {"ping", "ping_post"}
    for service in services:
        given = components.add(service.output, service.name)
        common: dict[str, Any] = {
            "summary": service.summary or service.name,
            "tags": [service.name.rpartition(".")[0] or service.name],
            "responses": _responses(service, given, components),
        }
        if service.description:
            common["description"] = service.description
        if service.is_internal:
            common[BUILT_IN] = True
        taken = components.add(service.input, service.name)
        for operation_id, path, verb, names in _places(service):
            content = {"operationId": free_name(operation_id, ids), **common}
            ids.add(content["operationId"])
            content |= _input_of(service, taken, components, names, verb)
            if service.is_safe and path.startswith(INVOKE_PREFIX):
                content[SAFE] = True
            yield Operation(service.name, path, verb, content)


def content_of(schema: dict[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Return JSON content of a schema, with an example if one can be made."""
    if schema:
        with suppress(NoExampleError):
            return {"schema": schema, "example": example_of(schema, schemas)}
    return {"schema": schema}


def error_responses() -> dict[str, Any]:
    """Return references to the descriptions of errors by status."""
    statuses = [*ERRORS, "default"]
    return {status: {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _places(service: ServiceDescription) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """Yield for each operation its wanted id, path, method, and the path's parameters."""
    found = [
        (channel, verb)
        for channel in service.channels
        for verb in (
            _VERBS if channel.methods == (ANY_METHOD,) else map(str.lower, channel.methods)
        )
        if verb in _VERBS
    ]
    name = slug(service.name)
    yield f"invoke_{name}" if found else name, f"{INVOKE_PREFIX}{service.name}", "post", ()
    verbs = [verb for _, verb in found]
    for channel, verb in found:
        parts = [name]
        if len(found) > 1:
            parts.append(verb)
        if verbs.count(verb) > 1:
            parts.append(slug(channel.path))
        yield "_".join(parts), channel.path, verb, channel.parameters


def _input_of(
    service: ServiceDescription,
    taken: dict[str, Any],
    components: Components,
    path_parameters: tuple[str, ...],
    verb: str,
) -> dict[str, Any]:
    """Return the parameters and the request body of an operation."""
    whole = components.resolved(taken)
    properties: dict[str, Any] = whole.get("properties", {})
    required = {*whole.get("required", ())}
    fields = {field.name: field for field in service.fields}
    parameters, rest, body = [], {}, None
    for name, schema in properties.items():
        field = fields.get(name)
        if field is not None and isinstance(field.source, Body):
            body = schema, name in required
        elif (place := _place(field, name, path_parameters, verb)) is None:
            rest[name] = schema
        else:
            key = name if field is None else field.key
            parameters.append(_parameter(key, place, schema, name in required, components))
    bound = {each["name"] for each in parameters if each["in"] == "path"}
    parameters += [
        _parameter(name, "path", {"type": "string"}, True, components)
        for name in path_parameters
        if name not in bound
    ]
    found: dict[str, Any] = {"parameters": parameters} if parameters else {}
    if body is None and not (properties and not rest) and verb not in _BODILESS:
        is_whole = len(rest) == len(properties)
        schema = taken if is_whole else _without_moved(whole, rest, service.name, components)
        body = schema, bool(required & rest.keys()) if properties else bool(taken)
    if body is not None:
        content = {
            service.body: content_of(body[0] or _ANY_BODY[service.body], components.schemas)
        }
        if service.body != JSON:  # an example of a file would be a text
            content[service.body].pop("example", None)
        found["requestBody"] = {"required": body[1], "content": content}
    return found


def _place(
    field: BoundField | None, name: str, path_parameters: tuple[str, ...], verb: str
) -> str | None:
    """Return where a field is sent; None for the body."""
    key, source = (name, None) if field is None else (field.key, field.source)
    if source is not None and type(source) in _PLACES:
        return _PLACES[type(source)]
    if key in path_parameters:
        return "path"
    return "query" if verb in _BODILESS and not isinstance(source, Path) else None


def _parameter(
    key: str, place: str, schema: dict[str, Any], is_required: bool, components: Components
) -> dict[str, Any]:
    sent = _without_null(schema)
    found: dict[str, Any] = {"name": key, "in": place, "required": place == "path" or is_required}
    if description := components.resolved(sent).get("description"):
        found["description"] = description
    return {**found, "schema": sent}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of a text: null means that it is not sent."""
    choices = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    rest = {key: value for key, value in schema.items() if (key, value) != ("default", None)}
    if not choices:
        return rest
    del rest["anyOf"]
    return {**rest, **choices[0]} if len(choices) == 1 else {**rest, "anyOf": choices}


def _without_moved(
    whole: dict[str, Any], rest: dict[str, Any], service: str, components: Components
) -> dict[str, Any]:
    """Return the schema of a body that lacks the fields which are sent elsewhere."""
    required = [name for name in whole.get("required", ()) if name in rest]
    schema = {**whole, "properties": rest, "required": required}
    if title := schema.get("title"):
        schema["title"] = f"{title}Body"
    return components.add(schema, service)


def _responses(
    service: ServiceDescription, given: dict[str, Any], components: Components
) -> dict[str, Any]:
    answers = dict(service.answers)
    if not any(status < _ERROR_FROM for status in answers):
        answers = {200: Answer("OK"), **answers}
    found: dict[str, Any] = {}
    for status, answer in answers.items():
        response: dict[str, Any] = {"description": answer.description or "OK"}
        if answer.headers:
            response["headers"] = {
                name: {"description": text, "schema": {"type": "string"}}
                for name, text in answer.headers.items()
            }
        if status not in BODILESS:
            is_error = status >= _ERROR_FROM
            stream = "" if is_error else service.stream
            schema = {"$ref": "#/components/schemas/Error"} if is_error else given
            if answer.type is not None:
                schema = components.add(schema_of(answer.type), service.name)
            elif stream and stream != LINES:
                schema = {} if stream == BYTES else {"type": "string"}
            kind = answer.content_type or stream
            contents = _contents(schema, components.schemas)
            response["content"] = {kind: {"schema": schema}} if kind else contents
        found[str(status)] = response
    return {**error_responses(), **found}


def _contents(schema: dict[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": content_of(schema, schemas)}
    if not schema:  # without a declared output, a service may answer text or bytes
        content |= {"text/plain": {"schema": {"type": "string"}}, "application/octet-stream": {}}
    return content
