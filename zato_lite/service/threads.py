"""Worker threads for services with a plain ``handle``, and their way back to the loop."""

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from zato_lite.errors import DeadlineError

T = TypeVar("T")


class _Work:
    """A call to make, in which context, and who waits for it.

    Attributes:
        above: the thread that waits for what this is a part of, if there is one.
        is_deputy: it runs in place of that thread, in excess of the limit.
    """

    __slots__ = ("above", "context", "function", "future", "is_deputy", "loop", "worker")

    def __init__(self, function: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.function = function
        self.context = contextvars.copy_context()
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.worker: _Worker | None = None
        self.above = _worker_here.get()
        self.is_deputy = False


class WorkerPool:
    """At most ``limit`` threads at work, made when they are wanted; more work waits its turn.

    A thread that waits for the loop has one deputy at a time, in excess of the limit: blocking
    services that invoke blocking services would otherwise wait for each other for ever. The
    threads are daemons: a service that blocks for ever does not keep the server from ending. When
    a caller gives up, its place goes to the next one, for up to ``limit`` such threads, and the
    thread ends when it comes back.

    Attributes:
        limit: how many threads are at work at once.
        busy: how many there are at work or waiting for the loop.
        abandoned: threads whose caller gave up and that have not come back yet.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.busy = 0
        self.abandoned = 0
        self._waiting: deque[_Work] = deque()
        self._nested: deque[_Work] = deque()
        self._idle: list[_Worker] = []

    @property
    def waiting(self) -> int:
        """How many wait for a thread."""
        return len(self._waiting) + len(self._nested)

    async def run(self, function: Callable[[], T]) -> T:
        """Call the function in a thread, in the caller's context."""
        work = _Work(function, asyncio.get_running_loop())
        if self.busy < self.limit or self._may_be_deputy(work):
            self._start(work)
        else:
            self._queue_of(work).append(work)
        try:
            result: T = await work.future
        except asyncio.CancelledError:
            self._give_up(work)
            raise
        return result

    def wait(self, awaitable: Awaitable[T]) -> T:
        """From one of the threads: let the loop do something, and wait for it."""
        worker = threading.current_thread()
        if not isinstance(worker, _Worker):
            raise RuntimeError("only a service with a plain handle() can wait")  # noqa: TRY004
        return worker.wait(awaitable)

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """From one of the threads: have the loop do what must be done whoever still waits."""
        worker = threading.current_thread()
        if not isinstance(worker, _Worker):
            coroutine.close()
            raise RuntimeError("only a service with a plain handle() can wait")  # noqa: TRY004
        worker.finish(coroutine)

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Call the function in another thread; from one of the threads or from the loop."""
        worker = threading.current_thread()
        loop = worker.loop if isinstance(worker, _Worker) else asyncio.get_running_loop()
        return asyncio.run_coroutine_threadsafe(self.run(function), loop)

    def close(self) -> None:
        """Let idle threads go."""
        while self._idle:
            self._idle.pop().inbox.put(None)

    def _queue_of(self, work: _Work) -> deque[_Work]:
        return self._waiting if work.above is None else self._nested

    def _may_be_deputy(self, work: _Work) -> bool:
        above = work.above
        return above is not None and above.is_waiting and not above.has_deputy

    def _start(self, work: _Work) -> None:
        if self.busy >= self.limit and work.above is not None:
            work.is_deputy = work.above.has_deputy = True
        self.busy += 1
        if self._idle:
            worker = self._idle.pop()
        else:
            worker = _Worker(self._done)
            worker.start()
        work.worker = worker
        worker.inbox.put(work)

    def _done(self, work: _Work, result: Any, error: BaseException | None) -> None:
        """In the loop: hand the result over, and find the thread something to do."""
        worker = work.worker
        if worker is None or worker.is_abandoned:
            self.abandoned -= 1
            if worker is not None and worker.keeps_place:
                self._free(work)
            return
        self._idle.append(worker)
        if not work.future.done():
            if error is None:
                work.future.set_result(result)
            else:
                work.future.set_exception(error)
        self._free(work)

    def _give_up(self, work: _Work) -> None:
        if work.worker is None:
            self._queue_of(work).remove(work)
        elif work.worker not in self._idle:
            work.worker.keeps_place = self.abandoned >= self.limit
            self.abandoned += 1
            work.worker.abandon()
            if not work.worker.keeps_place:
                self._free(work)

    def _free(self, work: _Work) -> None:
        """Its place is free: what waits goes on, nested work first, for others wait for it."""
        self.busy -= 1
        if work.is_deputy and work.above is not None:
            work.above.has_deputy = False
        for nested in list(self._nested):
            if self.busy < self.limit or self._may_be_deputy(nested):
                self._nested.remove(nested)
                self._start(nested)
        while self._waiting and self.busy < self.limit:
            self._start(self._waiting.popleft())


class _Worker(threading.Thread):
    """A thread that does one piece of work after another."""

    def __init__(self, done: Callable[[_Work, Any, BaseException | None], None]) -> None:
        super().__init__(name="zato-lite-worker", daemon=True)
        self.inbox: SimpleQueue[_Work | None] = SimpleQueue()
        self.is_abandoned = False
        self.keeps_place = False
        self.is_waiting = False
        self.has_deputy = False
        self._done = done
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pending: Future[Any] | None = None

    def run(self) -> None:
        """Work until there is nothing more to come."""
        while (work := self.inbox.get()) is not None:
            self._loop = work.loop
            result: Any = None
            error: BaseException | None = None
            try:
                result = work.context.run(self._call, work.function)
            except StopIteration as stop:  # which no future can hold
                error = RuntimeError(f"the service raised {stop!r}")
            except BaseException as raised:  # noqa: BLE001 - told to whoever waits
                error = raised
            is_last = self.is_abandoned
            try:
                work.loop.call_soon_threadsafe(self._done, work, result, error)
            except RuntimeError:  # the loop is closed, and nobody waits any more
                return
            if is_last:
                return

    def _call(self, function: Callable[[], Any]) -> Any:
        _worker_here.set(self)
        return function()

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Let the loop do something, and wait for it."""
        if self.is_abandoned or self._loop is None:
            if isinstance(awaitable, Coroutine):
                awaitable.close()
            raise DeadlineError("the invocation that this is a part of is over")
        self.is_waiting = True
        pending = asyncio.run_coroutine_threadsafe(_awaited(awaitable), self._loop)
        self._pending = pending
        try:
            return pending.result()
        finally:
            self._pending = None
            self.is_waiting = False

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Let the loop do something, and wait for it unless nobody waits for this thread."""
        try:
            pending = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        except RuntimeError:  # the loop is closed, and with it whatever there was to finish
            coroutine.close()
            return
        if not self.is_abandoned:
            pending.result()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that gave it its work."""
        if self._loop is None:
            raise RuntimeError("the thread has no work")
        return self._loop

    def abandon(self) -> None:
        """Nobody waits for the current work: whatever it waits for is cancelled."""
        self.is_abandoned = True
        pending = self._pending
        if pending is not None:
            pending.cancel()


_worker_here: contextvars.ContextVar[_Worker | None] = contextvars.ContextVar(
    "worker_here", default=None
)
"""The thread in which, or on behalf of which, something runs."""


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable
