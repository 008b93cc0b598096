"""What services do with tasks, their own or the one they run in, stays in their invocation."""

import asyncio
from collections.abc import Coroutine
from typing import Any, NamedTuple

from zato_lite.errors import InvocationError
from zato_lite.log import LogContext, invocation_context


class ContainedTask(asyncio.Task[Any]):
    """A task that knows which of its cancellations a service in it has brought about itself.

    Those are an outcome of that invocation. All others are its owner's, and go through.
    """

    _from_within: list["_Cancelled"] | None = None

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel it, and note if it is a service that does."""
        invocation = invocation_context.get()
        if invocation is None or self.done():
            return super().cancel(msg)
        loop = self.get_loop()
        was_itself = asyncio.current_task(loop) is self
        later = None
        if was_itself and not getattr(self.get_coro(), "cr_running", True):
            # The service's first step is made by hand: the task itself is elsewhere, and gets to
            # the service in the loop's next turn, if there is anything left of it to cancel.
            later = loop.call_soon(super().cancel, msg)
        if self._from_within is None:
            self._from_within = []
            self.add_done_callback(noted.discard)
        self._from_within.append(_Cancelled(invocation, was_itself, later))
        noted.add(self)
        return later is not None or super().cancel(msg)

    def uncancel(self) -> int:
        """Take one back; which one it is makes no difference."""
        if self._from_within and (later := self._from_within.pop().later) is not None:
            later.cancel()
        return super().uncancel()

    def forgive(self, invocation: LogContext) -> None:
        """Take back what a service in this invocation did, or one before it in this task."""
        found, self._from_within = self._from_within or (), []
        noted.discard(self)
        for one in found:
            if one.was_itself or one.by is invocation:
                super().uncancel()


class _Cancelled(NamedTuple):
    """A cancellation from within: by which invocation, in that very task, and when in the loop."""

    by: LogContext
    was_itself: bool
    later: asyncio.Handle | None


noted: set[asyncio.Task[Any]] = set()
"""Tasks that services have cancelled; nearly always there are none."""


def is_cancelled_by_others(invocation: LogContext | None) -> bool:
    """Whether it is the owner of the present task who cancels it, not this invocation itself."""
    task = asyncio.current_task()
    if task is None or not task.cancelling():
        return False
    if invocation is not None and isinstance(task, ContainedTask):
        task.forgive(invocation)
    return task.cancelling() > 0


async def settle(invocation: LogContext) -> None:
    """At the end of an invocation: what it cancelled in passing does not hit what comes next."""
    task = asyncio.current_task()
    if (
        task in noted
        and isinstance(task, ContainedTask)
        and not is_cancelled_by_others(invocation)
    ):
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            if is_cancelled_by_others(invocation):
                raise


def contain(loop: asyncio.AbstractEventLoop) -> None:
    """From now on what a service's own task raises stays in it, ``SystemExit`` included.

    The loop would otherwise end with it, and with the loop whatever else runs. A service that
    cancels the task it runs in, which may be that of a connection, cancels its invocation only.
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
