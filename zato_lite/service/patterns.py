"""``self.patterns``: parallel invocations and retries."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Protocol

from zato_lite.service.sync_aware import blocking

Calls = Mapping[Any, Any] | Iterable[tuple[Any, Any]]
"""Services and their payloads; pairs if a service is invoked more than once."""


Resolve = Callable[[Coroutine[Any, Any, Any]], Coroutine[Any, Any, Any]]
"""Returns a coroutine to an async service, its result to a blocking one."""


class Invoke(Protocol):
    """Invocation of a service."""

    def __call__(self, target: Any, payload: Any) -> Awaitable[Any]:
        """Invoke the service and return its answer."""
        ...


class InvocationPatterns:
    """Common part of ``Patterns`` and ``BlockingPatterns``."""

    def __init__(self, invoke: Invoke, resolve: Resolve) -> None:
        self._invoke = invoke
        self._resolve = resolve

    async def _parallel(
        self, calls: Calls, on_final: list[Any], on_target: list[Any], limit: int
    ) -> Any:
        pairs = list(calls.items() if isinstance(calls, Mapping) else calls)
        semaphore = asyncio.Semaphore(limit)

        async def invoke_within_limit(service: Any, payload: Any) -> Any:
            async with semaphore:
                answer = await self._invoke(service, payload)
                for target in on_target:
                    await self._invoke(target, answer)
                return answer

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(invoke_within_limit(*pair)) for pair in pairs]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        answers: Any = [task.result() for task in tasks]
        if isinstance(calls, Mapping):
            answers = dict(zip(calls, answers, strict=True))
        for target in on_final:
            await self._invoke(target, answers)
        return answers

    async def _invoke_retry(
        self, service: Any, payload: Any, repeats: int, pace: tuple[float, float]
    ) -> Any:
        seconds, backoff = pace
        for attempt in range(repeats):
            try:
                return await self._invoke(service, payload)
            except Exception:  # noqa: BLE001 - any error is retried
                await asyncio.sleep(seconds * backoff**attempt)
        return await self._invoke(service, payload)


class Patterns(InvocationPatterns):
    """Ways to invoke services; in async services each method must be awaited."""

    def parallel(
        self, calls: Calls, *, on_final: Any = None, on_target: Any = None, limit: int = 16
    ) -> Coroutine[Any, Any, Any]:
        """Invoke services, at most ``limit`` at a time, and return their answers in the same form.

        The first error cancels the other invocations and is raised. Each answer is sent to the
        services of ``on_target``, and all answers, at the end, to those of ``on_final``.
        """
        return self._resolve(self._parallel(calls, _as_list(on_final), _as_list(on_target), limit))

    def fanout(
        self, calls: Calls, *, on_final: Any = None, limit: int = 16
    ) -> Coroutine[Any, Any, Any]:
        """Invoke services and send all answers to ``on_final``."""
        return self.parallel(calls, on_final=on_final, limit=limit)

    def invoke_retry(
        self,
        service: Any,
        payload: Any = None,
        *,
        repeats: int = 3,
        seconds: float = 1.0,
        backoff: float = 1.0,
    ) -> Coroutine[Any, Any, Any]:
        """Invoke a service and retry it up to ``repeats`` times, after ``seconds`` each.

        Each delay is ``backoff`` times the one before. The last error is raised.
        """
        return self._resolve(self._invoke_retry(service, payload, repeats, (seconds, backoff)))


class BlockingPatterns(InvocationPatterns):
    """``Patterns`` for blocking services: methods return results, not coroutines."""

    parallel = blocking(Patterns.parallel)
    fanout = blocking(Patterns.fanout)
    invoke_retry = blocking(Patterns.invoke_retry)


def _as_list(services: Any) -> list[Any]:
    if services is None:
        return []
    return list(services) if isinstance(services, (list, tuple)) else [services]
