"""From a service's declared input and output to what reads the one and writes the other."""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import UnionType
from typing import (
    Any,
    NamedTuple,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import msgspec
from msgspec import inspect

from zato_lite.errors import BadInputError, FieldError, InvocationError
from zato_lite.service.base import Service
from zato_lite.service.elements import Elements, elements_of, simple_io
from zato_lite.service.model import Model

Convert = Callable[[Any], Any]


class Declared(NamedTuple):
    """What a service takes or gives: a type, or Zato's list of elements."""

    type: Any

    def reader(self, *, is_strict: bool = True) -> Convert:
        """Makes the declared input of a payload, or raises BadInputError with all that is wrong.

        One that is not strict takes text for numbers, as a query string has them.
        """
        if isinstance(self.type, Elements):
            return self.type.read
        if _is_pydantic(self.type):
            return partial(_read_pydantic, self.type)
        inspect.type_info(self.type)  # raises what is wrong with it now, not at the first call
        convert = partial(msgspec.convert, type=self.type, strict=is_strict)
        return _reader(self.type, convert, is_strict=is_strict)

    @property
    def is_native(self) -> bool:
        """Whether it is a type that msgspec knows itself."""
        return not (isinstance(self.type, Elements) or _is_pydantic(self.type))

    def writer(self) -> Convert:
        """Checks what a service answers against what it declared."""
        if isinstance(self.type, Elements):
            return partial(_write, None, self.type.write)
        return partial(_write, self.type, self.reader())


def declared(cls: type[Service[Any, Any]], side: str) -> Declared | None:
    """What a class declares as its ``input`` or ``output``; None when it declares nothing."""
    value = getattr(cls, side, None)
    if value is None:
        value = _type_argument(cls, 0 if side == "input" else 1)
    simple = getattr(cls, "SimpleIO", None)
    if value is None and simple is not None:
        value = simple_io(simple, side)
        if value is None:
            value = getattr(simple, side, None)
    if value is None:
        return None
    elements = value if isinstance(value, Elements) else elements_of(value)
    return Declared(elements or value)


def _type_argument(cls: type, index: int) -> Any:
    """``In`` or ``Out`` of ``class X(Service[In, Out])``."""
    for base in cls.__mro__:
        for generic in base.__dict__.get("__orig_bases__", ()):
            origin = get_origin(generic)
            if isinstance(origin, type) and issubclass(origin, Service):
                arguments = get_args(generic)
                found = arguments[index] if index < len(arguments) else None
                return None if found is Any or isinstance(found, TypeVar) else found
    return None


def _reader(wanted: Any, convert: Convert, *, is_strict: bool) -> Convert:
    def read(payload: Any) -> Any:
        if type(payload) is wanted:
            return payload
        try:
            return convert(payload)
        except msgspec.ValidationError as error:
            raise BadInputError.of(wrong_fields(payload, wanted, is_strict, error)) from error

    return read


def _read_pydantic(wanted: Any, payload: Any) -> Any:
    if isinstance(payload, wanted):
        return payload
    try:
        return wanted.model_validate({} if payload is None else payload)
    except ValueError as error:
        found: list[dict[str, Any]] = getattr(error, "errors", list)()
        raise BadInputError.of(
            FieldError(_pydantic_path(one["loc"]), one.get("input"), one["msg"]) for one in found
        ) from error


def _write(wanted: Any, read: Convert, payload: Any) -> Any:
    if type(payload) is wanted:
        return payload
    try:
        return read(payload)
    except BadInputError as error:
        raise InvocationError(f"the answer is not what is declared: {error}") from error


def wrong_fields(
    payload: Any, wanted: Any, is_strict: bool, error: msgspec.ValidationError
) -> list[FieldError]:
    """Every field of the payload that is not as wanted; msgspec itself stops at the first."""
    convert = partial(msgspec.convert, strict=is_strict)
    found = list(_wrong(convert, payload, wanted, ""))
    return found or [FieldError("", payload, str(error))]


def _wrong(
    convert: Callable[..., Any], value: Any, wanted: Any, path: str
) -> Iterator[FieldError]:
    try:
        convert(value, wanted)
    except msgspec.ValidationError as error:
        inner = list(_wrong_inside(convert, value, wanted, path))
        if not inner:
            message = str(error).split(" - at `$")[0]
            inner = [FieldError(path, value, f"{path}: {message}" if path else message)]
        yield from inner


def _wrong_inside(
    convert: Callable[..., Any], value: Any, wanted: Any, path: str
) -> Iterator[FieldError]:
    """What is wrong below a structure; nothing when the structure itself is."""
    arms = [arm for arm in get_args(wanted) if arm is not type(None)]
    origin = get_origin(wanted)
    if origin in (Union, UnionType):
        if len(arms) == 1:
            yield from _wrong_inside(convert, value, arms[0], path)
    elif isinstance(value, (list, tuple)) and arms:
        for index, item in enumerate(value):
            yield from _wrong(convert, item, arms[0], f"{path}[{index}]")
    elif isinstance(value, Mapping) and origin is dict:
        for key, item in value.items():
            yield from _wrong(convert, item, arms[1], _below(path, str(key)))
    elif isinstance(value, Mapping):
        yield from _wrong_fields(convert, value, wanted, path)


def _wrong_fields(
    convert: Callable[..., Any], value: Mapping[str, Any], wanted: Any, path: str
) -> Iterator[FieldError]:
    for name, field_type, is_required in _fields(wanted):
        below = _below(path, name)
        if name in value:
            yield from _wrong(convert, value[name], field_type, below)
        elif is_required:
            yield FieldError(below, None, _missing(wanted, below))


def _fields(wanted: Any) -> Iterator[tuple[str, Any, bool]]:
    """Names as they are sent, types, and whether they must be there."""
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        for field in msgspec.structs.fields(wanted):
            yield field.encode_name, field.type, field.required
    elif is_typeddict(wanted):
        required: frozenset[str] = wanted.__required_keys__
        for name, hint in get_type_hints(wanted).items():
            yield name, hint, name in required
    elif dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        hints = get_type_hints(wanted, include_extras=True)
        for member in dataclasses.fields(wanted):
            missing = dataclasses.MISSING
            is_required = member.default is missing and member.default_factory is missing
            yield member.name, hints[member.name], is_required


def _missing(wanted: Any, path: str) -> str:
    if isinstance(wanted, type) and issubclass(wanted, Model):
        pointer = path.replace("[", "/").replace("]", "").replace(".", "/")
        return f"Element missing: /{pointer}"
    return f"Missing required input element: {path}"


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _is_pydantic(wanted: Any) -> bool:
    """Whether it is a pydantic model; pydantic is not imported for the question."""
    pydantic = sys.modules.get("pydantic")
    return (
        pydantic is not None
        and isinstance(wanted, type)
        and issubclass(wanted, pydantic.BaseModel)
    )


def _pydantic_path(location: tuple[str | int, ...]) -> str:
    path = ""
    for part in location:
        path = f"{path}[{part}]" if isinstance(part, int) else _below(path, part)
    return path
