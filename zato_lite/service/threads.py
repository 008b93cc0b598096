"""Worker threads for services with a plain ``handle``, and their access to the loop."""

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

_NOT_A_WORKER = "must be called from the thread of a blocking service"


class _Call:
    """A call, its context, and the future that receives the result.

    Attributes:
        parent: the worker that waits for the invocation that this call is a part of, or None.
        is_deputy: the call runs in place of that worker, in excess of the limit.
    """

    __slots__ = ("context", "function", "future", "is_deputy", "loop", "parent", "worker")

    def __init__(self, function: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.function = function
        self.context = contextvars.copy_context()
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.worker: _Worker | None = None
        self.parent = _current_worker.get()
        self.is_deputy = False


class WorkerPool:
    """Pool of at most ``limit`` busy threads, created on demand; further calls are queued.

    A thread that waits for the loop has one deputy at a time, in excess of the limit: blocking
    services that invoke blocking services would otherwise deadlock. The threads are daemons, so
    a service that blocks for ever does not prevent the server's exit. When a caller gives up, its
    place becomes free, for up to ``limit`` such threads, and the thread ends when it returns.

    Attributes:
        limit: the number of threads that may be busy.
        busy: threads that work or wait for the loop.
        abandoned: threads whose caller has given up and that have not returned yet.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.busy = 0
        self.abandoned = 0
        self._waiting: deque[_Call] = deque()
        self._nested: deque[_Call] = deque()
        self._idle: list[_Worker] = []

    @property
    def waiting(self) -> int:
        """Return the number of queued calls."""
        return len(self._waiting) + len(self._nested)

    async def run(self, function: Callable[[], T]) -> T:
        """Call the function in a thread, in the caller's context, and return its result."""
        call = _Call(function, asyncio.get_running_loop())
        if self.busy < self.limit or self._may_be_deputy(call):
            self._start(call)
        else:
            self._queue_of(call).append(call)
        try:
            result: T = await call.future
        except asyncio.CancelledError:
            self._give_up(call)
            raise
        return result

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Await in the loop, from one of the threads, and return the result."""
        worker = threading.current_thread()
        if not isinstance(worker, _Worker):
            raise RuntimeError(_NOT_A_WORKER)  # noqa: TRY004
        return worker.wait(awaitable)

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run in the loop, from one of the threads, even if its caller has given up."""
        worker = threading.current_thread()
        if not isinstance(worker, _Worker):
            coroutine.close()
            raise RuntimeError(_NOT_A_WORKER)  # noqa: TRY004
        worker.finish(coroutine)

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Call the function in another thread, from one of the threads or the loop."""
        worker = threading.current_thread()
        loop = worker.loop if isinstance(worker, _Worker) else asyncio.get_running_loop()
        return asyncio.run_coroutine_threadsafe(self.run(function), loop)

    def close(self) -> None:
        """End the idle threads."""
        while self._idle:
            self._idle.pop().inbox.put(None)

    def _queue_of(self, call: _Call) -> deque[_Call]:
        return self._waiting if call.parent is None else self._nested

    def _may_be_deputy(self, call: _Call) -> bool:
        parent = call.parent
        return parent is not None and parent.is_waiting and not parent.has_deputy

    def _start(self, call: _Call) -> None:
        if self.busy >= self.limit and call.parent is not None:
            call.is_deputy = call.parent.has_deputy = True
        self.busy += 1
        if self._idle:
            worker = self._idle.pop()
        else:
            worker = _Worker(self._done)
            worker.start()
        call.worker = worker
        worker.inbox.put(call)

    def _done(self, call: _Call, result: Any, error: BaseException | None) -> None:
        """Pass the result to the caller, and the thread to the next call; runs in the loop."""
        worker = call.worker
        if worker is None or worker.is_abandoned:
            self.abandoned -= 1
            if worker is not None and worker.keeps_place:
                self._free(call)
            return
        self._idle.append(worker)
        if not call.future.done():
            if error is None:
                call.future.set_result(result)
            else:
                call.future.set_exception(error)
        self._free(call)

    def _give_up(self, call: _Call) -> None:
        if call.worker is None:
            self._queue_of(call).remove(call)
        elif call.worker not in self._idle:
            call.worker.keeps_place = self.abandoned >= self.limit
            self.abandoned += 1
            call.worker.abandon()
            if not call.worker.keeps_place:
                self._free(call)

    def _free(self, call: _Call) -> None:
        """Free the place of a call for queued ones; nested calls go first, as others wait."""
        self.busy -= 1
        if call.is_deputy and call.parent is not None:
            call.parent.has_deputy = False
        for nested in list(self._nested):
            if self.busy < self.limit or self._may_be_deputy(nested):
                self._nested.remove(nested)
                self._start(nested)
        while self._waiting and self.busy < self.limit:
            self._start(self._waiting.popleft())


class _Worker(threading.Thread):
    """Thread that makes calls, one after the other."""

    def __init__(self, done: Callable[[_Call, Any, BaseException | None], None]) -> None:
        super().__init__(name="zato-lite-worker", daemon=True)
        self.inbox: SimpleQueue[_Call | None] = SimpleQueue()
        self.is_abandoned = False
        self.keeps_place = False
        self.is_waiting = False
        self.has_deputy = False
        self._done = done
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pending: Future[Any] | None = None

    def run(self) -> None:
        """Make calls until the inbox holds None."""
        while (call := self.inbox.get()) is not None:
            self._loop = call.loop
            result: Any = None
            error: BaseException | None = None
            try:
                result = call.context.run(self._call, call.function)
            except StopIteration as stop:  # a future cannot hold it
                error = RuntimeError(f"the service raised {stop!r}")
            except BaseException as raised:  # noqa: BLE001 - raised in the caller
                error = raised
            is_last = self.is_abandoned
            try:
                call.loop.call_soon_threadsafe(self._done, call, result, error)
            except RuntimeError:  # the loop is closed, and with it the caller
                return
            if is_last:
                return

    def _call(self, function: Callable[[], Any]) -> Any:
        _current_worker.set(self)
        return function()

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Await in the loop and return the result."""
        if self.is_abandoned or self._loop is None:
            if isinstance(awaitable, Coroutine):
                awaitable.close()
            raise DeadlineError("the parent invocation has already finished")
        self.is_waiting = True
        pending = asyncio.run_coroutine_threadsafe(_awaited(awaitable), self._loop)
        self._pending = pending
        try:
            return pending.result()
        finally:
            self._pending = None
            self.is_waiting = False

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run in the loop, and wait for the end unless the caller has given up."""
        try:
            pending = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        except RuntimeError:  # the loop is closed, so the call is void
            coroutine.close()
            return
        if not self.is_abandoned:
            pending.result()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop that the current call came from."""
        if self._loop is None:
            raise RuntimeError("the thread makes no call")
        return self._loop

    def abandon(self) -> None:
        """Cancel the operation that the thread waits for, as its caller has given up."""
        self.is_abandoned = True
        pending = self._pending
        if pending is not None:
            pending.cancel()


_current_worker: contextvars.ContextVar[_Worker | None] = contextvars.ContextVar(
    "current_worker", default=None
)
"""The worker thread in which, or on behalf of which, the current code runs."""


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable
