"""Containment: keeps cancellations and exits of services within their own invocations."""

import asyncio
from collections.abc import Coroutine
from typing import Any, NamedTuple

from zato_lite.errors import InvocationError
from zato_lite.log import LogContext, invocation_context
from zato_lite.service.interference import interferences

protected_tasks: set[asyncio.Task[Any]] = set()
"""The server's own tasks, which services cannot cancel."""


class ContainedTask(asyncio.Task[Any]):
    """Task that knows which of its cancellations a service in it has requested.

    Such a cancellation is an outcome of the invocation; all others are the owner's and pass.
    """

    _requested: list["_Cancellation"] | None = None

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel the task, and record a cancellation that a service requests."""
        invocation = invocation_context.get()
        if invocation is None or self.done():
            return super().cancel(msg)
        if self in protected_tasks:
            interferences.report(invocation, "cancelled a task of the server")
            return False
        loop = self.get_loop()
        was_itself = asyncio.current_task(loop) is self
        later = None
        if was_itself and not getattr(self.get_coro(), "cr_running", True):
            # The service runs in an eager start, so the task itself awaits something else. It
            # reaches the service in the loop's next turn, if the service has not ended by then.
            later = loop.call_soon(super().cancel, msg)
        if self._requested is None:
            self._requested = []
            self.add_done_callback(self_cancelled.discard)
        self._requested.append(_Cancellation(invocation, was_itself, later))
        self_cancelled.add(self)
        return later is not None or super().cancel(msg)

    def uncancel(self) -> int:
        """Take one cancellation back; which one does not matter."""
        if self._requested and (later := self._requested.pop().later) is not None:
            later.cancel()
        return super().uncancel()

    def withdraw_cancellations(self, invocation: LogContext) -> None:
        """Take back the cancellations that this invocation requested, or one before it."""
        requested, self._requested = self._requested or (), []
        self_cancelled.discard(self)
        for cancellation in requested:
            if cancellation.was_itself or cancellation.by is invocation:
                super().uncancel()


class _Cancellation(NamedTuple):
    """A cancellation that a service requested.

    Attributes:
        by: the invocation that requested it.
        was_itself: the invocation ran in the cancelled task.
        later: the scheduled call that cancels the task, after an eager start.
    """

    by: LogContext
    was_itself: bool
    later: asyncio.Handle | None


self_cancelled: set[asyncio.Task[Any]] = set()
"""Tasks that services have cancelled; nearly always empty, so the check is cheap."""


def is_cancelled_by_owner(invocation: LogContext | None) -> bool:
    """Return True if the owner of the current task has cancelled it, not this invocation."""
    task = asyncio.current_task()
    if task is None or not task.cancelling():
        return False
    if invocation is not None and isinstance(task, ContainedTask):
        task.withdraw_cancellations(invocation)
    return task.cancelling() > 0


async def absorb_cancellations(invocation: LogContext) -> None:
    """Absorb cancellations that an invocation requested, so that they reach no later one."""
    task = asyncio.current_task()
    if (
        task in self_cancelled
        and isinstance(task, ContainedTask)
        and not is_cancelled_by_owner(invocation)
    ):
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            if is_cancelled_by_owner(invocation):
                raise


def protect(task: asyncio.Task[Any]) -> None:
    """Keep services from cancelling a task of the server."""
    protected_tasks.add(task)
    task.add_done_callback(protected_tasks.discard)


def contain_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Make the loop create tasks that contain their services.

    A ``SystemExit`` in a task of a service would otherwise end the loop and all other work. A
    service that cancels its own task, possibly a connection's, cancels only its invocation.
    """
    loop.set_task_factory(_make_task)


def _make_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    if invocation_context.get() is not None:
        coro = _contained(coro)
    return ContainedTask(coro, loop=loop, **options)


async def _contained(coro: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await coro
    except (SystemExit, KeyboardInterrupt) as error:
        raise InvocationError(f"a task of a service raised {error!r}") from error
