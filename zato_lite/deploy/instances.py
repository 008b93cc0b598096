"""Instance of a resource: a task that opens it, keeps it open, and closes it."""

import asyncio
import contextlib
import logging
import time
import traceback
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextvars import Context
from typing import Any

from zato_lite.errors import UnavailableError
from zato_lite.service.containment import protect
from zato_lite.service.needs import Opened
from zato_lite.service.resource import Resource
from zato_lite.service.threads import WorkerPool

CLOSE_S = 10.0
"""Seconds that a resource may take to close, before it is abandoned."""

_log = logging.getLogger(__name__)


class Instance:
    """A resource that is being opened, open, or being closed.

    One task does all three: cancel scopes and task groups within the function need that.

    Args:
        definition: its definition.
        config: the settings that the function receives.
        values: the other arguments: functions that return them once the instances below are open.
        built_on: the instances that it needs.
        patience: seconds that it may take to open.
        on_failure: called if it ends while it should be open.

    Attributes:
        opened: the object, for services.
        is_open: the object is there, and is not being closed.
        error: the reason why it did not open.
        users: open instances that were built on this one.
    """

    def __init__(
        self,
        definition: Resource[Any],
        config: Mapping[str, Any],
        values: Mapping[str, Callable[[], Any]],
        built_on: Sequence["Instance"],
        *,
        patience: float,
        on_failure: Callable[[], object],
    ) -> None:
        self.definition, self.config, self.built_on = definition, config, tuple(built_on)
        self.opened = Opened(None)
        self.error: BaseException | None = None
        self.is_open = False
        self.users: set[Instance] = set()
        self._values, self._patience, self._on_failure = values, patience, on_failure
        loop = asyncio.get_running_loop()
        self.attempt: asyncio.Future[None] = loop.create_future()
        self._closing = asyncio.Event()
        self._task = loop.create_task(self._live(), context=Context())
        protect(self._task)

    @property
    def is_over(self) -> bool:
        """Return True if opening has ended, well or not."""
        return self.attempt.done()

    @property
    def _has_ended(self) -> bool:
        """Return True if it was open, and is not any more."""
        return self.is_over and self.error is None and not self.is_open

    def fits(self, config: Mapping[str, Any], built_on: Sequence["Instance"]) -> bool:
        """Return True if it was, or is being, opened with these, and has not ended."""
        takes_config = None in self.definition.signature.parameters.values()
        is_current = self.config == config or not takes_config
        return is_current and self.built_on == tuple(built_on) and not self._has_ended

    async def close(self) -> None:
        """Close after the instances that were built on it; errors are logged."""
        self._closing.set()
        if not self.is_over:
            self._task.cancel()
        done, _ = await asyncio.wait([self._task], timeout=CLOSE_S)
        if not done:
            _log.error("resource abandoned", extra=self._extra(after_s=CLOSE_S))
            self._task.cancel()

    async def usable(self) -> None:
        """Wait until it is open.

        Raises:
            UnavailableError: it did not open.
        """
        await asyncio.shield(self.attempt)
        if not self.is_open:
            raise UnavailableError(f"{self.definition} is not open")

    async def _live(self) -> None:
        try:
            for below in self.built_on:
                await below.usable()
                below.users.add(self)
            began = time.monotonic()
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(self._patience):
                    self.opened.value = await stack.enter_async_context(self._context())
                self._attempt_ended()
                took = round((time.monotonic() - began) * 1000, 1)
                _log.info("resource opened", extra=self._extra(took_ms=took))
                try:
                    await self._closing.wait()
                finally:  # a task group of the function may cancel this
                    self.is_open = False
            _log.info("resource closed", extra=self._extra())
        except BaseException as error:  # noqa: BLE001 - the function's own errors, SystemExit too
            if self.is_over and not isinstance(error, asyncio.CancelledError):
                event = "resource not closed" if self._closing.is_set() else "resource failed"
                _log.error(event, exc_info=error, extra=self._extra())
            self._attempt_ended(error)
        finally:
            for below in self.built_on:
                below.users.discard(self)
            if self._has_ended and not self._closing.is_set():
                self._on_failure()

    def _attempt_ended(self, error: BaseException | None = None) -> None:
        self.is_open = error is None
        if not self.is_over:
            if isinstance(error, TimeoutError) and not str(error):
                late = TimeoutError(f"did not open within {self._patience:g} s")
                late.__cause__, error = error, late
            self.error = error
            self.attempt.set_result(None)

    def _context(self) -> contextlib.AbstractAsyncContextManager[Any]:
        arguments = {
            name: self.config if key is None else self._values[name]()
            for name, key in self.definition.signature.parameters.items()
        }
        function: Any = self.definition.function
        if self.definition.is_async:
            return contextlib.asynccontextmanager(function)(**arguments)
        return _in_thread(contextlib.contextmanager(function)(**arguments))

    def _extra(self, **fields: Any) -> dict[str, Any]:
        return {"resource": self.definition.name, "source": self.definition.file, **fields}

    def failure(self) -> tuple[int, str]:
        """Return the line in the resource's file at which opening failed, and the reason."""
        error, line = self.error, self.definition.line
        while error is not None:  # a timeout has the cancelled place in its cause
            for frame in traceback.extract_tb(error.__traceback__):
                if frame.filename == self.definition.file:
                    line = frame.lineno or line
            error = error.__cause__
        return line, f"{type(self.error).__name__}: {self.error}"


@contextlib.asynccontextmanager
async def _in_thread(context: contextlib.AbstractContextManager[Any]) -> AsyncIterator[Any]:
    """Enter and leave a blocking context in a thread."""
    pool = WorkerPool(1)
    try:
        value = await pool.run(context.__enter__)
        try:
            yield value
        finally:
            await pool.run(lambda: context.__exit__(None, None, None))
    finally:
        pool.close()
