"""Eager start: runs the first step of a coroutine in the caller, without a new task.

Most coroutines of services end in their first step, so they cost neither a task nor a turn of the
loop. Only module that uses asyncio's private functions for entering a task.
"""

import asyncio
from asyncio.tasks import _enter_task, _leave_task  # documented under «Extending asyncio»
from collections.abc import Awaitable, Callable, Generator
from contextvars import Context
from types import CoroutineType, GeneratorType, coroutine
from typing import Any

from zato_lite.service.containment import self_cancelled


class Suspended:
    """The remainder of a coroutine that has made its first step; awaiting it runs the rest.

    Args:
        coroutine: the suspended coroutine, or generator.
        awaited: the object that its first step has yielded, for the task that runs the rest.
        host: the task in which it was started.

    Attributes:
        cancelled: the cancellation to raise in the coroutine when it is resumed.
    """

    __slots__ = ("awaited", "cancelled", "coroutine", "host")

    def __init__(self, coroutine: Any, awaited: Any, host: "HostTask | None" = None) -> None:
        self.coroutine, self.awaited, self.host = coroutine, awaited, host
        self.cancelled: asyncio.CancelledError | None = None

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine, awaited = self.coroutine, self.awaited
        try:
            if self.cancelled is not None:
                awaited = coroutine.throw(self.cancelled)
            while True:
                try:
                    yield awaited
                except BaseException as error:  # noqa: BLE001 - the coroutine handles it
                    awaited = coroutine.throw(error)
                else:
                    if isinstance(coroutine, GeneratorType):
                        return (yield from coroutine)
                    return (yield from coroutine.__await__())
        except StopIteration as stop:
            return stop.value


class Unstarted:
    """A call that could not be made in a spare task; awaiting it makes the call."""

    __slots__ = ("argument", "function")

    def __init__(self, function: Callable[[Any], Any], argument: Any) -> None:
        self.function, self.argument = function, argument

    def __await__(self) -> Generator[Any, Any, Any]:
        result = self.function(self.argument)
        if type(result) is CoroutineType:
            result = yield from result.__await__()
        return result


class EagerRunner:
    """Runs calls eagerly in an idle task, which they see as the current task from the start.

    The task is reused until a call leaves something behind in it: a context variable or a
    cancellation. A call that suspends keeps the task until it ends; meanwhile others get another.

    Args:
        loop: the loop that is running.
        context: the context variables that each call begins with.
        ended: called with each task of this runner that has ended.
    """

    __slots__ = ("_idle", "_is_closed", "context", "ended", "loop")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: Context,
        ended: Callable[[asyncio.Task[None]], Any] | None = None,
    ) -> None:
        self.loop, self.context, self.ended = loop, context, ended
        self._idle: HostTask | None = None
        self._is_closed = False

    def run(self, function: Callable[[Any], Any], argument: Any) -> Any:
        """Call a function and, if it returns a coroutine, run the coroutine's first step.

        Returns:
            The result of the function or its coroutine; or ``Suspended``, if the coroutine has
            to wait; or ``Unstarted``, if no task is idle or this is called within a task. The
            last two have to be passed to ``resume``.
        """
        host, loop = self._idle, self.loop
        if host is None or host.waiter.done():
            return Unstarted(function, argument)
        try:
            _enter_task(loop, host.task)
        except RuntimeError:  # another task is running
            return Unstarted(function, argument)
        context = host.context
        try:
            result = context.run(function, argument)
            if type(result) is CoroutineType:
                awaited = context.run(result.send, None)
                self._idle = None
                suspended = host.suspended = Suspended(result, awaited, host)
                return suspended
        except StopIteration as stop:
            result = stop.value
        except BaseException:
            self._idle = None
            host.end()
            raise
        finally:
            _leave_task(loop, host.task)
        if context != self.context or (self_cancelled and host.task in self_cancelled):
            self._idle = None
            host.end()
        return result

    def resume(self, rest: Any, work: Callable[[Any], Awaitable[Any]] | None = None) -> "HostTask":
        """Await the rest of a call, or ``work(rest)``, in the task in which the call began.

        A rest that has not begun, and anything else that ``work`` takes, gets an idle task or a
        new one. ``work`` is called in the task.
        """
        host: HostTask | None
        if type(rest) is Suspended:
            host = rest.host
        else:
            host = self._idle
            if host is not None and host.task is asyncio.current_task(self.loop):
                host = None  # this is called within an eager call, which may need its task
            else:
                self._idle = None
        if host is None or (host.waiter.done() and host.suspended is None):
            return HostTask(self, rest, work)
        host.accept(rest, work)
        return host

    def close(self) -> None:
        """End each task as soon as it has nothing to do; calls get new tasks."""
        self._is_closed = True
        host, self._idle = self._idle, None
        if host is not None:
            host.end()

    def take_back(self, host: "HostTask") -> bool:
        """Reuse a task whose work has ended; False if it has to end."""
        if self._is_closed or self._idle is not None or not host.is_clean():
            return False
        self._idle = host
        return True


class HostTask:
    """A task that runs calls, one after the other.

    Attributes:
        context: its context variables.
        suspended: the call that began in it eagerly and has not been resumed yet.
        waiter: the future that the task awaits while it is idle.
    """

    __slots__ = ("_next", "_runner", "context", "suspended", "task", "waiter")

    def __init__(
        self, runner: EagerRunner, rest: Any, work: Callable[[Any], Awaitable[Any]] | None
    ) -> None:
        self._runner = runner
        self._next: tuple[Any, Callable[[Any], Awaitable[Any]] | None] | None = (rest, work)
        self.context = runner.context.copy()
        self.suspended: Suspended | None = None
        self.waiter: asyncio.Future[None] = runner.loop.create_future()
        self.waiter.set_result(None)  # it has work from the start
        self.task: asyncio.Task[None] = runner.loop.create_task(self._run(), context=self.context)
        if runner.ended is not None:
            self.task.add_done_callback(runner.ended)

    def is_clean(self) -> bool:
        """Return False if a call has left a context variable or a cancellation behind."""
        task = self.task
        return self.context == self._runner.context and not (
            task in self_cancelled or task.cancelling()
        )

    def accept(self, rest: Any, work: Callable[[Any], Awaitable[Any]] | None) -> None:
        """Wake the task for this work."""
        self._next = rest, work
        self.end()

    def end(self) -> None:
        """Wake the task; without work it ends."""
        if not self.waiter.done():
            self.waiter.set_result(None)

    async def _run(self) -> None:
        while (accepted := self._next) is not None:
            rest, work = accepted
            self._next = self.suspended = None
            await (rest if work is None else work(rest))
            del rest, work, accepted  # an idle task must not keep them alive
            if not self._runner.take_back(self):
                return
            self.waiter = self._runner.loop.create_future()
            try:
                await self.waiter
            except asyncio.CancelledError as error:
                suspended: Suspended | None = self.suspended  # set meanwhile, by ``run``
                if suspended is None:
                    raise
                suspended.cancelled = error  # the cancellation is meant for that call


class Stepper:
    """Runs the first steps of coroutines, one after the other, in the current task.

    A coroutine that is sent something by hand ends with an exception that holds its result.
    A coroutine that is awaited does not, so a generator that awaits them all halves the cost of
    one that never suspends.

    Attributes:
        send: runs the first step of a coroutine; returns the stepper if the coroutine has ended,
            otherwise the object that it waits for. An exception ends the stepper.
        returned: the result of the last coroutine.
    """

    __slots__ = ("_is_given_away", "_steps", "returned", "send")

    def __init__(self) -> None:
        self.returned: Any = None
        self._is_given_away = False
        self._steps: Any = self._run()
        self._steps.send(None)
        self.send = self._steps.send

    def suspended(self, awaited: Any) -> Suspended:
        """Return the coroutine that has just been suspended; the stepper cannot be used again."""
        self._is_given_away = True
        return Suspended(self._steps, awaited)

    @coroutine
    def _run(self) -> Generator[Any, Any, Any]:
        while not self._is_given_away:
            self.returned = yield from (yield self)
        return self.returned
