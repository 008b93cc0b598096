"""A connection's task: what has to wait goes on in it, one request after the other."""

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any

from zato_lite.http.message import Response
from zato_lite.service.eager import Begun


class Worker:
    """A connection's task, which goes on with what has to wait, one request after the other.

    Attributes:
        context: its variables. begun: what has begun in it, by hand, and has not ended.
        waiter: what it waits for while it has nothing to do; done when somebody has cancelled it.
    """

    __slots__ = ("_first", "_is_leaving", "_rest", "begun", "context", "task", "waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop, context: Context) -> None:
        self.context = context.copy()
        self.begun: Begun[Response] | None = None
        self._rest: Coroutine[Any, Any, None] | None = None
        self._first: object = None
        self.waiter: asyncio.Future[None] | None = None
        self._is_leaving = False
        self.task = loop.create_task(self._go_on(loop), context=self.context)

    def is_dismissed(self) -> bool:
        """Whether somebody has cancelled it while it waited, or it has been let go."""
        return self._is_leaving or (self.waiter is not None and self.waiter.done())

    def go_on(self, rest: Coroutine[Any, Any, None], first: object = None) -> None:
        """Go on with this, which awaits the other first."""
        self._rest, self._first = rest, first
        wake(self.waiter)

    def leave(self) -> None:
        """End when all is done."""
        self._is_leaving = True
        wake(self.waiter)

    def drop(self) -> bool:
        """Forget what it was to go on with; whether there was anything."""
        rest, self._rest = self._rest, None
        if rest is not None:
            rest.close()
            if isinstance(self._first, Coroutine):
                self._first.close()
        return rest is not None

    async def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._rest is not None or not self._is_leaving:
            if self._rest is None:
                self.waiter = loop.create_future()
                try:
                    await self.waiter
                except asyncio.CancelledError as error:
                    if self.begun is None:
                        raise
                    self.begun.cancelled = error  # it was meant for what has begun
                finally:
                    self.waiter = None
            if (rest := self._rest) is not None:
                self._rest = self._first = None
                await rest
                self.begun = None


def wake(future: asyncio.Future[None] | None) -> None:
    """Let whoever awaits it go on."""
    if future is not None and not future.done():
        future.set_result(None)
