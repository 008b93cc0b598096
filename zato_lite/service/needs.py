"""Resources that services need: declared by a protocol, provided by the application."""

from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeVar, overload

from zato_lite.service.message import Invocation
from zato_lite.timetable.job import Job

T = TypeVar("T")


class AsyncInvocations(Protocol):
    """Durable invocations: each is kept until a node has made it."""

    async def invoke_async(self, job: Job, cid: str = "") -> int:
        """Save a single run of a service and return the run's id.

        Once this returns, the run survives a crash.
        """
        ...


class UseLog(Protocol):
    """Record of built-in services that runs and other services have invoked for a caller."""

    async def record_use(
        self, invocation: Invocation, service: str, error: BaseException | None
    ) -> None:
        """Record that the caller of the outermost invocation has used a service."""
        ...

    async def record_refusal(self, invocation: Invocation, service: str) -> None:
        """Record that the caller of the outermost invocation was refused a service."""
        ...


class Locks(Protocol):
    """Locks that all nodes share, each held for a limited time."""

    async def acquire(self, name: str, owner: str, ttl: float) -> int | None:
        """Acquire a lock for ``ttl`` seconds; return a token greater than any before, or None."""
        ...

    async def renew(self, name: str, token: int, ttl: float) -> bool:
        """Hold the lock for ``ttl`` seconds from now; return False if it has lapsed."""
        ...

    async def release(self, name: str, token: int) -> None:
        """Release the lock; do nothing if it has lapsed."""
        ...


class EventPosition(Protocol):
    """Position in the stream of events."""

    @property
    def latest(self) -> int:
        """The number of the latest event, after which a listener may begin."""
        ...


class Provider(Protocol):
    """Access to the application's resources."""

    @property
    def resources(self) -> Mapping[type, Any]:
        """The objects that fulfil protocols, by protocol."""
        ...


class Needs(Generic[T]):
    """Descriptor: ``jobs = needs(JobCommands)`` gives services the application's instance."""

    def __init__(self, protocol: type[T]) -> None:
        self.protocol = protocol

    @overload
    def __get__(self, instance: None, owner: type) -> "Needs[T]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: Any, owner: type) -> "Needs[T] | T":
        if instance is None:
            return self
        provider: Provider = instance.provider
        found: T = provider.resources[self.protocol]
        return found


def needs(protocol: type[T]) -> Needs[T]:
    """Declare a resource that the application must provide; registration checks it."""
    return Needs(protocol)


def needs_of(cls: type) -> dict[str, type]:
    """Return the declared needs of a class and its bases, by attribute."""
    return {
        name: value.protocol
        for base in reversed(cls.__mro__)
        for name, value in vars(base).items()
        if isinstance(value, Needs)
    }
