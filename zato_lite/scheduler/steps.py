"""First steps made by hand: most services end in theirs, and need no task of their own.

What does not end there goes on in a task that it believes to be in from the start.
"""

import asyncio
from asyncio.tasks import _enter_task, _leave_task  # for whoever steps a task, says «Extending»
from collections.abc import Coroutine
from contextvars import Context, copy_context
from typing import Any

from zato_lite.service.containment import noted
from zato_lite.service.eager import Begun


class Steps:
    """Begins coroutines, one after the other, in a task that waits for one that has to wait."""

    def __init__(self) -> None:
        self._is_on = False

    def start(self) -> None:
        """Use the loop that is running."""
        self._is_on = True
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._host = self._new_host()

    def stop(self) -> None:
        """Let the task go that still waits, and begin nothing more."""
        self._is_on = False
        self._host.waiter.cancel()

    def task(self) -> asyncio.Task[None] | None:
        """The task in which the next coroutine can be begun; None if it needs one of its own.

        So it is when all this happens in somebody's task, or when the next one is not ready.
        """
        if not self._is_on:
            return None
        host = self._host
        if host.waiter.done():  # somebody has cancelled it
            self._host = self._new_host()
            return None
        if not host.is_ready or asyncio.current_task(self._loop) is not None:
            return None
        return host.task

    def begin(self, coroutine: Coroutine[Any, Any, None]) -> bool:
        """Make the first step in that task; whether it goes on in it."""
        host, loop = self._host, self._loop
        _enter_task(loop, host.task)
        try:
            awaited = host.context.run(coroutine.send, None)
        except StopIteration:
            if host.context != host.clean or host.task in noted:
                host.waiter.cancel()  # it has left something behind for the next one
            return False
        except BaseException:
            host.waiter.cancel()
            raise
        finally:
            _leave_task(loop, host.task)
        host.begun = Begun(coroutine, awaited)
        if not host.waiter.done():
            host.waiter.set_result(None)
        self._host = self._new_host()
        return True

    def _new_host(self) -> "_Host":
        return _Host(self._loop, self._context.copy())


class _Host:
    """A task, and what it is to go on with."""

    __slots__ = ("begun", "clean", "context", "is_ready", "task", "waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop, context: Context) -> None:
        self.begun: Begun[None] | None = None
        self.is_ready = False
        self.context, self.clean = context, context.copy()
        self.waiter: asyncio.Future[None] = loop.create_future()
        self.task = loop.create_task(self._go_on(), context=context)

    async def _go_on(self) -> None:
        self.is_ready = True
        try:
            await self.waiter
        except asyncio.CancelledError as error:
            if self.begun is None:
                return
            self.begun.cancelled = error
        if self.begun is not None:
            await self.begun
