"""HTTP client of tests: requests to the real edge, through a pair of sockets without a network."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from email.message import Message
from http.client import HTTPResponse
from io import BytesIO
from typing import Any, cast
from urllib.parse import quote, urlencode

import msgspec

from zato_lite.http.server import Server
from zato_lite.wire import decode, encode

_SAFE = "%/?:@!$&'()*+,;=~-._[]"


class HttpAnswer(msgspec.Struct, frozen=True):
    """An answer over HTTP.

    Attributes:
        headers: by name, in upper or lower case.
    """

    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """Return the value that the body is the JSON of."""
        return decode(self.body)


class HttpClient:
    """Client of a caller.

    Args:
        server: returns the server, which is opened at the first request.
        credentials: returns the value of the header Authorization; empty for none.
    """

    def __init__(
        self, server: Callable[[], Awaitable[Server]], credentials: Callable[[], Awaitable[str]]
    ) -> None:
        self._server, self._credentials = server, credentials

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = msgspec.UNSET,
        body: bytes = b"",
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Send a request, and return the whole answer, whatever its status.

        Args:
            method: as ``GET``.
            path: the path of the URL, and possibly its query.
            json: a value for the body.
            body: the body, unless ``json`` is given.
            params: for the query.
            headers: further headers, or others for ``Host``, ``Authorization`` and the like.
        """
        server = await self._server()
        own = {"Host": "localhost", "Connection": "close"}
        if credentials := await self._credentials():
            own["Authorization"] = credentials
        if json is not msgspec.UNSET:
            body, own["Content-Type"] = encode(json), "application/json"
        if body or method in {"POST", "PUT", "PATCH"}:
            own["Content-Length"] = str(len(body))
        others = {name.lower() for name in headers or ()}
        fields = {name: text for name, text in own.items() if name.lower() not in others}
        fields |= headers or {}
        query = f"{'&' if '?' in path else '?'}{urlencode(params, doseq=True)}" if params else ""
        lines = [f"{method} {quote(path, safe=_SAFE)}{query} HTTP/1.1"]
        lines += [f"{name}: {text}" for name, text in fields.items()]
        head = "\r\n".join((*lines, "", "")).encode("latin-1")
        return _read(method, await _exchange(server, head + body))

    async def get(self, path: str, **options: Any) -> HttpAnswer:
        """Send a GET; the options are those of ``request``."""
        return await self.request("GET", path, **options)

    async def post(self, path: str, json: Any = msgspec.UNSET, **options: Any) -> HttpAnswer:
        """Send a POST; the options are those of ``request``."""
        return await self.request("POST", path, json=json, **options)

    async def put(self, path: str, json: Any = msgspec.UNSET, **options: Any) -> HttpAnswer:
        """Send a PUT; the options are those of ``request``."""
        return await self.request("PUT", path, json=json, **options)

    async def patch(self, path: str, json: Any = msgspec.UNSET, **options: Any) -> HttpAnswer:
        """Send a PATCH; the options are those of ``request``."""
        return await self.request("PATCH", path, json=json, **options)

    async def delete(self, path: str, **options: Any) -> HttpAnswer:
        """Send a DELETE; the options are those of ``request``."""
        return await self.request("DELETE", path, **options)


async def _exchange(server: Server, request: bytes) -> bytes:
    """Return all that the server answers until it closes the connection."""
    ours, theirs = socket.socketpair()
    await server.loop.connect_accepted_socket(server.connect, theirs)
    reader, writer = await asyncio.open_connection(sock=ours)
    try:
        writer.write(request)
        return await reader.read()
    finally:
        writer.close()


class _Received:
    """Bytes in the place of the socket that ``HTTPResponse`` reads."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _: str) -> BytesIO:
        return BytesIO(self._data)


def _read(method: str, data: bytes) -> HttpAnswer:
    response = HTTPResponse(cast("socket.socket", _Received(data)), method=method)
    response.begin()
    return HttpAnswer(response.status, response.headers, response.read())
