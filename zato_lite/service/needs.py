"""How a service says what it needs of the application: by a protocol, not by an import."""

from typing import Any, Generic, Protocol, TypeVar, overload

T = TypeVar("T")


class Provider(Protocol):
    """Whoever can hand out the application's resources."""

    def resource(self, protocol: type[T]) -> T:
        """What fulfils the protocol."""
        ...


class Needs(Generic[T]):
    """A descriptor: ``jobs = needs(JobCommands)`` gives services the application's instance."""

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
        return provider.resource(self.protocol)


def needs(protocol: type[T]) -> Needs[T]:
    """Something that the application must provide; checked when the service is registered."""
    return Needs(protocol)


def needs_of(cls: type) -> dict[str, type]:
    """What a class needs, its bases included: attribute and protocol."""
    return {
        name: value.protocol
        for base in reversed(cls.__mro__)
        for name, value in vars(base).items()
        if isinstance(value, Needs)
    }
