"""Requests to responses: which service is meant, who calls it, what is answered."""

import asyncio
import inspect
import itertools
import logging
import math
import secrets
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
)
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, cast

import msgspec

from zato_lite.errors import (
    ForbiddenError,
    MethodNotAllowedError,
    NotFoundError,
    UnauthorizedError,
    ZatoLiteError,
)
from zato_lite.http.auth import Authenticator, CallerRights
from zato_lite.http.deadline import shorter, time_limit
from zato_lite.http.envelope import closed, opened
from zato_lite.http.events import EventLog, event_routes
from zato_lite.http.message import FastResponse, Request, Response, answer_of
from zato_lite.http.metrics import (
    QUICK_S,
    LatencyRecorder,
    Readiness,
    RenderMetrics,
    observe_routes,
)
from zato_lite.http.openapi import Described, description
from zato_lite.http.pages import page_routes
from zato_lite.http.payloads import (
    context_of,
    encode_struct,
    error_response,
    is_json,
    payload_of,
    plain,
    query_of,
    response_of,
)
from zato_lite.http.refusals import outcome as outcome_word
from zato_lite.http.routes import (
    Channel,
    Redirect,
    Route,
    Table,
    allowed,
    channels_of,
    parse_channel,
)
from zato_lite.http.security import MisdirectedError, is_served, refuse_other_sites
from zato_lite.http.session import COOKIE, session_routes
from zato_lite.service.access import may_invoke, needed_role
from zato_lite.service.message import (
    Caller,
    FastOutcome,
    HttpContext,
    Invocation,
    Outcome,
    outcome_of,
)
from zato_lite.service.schema import schema_of
from zato_lite.store.audit import AuditRecord
from zato_lite.wire import OPTIONS, decode_strict, dumps, encode

INVOKE = "/zato/api/invoke/"
PING = "/zato/ping"
PING_SERVICE = "zato.ping"
ENVELOPE = "/zato/admin/invoke"

Begin = Callable[[Invocation, float], FastOutcome | Outcome | Awaitable[Outcome]]
"""Invokes as far as that goes without waiting; takes seconds by the monotonic clock, too."""

_log = logging.getLogger(__name__)
_ANYBODY = CallerRights(Caller("anonymous", frozenset({"viewer"}), ("zato.ping",)), math.inf)
_DOCS = Path(__file__).parent / "docs_page"
_AUDITED = frozenset({"editor", "admin"})
_NOTED = frozenset({401, 403, 429})
_MOST_HOSTS = 1000
_INTERNAL = 500
_AFTER_INVOKE = len(INVOKE)
_STRUCT = type(msgspec.Struct)


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

    @property
    def input(self) -> Any:
        """The declared type of what it takes, or None."""
        ...

    @property
    def output(self) -> Any:
        """The declared type of what it gives, or None."""
        ...


class Services(Protocol):
    """The deployed services."""

    def __contains__(self, name: object) -> bool: ...

    def __iter__(self) -> Iterator[Entry]: ...


class CachedRequest:
    """What was found out about a head: it holds for the next request that has the same one.

    Unless a service could change it (``is_shared``): a parameter that came twice is a list. The
    same head means a body of the same length, so that ``is_empty`` holds as well, there is
    nothing to be read, and ``is_json``, there is a body and it is JSON.
    """

    __slots__ = (
        "admitted",
        "caller",
        "context",
        "is_change",
        "is_empty",
        "is_json",
        "is_shared",
        "query",
        "service",
        "table",
        "timeout",
    )

    def __init__(
        self,
        service: str,
        admitted: CallerRights,
        query: dict[str, str | list[str]],
        context: HttpContext,
        table: Table[str],
        *,
        timeout: float | None,
        is_empty: bool,
        is_json: bool,
    ) -> None:
        self.service, self.admitted, self.query = service, admitted, query
        self.caller, self.context, self.table = admitted.caller, context, table
        self.timeout = timeout
        self.is_empty, self.is_json = is_empty, is_json
        self.is_shared = not any(type(value) is list for value in query.values())
        self.is_change = service.startswith("zato.") and needed_role(service) != "viewer"


class HttpApp:
    """Maps a request to a response; knows nothing of sockets.

    What callers of services for editors and admins do is audited here, unless the service is one
    of ``self_audited``, which know better what it was that they did. No invocation takes longer
    than ``time_limit`` seconds, if that is given, whatever its caller asks for.
    """

    def __init__(
        self,
        begin: Begin,
        services: Services,
        authenticator: Authenticator,
        *,
        allowed_hosts: Iterable[str] = (),
        routes: Iterable[Route] = (),
        channels: Mapping[str, str] | None = None,
        events: EventLog | None = None,
        readiness: Readiness | None = None,
        render_metrics: RenderMetrics | None = None,
        self_audited: Iterable[str] = (),
        time_limit: float | None = None,
        new_cid: Callable[[], str] | None = None,
    ) -> None:
        self._self_audited = frozenset(self_audited)
        self._begin, self._services, self._authenticator = begin, services, authenticator
        self._allowed_hosts = frozenset(allowed_hosts)
        self._hosts: dict[bytes, bool] = {}
        self._new_cid = new_cid or cids()
        self._time_limit = time_limit
        self._configured = dict(channels or {})
        self._events = events
        self._monotonic = authenticator.clock.monotonic
        self.latency = LatencyRecorder()
        self._notes: set[asyncio.Task[None]] = set()
        self.routes = [
            Route(("POST",), ENVELOPE, self._envelope),
            *session_routes(authenticator),
            *observe_routes(readiness, self.latency, render_metrics),
            *(event_routes(events, self._ask) if events is not None else ()),
            Route(("GET",), "/openapi.json", self._openapi),
            *page_routes(_DOCS, "/docs"),
            *routes,
        ]
        self._exact: dict[str, dict[str, Route]] = {}
        for route in self.routes:
            for method in route.methods:
                self._exact.setdefault(route.path, {})[method] = route
        self._below = [path[:-1] for path in self._exact if path.endswith("/*")]
        self.table: Table[str] = Table(())
        self.reload()

    def reload(self) -> None:
        """Read the services' REST channels again: some were deployed or removed."""
        self.table = Table(self._channels())

    async def __call__(self, request: Request) -> Response:
        """Answer the request; whatever happens, there is an answer."""
        return await answer_of(self.begin(request))

    def begin(  # noqa: C901 - one step after the other, and fast
        self, request: Request
    ) -> FastResponse | Response | Coroutine[Any, Any, Response]:
        """The same, as far as that goes without waiting, which is mostly to the end.

        What waits is to be awaited in the same task, at once.
        """
        # Nearly all requests take this way, so that it is written for speed: one function, and
        # what an instance has and is called stands in a variable first (CPython 3.11 has no
        # short way for ``self.attribute()`` if that is no method).
        known: CachedRequest | None = request.memo
        monotonic, begin, new_cid = self._monotonic, self._begin, self._new_cid
        now = monotonic()
        if known is None or known.admitted.until <= now or known.table is not self.table:
            return self._find_and_answer(request)
        try:
            payload = body = None
            raw: str | bytes | None = None
            if known.is_json:
                raw = request.body
                payload = decode_strict(request.body)
            elif not known.is_empty:
                payload, raw = payload_of(request, known.query)
            cid = new_cid()
            invocation = Invocation(
                known.service,
                payload,
                raw,
                cid,
                "http",
                known.caller,
                known.timeout,
                None,
                known.context,
            )
            done = begin(invocation, now)
            if type(done) is not tuple:
                return self._answer_later(
                    known, request, cast("Outcome | Awaitable[Outcome]", done)
                )
            answered, manner, seconds = done
            if manner is None and not known.is_change and seconds <= QUICK_S:
                kind = type(answered)
                try:
                    if kind is dict:
                        body = dumps(answered, plain, OPTIONS)
                    elif type(kind) is _STRUCT:
                        body = encode_struct(answered)
                except (TypeError, ValueError, RecursionError):
                    pass  # it is told by whoever tries again
                if body is not None:
                    latency = self.latency
                    latency.quick += 1
                    latency.seconds += seconds
                    return body, cid
            return self._answered(known, request, Outcome(cid, answered, manner, seconds))
        except Exception as error:  # noqa: BLE001 - whatever it is, there is an answer
            return self._failed(request, error)

    async def admit(self, request: Request) -> CallerRights:
        """Who is calling.

        Raises:
            UnauthorizedError, TooManyRequestsError, ForbiddenError: nobody who may come in.
        """
        headers = request.headers
        refuse_other_sites(headers)
        credentials = _credentials(headers)
        if credentials is None:
            raise UnauthorizedError("Unauthorized")
        known = self._authenticator.remembered(credentials)
        return known or await self._authenticator.check(credentials, request.remote_address)

    async def _find_and_answer(self, request: Request) -> Response:
        try:
            found = await self._find(request)
            if isinstance(found, Response):
                return found
            request.memo = found if found.is_shared else None
            payload, raw = payload_of(request, found.query)
            outcome = await self._run(
                Invocation(
                    found.service,
                    payload,
                    raw,
                    self._new_cid(),
                    "http",
                    found.caller,
                    found.timeout,
                    None,
                    found.context,
                )
            )
            return self._answered(found, request, outcome)
        except Exception as error:  # noqa: BLE001 - whatever it is, there is an answer
            return self._failed(request, error)

    async def _run(self, invocation: Invocation) -> Outcome:
        return await outcome_of(invocation.cid, self._begin(invocation, self._monotonic()))

    def _answer_later(
        self, known: CachedRequest, request: Request, outcome: Outcome | Awaitable[Outcome]
    ) -> Response | Coroutine[Any, Any, Response]:
        if isinstance(outcome, Outcome):
            return self._answered(known, request, outcome)
        return self._wait_and_answer(known, request, outcome)

    async def _wait_and_answer(
        self, known: CachedRequest, request: Request, outcome: Awaitable[Outcome]
    ) -> Response:
        try:
            return self._answered(known, request, await outcome)
        except Exception as error:  # noqa: BLE001 - whatever it is, there is an answer
            return self._failed(request, error)

    def _answered(self, known: CachedRequest, request: Request, outcome: Outcome) -> Response:
        response = response_of(outcome)
        self.latency.add(response.status, outcome.seconds)
        if outcome.error is not None and response.status == _INTERNAL:
            _log_error(known.service, outcome)
        if known.is_change:
            who, status = known.caller.name, str(response.status)
            self._changed(AuditRecord(who, "invoke", known.service, status, outcome.cid), request)
        return response

    def _failed(self, request: Request, error: Exception) -> Response:
        """What is answered when no service was invoked, or nothing could be made of its answer."""
        if isinstance(error, ZatoLiteError):
            return self._refused(request, error)
        cid = self._new_cid()
        _log.error("request failed", exc_info=error, extra={"cid": cid, "path": request.path})
        return error_response(error, cid)

    async def _find(self, request: Request) -> "CachedRequest | Response":
        """Which service is meant and who calls it; or what else is to be answered."""
        host = request.headers.get(b"host", b"")
        if not (self._hosts.get(host) or self._is_served(host)):
            raise MisdirectedError("No such host is served here")
        path, method = request.path, request.method
        if path == PING and method in {"GET", "HEAD"}:
            return self._known(request, PING_SERVICE, {}, _ANYBODY)
        if path.startswith(INVOKE):
            return await self._admit_to(path[_AFTER_INVOKE:], request, {})
        verbs = self._exact.get(path) or self._find_below(path)
        if verbs is not None:
            return await self._route(request, verbs)
        found = (
            Redirect(("GET", "HEAD"))
            if path == PING
            else self.table.find(method, request.raw_path)
        )
        if found is None or isinstance(found, Redirect):
            return self._nothing(request, found)
        return await self._admit_to(found.target, request, found.params, found.route)

    async def _admit_to(
        self, service: str, request: Request, params: Mapping[str, str], route: str = ""
    ) -> "CachedRequest":
        admitted = await self.admit(request)
        if not admitted.may_invoke(service):
            raise ForbiddenError(f"{admitted.caller.name} may not invoke `{service}`")
        if service not in self._services:
            raise NotFoundError(f"No such service `{service}`")
        return self._known(request, service, params, admitted, route)

    def _known(
        self,
        request: Request,
        service: str,
        params: Mapping[str, str],
        admitted: CallerRights,
        route: str = "",
    ) -> "CachedRequest":
        query = query_of(request.query) if request.query else {}
        context = context_of(request, query, params, route)
        timeout = time_limit(request.headers, self._time_limit)
        return CachedRequest(
            service,
            admitted,
            query,
            context,
            self.table,
            timeout=timeout,
            is_empty=not (query or request.body),
            is_json=bool(request.body) and not query and is_json(request),
        )

    async def _route(self, request: Request, verbs: Mapping[str, Route]) -> Response:
        method = request.method
        route = verbs.get("GET" if method == "HEAD" and "HEAD" not in verbs else method)
        if route is None:
            return self._elsewhere(request, allowed(verbs))
        caller = None
        if route.role is not None:
            admitted = await self.admit(request)
            if not admitted.has_role(route.role):
                raise ForbiddenError(f"{admitted.caller.name} may not do this")
            caller = admitted.caller
        response = await route.handler(request, caller)
        response.cid = response.cid or self._new_cid()
        if response.stream is not None and route.role is not None:
            response.stream = self._while_admitted(request, route.role, response.stream)
        return response

    async def _while_admitted(
        self, request: Request, role: str, stream: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        """The pieces of a stream, until its caller would not be let in any more."""
        admitted = await self.admit(request)
        try:
            async for piece in stream:
                if admitted.until <= self._monotonic():
                    admitted = await self.admit(request)
                    if not admitted.has_role(role):
                        return
                yield piece
        except ZatoLiteError:
            return  # who asks again is told why
        finally:
            if (close := getattr(stream, "aclose", None)) is not None:
                await close()

    async def _ask(self, service: str, payload: Mapping[str, Any], caller: Caller) -> Any:
        """What a service answers to a caller, for routes that are made of services."""
        if not may_invoke(caller, service):
            raise ForbiddenError(f"{caller.name} may not invoke `{service}`")
        invocation = Invocation(service, payload, None, self._new_cid(), "http", caller)
        outcome = await self._run(invocation)
        if outcome.error is not None:
            raise outcome.error
        return outcome.payload

    async def _envelope(self, request: Request, caller: Caller | None) -> Response:
        """Invoke what is named in the envelope, with that service's own authorisation."""
        envelope, payload, raw = opened(request.body)
        known = await self._admit_to(envelope.name, request, {})
        service = envelope.name
        if envelope.is_async:
            service = "zato.service.invoke"
            payload = {"name": envelope.name, "payload": payload, "is_async": True}
            payload["timeout"], envelope.timeout = envelope.timeout, None  # of the run, later
        cid = self._new_cid()
        invocation = Invocation(
            service,
            payload,
            raw,
            cid,
            "http",
            known.admitted.caller,
            shorter(envelope.timeout or None, known.timeout),
            None,
            known.context,
        )
        outcome = await self._run(invocation)
        response = closed(response_of(outcome))
        self.latency.add(response.status, outcome.seconds)
        if outcome.error is not None and response.status == _INTERNAL:
            _log_error(service, outcome)
        if known.is_change:
            who, status = known.admitted.caller.name, str(response.status)
            self._changed(AuditRecord(who, "invoke", envelope.name, status, cid), request)
        return response

    async def _openapi(self, request: Request, caller: Caller | None) -> Response:
        """Describe what the caller may invoke."""
        admitted = await self.admit(request)
        described = [
            Described(
                entry.name,
                inspect.cleandoc(entry.cls.__doc__ or "").split("\n\n")[0].replace("``", "`"),
                tuple(c for c, name in self.table.channels if name == entry.name),
                schema_of(entry.input) or dict(getattr(entry.cls, "takes", None) or {}),
                schema_of(entry.output),
            )
            for entry in self._services
            if admitted.may_invoke(entry.name)
        ]
        return Response(200, encode(description(described, version("zato-lite"))))

    def _nothing(self, request: Request, found: Redirect | None) -> Response:
        return self._not_found(request) if found is None else self._elsewhere(request, found.allow)

    def _elsewhere(self, request: Request, allow: tuple[str, ...]) -> Response:
        return self._refused(request, MethodNotAllowedError("Method not allowed", allow))

    def _not_found(self, request: Request) -> Response:
        cid = self._new_cid()
        return error_response(NotFoundError(f"URL not found (CID:{cid})"), cid)

    def _refused(self, request: Request, error: ZatoLiteError) -> Response:
        cid = self._new_cid()
        credentials = _credentials(request.headers)
        if error.status in _NOTED and credentials is not None:
            times = self._authenticator.refusals.take(request.remote_address, self._monotonic())
            known = self._authenticator.remembered(credentials) if times else None
            who = known.caller.name if known is not None else ""
            if times:
                told = outcome_word(str(error.status), times)
                self._note(AuditRecord(who, "refused", request.path, told, cid), request)
        if isinstance(error, UnauthorizedError):
            error = UnauthorizedError(f"Unauthorized; cid={cid}")
            response = error_response(error, cid)
            response.headers += (("WWW-Authenticate", _challenge(request)),)
            return response
        return error_response(error, cid)

    def _changed(self, record: AuditRecord, request: Request) -> None:
        """Tell who listens; write it down unless the service does so itself."""
        if self._events is not None:
            fields = {"who": record.who, "service": record.subject, "status": record.outcome}
            self._events.publish("change", fields)
        if record.subject not in self._self_audited and needed_role(record.subject) in _AUDITED:
            self._note(record, request)

    def _note(self, record: AuditRecord, request: Request) -> None:
        """Write it down in the audit log, without letting anybody wait for that."""
        note = asyncio.ensure_future(self._authenticator.audit(record, request))
        self._notes.add(note)
        note.add_done_callback(self._noted)

    def _noted(self, note: "asyncio.Task[None]") -> None:
        self._notes.discard(note)
        if not note.cancelled() and (error := note.exception()) is not None:
            _log.error("audit failed", exc_info=error)

    def _is_served(self, host: bytes) -> bool:
        served = is_served(host, self._allowed_hosts)
        if served and len(self._hosts) < _MOST_HOSTS:
            self._hosts[host] = True
        return served

    def _find_below(self, path: str) -> Mapping[str, Route] | None:
        under = path if path.endswith("/") else f"{path}/"
        below = next((prefix for prefix in self._below if under.startswith(prefix)), None)
        return self._exact[f"{below}*"] if below is not None else None

    def _channels(self) -> Iterator[tuple[Channel, str]]:
        for text, service in self._configured.items():
            yield parse_channel(text), service
        for entry in self._services:
            for channel in channels_of(entry.cls):
                yield channel, entry.name


def _log_error(service: str, outcome: Outcome) -> None:
    """The caller is told a cid and no more; here is what it stands for."""
    fields = {"service": service, "cid": outcome.cid}
    _log.error("service failed", exc_info=outcome.error, extra=fields)


def cids() -> Callable[[], str]:
    """Makes correlation ids: unique among processes, and cheap."""
    prefix = f"K{secrets.token_hex(5)}-"
    numbers = itertools.count(1)
    return map(f"{prefix}%d".__mod__, numbers).__next__


def _credentials(headers: Mapping[bytes, bytes]) -> bytes | None:
    if (given := headers.get(b"authorization")) is not None:
        return given
    if (key := headers.get(b"x-api-key")) is not None:
        return b"Bearer " + key
    for piece in headers.get(b"cookie", b"").split(b";"):
        name, _, value = piece.strip().partition(b"=")
        if name == COOKIE.encode():
            return b"Session " + value
    return None


def _challenge(request: Request) -> str:
    """Ask for a password, but let no browser's own window do so in the middle of a page."""
    is_page = request.headers.get(b"sec-fetch-dest") == b"empty"
    return 'Session realm="zato-lite"' if is_page else 'Basic realm="zato-lite", charset="UTF-8"'
