"""``self.patterns`` of services written for Zato: objects with ``invoke``.

Work in the background is in this process, and is lost with it; ``invoke_async`` is not.
"""

import asyncio
import logging
import math
import traceback
from collections.abc import Coroutine, Mapping
from contextvars import Context
from datetime import datetime
from typing import Any, NamedTuple

from zato_lite.service.base import InvokerPort, Service
from zato_lite.service.message import Invocation, Outcome
from zato_lite.service.naming import name_of
from zato_lite.service.patterns import BlockingPatterns, Resolve
from zato_lite.service.payload import plain
from zato_lite.zato.exceptions import ZatoException
from zato_lite.zato.util import new_cid

_log = logging.getLogger(__name__)
_running: set[asyncio.Task[None]] = set()


class Background:
    """Invokes services in the background, on behalf of the caller of a service."""

    def __init__(self, service: Service[Any, Any], invoker: InvokerPort, resolve: Resolve) -> None:
        self.source, self._path, self._caller = service.get_name(), service.path, service.caller
        self.invoker, self.resolve = invoker, resolve

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work in the loop, without waiting for it."""
        task = asyncio.get_running_loop().create_task(work, context=Context())
        _running.add(task)  # the loop itself keeps no strong reference to a task
        task.add_done_callback(_running.discard)

    async def invoke(self, target: Any, payload: Any, cid: str) -> Outcome:
        """Invoke a service and return its outcome; an error is logged."""
        name = name_of(target)
        invocation = Invocation(name, payload, None, cid, "async", self._caller, path=self._path)
        outcome = await self.invoker.run(invocation)
        if outcome.error is not None:
            extra = {"service": name, "cid": cid, "invoked_by": self.source}
            _log.error("service failed in the background", exc_info=outcome.error, extra=extra)
        return outcome

    async def invoke_all(self, targets: Any, payload: Any, cid: str) -> None:
        """Invoke services in parallel with one payload."""
        await asyncio.gather(*(self.invoke(each, payload, cid) for each in _listed(targets)))

    def now(self) -> str:
        """Return the current time in UTC, as callbacks receive it."""
        return _shown(self.invoker.now())


class _Call(NamedTuple):
    """One call of a pattern."""

    targets: Mapping[Any, Any]
    on_final: Any
    on_target: Any
    cid: str
    at: str


class _Calls:
    """Common part of ``Parallel`` and ``FanOut``."""

    def __init__(self, background: Background, patterns: BlockingPatterns) -> None:
        self._background, self._patterns = background, patterns

    def _started(self, targets: Any, on_final: Any, on_target: Any, cid: str = "") -> Any:
        if not isinstance(targets, Mapping):
            found = type(targets).__name__
            raise TypeError(
                f"targets is of type {found}; use a dictionary of services to payloads"
            )
        _names([*targets, *_listed(on_final), *_listed(on_target)])  # the caller gets the error
        background = self._background
        call = _Call(targets, on_final, on_target, cid or new_cid(), background.now())

        async def start() -> str:
            background.start(self._run(call))
            return call.cid

        return background.resolve(start())

    async def _run(self, call: _Call) -> None:
        async def one(target: Any, payload: Any) -> tuple[str, dict[str, Any]]:
            outcome = await self._background.invoke(target, payload, call.cid)
            name = name_of(target)
            found = self._outcome_of(name, outcome, call)
            await self._background.invoke_all(call.on_target, found, call.cid)
            return name, found

        pairs = await asyncio.gather(*(one(*each) for each in call.targets.items()))
        final = {
            "source": self._background.source,
            "req_ts_utc": call.at,
            "on_target": _names(call.on_target) or "",
            "on_final": _names(call.on_final),
            "data": dict(pairs),
        }
        await self._background.invoke_all(call.on_final, final, call.cid)

    def _outcome_of(self, name: str, outcome: Outcome, call: _Call) -> dict[str, Any]:
        """Return what a callback receives about one target."""
        error = outcome.error
        return {
            "source": self._background.source,
            "target": name,
            "response": None if outcome.payload is None else plain(outcome.payload),
            "req_ts_utc": call.at,
            "resp_ts_utc": self._background.now(),
            "ok": error is None,
            "exception": None if error is None else "".join(traceback.format_exception(error)),
            "cid": call.cid,
        }


class Parallel(_Calls):
    """``self.patterns.parallel``: services in the background, and callbacks after each."""

    def invoke(
        self,
        targets: Mapping[Any, Any],
        on_target: Any = None,
        on_final: Any = None,
        **options: Any,
    ) -> Any:
        """Invoke services in parallel, in the background; return the correlation id.

        Args:
            targets: the services, with their payloads.
            on_target: services that receive the outcome of each target, as a dictionary.
            on_final: services that receive those of all targets, at the end.
            options: ``cid``.
        """
        return self._started(targets, on_final, on_target, **options)

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Invoke services in parallel and return their answers."""
        return self._patterns.parallel(*args, **options)


class FanOut(_Calls):
    """``self.patterns.fanout``: services in the background, and callbacks after all of them."""

    def invoke(
        self,
        targets: Mapping[Any, Any],
        on_final: Any = None,
        on_target: Any = None,
        **options: Any,
    ) -> Any:
        """Do what ``parallel.invoke`` does; the callbacks after all targets come first."""
        return self._started(targets, on_final, on_target, **options)

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Invoke services in parallel, and others with all answers; return the answers."""
        return self._patterns.fanout(*args, **options)


class _Retry(NamedTuple):
    """One call of ``invoke_retry``."""

    target: Any
    payload: Any
    repeats: int
    seconds: float
    callback: Any
    context: Any
    cid: str
    at: str


class InvokeRetry:
    """``self.patterns.invoke_retry``: a service until it succeeds."""

    def __init__(self, service: Any, background: Background, patterns: BlockingPatterns) -> None:
        self._service, self._background, self._patterns = service, background, patterns

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Invoke a service, again if it fails, and return its answer."""
        return self._patterns.invoke_retry(*args, **options)

    def invoke(
        self, target: Any, payload: Any = None, *, async_fallback: bool = False, **options: Any
    ) -> Any:
        """Invoke a service, and again up to ``repeats`` times if it fails; return its answer.

        Args:
            target: the service.
            payload: its payload.
            async_fallback: repeat in the background, and return the correlation id instead.
            options: ``repeats``; ``seconds`` or ``minutes`` between two invocations; ``callback``,
                a service that receives the outcome of what ran in the background, and
                ``context``, for it; ``cid``.

        Raises:
            ZatoException: the last invocation failed too.
        """
        retry = self._retry(target, payload, **options)
        return self._background.resolve(self._invoke(retry, in_background=async_fallback))

    def invoke_async(self, target: Any, payload: Any = None, **options: Any) -> Any:
        """Do the same in the background from the first invocation on; return the id."""
        retry = self._retry(target, payload, **options)

        async def start() -> str:
            self._background.start(self._repeat(retry, is_first=True))
            return retry.cid

        return self._background.resolve(start())

    def _retry(
        self, target: Any, payload: Any, *, repeats: Any = 3, seconds: Any = None,
        minutes: Any = 0, callback: Any = None, context: Any = None, cid: str = "",
    ) -> _Retry:  # fmt: skip
        if seconds and minutes:
            raise ValueError("invoke_retry: seconds and minutes given; use one of them")
        if not isinstance(repeats, int) or repeats < 0:
            raise ValueError(f"invoke_retry: repeats is {repeats!r}; use an integer from 0")
        pause: Any = minutes * 60 or (1.0 if seconds is None else seconds)
        if not isinstance(pause, int | float) or not 0 <= pause < math.inf:
            raise ValueError(f"invoke_retry: {pause!r} is not a time; use a number from 0")
        _names([target, *_listed(callback)])
        at = self._background.now()
        return _Retry(target, payload, repeats, pause, callback, context, cid or new_cid(), at)

    async def _invoke(self, retry: _Retry, *, in_background: bool) -> Any:
        call = self._background.invoker.call
        for left in range(retry.repeats, -1, -1):
            try:
                return await call(self._service, retry.target, retry.payload, None)
            except Exception as error:
                if in_background:
                    self._background.start(self._repeat(retry, is_first=False))
                    return retry.cid
                if not left:
                    text = f"{name_of(retry.target)} failed {retry.repeats + 1} times: {error}"
                    raise ZatoException(retry.cid, text) from error
            await asyncio.sleep(retry.seconds)
        raise AssertionError("unreachable")

    async def _repeat(self, retry: _Retry, *, is_first: bool) -> None:
        is_ok = False
        for number in range(0 if is_first else 1, retry.repeats + 1):
            if number:
                await asyncio.sleep(retry.seconds)
            outcome = await self._background.invoke(retry.target, retry.payload, retry.cid)
            if is_ok := outcome.error is None:
                break
        told = {
            "ok": is_ok,
            "source": self._background.source,
            "target": name_of(retry.target),
            "retry_repeats": retry.repeats,
            "retry_seconds": retry.seconds,
            "call_cid": retry.cid,
            "orig_cid": self._service.cid,
            "req_ts_utc": retry.at,
            "context": retry.context,
        }
        await self._background.invoke_all(retry.callback, told, retry.cid)


class ZatoPatterns:
    """``self.patterns``: each has ``invoke``, and may be called for answers."""

    def __init__(
        self,
        service: Service[Any, Any],
        invoker: InvokerPort,
        resolve: Resolve,
        patterns: BlockingPatterns,
    ) -> None:
        background = Background(service, invoker, resolve)
        self.parallel = Parallel(background, patterns)
        self.fanout = FanOut(background, patterns)
        self.invoke_retry = InvokeRetry(service, background, patterns)


def _listed(services: Any) -> list[Any]:
    if not services:
        return []
    return list(services) if isinstance(services, list | tuple) else [services]


def _names(services: Any) -> list[str]:
    return [name_of(each) for each in _listed(services)]


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")
