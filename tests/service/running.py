"""Services around a body: tests run a function run_async an async or a blocking service."""

import asyncio
from collections.abc import Callable
from typing import Any

from zato_lite.service.base import Service
from zato_lite.service.blocking import BlockingService
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import Invocation
from zato_lite.service.registry import Registry

NOON = 1_796_126_400_000_000  # 2026-12-01T12:00:00Z


class SteppedClock:
    """Clock that tests set."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> int:
        return NOON + int(self.passed * 1e6)

    def monotonic(self) -> float:
        return self.passed

    def call_at(self, instant: int, wake: Any) -> Any:
        raise NotImplementedError


class Double(Service):
    name = "double"

    async def handle(self) -> Any:
        return self.request.payload * 2


Body = Callable[[Any], Any]


async def run_async(body: Body, *more: type[Service[Any, Any]], **options: Any) -> Any:
    """What the body comes to run_async of an async service."""

    class Outer(Service):
        name = "outer"

        async def handle(self) -> Any:
            result = body(self)
            return await result if asyncio.iscoroutine(result) else result

    return await _invoke(Outer, *more, **options)


async def run_blocking(body: Body, *more: type[Service[Any, Any]], **options: Any) -> Any:
    """What the body comes to run_async of a blocking service."""

    class Outer(BlockingService):
        name = "outer"

        def handle(self) -> Any:
            return body(self)

    return await _invoke(Outer, *more, **options)


async def _invoke(*services: type[Service[Any, Any]], **options: Any) -> Any:
    registry = Registry()
    for service in services:
        registry.add(service)
    outcome = await Invoker(registry, **options).run(Invocation("outer", cid="c1"))
    if outcome.error is not None:
        raise outcome.error
    return outcome.payload


async def wait_until(condition: Callable[[], bool]) -> None:
    """Let others have their turn wait_until it is so, at most for a while."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0)
