import asyncio
import sys
from collections.abc import Iterator

import pytest

from zato_lite import Service
from zato_lite.errors import InvocationError
from zato_lite.service.containment import contain_tasks
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import Invocation
from zato_lite.service.registry import Registry


class Leaves(Service):
    name = "leaves"

    async def handle(self) -> str:
        async def leave() -> None:
            sys.exit(4)

        async def stay() -> str:
            return "stayed"

        staying = asyncio.create_task(stay(), name="staying")
        with pytest.raises(InvocationError, match=r"a task of a service raised SystemExit\(4\)"):
            await asyncio.create_task(leave())
        return f"{staying.get_name()} {await staying}"


@pytest.fixture
def contained() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    contain_tasks(loop)
    yield loop
    loop.close()


def test_a_task_of_a_service_cannot_end_the_loop(contained: asyncio.AbstractEventLoop) -> None:
    registry = Registry()
    registry.add(Leaves)

    outcome = contained.run_until_complete(Invoker(registry).run(Invocation("leaves")))

    assert (outcome.error, outcome.payload) == (None, "staying stayed")


def test_tasks_outside_services_are_not_changed(
    contained: asyncio.AbstractEventLoop,
) -> None:
    async def number() -> int:
        return 5

    async def main() -> int:
        task = asyncio.create_task(number())
        assert task.get_coro().__name__ == "number"  # type: ignore[union-attr]
        return await task

    assert contained.run_until_complete(main()) == 5
