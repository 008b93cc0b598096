"""Client of HTTP connections over pyreqwest. Imported only if one is configured."""

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from urllib.parse import quote_plus

from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import (
    DetailedPyreqwestError,
    PoolTimeoutError,
    PyreqwestError,
    RequestTimeoutError,
)
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from zato_lite.errors import ConfigError, OutgoingError
from zato_lite.outgoing.http import Failure, RestRequest, RestResponse
from zato_lite.outgoing.settings import Material
from zato_lite.outgoing_config import Rest

_MAX_REDIRECTS = 10
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NO_TLS = "received corrupt message of type InvalidContentType"
_CONNECTING = "client error (Connect)"
"""Cause of a failure before the request was sent. The types of errors do not say that: a server
that takes a request and then closes the connection is a ``ConnectError``, too."""


class HttpClient:
    """Pooled connections to one address.

    Args:
        settings: of the connection.
        material: its secret and certificates.

    Raises:
        ConfigError: a certificate or a header is not valid.
    """

    def __init__(self, settings: Rest, material: Material) -> None:
        self._limit, self._timeout = settings.max_response, settings.timeout
        try:
            self._client = _builder(settings, material).build()
        except (PyreqwestError, ValueError) as error:
            raise ConfigError(f"headers, secret or certificates: {_text_of(error)}") from error

    async def send(self, request: RestRequest, seconds: float) -> RestResponse | Failure:
        """Return the response that comes within the seconds, or why there is none."""
        try:
            url = request.url
            if request.params:
                url = with_query(url, request.params)
            builder = self._client.request(request.method, url)
            if request.headers:
                builder = builder.headers(request.headers)
            if request.body is not None:
                builder = builder.body_bytes(request.body)
            if seconds != self._timeout:
                builder = builder.timeout(timedelta(seconds=seconds))
            response, content = await _response(builder.build_streamed(), self._limit)
        except ValueError as error:
            place = _wrong_header(request.headers) or _text_of(error)
            raise OutgoingError(f"{request.place}{request}: request not valid: {place}") from error
        except PyreqwestError as error:
            causes = _causes(error)
            was_sent = not (isinstance(error, PoolTimeoutError) or _CONNECTING in causes)
            is_timeout = isinstance(error, RequestTimeoutError)
            return Failure(causes[-1], error, was_sent=was_sent, is_timeout=is_timeout)
        if len(content) > self._limit:
            raise OutgoingError(
                f"{request.place}response to {request} has more than {self._limit} bytes;"
                " max_response of the connection allows more"
            )
        return RestResponse.of(response.status, content, response)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()
        del self._client  # idle connections are closed with the last reference


async def _response(request: StreamRequest, limit: int) -> tuple[Response, bytes]:
    """Return the response to a request and at most one byte more of its body than the limit.

    Without ``async with``, as a response that was read to its end has nothing to close, and each
    call of the client may have to wait for its network thread's turn of the interpreter.
    """
    response = await request.__aenter__()
    is_complete = False
    try:
        content = bytes(await response.body_reader.read(limit + 1) or b"")
        is_complete = len(content) <= limit
    finally:
        if not is_complete:
            await request.__aexit__(None, None, None)
    return response, content


def with_query(url: str, params: Sequence[tuple[str, str]]) -> str:
    """Return a URL with these parameters; the client's own function for that takes longer."""
    if "#" in url:
        address, _, fragment = url.partition("#")
        return f"{with_query(address, params)}#{fragment}"
    query = "&".join(
        [
            f"{name if name.isalnum() and name.isascii() else quote_plus(name)}"
            f"={value if value.isalnum() and value.isascii() else quote_plus(value)}"
            for name, value in params
        ]
    )
    return f"{url}&{query}" if "?" in url else f"{url}?{query}"


def _builder(settings: Rest, material: Material) -> ClientBuilder:
    builder = (
        ClientBuilder()
        .user_agent("zato-lite")
        .timeout(timedelta(seconds=settings.timeout))
        .connect_timeout(timedelta(seconds=settings.connect_timeout))
        .max_connections(settings.pool_size)
        .pool_max_idle_per_host(settings.pool_size)
        .default_headers({**settings.headers, **_credentials(settings, material.secret)})
        .follow_redirects(settings.follow_redirects)
        .max_redirects(_MAX_REDIRECTS)
        .referer(False)
        .danger_accept_invalid_certs(not settings.verify)
    )
    if not settings.http2:
        builder = builder.http1_only()
    elif settings.url.startswith("http://"):
        builder = builder.http2_prior_knowledge()
    if material.authorities:
        builder = builder.add_root_certificate_pem(material.authorities)
    if material.identity:
        builder = builder.identity_pem(material.identity)
    return builder


def _credentials(settings: Rest, secret: str) -> dict[str, str]:
    match settings.auth:
        case "basic":
            encoded = base64.b64encode(f"{settings.username}:{secret}".encode()).decode()
            return {"Authorization": f"Basic {encoded}"}
        case "bearer":
            return {"Authorization": f"Bearer {secret}"}
        case "api_key":
            return {settings.api_key_header: secret}
        case "none":
            return {}


def _text_of(error: Exception) -> str:
    """Return the message of an error, without the value of a header."""
    text = _causes(error)[-1] if isinstance(error, PyreqwestError) else str(error)
    return text.partition(":")[0] if text.startswith("Invalid header value") else text


def _wrong_header(headers: Mapping[str, object]) -> str:
    """Return what is wrong with a header, without its value, which may be secret."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            return f"header {name!r}; its name has characters that are not allowed"
        if not isinstance(value, str):
            return f"header {name!r} is of type {type(value).__name__}; use text"
        if _CONTROL.search(value):
            return f"header {name!r} has a line break or another control character"
    return ""


def _causes(error: PyreqwestError) -> list[str]:
    """Return the messages of an error and its causes, the innermost last, without the URL."""
    causes = (error.details["causes"] if isinstance(error, DetailedPyreqwestError) else None) or []
    found = [error.message, *(cause["message"] for cause in causes)]
    found = [text for text in found if "://" not in text] or ["request failed"]
    return (
        [*found, "the server does not speak TLS at this port"] if found[-1] == _NO_TLS else found
    )
