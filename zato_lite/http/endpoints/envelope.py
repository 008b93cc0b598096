"""``/zato/admin/invoke``: requests and responses in the envelope that Zato's clients use."""

from base64 import b64decode, b64encode
from typing import Annotated, Any

import msgspec

from zato_lite.errors import BadInputError, NotOfferedError
from zato_lite.http.message import Request, Response, close_stream
from zato_lite.http.payloads import shorter
from zato_lite.http.request_invoker import RequestInvoker
from zato_lite.http.responder import LATER, Responder
from zato_lite.http.router import INVOKE_PREFIX, Target
from zato_lite.http.routes import Route
from zato_lite.service.message import Caller
from zato_lite.service.offload import OFFLOAD_FROM, offload
from zato_lite.wire import decode, decode_strict, encode

PATH = "/zato/admin/invoke"

_ERRORS_FROM = 400


class Envelope(msgspec.Struct):
    """The service to invoke; the payload is JSON or text in base64.

    Attributes:
        timeout: seconds for the invocation, up to a year; 0 for no limit.
    """

    name: str
    payload: str | None = None
    is_async: bool = False
    timeout: Annotated[float, msgspec.Meta(ge=0, le=31_622_400)] | None = None


def envelope_route(invoker: RequestInvoker, responder: Responder) -> Route:
    """Return the route; it admits viewers, and then checks the rights to the named service."""

    async def invoke(request: Request, caller: Caller | None) -> Response:
        body, owner = request.body, "" if caller is None else caller.principal
        if len(body) < OFFLOAD_FROM:
            envelope, payload, raw = read_envelope(body)
        else:
            envelope, payload, raw = await offload(read_envelope, body, owner=owner)
        cached = await invoker.prepare(request, Target(envelope.name))
        if envelope.is_async:
            run = {"name": envelope.name, "payload": payload, "is_async": True}
            run["timeout"] = envelope.timeout  # limits the later run, not this request
            outcome = await invoker.invoke(cached, run, raw, service="zato.service.invoke")
        else:
            seconds = shorter(envelope.timeout or None, cached.timeout)
            outcome = await invoker.invoke(cached, payload, raw, seconds=seconds)
        if type(outcome.payload) in LATER:
            await close_stream(outcome.payload)
            outcome.payload, outcome.error = None, _unfit(envelope.name)
        response = await responder.answer_in_parts(cached, request, outcome)
        if len(response.body) < OFFLOAD_FROM:
            return wrap_response(response)
        return await offload(wrap_response, response, owner=owner)

    return Route(("POST",), PATH, invoke)


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
    if not raw:
        return envelope, None, None
    try:
        return envelope, decode_strict(raw), raw
    except BadInputError:
        return envelope, raw.decode("utf-8", "replace"), raw


def _unfit(service: str) -> Exception:
    return NotOfferedError(
        f"service '{service}' answers with a stream or a file, which an envelope cannot hold; "
        f"use POST {INVOKE_PREFIX}{service}"
    )


def wrap_response(response: Response) -> Response:
    """Return the response in an envelope."""
    answer: dict[str, Any] = {
        "zato_env": {"result": "ZATO_OK", "cid": response.cid, "details": ""},
        "response": b64encode(response.body).decode(),
    }
    if response.status >= _ERRORS_FROM:
        error = _read_error(response.body)
        answer = {"zato_env": {"cid": response.cid, **error, "result": "ZATO_ERROR"}, **error}
    return Response(response.status, encode(answer), cid=response.cid, headers=response.headers)


def _read_error(body: bytes) -> dict[str, Any]:
    """Return an error's fields; a body that a service made may be anything."""
    try:
        error = decode(body)
    except BadInputError:
        error = body.decode("utf-8", "replace")
    return error if isinstance(error, dict) else {"details": error}
