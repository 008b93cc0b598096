"""``self.patterns``: several services at once, and one service until it works."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Protocol

from zato_lite.service.sync_aware import blocking

Calls = Mapping[Any, Any] | Iterable[tuple[Any, Any]]
"""Services and what each receives; pairs if one service is to be invoked more than once."""


class Invoke(Protocol):
    """Invokes a service."""

    def __call__(self, target: Any, payload: Any) -> Awaitable[Any]:
        """What it answers."""
        ...


class Plan:
    """What both kinds of ``self.patterns`` are made of."""

    def __init__(
        self, invoke: Invoke, give: Callable[[Coroutine[Any, Any, Any]], Coroutine[Any, Any, Any]]
    ) -> None:
        self._invoke = invoke
        self._give = give

    async def _parallel(
        self, calls: Calls, on_final: list[Any], on_target: list[Any], limit: int
    ) -> Any:
        pairs = list(calls.items() if isinstance(calls, Mapping) else calls)
        places = asyncio.Semaphore(limit)

        async def one(service: Any, payload: Any) -> Any:
            async with places:
                answer = await self._invoke(service, payload)
                for target in on_target:
                    await self._invoke(target, answer)
                return answer

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(*pair)) for pair in pairs]
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
            except Exception:  # noqa: BLE001 - whatever it is, it is tried again
                await asyncio.sleep(seconds * backoff**attempt)
        return await self._invoke(service, payload)


class Patterns(Plan):
    """Ways to invoke. In async services each method must be awaited."""

    def parallel(
        self, calls: Calls, *, on_final: Any = None, on_target: Any = None, limit: int = 16
    ) -> Coroutine[Any, Any, Any]:
        """Invoke all, at most ``limit`` at a time; a list, or for a dictionary one, of answers.

        If one raises, the others are cancelled and that error is raised. Each answer is sent to
        the services of ``on_target``, and all of them, at the end, to those of ``on_final``.
        """
        return self._give(self._parallel(calls, _each(on_final), _each(on_target), limit))

    def fanout(
        self, calls: Calls, *, on_final: Any = None, limit: int = 16
    ) -> Coroutine[Any, Any, Any]:
        """Invoke all and let ``on_final`` have all answers."""
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
        """Invoke, and if that fails again, up to ``repeats`` times, ``seconds`` later each.

        Each wait is ``backoff`` times as long as the one before. The last error is raised.
        """
        return self._give(self._invoke_retry(service, payload, repeats, (seconds, backoff)))


class BlockingPatterns(Plan):
    """The same in blocking services: what is to be awaited elsewhere is here the thing itself."""

    parallel = blocking(Patterns.parallel)
    fanout = blocking(Patterns.fanout)
    invoke_retry = blocking(Patterns.invoke_retry)


def _each(services: Any) -> list[Any]:
    if services is None:
        return []
    return list(services) if isinstance(services, (list, tuple)) else [services]
