"""Payloads: what a service receives of an HTTP request."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from zato_lite.errors import BadInputError, FieldError, UnsupportedTypeError
from zato_lite.http.media import FORM_TYPE, charset_of, is_json_type, media_type
from zato_lite.http.message import Headers, Request
from zato_lite.service.binding import TEXT_METHODS
from zato_lite.service.message import HttpContext
from zato_lite.service.offload import OFFLOAD_FROM, offload
from zato_lite.wire import decode_strict

TIMEOUT_HEADER = "Request-Timeout"
"""Name of the field in which a caller limits its invocation, in seconds."""

_MAX_PARAMETERS = 1000
_CHARSETS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "windows-1252": "cp1252",
}
"""Charsets of text bodies; others are refused."""

_SECONDS = re.compile(rb"[0-9]{1,9}(\.[0-9]{1,9})?\Z")


def query_of(query: bytes) -> dict[str, str | list[str]]:
    """Return the parameters of a query string or a form; a repeated one is a list.

    Raises:
        BadInputError: the text is not UTF-8, or has more than 1,000 parameters.
    """
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError as error:
        raise BadInputError("not a valid query string") from error
    parameters: dict[str, str | list[str]] = {}
    for name, value in pairs:
        earlier = parameters.get(name)
        if earlier is None:
            parameters[name] = value
        elif isinstance(earlier, list):
            earlier.append(value)
        else:
            parameters[name] = [earlier, value]
    return parameters


async def read_payload(
    request: Request, query: Mapping[str, str | list[str]], owner: str = ""
) -> tuple[Any, str | bytes | None]:
    """Return the same as ``payload_of``; a large body is decoded in a thread, in owners' turns."""
    if len(request.body) < OFFLOAD_FROM:
        return payload_of(request, query)
    return await offload(payload_of, request, query, owner=owner)


def payload_of(
    request: Request, query: Mapping[str, str | list[str]]
) -> tuple[Any, str | bytes | None]:
    """Return the payload for the service, and the text or bytes behind it.

    GET and HEAD: the query string; without one, the body. Otherwise the body: JSON unless the
    Content-Type says form, text or something else. A form that begins like JSON is JSON, because
    ``curl -d`` sends that.

    Raises:
        BadInputError: the body is not what its Content-Type says.
    """
    if query and request.method in TEXT_METHODS:
        return dict(query), request.query.decode("ascii")
    body = request.body
    if not body:
        return (dict(query) if query else None), None
    if is_json(request):
        return decode_strict(body), body
    return _decode_body(request.headers[b"content-type"], body), body


def is_json(request: Request) -> bool:
    """Return True if the Content-Type is JSON or missing.

    JSON is UTF-8: a charset has no meaning (RFC 8259, 11).
    """
    field = request.headers.get(b"content-type")
    return field is None or is_json_type(media_type(field))


def context_of(
    request: Request,
    query: Mapping[str, str | list[str]],
    params: Mapping[str, str],
    route: str = "",
) -> HttpContext:
    """Return the request as a service sees it: read-only, since equal heads share it."""
    has_parameters = bool(query or params) or request.method in TEXT_METHODS
    if not has_parameters and (request.body or request.stream is not None):
        has_parameters = not is_json(request)
    return HttpContext(
        request.method,
        request.path,
        MappingProxyType(params),
        MappingProxyType(query),
        Headers(request.headers),
        request.remote_address,
        route,
        request.is_secure,
        has_parameters,
    )


def time_limit(headers: Mapping[bytes, bytes], maximum: float | None) -> float | None:
    """Return the seconds that an invocation may take: the caller's limit or the server's.

    Raises:
        BadInputError: the field is not a number of seconds above 0.
    """
    sent = headers.get(b"request-timeout")
    if sent is None:
        return maximum
    seconds = float(sent) if _SECONDS.match(sent) else 0.0
    if not seconds:
        text = sent.decode("latin-1")
        allowed = "a decimal number of seconds above 0, such as 2.5"
        message = f"{TIMEOUT_HEADER}: {text!r} is not allowed; {allowed}"
        raise BadInputError.of([FieldError(TIMEOUT_HEADER, text, message)])
    return shorter(seconds, maximum)


def shorter(first: float | None, second: float | None) -> float | None:
    """Return the shorter of two limits; None stands for no limit."""
    if first is None or second is None:
        return second if first is None else first
    return min(first, second)


def _decode_body(field: bytes, body: bytes) -> Any:
    kind = media_type(field)
    if kind == FORM_TYPE and body.lstrip()[:1] not in {b"{", b"["}:
        return query_of(body)
    if kind in {b"", FORM_TYPE}:
        return decode_strict(body)
    return _decode_text(body, charset_of(field)) if kind.startswith(b"text/") else body


def _decode_text(body: bytes, charset: str) -> str:
    codec = _CHARSETS.get(charset)
    if codec is None:
        allowed = ", ".join(_CHARSETS)
        raise UnsupportedTypeError(f"charset {charset!r} is not supported; use one of {allowed}")
    try:
        return body.decode(codec)
    except UnicodeDecodeError as error:
        raise BadInputError(f"text body is not {charset.upper()}") from error
