"""Fast path: answers requests whose head is known. The one module that is written for speed.

A client mostly sends the same head again. Its route, caller and context are found once, kept with
the request, and hold until the caller's rights expire or the channels change.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, cast

import msgspec

from zato_lite.http.auth import CallerRights
from zato_lite.http.message import FastResponse, Request, Response
from zato_lite.http.metrics import QUICK_S, LatencyRecorder
from zato_lite.http.payloads import payload_of
from zato_lite.http.responses import encode_struct, to_plain
from zato_lite.http.router import ChannelTable, Router
from zato_lite.service.access import needed_role
from zato_lite.service.message import FastOutcome, HttpContext, Invocation, Outcome
from zato_lite.wire import OPTIONS, decode_strict, dumps

Begin = Callable[[Invocation, float], FastOutcome | Outcome | Awaitable[Outcome]]
"""Invokes a service up to its first wait; the second argument is monotonic seconds."""

Answer = FastResponse | Response | Coroutine[Any, Any, Response]
"""A response, or the coroutine to await for one; it has to be awaited in the same task."""

_STRUCT_TYPE = type(msgspec.Struct)


class CachedRequest:
    """Routing and admission results, cached per request head.

    An equal head implies a body of the same length, so ``is_empty`` (no input) and ``is_json``
    (the input is a JSON body) hold for the next request too. The result is not cached unless
    ``is_shareable``: a repeated query parameter is a list, which a service could change.
    """

    __slots__ = (
        "caller",
        "context",
        "is_change",
        "is_empty",
        "is_json",
        "is_shareable",
        "query",
        "rights",
        "service",
        "table",
        "timeout",
    )

    def __init__(
        self,
        service: str,
        rights: CallerRights,
        query: dict[str, str | list[str]],
        context: HttpContext,
        table: ChannelTable,
        *,
        timeout: float | None,
        is_empty: bool,
        is_json: bool,
    ) -> None:
        self.service, self.rights, self.query = service, rights, query
        self.caller, self.context, self.table = rights.caller, context, table
        self.timeout = timeout
        self.is_empty, self.is_json = is_empty, is_json
        self.is_shareable = not any(type(value) is list for value in query.values())
        self.is_change = service.startswith("zato.") and needed_role(service) != "viewer"


class Responses(Protocol):
    """Makes responses of outcomes that are not usual, counts and audits them."""

    def answer(self, cached: CachedRequest, request: Request, outcome: Outcome) -> Response:
        """Return the response to an outcome."""
        ...

    def answer_later(
        self, cached: CachedRequest, request: Request, outcome: Outcome | Awaitable[Outcome]
    ) -> Response | Coroutine[Any, Any, Response]:
        """Return the response to an outcome, or the coroutine that awaits the outcome first."""
        ...

    def answer_error(self, request: Request, error: Exception) -> Response:
        """Return the response to an error."""
        ...


class FastPath:
    """Answers a request with a known head in one function; leaves all others to the slow path."""

    __slots__ = ("_begin", "_latency", "_monotonic", "_new_cid", "_responses", "_router", "_slow")

    def __init__(
        self,
        begin: Begin,
        router: Router,
        responses: Responses,
        latency: LatencyRecorder,
        slow: Callable[[Request], Coroutine[Any, Any, Response]],
        *,
        monotonic: Callable[[], float],
        new_cid: Callable[[], str],
    ) -> None:
        self._begin, self._router, self._responses = begin, router, responses
        self._latency, self._slow = latency, slow
        self._monotonic, self._new_cid = monotonic, new_cid

    def answer(self, request: Request) -> Answer:  # noqa: C901 - see below
        """Answer the request up to its first wait, which is mostly to the end."""
        # One function on purpose: each call less saves about a percent. Callables of the
        # instance go into local variables first, because CPython 3.11 is slow at
        # ``self.attribute()`` when the attribute is not a method.
        cached: CachedRequest | None = request.memo
        monotonic, begin, new_cid = self._monotonic, self._begin, self._new_cid
        now = monotonic()
        if cached is None or cached.rights.until <= now or cached.table is not self._router.table:
            return self._slow(request)
        try:
            payload = body = None
            raw: str | bytes | None = None
            if cached.is_json:
                raw = request.body
                payload = decode_strict(request.body)
            elif not cached.is_empty:
                payload, raw = payload_of(request, cached.query)
            cid = new_cid()
            invocation = Invocation(
                cached.service,
                payload,
                raw,
                cid,
                "http",
                cached.caller,
                cached.timeout,
                None,
                cached.context,
            )
            outcome = begin(invocation, now)
            if type(outcome) is not tuple:
                pending = cast("Outcome | Awaitable[Outcome]", outcome)
                return self._responses.answer_later(cached, request, pending)
            result, overrides, seconds = outcome
            if overrides is None and not cached.is_change and seconds <= QUICK_S:
                kind = type(result)
                try:
                    if kind is dict:
                        body = dumps(result, to_plain, OPTIONS)
                    elif type(kind) is _STRUCT_TYPE:
                        body = encode_struct(result)
                except (TypeError, ValueError, RecursionError):
                    pass  # the slow path encodes the payload again and reports the error
                if body is not None:
                    latency = self._latency
                    latency.quick += 1
                    latency.seconds += seconds
                    return body, cid
            return self._responses.answer(
                cached, request, Outcome(cid, result, overrides, seconds)
            )
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            return self._responses.answer_error(request, error)
