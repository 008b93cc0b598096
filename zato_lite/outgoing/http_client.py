"""Client of HTTP connections over pyreqwest. Imported only if one is configured."""

import base64
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import quote_plus

from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import (
    DetailedPyreqwestError,
    PoolTimeoutError,
    PyreqwestError,
    RequestTimeoutError,
)

from zato_lite.errors import ConfigError, OutgoingError
from zato_lite.outgoing.http import Failure, RestRequest, RestResponse
from zato_lite.outgoing.settings import Material
from zato_lite.outgoing_config import Rest

_MAX_REDIRECTS = 10
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

    async def send(self, request: RestRequest, seconds: float) -> RestResponse:
        """Return the response that comes within the seconds.

        Raises:
            Failure: there is none.
        """
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
            async with builder.build_streamed() as response:
                content = bytes(await response.body_reader.read(self._limit + 1) or b"")
        except ValueError as error:
            raise OutgoingError(f"request not valid: {_text_of(error)}") from error
        except PyreqwestError as error:
            causes = _causes(error)
            was_sent = not (isinstance(error, PoolTimeoutError) or _CONNECTING in causes)
            is_timeout = isinstance(error, RequestTimeoutError)
            raise Failure(causes[-1], was_sent=was_sent, is_timeout=is_timeout) from error
        if len(content) > self._limit:
            raise OutgoingError(
                f"response to {request.method} {request.path} has more than {self._limit} bytes;"
                " max_response of the connection allows more"
            )
        return RestResponse.of(response.status, content, response)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()
        del self._client  # idle connections are closed with the last reference


def with_query(url: str, params: Sequence[tuple[str, str]]) -> str:
    """Return a URL with these parameters; the client's own function for that takes longer."""
    address, hash_sign, fragment = url.partition("#")
    query = "&".join([f"{_quoted(name)}={_quoted(value)}" for name, value in params])
    return f"{address}{'&' if '?' in address else '?'}{query}{hash_sign}{fragment}"


def _quoted(text: str) -> str:
    return text if text.isalnum() and text.isascii() else quote_plus(text)


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


def _causes(error: PyreqwestError) -> list[str]:
    """Return the messages of an error and its causes, the innermost last, without the URL."""
    causes = (error.details["causes"] if isinstance(error, DetailedPyreqwestError) else None) or []
    found = [error.message, *(cause["message"] for cause in causes)]
    return [text for text in found if "://" not in text] or ["request failed"]
