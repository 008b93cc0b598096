"""A coroutine whose first step was made by hand, and who goes on with it."""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

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

    def __init__(self, coroutine: Coroutine[Any, Any, T], awaited: Any) -> None:
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
                    return (yield from coroutine.__await__())
        except StopIteration as done:
            result: T = done.value
            return result
