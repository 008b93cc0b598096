"""Strategy of built-in services: their callers are checked and recorded, also within runs.

A request's caller is checked and recorded by the HTTP edge. Here is the rest: what a run, or one
built-in service, asks of another one. The project's own services are trusted: what they invoke is
not checked, but recorded.
"""

from collections.abc import Coroutine
from typing import Any, cast

from zato_lite.errors import ForbiddenError
from zato_lite.service.access import may_invoke, refusal
from zato_lite.service.entry import AnyService, Strategy
from zato_lite.service.message import (
    RUN_CHANNELS,
    SYSTEM,
    Caller,
    FastOutcome,
    Invocation,
    Outcome,
    outcome_of,
)
from zato_lite.service.needs import UseLog


class BuiltIn:
    """Runs a built-in service by another strategy, with checks and records."""

    __slots__ = ("_inner", "_name")

    def __init__(self, name: str, inner: Strategy) -> None:
        self._name, self._inner = name, inner

    def start(
        self, invoker: Any, invocation: Invocation, now: float
    ) -> FastOutcome | Outcome | Coroutine[Any, Any, Outcome]:
        """Run an invocation from outside; that of a run is recorded."""
        if invocation.channel in RUN_CHANNELS and invocation.caller is not SYSTEM:
            return self._run_and_record(invoker, invocation, now)
        return self._inner.start(invoker, invocation, now)

    def perform(self, invoker: Any, service: AnyService) -> Coroutine[Any, Any, Any]:
        """Run an invocation by another service; its root caller is checked and recorded."""
        if service.caller is SYSTEM:
            return self._inner.perform(invoker, service)
        return self._check_and_record(invoker, service)

    async def _run_and_record(self, invoker: Any, invocation: Invocation, now: float) -> Outcome:
        started = self._inner.start(invoker, invocation, now)
        outcome = await outcome_of(invocation.cid, started)
        await self._record(invoker, invocation, outcome.error)
        return outcome

    async def _check_and_record(self, invoker: Any, service: AnyService) -> Any:
        caller, root = service.caller, service.root
        if not service.is_invoked_by_code and not may_invoke(caller, self._name):
            await record_refusal(invoker, root, self._name)
            raise refusal_of(caller, self._name)
        try:
            answer = await self._inner.perform(invoker, service)
        except Exception as error:
            await self._record(invoker, root, error)
            raise
        await self._record(invoker, root, None)
        return answer

    async def _record(
        self, invoker: Any, invocation: Invocation, error: BaseException | None
    ) -> None:
        log = cast("UseLog | None", invoker.resources.get(UseLog))
        if log is not None:
            await log.record_use(invocation, self._name, error)


async def record_refusal(invoker: Any, invocation: Invocation, service: str) -> None:
    """Record that the caller of an invocation was refused a service."""
    log = cast("UseLog | None", invoker.resources.get(UseLog))
    if log is not None and invocation.caller is not SYSTEM:
        await log.record_refusal(invocation, service)


def refusal_of(caller: Caller, service: str) -> ForbiddenError:
    """Return the error of a caller that may not invoke a service."""
    return ForbiddenError(refusal(caller, service))
