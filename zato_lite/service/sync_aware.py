"""Attributes of ``self`` that differ between async services and blocking ones."""

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, cast, overload

T = TypeVar("T")
P = ParamSpec("P")
A = TypeVar("A")
B = TypeVar("B")


class RunsInThread:
    """Marker of blocking services, for type checkers."""

    __slots__ = ()


def blocking(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Any, P], T]:
    """Return the same method with the type that it has in blocking services.

    A service that runs in a thread waits before it returns, so the method gives the result there
    and a coroutine elsewhere.
    """
    return cast("Callable[Concatenate[Any, P], T]", method)


class LazyAttribute(Generic[A]):
    """Attribute that is created on first use, as most services use few of them."""

    def __init__(self, create: Callable[[Any], A]) -> None:
        self._create = create
        self._name = ""
        self.__doc__ = create.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> A:
        if instance is None:
            return self  # type: ignore[return-value]
        value = instance.__dict__[self._name] = self._create(instance)
        return value


class SyncAwareMethod(Generic[A, B]):
    """Attribute of type ``A`` in async services and of type ``B`` in blocking ones.

    Type checkers decide by the class; at run time it depends on where the service runs.

    Args:
        create: makes the attribute.
        is_kept: False for one that refers to the service: to keep it would make a reference
            cycle, whose collection costs more than the attribute.
    """

    def __init__(self, create: Callable[[Any], Any], *, is_kept: bool = True) -> None:
        self._create = create
        self._is_kept = is_kept
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: RunsInThread, owner: type) -> B: ...
    @overload
    def __get__(self, instance: object, owner: type) -> A: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        value = self._create(instance)
        if self._is_kept:
            instance.__dict__[self._name] = value
        return value
