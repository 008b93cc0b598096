import asyncio
import threading

from tests.service.running import (
    Double,
)
from zato_lite.service.invoker import Invoker
from zato_lite.service.registry import Registry


async def test_idle_threads_end_when_the_pool_is_closed() -> None:
    registry = Registry()
    registry.add(Double)
    invoker = Invoker(registry)
    thread = await invoker.pool.run(threading.current_thread)

    invoker.close()

    await asyncio.to_thread(thread.join, 5)
    assert not thread.is_alive()
