"""HTTP connections: requests with credentials, time limits, retries and figures."""

import asyncio
import logging
import random
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from enum import Enum
from time import monotonic
from typing import Any, Protocol, TypeVar, overload
from urllib.parse import quote

import msgspec

from zato_lite.errors import BadInputError, OutgoingError, OutgoingTimeoutError
from zato_lite.outgoing.figures import Figures
from zato_lite.outgoing.retries import BUSY, is_repeatable, pause, seconds_of
from zato_lite.outgoing_config import Rest
from zato_lite.wire import decode

T = TypeVar("T")
Value = str | int | float | bool
Params = Mapping[str, Value | Sequence[Value] | None]

_PARAMETER = re.compile(r"\{(\w+)\}")
_FIRST_ERROR = 400
_log = logging.getLogger(__name__)


class RestRequest:
    """A request, as it is sent.

    Attributes:
        connection: the name of the connection.
        method, url: the whole URL, without ``params``.
        path: the path below the connection's address, without a query string, for messages.
        params: the query string.
        headers: its own, besides the connection's; names in lower case.
        body: None for a request without one.
        cid: the correlation id of the invocation.
    """

    __slots__ = ("body", "cid", "connection", "headers", "method", "params", "path", "url")

    def __init__(self, method: str, url: str, path: str, connection: str = "") -> None:
        self.connection, self.method, self.url, self.path = connection, method, url, path
        self.params: list[tuple[str, str]] = []
        self.headers: dict[str, str] = {}
        self.body: bytes | None = None
        self.cid = ""

    @property
    def place(self) -> str:
        """Return where its connection is in the settings, for the beginning of a message."""
        return f"[outgoing.rest.{self.connection}] " if self.connection else ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class HasHeaders(Protocol):
    """An object with headers."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, by name in any case."""
        ...


class _Headers(dict[str, str]):
    """Headers of a response that a test makes, by name in any case."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in headers.items()})

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers themselves."""
        return self

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header, or the default."""
        return super().get(name.lower(), default)


class RestResponse:
    """The response to a request.

    Attributes:
        status_code: its status.
        content: its body.
        request: the request that it answers.
    """

    __slots__ = ("_source", "content", "request", "status_code")

    def __init__(
        self, status_code: int, content: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        self.status_code = status_code
        self.content = content
        self._source: HasHeaders = _Headers(headers or {})
        self.request: RestRequest | None = None

    @classmethod
    def of(cls, status_code: int, content: bytes, source: "HasHeaders") -> "RestResponse":
        """Return a response whose headers are read from another object when they are needed."""
        response = cls.__new__(cls)
        response.status_code, response.content = status_code, content
        response._source, response.request = source, None  # noqa: SLF001 - the same class
        return response

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers, by name in any case."""
        return self._source.headers

    @property
    def ok(self) -> bool:
        """Return True for a status below 400."""
        return self.status_code < _FIRST_ERROR

    @property
    def text(self) -> str:
        """Return the body as text, in the charset of its content type."""
        _, _, charset = self.content_type.partition("charset=")
        try:
            return self.content.decode(charset.split(";")[0].strip('" ') or "utf-8", "replace")
        except (LookupError, UnicodeError):
            return self.content.decode("utf-8", "replace")

    @property
    def content_type(self) -> str:
        """Return the content type, in lower case; empty if there is none."""
        return _header(self, "content-type").lower()

    @overload
    def json(self, type: None = None) -> Any: ...
    @overload
    def json(self, type: type[T]) -> T: ...
    def json(self, type: Any = None) -> Any:  # noqa: A002
        """Return the value of the body, which is JSON; of a type, if one is given.

        Raises:
            OutgoingError: the body is not JSON, or its value is not of the type.
        """
        try:
            return decode(self.content) if type is None else _decoded(self.content, type)
        except (BadInputError, msgspec.MsgspecError) as error:
            raise OutgoingError(f"{self._described()} not understood: {error}") from error

    @property
    def data(self) -> Any:
        """Return the value of the body if it is JSON, else its text; None if it is empty."""
        if not self.content:
            return None
        if "json" in self.content_type:
            return self.json()
        if not self.content_type:
            with suppress(BadInputError):
                return decode(self.content)
        return self.text

    def raise_for_status(self) -> "RestResponse":
        """Return the response itself.

        Raises:
            OutgoingError: the status is 400 or above.
        """
        if not self.ok:
            raise OutgoingError(f"{self._described()} has status {self.status_code}")
        return self

    def _described(self) -> str:
        request = self.request
        return "response" if request is None else f"{request.place}response to {request}"

    def __repr__(self) -> str:
        return f"<RestResponse {self.status_code}>"


def _header(response: RestResponse, name: str) -> str:
    """Return a header; empty if there is none, or if it is not ASCII."""
    try:
        return response.headers.get(name) or ""
    except ValueError:
        return ""


def _decoded(content: bytes, wanted: Any) -> Any:
    return msgspec.json.decode(content, type=wanted)


class Failure(Exception):  # noqa: N818 - it becomes an OutgoingError
    """A try without a response; a value, which is cheaper than an exception's way up.

    Attributes:
        was_sent: False if the request has certainly not reached the server.
        is_timeout: True if a time limit has passed.
    """

    def __init__(
        self, text: str, cause: Exception | None = None, *, was_sent: bool, is_timeout: bool
    ) -> None:
        super().__init__(text)
        self.__cause__ = cause
        self.was_sent, self.is_timeout = was_sent, is_timeout


class Client(Protocol):
    """Sends requests over pooled connections; in tests, a fake."""

    async def send(self, request: RestRequest, seconds: float) -> "RestResponse | Failure":
        """Return the response that comes within the seconds, or why there is none."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


Traced = Callable[[RestRequest, str], AbstractContextManager[Callable[[int], None]]]
"""Opens a span for a request of a connection, and adds the headers of its trace to it.

It yields the function that receives the status.
"""


class RestConnection:
    """HTTP connection by name, shared by all services.

    Args:
        name: its name in the settings.
        settings: its settings.
        client: sends the requests.
        figures: counts them.
        traced: opens a span for each, if traces are exported.
    """

    def __init__(
        self,
        name: str,
        settings: Rest,
        client: Client,
        figures: Figures,
        traced: Traced | None = None,
    ) -> None:
        self.name, self.settings = name, settings
        self._client, self._figures, self._traced = client, figures, traced
        self._base = settings.url.rstrip("/")
        self._has_parameters = "{" in settings.url
        self._cid_header = settings.cid_header.lower()

    def request(self, method: str, path: str, params: Params | None) -> RestRequest:
        """Return a request for a path below the connection's address.

        ``{name}`` in the address and in the path stands for the parameter of this name, quoted;
        the other parameters are the query string.
        """
        if path and path[0] not in "/?":
            path = f"/{path}"
        base = self._base
        if self._has_parameters or "{" in path:
            base, path, params = _filled(base, path, params)
        url = base + path
        if "?" in path:
            path = path[: path.index("?")]
        request = RestRequest(method, url, path or "/", self.name)
        if params:
            request.params = pairs(params)
        return request

    def send(
        self, request: RestRequest, left: float | None = None, timeout: float | None = None
    ) -> Coroutine[Any, Any, RestResponse]:
        """Send a request, again if that is safe and may help, and return the response.

        Args:
            request: the request.
            left: seconds that the invocation has left; None for no limit.
            timeout: maximum seconds, instead of those of the settings.

        Raises:
            OutgoingTimeoutError: no response came in time.
            OutgoingError: the server cannot be reached.
        """
        seconds = timeout or self.settings.timeout
        if left is not None and left < seconds:
            seconds = left
        if self._cid_header:
            request.headers[self._cid_header] = request.cid
        if self._traced is None:
            return self._sent(request, seconds)
        return self._sent_in_span(self._traced, request, seconds)

    async def _sent_in_span(
        self, traced: Traced, request: RestRequest, seconds: float
    ) -> RestResponse:
        with traced(request, self.name) as answered:
            response = await self._sent(request, seconds)
            answered(response.status_code)
            return response

    async def _sent(self, request: RestRequest, seconds: float) -> RestResponse:
        """Return the response of the last try, or raise its error; count it as one call."""
        began, tries = monotonic(), 1
        kind: int | str = "error"
        try:
            result = await self._client.send(request, seconds) if seconds > 0 else _late()
            while isinstance(result, Failure) or result.status_code in BUSY:
                left = began + seconds - monotonic()
                delay = self._pause(request, result, tries, left)
                if delay is None:
                    break
                fields = self._fields(request, began, tries, problem=_problem(result))
                _log.info("request retried", extra=fields)
                await asyncio.sleep(delay)
                tries += 1
                left = began + seconds - monotonic()
                result = await self._client.send(request, left) if left > 0 else _late()
            if isinstance(result, Failure):
                kind = "timeout" if result.is_timeout else "error"
                raise self._failed(request, result, began, tries) from result
            kind = result.status_code
        except asyncio.CancelledError:
            kind = "cancelled"
            raise
        finally:
            self._figures.record(kind, monotonic() - began)
        result.request = request
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("request answered", extra=self._fields(request, began, tries, status=kind))
        return result

    def _pause(
        self, request: RestRequest, result: "RestResponse | Failure", tries: int, left: float
    ) -> float | None:
        """Return the seconds until the next try, or None."""
        was_sent = isinstance(result, RestResponse) or result.was_sent
        if was_sent and not is_repeatable(request.method, request.headers):
            return None
        asked = None
        if isinstance(result, RestResponse) and (after := _header(result, "retry-after")):
            asked = seconds_of(after, datetime.now(UTC))  # noqa: TID251 - the other server's time
        return pause(tries, self.settings, left, asked, random.random())  # noqa: S311

    def _failed(
        self, request: RestRequest, failure: Failure, began: float, tries: int
    ) -> OutgoingError:
        fields = self._fields(request, began, tries, problem=str(failure))
        _log.warning("request failed", extra=fields)
        text = f"{request.place}{request}: {failure}"
        return (OutgoingTimeoutError if failure.is_timeout else OutgoingError)(text)

    def _fields(
        self, request: RestRequest, began: float, tries: int, **more: object
    ) -> dict[str, object]:
        took = round((monotonic() - began) * 1000, 1)
        fields = {"connection": self.name, "method": request.method, "path": request.path}
        return {**fields, "took_ms": took, "tries": tries, **more}

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()


def _late() -> Failure:
    return Failure("no time left", was_sent=False, is_timeout=True)


def _problem(result: RestResponse | Failure) -> str:
    return str(result) if isinstance(result, Failure) else f"status {result.status_code}"


def pairs(params: Params) -> list[tuple[str, str]]:
    """Return the pairs of a query string or a form: one for each item of a list, none for None."""
    found: list[tuple[str, str]] = []
    for name, value in params.items():
        if type(value) is str:
            found.append((name, value))
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
            found += [(name, _text(name, item)) for item in value]
        elif value is not None:
            found.append((name, _text(name, value)))
    return found


def _text(name: str, value: object) -> str:
    if isinstance(value, Enum):
        value = value.value
    if (
        isinstance(value, bytes | bytearray | list | tuple | Mapping | AbstractSet)
        or value is None
    ):
        kind = type(value).__name__
        raise TypeError(f"params: {name!r} is a {kind}; use text, numbers, or a list of them")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _filled(base: str, path: str, params: Params | None) -> tuple[str, str, Params]:
    """Return an address and a path with their parameters filled in, and those that are left."""
    given = params or {}
    used: set[str] = set()

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if given.get(name) is None:
            known = ", ".join(given) or "none"
            raise OutgoingError(f"params: {name!r} of the address is missing; given are: {known}")
        used.add(name)
        if (text := _text(name, given[name])) in {"", ".", ".."}:
            raise OutgoingError(f"params: {name!r} is {text!r}; a part of a path cannot be that")
        return quote(text, safe="")

    base, path = _PARAMETER.sub(value, base), _PARAMETER.sub(value, path)
    return base, path, {name: value for name, value in given.items() if name not in used}


Handler = Callable[[RestRequest], Awaitable[RestResponse] | RestResponse]
"""Answers requests in place of a server, in tests."""


class FakeClient:
    """Client whose responses are made by a function."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def send(self, request: RestRequest, seconds: float) -> RestResponse | Failure:
        """Return the function's response, or why there is none."""
        try:
            async with asyncio.timeout(seconds):
                response = self._handler(request)
                return response if isinstance(response, RestResponse) else await response
        except TimeoutError as error:
            return Failure("no response in time", error, was_sent=True, is_timeout=True)
        except ConnectionError as error:
            return Failure(str(error), error, was_sent=False, is_timeout=False)

    async def close(self) -> None:
        """Do nothing."""
