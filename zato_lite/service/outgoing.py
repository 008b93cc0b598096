"""``self.out``: the outgoing connections, as a service uses them."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Generic, TypedDict, TypeVar, Unpack
from urllib.parse import urlencode

from zato_lite.outgoing.connections import Connections
from zato_lite.outgoing.http import Params, RestConnection, RestResponse, pairs
from zato_lite.service.mail import BlockingSmtp, Smtp
from zato_lite.service.outgoing_call import CallingService, NamedConnection, Resolve
from zato_lite.service.payload import plain
from zato_lite.service.sql import BlockingSql, Sql
from zato_lite.service.sync_aware import blocking
from zato_lite.wire import encode

T = TypeVar("T")
Call = tuple[CallingService, Connections, Resolve]
"""The service of a call, the connections, and what makes results of coroutines."""

_JSON = "application/json"
_TRACE = ("traceparent", "tracestate")
_FORM = "application/x-www-form-urlencoded"


class RequestOptions(TypedDict, total=False):
    """Options of a request.

    Attributes:
        params: parameters of the path, and the query string.
        headers: headers besides the connection's.
        data: body as text or bytes.
        form: body as a form.
        timeout: maximum seconds, instead of the connection's.
    """

    params: Params | None
    headers: Mapping[str, str] | None
    data: str | bytes | None
    form: Params | None
    timeout: float | None


class RestCalls(NamedConnection[RestConnection]):
    """Common part of ``Rest`` and ``BlockingRest``."""

    __slots__ = ()
    KIND = "rest"

    async def _send(  # noqa: PLR0917 - called for each request; keywords are slower
        self,
        method: str,
        path: str,
        json: Any,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        data: str | bytes | None = None,
        form: Params | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - passed on
    ) -> RestResponse:
        shared = self._kind[self._name]
        connection = shared.begin()  # without ``async with``, whose methods are two coroutines
        try:
            request = connection.request(method, path, params)
            if json is not None or data is not None or form is not None:
                request.body, content_type = _body(json, data, form)
                if content_type:
                    request.headers["content-type"] = content_type
            if headers:
                request.headers.update([(name.lower(), headers[name]) for name in headers])
            root = self._service.root
            if root.http is not None and "traceparent" in root.http.headers:
                request.headers.update(_trace(root.http.headers))
            request.cid = root.cid
            return await connection.send(request, self._service.time_left, timeout)
        finally:
            if shared.end():
                await shared.close()


class Rest(RestCalls):
    """HTTP connection: ``await self.out.rest["crm"].get("/customers", params={"city": "Rome"})``.

    ``{name}`` in a path is filled in from ``params``, quoted; the other parameters are the query
    string. A response of any status is returned; ``json`` is sent as JSON, models too.

    Raises:
        OutgoingError: the server cannot be reached, or does not answer in time.
    """

    __slots__ = ()

    def request(
        self, method: str, path: str = "", json: Any = None, **options: Unpack[RequestOptions]
    ) -> Coroutine[Any, Any, RestResponse]:
        """Send a request of any method and return the response."""
        return self._resolve(self._send(method.upper(), path, json, **options))

    def get(
        self, path: str = "", **options: Unpack[RequestOptions]
    ) -> Coroutine[Any, Any, RestResponse]:
        """Send a GET request and return the response."""
        return self._resolve(self._send("GET", path, None, **options))

    def head(
        self, path: str = "", **options: Unpack[RequestOptions]
    ) -> Coroutine[Any, Any, RestResponse]:
        """Send a HEAD request and return the response."""
        return self._resolve(self._send("HEAD", path, None, **options))

    def post(
        self, path: str = "", json: Any = None, **options: Unpack[RequestOptions]
    ) -> Coroutine[Any, Any, RestResponse]:
        """Send a POST request and return the response."""
        return self._resolve(self._send("POST", path, json, **options))

    def put(
        self, path: str = "", json: Any = None, **options: Unpack[RequestOptions]
    ) -> Coroutine[Any, Any, RestResponse]:
        """Send a PUT request and return the response."""
        return self._resolve(self._send("PUT", path, json, **options))

    def patch(
        self, path: str = "", json: Any = None, **options: Unpack[RequestOptions]
    ) -> Coroutine[Any, Any, RestResponse]:
        """Send a PATCH request and return the response."""
        return self._resolve(self._send("PATCH", path, json, **options))

    def delete(
        self, path: str = "", json: Any = None, **options: Unpack[RequestOptions]
    ) -> Coroutine[Any, Any, RestResponse]:
        """Send a DELETE request and return the response."""
        return self._resolve(self._send("DELETE", path, json, **options))


class BlockingRest(RestCalls):
    """``Rest`` for blocking services: methods return responses, not coroutines."""

    __slots__ = ()

    request = blocking(Rest.request)
    get = blocking(Rest.get)
    head = blocking(Rest.head)
    post = blocking(Rest.post)
    put = blocking(Rest.put)
    patch = blocking(Rest.patch)
    delete = blocking(Rest.delete)


class ByName(Generic[T]):
    """Connections of one kind: ``self.out.rest["crm"]``."""

    __slots__ = ("_call", "_kind")

    def __init__(self, call: Call, kind: Callable[..., T]) -> None:
        self._call, self._kind = call, kind

    def __getitem__(self, name: str) -> T:
        """Return the connection of this name.

        Raises:
            UnknownConnectionError: the settings have none.
        """
        return self._kind(*self._call, name)

    def get(self, name: str) -> T:
        """Return the connection of this name, in Zato's spelling."""
        return self[name]


class OutgoingConnections:
    """Common part of ``Outgoing`` and ``BlockingOutgoing``."""

    __slots__ = ("_call",)

    def __init__(
        self, service: CallingService, connections: Connections, resolve: Resolve
    ) -> None:
        self._call: Call = service, connections, resolve


class Outgoing(OutgoingConnections):
    """Outgoing connections of ``[outgoing]``, by kind and name; methods are awaited."""

    __slots__ = ()

    @property
    def rest(self) -> ByName[Rest]:
        """Return the HTTP connections."""
        return ByName(self._call, Rest)

    @property
    def sql(self) -> ByName[Sql]:
        """Return the databases."""
        return ByName(self._call, Sql)

    @property
    def smtp(self) -> ByName[Smtp]:
        """Return the mail servers."""
        return ByName(self._call, Smtp)


class BlockingOutgoing(OutgoingConnections):
    """``Outgoing`` for blocking services."""

    __slots__ = ()

    @property
    def rest(self) -> ByName[BlockingRest]:
        """Return the HTTP connections."""
        return ByName(self._call, BlockingRest)

    @property
    def sql(self) -> ByName[BlockingSql]:
        """Return the databases."""
        return ByName(self._call, BlockingSql)

    @property
    def smtp(self) -> ByName[BlockingSmtp]:
        """Return the mail servers."""
        return ByName(self._call, BlockingSmtp)


def _body(json: Any, data: str | bytes | None, form: Params | None) -> tuple[bytes, str]:
    if sum(value is not None for value in (json, data, form)) > 1:
        raise TypeError("json, data and form given; use one of them")
    if json is not None:
        return encode(json, plain), _JSON
    if form is not None:
        return urlencode(pairs(form)).encode(), _FORM
    return (data.encode() if isinstance(data, str) else data or b""), ""


def _trace(received: Mapping[str, str]) -> Mapping[str, str]:
    """Return the headers of the trace that the HTTP request of an invocation belongs to."""
    return {name: received[name] for name in _TRACE if name in received}
