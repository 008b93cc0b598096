"""Requests to responses: which service is meant, who calls it, what is answered."""

import itertools
import logging
import math
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

from zato_lite.errors import (
    ForbiddenError,
    MethodNotAllowedError,
    NotFoundError,
    UnauthorizedError,
    ZatoLiteError,
)
from zato_lite.http.auth import Admitted, Authenticator
from zato_lite.http.convert import context_of, error_response, payload_of, query_of, response_of
from zato_lite.http.guard import MisdirectedError, is_served, refuse_other_sites
from zato_lite.http.message import Request, Response
from zato_lite.http.routes import Channel, Elsewhere, Table, allowed, parse_channel
from zato_lite.service.message import Caller, HttpContext, Invocation, Outcome

INVOKE = "/zato/api/invoke/"
PING = "/zato/ping"

Run = Callable[[Invocation], Awaitable[Outcome]]
Handler = Callable[[Request, Caller | None], Awaitable[Response]]

_log = logging.getLogger(__name__)
_ANYBODY = Admitted(Caller("anonymous", frozenset({"viewer"}), ("zato.ping",)), math.inf)
_MOST_HOSTS = 1000
_AFTER_INVOKE = len(INVOKE)


class Entry(Protocol):
    """A service, as far as HTTP is concerned."""

    @property
    def name(self) -> str:
        """What it is invoked by."""
        ...

    @property
    def cls(self) -> type:
        """Its class; ``rest`` on it declares its channels."""
        ...


class Services(Protocol):
    """The deployed services."""

    def __contains__(self, name: object) -> bool: ...

    def __iter__(self) -> Iterator[Entry]: ...


class Route(NamedTuple):
    """A path of the server's own and what answers there.

    Attributes:
        path: exact, or ending in ``/*`` for everything below.
        role: the least role it takes; None lets anybody in.
    """

    methods: tuple[str, ...]
    path: str
    handler: Handler
    role: str | None = "viewer"


class _Known:
    """What was found out about a head: it holds for the next request that has the same one."""

    __slots__ = ("admitted", "context", "query", "service", "table")

    def __init__(
        self,
        service: str,
        admitted: Admitted,
        query: dict[str, str | list[str]],
        context: HttpContext,
        table: Table[str],
    ) -> None:
        self.service, self.admitted, self.query = service, admitted, query
        self.context, self.table = context, table


class HttpApp:
    """Maps a request to a response; knows nothing of sockets."""

    def __init__(
        self,
        run: Run,
        services: Services,
        authenticator: Authenticator,
        *,
        allowed_hosts: Iterable[str] = (),
        routes: Iterable[Route] = (),
        channels: Mapping[str, str] | None = None,
        new_cid: Callable[[], str] | None = None,
    ) -> None:
        self._run, self._services, self._authenticator = run, services, authenticator
        self._allowed_hosts = frozenset(allowed_hosts)
        self._hosts: dict[bytes, bool] = {}
        self._new_cid = new_cid or cids()
        self._configured = dict(channels or {})
        self._monotonic = authenticator.clock.monotonic
        self.routes = [*routes]
        self._exact = {route.path: route for route in self.routes if route.path[-2:] != "/*"}
        self._below = [route for route in self.routes if route.path[-2:] == "/*"]
        self.table: Table[str] = Table(())
        self.reload()

    def reload(self) -> None:
        """Read the services' REST channels again: some were deployed or removed."""
        self.table = Table(self._channels())

    async def __call__(self, request: Request) -> Response:
        """Answer the request; whatever happens, there is an answer."""
        try:
            known: _Known | None = request.memo
            if (
                known is None
                or known.admitted.until <= self._monotonic()
                or known.table is not self.table
            ):
                found = await self._find(request)
                if isinstance(found, Response):
                    return found
                known = request.memo = found
            payload, raw = payload_of(request, known.query)
            caller, context, cid = known.admitted.caller, known.context, self._new_cid()
            invocation = Invocation(
                known.service, payload, raw, cid, "http", caller, None, None, context
            )
            return response_of(await self._run(invocation))
        except ZatoLiteError as error:
            return self._refused(request, error)
        except Exception as error:  # noqa: BLE001 - the last resort; it is in the log
            cid = self._new_cid()
            _log.exception("request failed", extra={"cid": cid, "path": request.path})
            return error_response(error, cid)

    async def admit(self, request: Request) -> Admitted:
        """Who is calling.

        Raises:
            UnauthorizedError, TooManyRequestsError, ForbiddenError: nobody who may come in.
        """
        headers = request.headers
        refuse_other_sites(headers)
        credentials = headers.get(b"authorization") or _other_credentials(headers)
        if credentials is None:
            raise UnauthorizedError("Unauthorized")
        known = self._authenticator.remembered(credentials)
        return known or await self._authenticator.check(credentials, request.remote_address)

    async def _find(self, request: Request) -> "_Known | Response":
        """Which service is meant and who calls it; or what else is to be answered."""
        host = request.headers.get(b"host", b"")
        if not (self._hosts.get(host) or self._is_served(host)):
            raise MisdirectedError("No such host is served here")
        path, method = request.path, request.method
        if path == PING and method in {"GET", "HEAD"}:
            return self._known(request, "zato.ping", {}, _ANYBODY)
        if path.startswith(INVOKE):
            return await self._admit_to(path[_AFTER_INVOKE:], request, {})
        route = self._exact.get(path) or self._find_below(path)
        if route is not None:
            return await self._route(request, route)
        found = (
            Elsewhere(("GET", "HEAD"))
            if path == PING
            else self.table.find(method, request.raw_path)
        )
        if found is None or isinstance(found, Elsewhere):
            return self._nothing(request, found)
        return await self._admit_to(found.target, request, found.params)

    async def _admit_to(
        self, service: str, request: Request, params: Mapping[str, str]
    ) -> "_Known":
        admitted = await self.admit(request)
        if not admitted.may_invoke(service):
            raise ForbiddenError(f"{admitted.caller.name} may not invoke `{service}`")
        if service not in self._services:
            raise NotFoundError(f"No such service `{service}`")
        return self._known(request, service, params, admitted)

    def _known(
        self, request: Request, service: str, params: Mapping[str, str], admitted: Admitted
    ) -> "_Known":
        query = query_of(request.query) if request.query else {}
        return _Known(service, admitted, query, context_of(request, query, params), self.table)

    async def _route(self, request: Request, route: Route) -> Response:
        method = request.method
        if method not in route.methods and not (method == "HEAD" and "GET" in route.methods):
            return self._elsewhere(request, allowed(route.methods))
        caller = None
        if route.role is not None:
            admitted = await self.admit(request)
            if not admitted.has_role(route.role):
                raise ForbiddenError(f"{admitted.caller.name} may not do this")
            caller = admitted.caller
        response = await route.handler(request, caller)
        response.cid = response.cid or self._new_cid()
        return response

    def _nothing(self, request: Request, found: Elsewhere | None) -> Response:
        return self._not_found(request) if found is None else self._elsewhere(request, found.allow)

    def _elsewhere(self, request: Request, allow: tuple[str, ...]) -> Response:
        response = self._refused(request, MethodNotAllowedError("Method not allowed"))
        response.headers += (("Allow", ", ".join(allow)),)
        return response

    def _not_found(self, request: Request) -> Response:
        cid = self._new_cid()
        return error_response(NotFoundError(f"URL not found (CID:{cid})"), cid)

    def _refused(self, request: Request, error: ZatoLiteError) -> Response:
        cid = self._new_cid()
        if isinstance(error, UnauthorizedError):
            error = UnauthorizedError(f"Unauthorized; cid={cid}")
            response = error_response(error, cid)
            response.headers += (("WWW-Authenticate", _challenge(request)),)
            return response
        return error_response(error, cid)

    def _is_served(self, host: bytes) -> bool:
        served = is_served(host, self._allowed_hosts)
        if served and len(self._hosts) < _MOST_HOSTS:
            self._hosts[host] = True
        return served

    def _find_below(self, path: str) -> Route | None:
        return next((r for r in self._below if path.startswith(r.path[:-1])), None)

    def _channels(self) -> Iterator[tuple[Channel, str]]:
        for text, service in self._configured.items():
            yield parse_channel(text), service
        for entry in self._services:
            declared = getattr(entry.cls, "rest", None)
            for text in (declared,) if isinstance(declared, str) else declared or ():
                yield parse_channel(text), entry.name


def cids() -> Callable[[], str]:
    """Makes correlation ids: unique among processes, cheap, and they sort within one."""
    prefix = "K" + secrets.token_hex(6)
    numbers = itertools.count(1)
    return lambda: f"{prefix}{next(numbers):08x}"


def _other_credentials(headers: Mapping[bytes, bytes]) -> bytes | None:
    if (key := headers.get(b"x-api-key")) is not None:
        return b"Bearer " + key
    for piece in headers.get(b"cookie", b"").split(b";"):
        name, _, value = piece.strip().partition(b"=")
        if name == b"zato_lite_session":
            return b"Session " + value
    return None


def _challenge(request: Request) -> str:
    """Ask for a password, but let no browser's own window do so in the middle of a page."""
    is_page = request.headers.get(b"sec-fetch-dest") == b"empty"
    return 'Session realm="zato-lite"' if is_page else 'Basic realm="zato-lite", charset="UTF-8"'
