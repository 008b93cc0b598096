"""Use of an outgoing connection on behalf of a service."""

from collections.abc import Coroutine
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from zato_lite.outgoing.connections import C, Connections, Kind

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


class NamedConnection(Generic[C]):
    """Common part of the connections of all kinds: one of a name, as a service uses it.

    It is looked up at each use, since a reload of the settings may replace it.

    Raises:
        UnknownConnectionError: the settings have no connection of this name.
    """

    __slots__ = ("_kind", "_name", "_resolve", "_service")
    KIND: ClassVar[str]

    def __init__(
        self, service: CallingService, connections: Connections, resolve: Resolve, name: str
    ) -> None:
        self._service, self._resolve, self._name = service, resolve, name
        self._kind: Kind[C] = getattr(connections, self.KIND)
        self._kind[name]  # raises UnknownConnectionError
