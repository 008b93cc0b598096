"""Resources of a project: objects that services share, opened before use and closed after it."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import (
    Annotated,
    Any,
    Generic,
    NamedTuple,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

from zato_lite.errors import ConfigError

T = TypeVar("T")
S = TypeVar("S")


class Key(NamedTuple):
    """A resource as it is asked for: by its type, and by its name if it is not empty."""

    type: Any
    name: str = ""

    def __str__(self) -> str:
        return f"{type_name(self.type)} named {self.name!r}" if self.name else type_name(self.type)


class Signature(NamedTuple):
    """Signature of a resource's function: the type yielded, and the resources of parameters.

    Attributes:
        parameters: the resource that each parameter receives; None for the settings.
    """

    provides: Any
    parameters: Mapping[str, Key | None]


class Resource(Generic[T]):
    """Definition of a resource; a file of services may have any number.

    Attributes:
        function: the generator function that opens it, yields it once, and closes it.
        name: distinguishes resources of one type; by default the function's name.
        ready: returns False or a reason while the resource cannot be used; may be async, or raise.
        file, line: the place of the function.
        is_async: the function is an async generator.
        signature: set when its file was imported.
    """

    signature: Signature

    def __init__(
        self,
        function: Callable[..., AsyncIterator[T] | Iterator[T]],
        name: str = "",
        ready: Callable[[Any], object] | None = None,
    ) -> None:
        self.function, self.ready = function, ready
        self.name = name or function.__name__
        code = function.__code__ if inspect.isfunction(function) else None
        self.file = code.co_filename if code else ""
        self.line = code.co_firstlineno if code else 0
        self.is_async = inspect.isasyncgenfunction(function)

    def __str__(self) -> str:
        return f"resource {self.name}"

    def read_signature(self) -> None:
        """Read the annotations of the function; names that its file defines later are known.

        Raises:
            ConfigError: it is not a generator function with annotations; names the line.
        """
        where = f"line {self.line}: {self}"
        if not (self.is_async or inspect.isgeneratorfunction(self.function)):
            raise ConfigError(f"{where} is not a generator function; yield the object once")
        try:
            hints = get_type_hints(self.function, include_extras=True)
        except (NameError, TypeError, AttributeError) as error:
            raise ConfigError(f"{where}: annotation cannot be read: {error}") from error
        provided = get_args(hints.get("return"))
        if not provided:
            kind = "AsyncIterator" if self.is_async else "Iterator"
            raise ConfigError(f"{where} has no type; annotate it with -> {kind}[…]")
        parameters = {name: _key(name, hints, where) for name in _parameters(self.function)}
        self.signature = Signature(provided[0], parameters)


@overload
def resource(function: Callable[..., AsyncIterator[T]], /) -> Resource[T]: ...
@overload
def resource(function: Callable[..., Iterator[T]], /) -> Resource[T]: ...
@overload
def resource(
    *, name: str = "", ready: Callable[[Any], object] | None = None
) -> Callable[[Callable[..., AsyncIterator[S] | Iterator[S]]], Resource[S]]: ...
def resource(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str = "",
    ready: Callable[[Any], object] | None = None,
) -> Any:
    """Declare that a generator function opens a resource, which it yields, and closes it.

    Services ask for it by the type that it yields: ``pool = needs(Pool)``.

    Args:
        function: an async or plain generator function. Its parameter ``config`` receives
            ``[user]`` of the settings, each other one the resource of its type, or that of
            ``Annotated[Pool, "name"]``.
        name: distinguishes resources of one type; the default is the function's name.
        ready: called with the resource by ``/readyz``; False, a text or an error says that it
            cannot be used.
    """
    if function is not None:
        return Resource(function)
    return lambda decorated: Resource(decorated, name, ready)


def type_name(declared: Any) -> str:
    """Return the name of a type with its module, for messages."""
    if not isinstance(declared, type) or declared.__module__ == "builtins":
        return getattr(declared, "__name__", None) or str(declared)
    return f"{declared.__module__}.{declared.__qualname__}"


def _parameters(function: Callable[..., Any]) -> list[str]:
    return [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
    ]


def _key(name: str, hints: Mapping[str, Any], where: str) -> Key | None:
    if name == "config":
        return None
    if name not in hints:
        text = f"parameter {name!r} has no type; annotate it with that of a resource"
        raise ConfigError(f"{where}: {text}")
    hint = hints[name]
    if get_origin(hint) is Annotated:
        declared, *extras = get_args(hint)
        return Key(declared, next((each for each in extras if isinstance(each, str)), ""))
    return Key(hint)
