"""Tasks that services make for themselves cannot end the server either."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from zato_lite.errors import InvocationError
from zato_lite.log import invocation_context


def contain(loop: asyncio.AbstractEventLoop) -> None:
    """From now on what a service's own task raises stays in it, ``SystemExit`` included.

    The loop would otherwise end with it, and with the loop whatever else runs.
    """
    loop.set_task_factory(_make_task)


def _make_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    if invocation_context.get() is not None:
        coro = _contained(coro)
    return asyncio.Task(coro, loop=loop, **options)


async def _contained(coro: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await coro
    except (SystemExit, KeyboardInterrupt) as error:
        raise InvocationError(f"a task of a service raised {error!r}") from error
