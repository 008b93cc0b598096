"""Tasks of the server's own that no service can end."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

_REST_S, _LONGEST_REST_S = 0.1, 30.0

_log = logging.getLogger(__name__)


@asynccontextmanager
async def unending(work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Do the work in a task for as long as the block lasts.

    Whatever it raises is logged, and it begins again, a little later each time; so it does at
    once when somebody cancels all tasks that there are.
    """
    is_over = False

    async def go_on() -> None:
        rest = _REST_S
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await work()
            except Exception:  # noqa: BLE001 - whatever it is, the work goes on
                rest = _REST_S if loop.time() - began > _LONGEST_REST_S else rest
                _log.exception("work failed; it begins again", extra={"rest_s": rest})
                await asyncio.sleep(rest)
                rest = min(rest * 2, _LONGEST_REST_S)

    tasks: set[asyncio.Task[None]] = set()

    def start() -> None:
        task = asyncio.create_task(go_on())
        tasks.add(task)
        task.add_done_callback(ended)

    def ended(task: "asyncio.Task[None]") -> None:
        tasks.discard(task)
        if not is_over:
            _log.warning("a task of the server was cancelled by a service; it begins again")
            start()

    start()
    try:
        yield
    finally:
        is_over = True
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
