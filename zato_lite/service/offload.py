"""Offload: functions that take long are called in threads, so that the event loop stays free."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from zato_lite.service.threads import WorkerPool

Result = TypeVar("Result")

OFFLOAD_FROM = 65_536
"""Bytes of a text from which it is decoded in a thread: less takes a few milliseconds."""

_pool = WorkerPool(2)
# Few: each thread that computes can delay the loop by the interpreter's switch interval of 5 ms.


async def offload(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a pure function in one of two threads and return its result."""
    return await _pool.run(partial(function, *arguments))
