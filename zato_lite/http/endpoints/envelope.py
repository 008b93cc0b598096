"""``/zato/admin/invoke``: requests and responses in the envelope that Zato's clients use."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from zato_lite.errors import BadInputError, NotOfferedError
from zato_lite.http.message import Request, Response, close_stream
from zato_lite.http.payloads import shorter
from zato_lite.http.request_invoker import RequestInvoker
from zato_lite.http.responder import LATER, Responder
from zato_lite.http.router import INVOKE_PREFIX, Target
from zato_lite.http.routes import Route
from zato_lite.service.access import needed_role
from zato_lite.service.built_in import refusal_of
from zato_lite.service.message import Caller, Outcome
from zato_lite.service.offload import OFFLOAD_FROM, offload
from zato_lite.wire import decode, decode_strict, encode

PATH = "/zato/admin/invoke"
OLD_PATH = "/zato/json/zato.service.invoke"
"""The same until Zato 3.2: a path below that of all services."""

_SERVICE = "zato.service.invoke"
_ERRORS_FROM = 400


class Envelope(msgspec.Struct):
    """The service to invoke, by its name or its id; the payload is JSON or text in base64.

    Attributes:
        timeout: seconds for the invocation, up to a year; 0 for no limit.
    """

    name: str = ""
    id: int | None = None
    payload: str | None = None
    is_async: bool = False
    timeout: Annotated[float, msgspec.Meta(ge=0, le=31_622_400)] | None = None


def envelope_routes(invoker: RequestInvoker, responder: Responder) -> list[Route]:
    """Return the routes; they admit viewers, and then check the rights to the named service."""

    async def invoke(request: Request, caller: Caller | None) -> Response:
        body, owner = request.body, "" if caller is None else caller.principal
        if len(body) < OFFLOAD_FROM:
            envelope, payload, raw = read_envelope(body)
        else:
            envelope, payload, raw = await offload(read_envelope, body, owner=owner)
        name = envelope.name
        if envelope.id is not None and caller is not None and not name:
            name = invoker.name_of(envelope.id, caller)
        cached = await invoker.prepare(request, Target(name))
        if envelope.is_async:
            if not cached.rights.has_role(needed_role(_SERVICE)):  # a viewer leaves no runs behind
                raise refusal_of(cached.caller, _SERVICE)
            run = {"name": name, "payload": payload, "is_async": True}
            run["timeout"] = envelope.timeout  # limits the later run, not this request
            outcome = await invoker.invoke(cached, run, raw, service=_SERVICE)
        else:
            seconds = shorter(envelope.timeout or None, cached.timeout)
            outcome = await invoker.invoke(cached, payload, raw, seconds=seconds)
        await refuse_stream(outcome, name)
        response = await responder.answer_in_parts(cached, request, outcome)
        if len(response.body) < OFFLOAD_FROM:
            return wrap_response(response)
        return await offload(wrap_response, response, owner=owner)

    return [Route(("POST",), path, invoke) for path in (PATH, OLD_PATH)]


def read_envelope(body: bytes) -> tuple[Envelope, Any, bytes | None]:
    """Return the envelope of a request's body, the payload in it, and the payload's bytes.

    Raises:
        BadInputError: the body is not a valid envelope, or its payload is not base64.
    """
    try:
        envelope = msgspec.convert(decode_strict(body), Envelope)
        raw = b64decode(envelope.payload or "", validate=True)
    except (msgspec.ValidationError, ValueError) as error:
        raise BadInputError(f"not an envelope: {error}") from error
    if not envelope.name and envelope.id is None:
        raise BadInputError("not an envelope: it needs the name or the id of a service")
    if not raw:
        return envelope, None, None
    try:
        return envelope, decode_strict(raw), raw
    except BadInputError:
        return envelope, raw.decode("utf-8", "replace"), raw


async def refuse_stream(outcome: Outcome, service: str) -> None:
    """Replace a stream or a file by an error."""
    if type(outcome.payload) in LATER:
        await close_stream(outcome.payload)
        outcome.payload = None
        outcome.error = NotOfferedError(
            f"service '{service}' answers with a stream or a file, which an envelope cannot "
            f"hold; use POST {INVOKE_PREFIX}{service}"
        )


def wrap_response(response: Response) -> Response:
    """Return the response in an envelope, with the answer in base64."""
    return _wrap(response, lambda: {"response": b64encode(response.body).decode()})


def wrap_json(response: Response, name: str) -> Response:
    """Return the response in an envelope, with the answer as JSON under ``name``."""
    return _wrap(response, lambda: {name: _read(response.body)})


def _wrap(response: Response, answer: Callable[[], dict[str, Any]]) -> Response:
    env: dict[str, Any] = {"result": "ZATO_OK", "cid": response.cid, "details": ""}
    if response.status < _ERRORS_FROM:
        content = {"zato_env": env, **answer()}
    else:
        found = _read(response.body)  # a body that a service made may be anything
        error = found if isinstance(found, dict) else {"details": found}
        content = {"zato_env": {"cid": response.cid, **error, "result": "ZATO_ERROR"}, **error}
    return Response(response.status, encode(content), cid=response.cid, headers=response.headers)


def _read(body: bytes) -> Any:
    """Return the JSON of a body; the text of another one."""
    try:
        return decode(body)
    except BadInputError:
        return body.decode("utf-8", "replace")
