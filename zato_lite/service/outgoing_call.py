"""The service on whose behalf an outgoing connection is used."""

from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Resolve(Protocol):
    """Returns a coroutine to an async service, its result to a blocking one."""

    def __call__(self, answer: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        """Return the coroutine, or its result."""
        ...


class CallingService(Protocol):
    """A service that uses connections."""

    @property
    def time_left(self) -> float | None:
        """The seconds until its deadline."""
        ...

    @property
    def root(self) -> Any:
        """The outermost invocation."""
        ...
