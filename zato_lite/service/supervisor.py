"""Supervised background tasks, which neither an error nor a service can end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Self

from zato_lite.log import Repeats
from zato_lite.service.containment import protect, protected_tasks

_log = logging.getLogger(__name__)


class Supervisor:
    """A task that repeats ``work`` until it is stopped.

    An error is logged, ever more seldom, and followed by a delay. If a service cancels all tasks
    that it finds, a new task takes over immediately.

    Args:
        name: name of the task, and field of its log events.
        work: called again and again.
        min_delay_s: seconds before the first retry; doubled for each further one.
        max_delay_s: maximum of that delay. Work that lasted longer before it failed begins with
            the first delay again.
        on_restart: called after each failure and cancellation.

    Attributes:
        failures: errors since the work succeeded last.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[object]],
        *,
        min_delay_s: float = 0.1,
        max_delay_s: float = 30.0,
        on_restart: Callable[[], object] | None = None,
    ) -> None:
        self.failures = Repeats()
        self._name, self._work, self._on_restart = name, work, on_restart
        self._min_delay_s, self._max_delay_s = min_delay_s, max_delay_s
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.create_task(self._repeat(), name=self._name)
        protect(self._task)
        # A task that is cancelled before its first step runs no line of its coroutine; only its
        # callback learns of it.
        self._task.add_done_callback(self._restart)

    async def stop(self) -> None:
        """Cancel the task, and wait until it has ended."""
        task, self._task = self._task, None
        if task is not None:
            protected_tasks.discard(task)
            task.cancel()
            await asyncio.wait([task])

    def _restart(self, task: "asyncio.Task[None]") -> None:
        if task is not self._task:
            return
        _log.warning("task restarted after a service cancelled it", extra={"work": self._name})
        self.start()
        if self._on_restart is not None:
            self._on_restart()

    async def _repeat(self) -> None:
        loop = asyncio.get_running_loop()
        failures = self.failures
        delay = self._min_delay_s
        while True:
            began = loop.time()
            try:
                await self._work()
            except Exception as error:  # noqa: BLE001 - any error is retried
                if loop.time() - began > self._max_delay_s:
                    delay = self._min_delay_s
                if failures.again(str(error)):
                    fields = {"work": self._name, "so_far": failures.count}
                    _log.exception("work failed", extra=fields)
                if self._on_restart is not None:
                    self._on_restart()
                await asyncio.sleep(delay)
                delay = min(delay * 2, self._max_delay_s)
            else:
                if failures.count:
                    fields = {"work": self._name, "failures": failures.over()}
                    _log.warning("work resumed", extra=fields)
                    delay = self._min_delay_s
