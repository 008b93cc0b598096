"""From a service's declared input and output to what reads the one and writes the other."""

import dataclasses
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import repeat
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
from zato_lite.service.elements import Answer, Elements, elements_of, simple_io
from zato_lite.service.model import Model
from zato_lite.service.schema import is_custom

Convert = Callable[[Any], Any]


class Declared(NamedTuple):
    """What a service takes or gives: a type, or Zato's list of elements.

    Attributes:
        is_repeated: there is a list of it.
    """

    type: Any
    is_repeated: bool = False

    def reader(self, *, is_strict: bool = True) -> Convert:
        """Makes the declared input of a payload, or raises BadInputError with all that is wrong.

        One that is not strict takes text for numbers, as a query string has them.
        """
        if isinstance(self.type, Elements):
            return self.type.read
        if _is_pydantic(self.type):
            return partial(_read_pydantic, self.type)
        if is_custom(self.type):
            custom: Convert = self.type.from_payload
            return custom
        inspect.type_info(self.type)  # raises what is wrong with it now, not at the first call
        convert = partial(msgspec.convert, type=self.type, strict=is_strict)
        return _reader(self.type, convert, is_strict=is_strict)

    @property
    def is_native(self) -> bool:
        """Whether it is a type that msgspec knows itself."""
        is_foreign = isinstance(self.type, Elements) or _is_pydantic(self.type)
        return not (is_foreign or is_custom(self.type))

    @property
    def is_set_bit_by_bit(self) -> bool:
        """Whether an answer may be set attribute by attribute, as Zato's services do it."""
        return isinstance(self.type, Elements) or _is_model(self.type) or self.is_repeated

    def writer(self) -> Convert:
        """Checks what a service answers against what it declared; of models, there may be many."""
        if isinstance(self.type, Elements):
            return partial(_write, None, self.type.write)
        return partial(_write_models if _is_model(self.type) else _write, self.type, self.reader())


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
    if elements is None and side == "output" and getattr(simple, "output_repeated", False):
        return Declared(list.__class_getitem__(value), is_repeated=True)
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


def _write_models(wanted: Any, read: Convert, payload: Any) -> Any:
    if isinstance(payload, Answer):
        payload = payload.value()
    if isinstance(payload, (list, tuple)):
        return [_write(wanted, read, item) for item in payload]
    return _write(wanted, read, payload)


def _write(wanted: Any, read: Convert, payload: Any) -> Any:
    if type(payload) is wanted:
        return payload
    try:
        return read(payload.value() if isinstance(payload, Answer) else payload)
    except BadInputError as error:
        raise InvocationError(f"the answer is not what is declared: {error}") from error


def wrong_fields(
    payload: Any, wanted: Any, is_strict: bool, error: msgspec.ValidationError
) -> list[FieldError]:
    """Every field of the payload that is not as wanted; msgspec itself stops at the first."""
    convert = partial(msgspec.convert, strict=is_strict)
    found = list(_wrong(convert, payload, wanted, ""))
    return found or [_told(payload, "", error)]


def _wrong(
    convert: Callable[..., Any], value: Any, wanted: Any, path: str
) -> Iterator[FieldError]:
    try:
        convert(value, wanted)
    except msgspec.ValidationError as error:
        inner = list(_wrong_inside(convert, value, wanted, path))
        yield from inner or [_told(value, path, error)]


def _told(value: Any, path: str, error: msgspec.ValidationError) -> FieldError:
    """The one wrong field that msgspec names, by a path that begins at ``path``."""
    message, _, place = str(error).partition(" - at `")
    below = place.rpartition("$")[2].rstrip("`")
    for key, index in _STEP.findall(below):
        if index.isdigit() and isinstance(value, (list, tuple)):
            value = value[int(index)]
        elif isinstance(value, Mapping):
            value = value.get(key)
        else:  # a key of a dictionary, which msgspec does not tell
            value = None
    path = (path + below).removeprefix(".")
    return FieldError(path, value, f"{path}: {message}" if path else message)


_STEP = re.compile(r"\.([^.\[]+)|\[([^\]]+)\]")


def _wrong_inside(
    convert: Callable[..., Any], value: Any, wanted: Any, path: str
) -> Iterator[FieldError]:
    """What is wrong below a structure; nothing when the structure itself is."""
    arms = [arm for arm in get_args(wanted) if arm is not type(None)]
    origin = get_origin(wanted)
    if origin in (Union, UnionType):
        if (arm := arms[0] if len(arms) == 1 else _tagged(value, arms)) is not None:
            yield from _wrong_inside(convert, value, arm, path)
    elif isinstance(value, (list, tuple)):
        for index, (item, item_type) in enumerate(zip(value, _items(wanted), strict=False)):
            yield from _wrong(convert, item, item_type, f"{path}[{index}]")
    elif isinstance(value, Mapping) and origin is dict:
        for key, item in value.items():
            yield from _wrong(convert, item, arms[1], _below(path, str(key)))
    elif isinstance(value, Mapping):
        yield from _wrong_fields(convert, value, wanted, path)


def _tagged(value: Any, arms: Iterable[Any]) -> Any:
    """The struct of a union that the value says it is."""
    for arm in arms:
        config = getattr(arm, "__struct_config__", None)
        if config is None or config.tag_field is None or not isinstance(value, Mapping):
            continue
        if value.get(config.tag_field) == config.tag:
            return arm
    return None


def _items(wanted: Any) -> Iterable[Any]:
    """The types of the items of a list or tuple, in order."""
    arms = get_args(wanted)
    if get_origin(wanted) is tuple and arms[-1] is not Ellipsis:
        return arms
    if isinstance(wanted, type) and issubclass(wanted, tuple) and hasattr(wanted, "_fields"):
        return get_type_hints(wanted, include_extras=True).values()
    return repeat(arms[0]) if arms else ()


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


def _is_model(wanted: Any) -> bool:
    return isinstance(wanted, type) and issubclass(wanted, Model)


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
