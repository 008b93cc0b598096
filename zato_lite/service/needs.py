"""Resources that services need: declared by their type, provided by the application or project."""

import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, Generic, Protocol, TypeVar, overload
from weakref import WeakSet

from zato_lite.errors import InvocationError, UnavailableError
from zato_lite.service.message import Invocation
from zato_lite.service.resource import Key
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
    """Access to resources."""

    @property
    def resources(self) -> Mapping[Any, Any]:
        """The objects by type, or by type and name; those of a project are each in ``Opened``."""
        ...


class Opened:
    """A resource of the project that is open."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class HasProvider:
    """Base of services, whose instances know the source of their resources."""

    __slots__ = ()

    @property
    def provider(self) -> Provider:
        """Return the source of the resources that ``needs(…)`` declares."""
        raise NotImplementedError


class Uses:
    """Resources that the middleware of one invocation has seen, which it keeps."""

    __slots__ = ("provider", "seen")

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.seen: dict[Any, Any] = {}


_uses: ContextVar[Uses] = ContextVar("uses")


async def with_uses(provider: Provider, work: Callable[[], Awaitable[T]]) -> T:
    """Do an invocation's work; until its end, middleware has the resources that it saw first."""
    token = _uses.set(Uses(provider))
    try:
        return await work()
    finally:
        _uses.reset(token)


class Needs(Generic[T]):
    """Descriptor: ``pool = needs(Pool)`` gives a service or middleware the resource of this type.

    Attributes:
        key: the resource.
        place: its key in the provider's resources.
        file, line: the place of the declaration.
    """

    def __init__(self, protocol: type[T], name: str, file: str, line: int) -> None:
        self.key, self.file, self.line = Key(protocol, name), file, line
        self.place = place_of(self.key)
        self._attribute = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = name

    @overload
    def __get__(self, instance: None, owner: type) -> "Needs[T]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: Any, owner: type) -> "Needs[T] | T":
        if instance is None:
            return self
        if not isinstance(instance, HasProvider):
            return self._for_middleware(owner)
        try:
            found = instance.provider.resources[self.place]
        except KeyError:
            raise self._unavailable() from None
        if type(found) is Opened:
            # An invocation keeps the object that it has seen first, also after a deployment.
            found = vars(instance)[self._attribute] = found.value
        value: T = found
        return value

    def _for_middleware(self, owner: type) -> T:
        uses = _uses.get(None)
        if uses is None:
            text = f"{owner.__qualname__}.{self._attribute} is available during an invocation only"
            raise InvocationError(text)
        if self.place not in uses.seen:
            found = uses.provider.resources.get(self.place)
            if found is None:
                raise self._unavailable()
            uses.seen[self.place] = found.value if type(found) is Opened else found
        value: T = uses.seen[self.place]
        return value

    def _unavailable(self) -> UnavailableError:
        return UnavailableError(f"resource {self.key} is not open")


def needs(protocol: type[T], *, name: str = "") -> Needs[T]:
    """Declare a resource that a service or middleware needs; it is open when they are deployed.

    Args:
        protocol: the resource's type.
        name: the resource's name, if there are several of this type.
    """
    caller = sys._getframe(1)
    return Needs(protocol, name, caller.f_code.co_filename, caller.f_lineno)


def needs_of(cls: type) -> dict[str, Needs[Any]]:
    """Return the declared needs of a class and its bases, by attribute."""
    found: dict[str, Needs[Any]] = {}
    for base in reversed(cls.__mro__):
        if base in _without_needs:
            continue
        own = {name: each for name, each in vars(base).items() if isinstance(each, Needs)}
        if not own:
            _without_needs.add(base)
        found |= own
    return found


_without_needs: "WeakSet[type]" = WeakSet()
"""Classes that declare no needs. All services share bases with many attributes."""


def needs_of_all(cls: type, middleware: Iterable[object]) -> dict[str, Needs[Any]]:
    """Return the declared needs of a service and of its middleware."""
    found = needs_of(cls)
    for kind in map(type, middleware):
        found |= {f"{kind.__qualname__}.{name}": need for name, need in needs_of(kind).items()}
    return found


def place_of(key: Key) -> Any:
    """Return the key of a resource in ``Provider.resources``."""
    return key if key.name else key.type
