"""Bodies that are read while they arrive, with backpressure to the client."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple, Self

from zato_lite.errors import BadInputError, TooLargeError, ZatoLiteError
from zato_lite.http.head import RefusedError

BUFFER = 262_144
"""Bytes of a body that wait for the service; then the server reads no more of it."""

_TOO_SLOW = 408
_TOO_LARGE = 413


class SlowBodyError(ZatoLiteError):
    """The client sends a body too slowly."""

    status = _TOO_SLOW


class BodyPlan(NamedTuple):
    """The limit of a request's body in bytes, and whether it is read while it arrives."""

    limit: int
    is_streamed: bool


PlanBody = Callable[[str, bytes, Mapping[bytes, bytes]], BodyPlan | None]
"""Returns the plan for a method, a target and header fields; None for the server's limit."""


class BodyStream:
    """The body of a request: an iterator of its bytes.

    Args:
        wanted: called when there is room for more.
    """

    __slots__ = ("_error", "_pieces", "_size", "_waiter", "_wanted", "is_ended")

    def __init__(self, wanted: Callable[[], object]) -> None:
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._wanted = wanted
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self.is_ended = False

    @property
    def is_full(self) -> bool:
        """Return True while no more bytes should come."""
        return self._size >= BUFFER

    def feed(self, piece: bytes) -> None:
        """Add bytes from the client."""
        self._pieces.append(piece)
        self._size += len(piece)
        self._wake()

    def end(self) -> None:
        """Note that the body is complete."""
        self.is_ended = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """Raise an error where the body is read, unless it is complete."""
        if not self.is_ended and self._error is None:
            self._error = error
            self._wake()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self.is_ended:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            self._wanted()
            await self._waiter  # it is done if the call has brought something
        piece = self._pieces.popleft()
        was_full, self._size = self.is_full, self._size - len(piece)
        if was_full and not self.is_full:
            self._wanted()
        return piece

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def whole(body: bytes) -> BodyStream:
    """Return a body that has arrived already."""
    stream = BodyStream(bool)
    if body:
        stream.feed(body)
    stream.end()
    return stream


def broken() -> Exception:
    """Return the error of a body whose client has left."""
    return BadInputError("body ended early: the client has left")


def error_of(refused: RefusedError) -> Exception:
    """Return a refusal as the error of a body that is being read."""
    if refused.status == _TOO_LARGE:
        return TooLargeError(refused.details)
    if refused.status == _TOO_SLOW:
        return SlowBodyError(refused.details)
    return BadInputError(refused.details)
