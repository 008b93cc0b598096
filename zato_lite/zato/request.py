"""``self.request`` and ``self.server`` of services written for Zato."""

import os
from collections.abc import Coroutine
from typing import Any

from zato_lite.service.attribute_dict import Config
from zato_lite.service.base import BlockingServer, InvokerPort
from zato_lite.service.message import HttpContext
from zato_lite.service.request import Request
from zato_lite.zato.not_offered import lacking

_INVOKERS = ("/zato/api/invoke/", "/zato/json/")
"""Paths whose bodies Zato parses before a service receives them."""


class ZatoRequest(Request[Any]):
    """The message, with Zato's view of the original one."""

    @property
    def raw_request(self) -> Any:
        """Return the original text or bytes of the message, or the message if it has none.

        Of ``/zato/api/invoke/…`` it is the message as values, which Zato's invoker parses.
        """
        invocation = self.invocation
        if invocation is None or invocation.raw is None:
            return self.payload
        http = invocation.http
        is_api = http is not None and http.path.startswith(_INVOKERS)
        return self.payload if is_api and isinstance(self.payload, dict | list) else invocation.raw

    raw = raw_request
    text = raw_request


class ZatoServer(BlockingServer):
    """The server in which a service runs."""

    __slots__ = ("config",)

    def __init__(self, service: Any, invoker: InvokerPort) -> None:
        super().__init__(service, invoker)
        self.config: Config = invoker.config

    def __getattr__(self, name: str) -> Any:
        raise lacking("self", "server", name)

    @property
    def user_config(self) -> Config:
        """Return ``config``, under Zato's other name."""
        return self.config

    @property
    def pid(self) -> int:
        """Return the id of the server's process."""
        return os.getpid()

    def invoke_async(self, service: Any, *args: Any, **options: Any) -> Coroutine[Any, Any, int]:
        """Save an invocation of a service, as the service's own ``invoke_async`` does."""
        saved: Coroutine[Any, Any, int] = self._service.invoke_async(service, *args, **options)
        return saved


def wsgi_environ(http: HttpContext) -> dict[str, Any]:
    """Return an HTTP request as a WSGI environment."""
    from urllib.parse import urlencode  # noqa: PLC0415 - few services need it

    # X_User would become HTTP_X_USER, too: a client could write what only a proxy may.
    fields = {
        f"HTTP_{name.upper().replace('-', '_')}": value
        for name, value in http.headers.items()
        if "_" not in name
    }
    host, port = _split_host(http.headers.get("host", ""))
    return {
        **fields,
        "REQUEST_METHOD": http.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": http.path,
        "QUERY_STRING": urlencode(http.query, doseq=True),
        "CONTENT_TYPE": http.headers.get("content-type", ""),
        "CONTENT_LENGTH": http.headers.get("content-length", ""),
        "SERVER_NAME": host,
        "SERVER_PORT": port or ("443" if http.is_secure else "80"),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": http.remote_address,
        "wsgi.url_scheme": "https" if http.is_secure else "http",
        "zato.http.remote_addr": http.remote_address,
        "zato.http.GET": dict(http.query),
        "zato.http.path_params": dict(http.params),
    }


def _split_host(text: str) -> tuple[str, str]:
    """Return the name and the port of a Host; an IPv6 address keeps its brackets (RFC 3875)."""
    host, colon, port = text.rpartition(":")
    return (host, port) if colon and "]" not in port else (text, "")
