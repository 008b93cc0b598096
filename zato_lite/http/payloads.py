"""HTTP to payloads, outcomes to HTTP: pure."""

import dataclasses
import logging
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from zato_lite.errors import BadInputError, FieldError, MethodNotAllowedError, ZatoLiteError
from zato_lite.http.message import JSON, TEXT, Headers, Request, Response
from zato_lite.service.message import HttpContext, Outcome, ResponseOverrides
from zato_lite.wire import decode_strict, encode

BYTES = "application/octet-stream"
UNEXPECTED = "An error has occurred"

_MOST_FIELDS = 1000
_INTERNAL = 500
_LEAST_STATUS, _MOST_STATUS = 200, 599
_OF_ERRORS = range(400, 600)
_UNAVAILABLE = 503
_TIMEOUT = 504
_ACTIVE = ("text/html", "image/svg", "application/xhtml", "text/xml", "application/xml")
_SANDBOX = "sandbox allow-forms allow-popups allow-scripts"
_NO_BODY = frozenset({204, 205, 304})
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_NOT_IN_VALUES = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OURS = frozenset(
    {"connection", "content-length", "content-type", "date", "transfer-encoding", "x-zato-cid"}
)

_log = logging.getLogger(__name__)


def query_of(query: bytes) -> dict[str, str | list[str]]:
    """The parameters of a query string or a form; one that comes more than once is a list.

    Raises:
        BadInputError: it is not UTF-8, or has more than 1,000 parameters.
    """
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError as error:
        raise BadInputError("The query string cannot be read") from error
    found: dict[str, str | list[str]] = {}
    for name, value in pairs:
        known = found.get(name)
        if known is None:
            found[name] = value
        elif isinstance(known, list):
            known.append(value)
        else:
            found[name] = [known, value]
    return found


def payload_of(
    request: Request, query: Mapping[str, str | list[str]]
) -> tuple[Any, str | bytes | None]:
    """What the service receives, and the untouched bytes behind it.

    GET and HEAD: the query string; without one, the body. Otherwise the body: JSON unless the
    Content-Type says form, text or something else. A form that begins like JSON is JSON, which is
    what ``curl -d`` sends.

    Raises:
        BadInputError: the body is not what its type says.
    """
    if query and request.method in {"GET", "HEAD"}:
        return dict(query), request.query.decode("ascii")
    body = request.body
    if not body:
        return (dict(query) if query else None), None
    if is_json(request):
        return decode_strict(body), body
    kind = request.headers[b"content-type"]
    return _by_kind(kind.partition(b";")[0].strip().lower(), body), body


def is_json(request: Request) -> bool:
    """Whether the body, if there is one, is said to be JSON."""
    kind = request.headers.get(b"content-type")
    return kind is None or b"json" in kind


def context_of(
    request: Request,
    query: Mapping[str, str | list[str]],
    params: Mapping[str, str],
    route: str = "",
) -> HttpContext:
    """What the service may know of the request, and cannot change: the next one may share it."""
    return HttpContext(
        request.method,
        request.path,
        MappingProxyType(params),
        MappingProxyType(query),
        Headers(request.headers),
        request.remote_address,
        route,
        request.is_secure,
    )


def response_of(outcome: Outcome) -> Response:
    """What is answered for what came of an invocation."""
    if outcome.error is not None:
        return error_response(outcome.error, outcome.cid, is_cancelled=outcome.is_cancelled)
    payload = outcome.payload
    try:
        if type(payload) is dict:
            body, kind = encode(payload, plain), JSON
        elif isinstance(payload, msgspec.Struct):
            body, kind = encode_struct(payload), JSON
        else:
            body, kind = _body_of(payload)
    except (TypeError, ValueError, RecursionError) as error:
        _log.exception("response cannot be sent", extra={"cid": outcome.cid})
        return error_response(error, outcome.cid)
    response = Response(200, body, kind, (), outcome.cid)
    if outcome.manner is not None:
        _dress(response, outcome.manner)
    return response


def _body_of(payload: Any) -> tuple[bytes, str]:
    if payload is None or payload == "":
        return b"{}", JSON  # as Zato's clients read «nothing»
    if isinstance(payload, str):
        return payload.encode(), TEXT
    if isinstance(payload, bytes):
        return payload, BYTES
    return encode(payload, plain), JSON


def _dress(response: Response, manner: ResponseOverrides) -> None:
    """Give the response what the service said of it, as far as it may say that."""
    response.status = manner.status_code or 200
    given = manner.content_type
    if given and given.isascii() and not _NOT_IN_VALUES.search(given):
        response.content_type = given
    if manner.sent_headers:
        response.headers = _checked(manner.sent_headers, response.cid)
    if not _LEAST_STATUS <= response.status <= _MOST_STATUS:
        _log.error("no such status", extra={"cid": response.cid, "status": response.status})
        response.status = _INTERNAL
    if response.status in _NO_BODY:
        response.body, response.content_type = b"", None
    elif response.content_type is not None and response.content_type.startswith(_ACTIVE):
        response.headers = _sandboxed(response.headers)


def error_response(error: BaseException, cid: str, *, is_cancelled: bool = False) -> Response:
    """What a caller is told of an error: never a traceback, nothing of what is not its affair."""
    status = _status_of(error, is_cancelled=is_cancelled)
    body: dict[str, Any] = {"result": "Error", "cid": cid}
    is_told = isinstance(error, ZatoLiteError) and status != _INTERNAL
    body["details"] = str(error) if is_told else _DETAILS.get(status, UNEXPECTED)
    if isinstance(error, BadInputError) and error.errors:
        body["errors"] = [_field(found) for found in error.errors]
    headers: tuple[tuple[str, str], ...] = ()
    if isinstance(error, MethodNotAllowedError):
        headers = (("Allow", ", ".join(error.allow)),)
    return Response(status, encode(body, repr), JSON, headers, cid)


def status_of(outcome: Outcome) -> int:
    """The status that is answered for what came of an invocation, if it can be sent."""
    if outcome.error is not None:
        return _status_of(outcome.error, is_cancelled=outcome.is_cancelled)
    return (outcome.manner.status_code if outcome.manner is not None else None) or 200


def _status_of(error: BaseException, *, is_cancelled: bool) -> int:
    if is_cancelled:
        return _UNAVAILABLE
    if isinstance(error, TimeoutError):
        return _TIMEOUT
    if not isinstance(error, ZatoLiteError):
        return _INTERNAL  # a client library's error has the status of somebody else's answer
    return error.status if error.status in _OF_ERRORS else _INTERNAL


def plain(value: Any) -> Any:
    """What JSON knows, in place of what it doesn't: models, sets, bytes, numbers."""
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value, enc_hook=plain)
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


encode_struct = msgspec.json.Encoder(enc_hook=plain).encode
"""The JSON text of a struct; ``plain`` is asked for what msgspec does not know."""

_DETAILS = {_UNAVAILABLE: "Cancelled; try again later", _TIMEOUT: "The time is up"}


def _field(error: FieldError) -> dict[str, Any]:
    try:
        encode(error.value)
    except TypeError:
        return {"field": error.field, "value": repr(error.value), "message": error.message}
    return error._asdict()


def _by_kind(kind: bytes, body: bytes) -> Any:
    if kind == b"application/x-www-form-urlencoded" and body.lstrip()[:1] not in {b"{", b"["}:
        return query_of(body)
    if kind in {b"", b"application/x-www-form-urlencoded"}:
        return decode_strict(body)
    return _text(body) if kind.startswith(b"text/") else body


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise BadInputError("The text is not UTF-8") from error


def _sandboxed(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """A service's page does not act as the server's own, unless the service says what it may."""
    names = {name.lower() for name, _ in headers}
    defaults = (("Content-Security-Policy", _SANDBOX), ("Cache-Control", "no-store"))
    return headers + tuple(field for field in defaults if field[0].lower() not in names)


def _checked(headers: Mapping[str, str], cid: str) -> tuple[tuple[str, str], ...]:
    """The header fields that a service may set; one that could split the response is dropped."""
    kept = []
    for name, value in headers.items():
        text = str(value)
        if not _TOKEN.match(name) or _NOT_IN_VALUES.search(text) or not text.isascii():
            _log.warning("header dropped", extra={"cid": cid, "header": name})
        elif name.lower() not in _OURS:
            kept.append((name, text))
    return tuple(kept)
