"""One method for both kinds of service, which type checkers are to see as two."""

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

T = TypeVar("T")
P = ParamSpec("P")


def blocking(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Any, P], T]:
    """The method as blocking services see it: there it returns what elsewhere is awaited.

    It is the same method; a service that runs in a thread waits before it hands something out.
    """
    return cast("Callable[Concatenate[Any, P], T]", method)
