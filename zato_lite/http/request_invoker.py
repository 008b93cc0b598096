"""Request invoker: invokes services on behalf of HTTP requests."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec

from zato_lite.errors import MethodNotAllowedError, NotFoundError
from zato_lite.http.admission import Admission, refuse_hidden_site
from zato_lite.http.auth import CallerRights
from zato_lite.http.message import Request
from zato_lite.http.payloads import context_of, is_json, query_of, time_limit
from zato_lite.http.router import PING_SERVICE, ChannelTable, Router, Target
from zato_lite.http.routes import Services
from zato_lite.service.access import is_safe, matches, may_invoke, needed_role
from zato_lite.service.built_in import refusal_of
from zato_lite.service.message import (
    Caller,
    FastOutcome,
    HttpContext,
    Invocation,
    Outcome,
    outcome_of,
)
from zato_lite.service.offload import OFFLOAD_FROM, offload
from zato_lite.service.registry import no_such_id

_ANONYMOUS = CallerRights(Caller("anonymous", frozenset({"viewer"}), (PING_SERVICE,)), math.inf)


UNSAFE_METHODS = ("DELETE", "PATCH", "POST", "PUT")
"""The methods for services that change something; browsers send others for any page."""

Begin = Callable[[Invocation, float], FastOutcome | Outcome | Awaitable[Outcome]]
"""Invokes a service up to its first wait; the second argument is monotonic seconds."""


ReadAhead = Callable[[Invocation], tuple[type, Any] | None]
"""Returns the value for ``Invocation.ahead``."""


class CachedRequest(msgspec.Struct, eq=False):
    """Routing and admission results, cached per request head.

    An equal head implies a body of the same length, so ``is_empty`` (no input) and ``is_json``
    (the input is a JSON body) hold for the next request too.

    Attributes:
        table: the channels by which the service was found; other ones invalidate the result.
        is_shareable: the result may be cached. A repeated query parameter is a list, which a
            service could change.
        is_change: the service is a built-in one that changes something.
    """

    service: str
    rights: CallerRights
    caller: Caller
    query: dict[str, str | list[str]]
    context: HttpContext
    table: ChannelTable
    timeout: float | None
    is_empty: bool
    is_json: bool
    is_shareable: bool
    is_change: bool


class RequestInvoker:
    """Prepares and runs invocations for requests and for routes made of services.

    Args:
        begin: the invoker.
        max_seconds: the longest that any invocation may take; None for no limit.
        read_ahead: reads the input of a large payload; called in a thread.
    """

    def __init__(  # noqa: PLR0917 - wiring, in one place
        self,
        begin: Begin,
        services: Services,
        admission: Admission,
        router: Router,
        monotonic: Callable[[], float],
        new_cid: Callable[[], str],
        max_seconds: float | None,
        read_ahead: ReadAhead | None = None,
    ) -> None:
        self.begin, self._services, self._admission = begin, services, admission
        self.router, self._max_seconds = router, max_seconds
        self.monotonic, self.new_cid, self._read_ahead = monotonic, new_cid, read_ahead

    async def prepare(self, request: Request, target: Target) -> CachedRequest:
        """Check the caller, find the service, and read all but the body.

        Raises:
            UnauthorizedError, TooManyRequestsError, ForbiddenError: the request is not admitted.
            NotFoundError: the service is not deployed.
            BadInputError: the query string or the time limit is not valid.
            MethodNotAllowedError: the service changes something, and the method must not.
        """
        service = target.service
        if target.is_public:
            rights = _ANONYMOUS
        else:
            if not target.route:  # a channel for GET says that the service may be asked by GET
                refuse_hidden_site(request.method, request.headers)
            rights = await self._admission.admit_to_service(request, service)
            if service not in self._services:
                near = self._services.suggestion(service, rights.caller.patterns)
                raise NotFoundError(f"No such service `{service}`{near}")
            if request.method not in UNSAFE_METHODS and not is_safe(service):
                raise MethodNotAllowedError(
                    f"service '{service}' changes something; use POST", UNSAFE_METHODS
                )
        query = query_of(request.query) if request.query else {}
        return CachedRequest(
            service,
            rights,
            rights.caller,
            query,
            context_of(request, query, target.params, target.route),
            self.router.table,
            time_limit(request.headers, self._max_seconds),
            is_empty=not (query or request.body),
            is_json=bool(request.body) and not query and is_json(request),
            is_shareable=not any(isinstance(value, list) for value in query.values()),
            is_change=service.startswith("zato.") and needed_role(service) != "viewer",
        )

    def name_of(self, service_id: int, caller: Caller) -> str:
        """Return the name of the service of this id.

        Raises:
            ServiceMissingError: no service that the caller's patterns match has it.
        """
        entry = self._services.by_id(service_id)
        if not matches(entry.name, caller.patterns):
            raise no_such_id(service_id)
        return entry.name

    async def invoke(
        self,
        cached: CachedRequest,
        payload: Any,
        raw: str | bytes | None,
        *,
        service: str | None = None,
        seconds: float | None = None,
        body: AsyncIterator[bytes] | None = None,
    ) -> Outcome:
        """Invoke the prepared service, or another one in its place, for at most ``seconds``."""
        invocation = Invocation(
            service or cached.service,
            payload,
            raw,
            self.new_cid(),
            "http",
            cached.caller,
            seconds or cached.timeout,
            None,
            cached.context,
            body=body,
        )
        if raw is not None and len(raw) >= OFFLOAD_FROM and self._read_ahead is not None:
            owner = cached.caller.principal
            invocation.ahead = await offload(self._read_ahead, invocation, owner=owner)
        return await self._run(invocation)

    async def ask(self, service: str, payload: Mapping[str, Any], caller: Caller) -> Any:
        """Return what a service answers to the caller.

        Raises:
            ForbiddenError: the caller is not allowed to invoke the service.
            BaseException: the error of the service.
        """
        if not may_invoke(caller, service):
            raise refusal_of(caller, service)
        outcome = await self._run(
            Invocation(service, payload, None, self.new_cid(), "http", caller)
        )
        if outcome.error is not None:
            raise outcome.error
        return outcome.payload

    async def _run(self, invocation: Invocation) -> Outcome:
        return await outcome_of(invocation.cid, self.begin(invocation, self.monotonic()))
