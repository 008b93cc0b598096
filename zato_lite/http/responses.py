"""Responses: what a client receives for the outcome of an invocation. Pure."""

import dataclasses
import logging
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from zato_lite.errors import (
    BadInputError,
    FieldError,
    InvocationError,
    MethodNotAllowedError,
    TooManyRequestsError,
    ZatoLiteError,
)
from zato_lite.http.large import encode_in_parts
from zato_lite.http.message import BYTES, JSON, TEXT, Response
from zato_lite.service.message import Outcome, ResponseOverrides
from zato_lite.wire import encode

UNEXPECTED = "An error has occurred"

_INTERNAL_ERROR = 500
_UNAVAILABLE = 503
_TIMEOUT = 504
_STATUSES = range(200, 600)
_ERROR_STATUSES = range(400, 600)
_ACTIVE = ("text/html", "image/svg", "application/xhtml", "text/xml", "application/xml")
_SANDBOX = "sandbox allow-forms allow-popups allow-scripts"
BODILESS = frozenset({204, 205, 304})
"""Statuses of answers without a body."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_RESERVED = frozenset(
    {"connection", "content-length", "content-type", "date", "transfer-encoding", "x-zato-cid"}
)
_MAX_VALUE = 1000
"""Characters of a wrong value that the response repeats."""

_DETAILS = {_UNAVAILABLE: "Cancelled; try again later", _TIMEOUT: "Timed out"}

_log = logging.getLogger(__name__)


def response_of(outcome: Outcome) -> Response:
    """Return the response to an outcome."""
    if outcome.error is not None:
        return error_response(outcome.error, outcome.cid, is_cancelled=outcome.is_cancelled)
    payload = outcome.payload
    try:
        if type(payload) is dict:
            body, kind = encode(payload, to_plain), JSON
        elif isinstance(payload, msgspec.Struct):
            body, kind = encode_struct(payload), JSON
        else:
            body, kind = _encode_other(payload)
    except (TypeError, ValueError, RecursionError) as error:
        return _unwritable(outcome, error)
    return applied(outcome, Response(200, body, kind, (), outcome.cid))


async def response_in_parts(outcome: Outcome, owner: str) -> Response:
    """Return the response to an outcome with a large payload; others have turns meanwhile."""
    try:
        body = await encode_in_parts(outcome.payload, to_plain, owner)
    except (TypeError, ValueError, RecursionError) as error:
        return _unwritable(outcome, error)
    return applied(outcome, Response(200, body, JSON, (), outcome.cid))


def _unwritable(outcome: Outcome, error: Exception) -> Response:
    """Return the response to an answer that JSON cannot hold: an error of the service."""
    hint = "; is an `await` missing?" if "coroutine" in str(error) else ""
    outcome.error = TypeError(f"answer cannot be written as JSON: {error}{hint}")
    return error_response(outcome.error, outcome.cid)


def applied(outcome: Outcome, response: Response) -> Response:
    """Return a response with the status, type and headers that the service has set.

    A status that HTTP does not have is an error of the service.
    """
    if outcome.overrides is None:
        return response
    status = outcome.overrides.status_code
    if status and status not in _STATUSES:
        text = f"response.status_code {status!r} is not valid; use a number from 200 to 599"
        outcome.error = InvocationError(text)
        return error_response(outcome.error, outcome.cid)
    _apply(outcome.overrides, response)
    return response


def error_response(error: BaseException, cid: str, *, is_cancelled: bool = False) -> Response:
    """Return the response to an error: no traceback, and details only of intended errors."""
    status = _status_of_error(error, is_cancelled=is_cancelled)
    is_intended = isinstance(error, ZatoLiteError) and status != _INTERNAL_ERROR
    details = str(error) if is_intended else _DETAILS.get(status, UNEXPECTED)
    body: dict[str, Any] = {"result": "Error", "cid": cid, "details": details}
    if status == _INTERNAL_ERROR:
        body["hint"] = f"zato-lite log {cid}"
    if isinstance(error, BadInputError) and error.errors:
        body["errors"] = [_field(wrong) for wrong in error.errors]
    headers: tuple[tuple[str, str], ...] = ()
    if isinstance(error, MethodNotAllowedError):
        headers = (("Allow", ", ".join(error.allow)),)
    elif isinstance(error, TooManyRequestsError) and error.retry_after is not None:
        headers = (("Retry-After", str(error.retry_after)),)
    return Response(status, encode(body, repr), JSON, headers, cid)


def status_of(outcome: Outcome) -> int:
    """Return the status of the response to an outcome, provided that it can be serialised."""
    if outcome.error is not None:
        return _status_of_error(outcome.error, is_cancelled=outcome.is_cancelled)
    return (outcome.overrides.status_code if outcome.overrides is not None else None) or 200


def to_plain(value: Any) -> Any:
    """Return a value that JSON knows for a model, a set, bytes or a number."""
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value, enc_hook=to_plain)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    for name in ("model_dump", "to_dict", "_asdict"):
        if callable(method := getattr(value, name, None)) and not isinstance(value, type):
            return method()
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if isinstance(value, Mapping):
        return dict(value)
    return msgspec.to_builtins(value)


encode_struct = msgspec.json.Encoder(enc_hook=to_plain).encode
"""Encodes a struct as JSON; ``to_plain`` handles the values that msgspec does not know."""


def _encode_other(payload: Any) -> tuple[bytes, str]:
    if payload is None or payload == "":
        return b"{}", JSON  # Zato's clients read an empty object as no payload
    if isinstance(payload, str):
        return payload.encode(), TEXT
    if isinstance(payload, bytes):
        return payload, BYTES
    return encode(payload, to_plain), JSON


def _apply(overrides: ResponseOverrides, response: Response) -> None:
    """Set the status, type and headers that a service chose, as far as it may choose them."""
    response.status = overrides.status_code or 200
    kind = overrides.content_type
    if kind and kind.isascii() and not _CONTROL.search(kind):
        response.content_type = kind
    if overrides.sent_headers:
        response.headers = _permitted(overrides.sent_headers, response.cid)
    if response.status in BODILESS:
        response.body, response.content_type = b"", None
    elif response.content_type is not None and response.content_type.startswith(_ACTIVE):
        response.headers = _sandboxed(response.headers)


def _status_of_error(error: BaseException, *, is_cancelled: bool) -> int:
    if is_cancelled:
        return _UNAVAILABLE
    if isinstance(error, TimeoutError):
        return _TIMEOUT
    if not isinstance(error, ZatoLiteError):
        return _INTERNAL_ERROR  # a client library's error may carry another server's status
    return error.status if error.status in _ERROR_STATUSES else _INTERNAL_ERROR


def _field(error: FieldError) -> dict[str, Any]:
    """Return a wrong field; of a large value, or one that JSON does not know, the beginning."""
    value = error.value
    try:
        text = value if isinstance(value, str) else encode(value)
    except TypeError:
        text = value = repr(value)
    if len(text) > _MAX_VALUE:
        start = text[:_MAX_VALUE]
        value = f"{start if isinstance(start, str) else start.decode('utf-8', 'ignore')}…"
    return {"field": error.field, "value": value, "message": error.message}


def _sandboxed(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Keep a service's page from acting as the server itself, unless the service allows more."""
    names = {name.lower() for name, _ in headers}
    defaults = (("Content-Security-Policy", _SANDBOX), ("Cache-Control", "no-store"))
    return headers + tuple(field for field in defaults if field[0].lower() not in names)


def _permitted(headers: Mapping[str, str], cid: str) -> tuple[tuple[str, str], ...]:
    """Return the fields that a service may set, without those that could split the response."""
    permitted = []
    for name, value in headers.items():
        text = str(value)
        if not _TOKEN.match(name) or _CONTROL.search(text) or not text.isascii():
            _log.warning("header dropped", extra={"cid": cid, "header": name})
        elif name.lower() not in _RESERVED:
            permitted.append((name, text))
    return tuple(permitted)
