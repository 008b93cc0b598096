"""Fast path: answers requests whose head is known. The one module that is written for speed.

A client mostly sends the same head again. Its route, caller and context are found once, kept with
the request, and hold until the caller's rights expire or the channels change.
"""

from collections.abc import Callable, Coroutine
from typing import Any, cast

import msgspec

from zato_lite.http.message import FastResponse, Request, Response
from zato_lite.http.metrics import QUICK_S, LatencyRecorder
from zato_lite.http.payloads import payload_of
from zato_lite.http.request_invoker import CachedRequest, RequestInvoker
from zato_lite.http.responder import Responder
from zato_lite.http.responses import encode_struct, to_plain
from zato_lite.service.message import Invocation, Outcome
from zato_lite.wire import OPTIONS, decode_strict, dumps

Answer = FastResponse | Response | Coroutine[Any, Any, Response]
"""A response, or the coroutine to await for one; it has to be awaited in the same task."""

_STRUCT_TYPE = type(msgspec.Struct)


class FastPath:
    """Answers a request with a known head in one function; leaves all others to the slow path."""

    __slots__ = ("_begin", "_latency", "_monotonic", "_new_cid", "_responder", "_router", "_slow")

    def __init__(
        self,
        invoker: RequestInvoker,
        responder: Responder,
        latency: LatencyRecorder,
        slow: Callable[[Request], Coroutine[Any, Any, Response]],
    ) -> None:
        self._begin, self._router = invoker.begin, invoker.router
        self._monotonic, self._new_cid = invoker.monotonic, invoker.new_cid
        self._responder, self._latency, self._slow = responder, latency, slow

    def answer(self, request: Request) -> Answer:  # noqa: C901 - see below
        """Answer the request up to its first wait, which is mostly to the end."""
        # One function on purpose: each call less saves about a percent. Callables of the
        # instance go into local variables first, because CPython 3.11 is slow at
        # ``self.attribute()`` when the attribute is not a method.
        head: CachedRequest | None = request.memo
        monotonic, begin, new_cid = self._monotonic, self._begin, self._new_cid
        now = monotonic()
        if head is None or head.rights.until <= now or head.table is not self._router.table:
            return self._slow(request)
        try:
            payload = body = None
            raw: str | bytes | None = None
            if head.is_json:
                raw, payload = request.body, decode_strict(request.body)
            elif not head.is_empty:
                payload, raw = payload_of(request, head.query)
            cid = new_cid()
            invocation = Invocation(
                head.service,
                payload,
                raw,
                cid,
                "http",
                head.caller,
                head.timeout,
                None,
                head.context,
            )
            outcome = begin(invocation, now)
            if type(outcome) is not tuple:
                return self._responder.answer_later(head, request, cast("Any", outcome))
            result, overrides, seconds = outcome
            if overrides is None and not head.is_change and seconds <= QUICK_S:
                kind = type(result)
                try:
                    if kind is dict:
                        body = dumps(result, to_plain, OPTIONS)
                    elif type(kind) is _STRUCT_TYPE:
                        body = encode_struct(result)
                except (TypeError, ValueError, RecursionError):
                    pass  # the slow path encodes the payload again and reports the error
                if body is not None:
                    self._latency.quick += 1
                    self._latency.seconds += seconds
                    return body, cid
            return self._responder.answer(head, request, Outcome(cid, result, overrides, seconds))
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            return self._responder.answer_error(request, error)
