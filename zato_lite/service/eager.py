"""A coroutine whose first step was made by hand, and who goes on with it."""

import asyncio
from collections.abc import Coroutine, Generator
from types import GeneratorType, coroutine
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class Begun(Generic[T]):
    """A coroutine that has begun and waits for something; awaiting this goes on with it.

    Whoever makes the first step (``coroutine.send(None)``) saves a task, or a turn of it, for all
    that end in that step. What does not has told what it waits for, which is handed on here.

    Args:
        coroutine: what has begun. awaited: what its first step came to: what it waits for.

    Attributes:
        cancelled: raised in the coroutine, in place of going on, when it is awaited.
    """

    __slots__ = ("awaited", "cancelled", "coroutine")

    def __init__(
        self, coroutine: Coroutine[Any, Any, T] | Generator[Any, Any, T], awaited: Any
    ) -> None:
        self.coroutine, self.awaited = coroutine, awaited
        self.cancelled: asyncio.CancelledError | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        coroutine, awaited = self.coroutine, self.awaited
        try:
            if self.cancelled is not None:
                awaited = coroutine.throw(self.cancelled)
            while True:
                try:
                    yield awaited
                except BaseException as error:  # noqa: BLE001 - it is the coroutine's to handle
                    awaited = coroutine.throw(error)
                else:
                    if isinstance(coroutine, GeneratorType):
                        return cast("T", (yield from coroutine))
                    return (yield from cast("Coroutine[Any, Any, T]", coroutine).__await__())
        except StopIteration as done:
            result: T = done.value
            return result


class Stepper:
    """Makes the first steps of coroutines, one after the other.

    A coroutine that is sent something by hand ends with an exception that says what it returned.
    One that is awaited does not: what awaits them all here saves half the time of a coroutine
    that has nothing to wait for.

    Attributes:
        send: makes the first step of a coroutine, and gives the stepper if that was also the
            last one; otherwise what the coroutine waits for. What it raises is the stepper's end.
        returned: what the last coroutine returned.
    """

    __slots__ = ("_is_given_away", "_steps", "returned", "send")

    def __init__(self) -> None:
        self.returned: Any = None
        self._is_given_away = False
        self._steps: Any = self._run()
        self._steps.send(None)
        self.send = self._steps.send

    def begun(self, awaited: Any) -> Begun[Any]:
        """The coroutine that has just begun and waits; the stepper is of no use any more."""
        self._is_given_away = True
        return Begun(self._steps, awaited)

    @coroutine
    def _run(self) -> Generator[Any, Any, Any]:
        while not self._is_given_away:
            self.returned = yield from (yield self)
        return self.returned
