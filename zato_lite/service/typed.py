"""Declared inputs and outputs of services: how payloads are read, checked and described."""

import sys
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from functools import partial
from typing import Any, Self, TypeVar, get_args, get_origin

import msgspec
from msgspec import msgpack

from zato_lite.errors import BadInputError, FieldError, InvocationError
from zato_lite.service.base import Service
from zato_lite.service.field_errors import below, wrong_fields
from zato_lite.service.request import PayloadBuilder
from zato_lite.service.stream import FileAnswer
from zato_lite.service.uploads import schema_of_file

Convert = Callable[[Any], Any]

ANYTHING: dict[str, Any] = {}
"""JSON Schema of an undeclared input or output."""


class CustomInput(msgspec.Struct):
    """Base of declared inputs that parse their payload and describe themselves."""

    @classmethod
    def from_payload(cls, payload: Any) -> Self:
        """Return the input that a payload holds, or raise BadInputError with all mistakes."""
        raise NotImplementedError

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema of the payloads that ``from_payload`` accepts."""
        raise NotImplementedError


class Declared:
    """A declared input or output: a type.

    Attributes:
        type: the declared type.
        is_native: msgspec converts to the type.
        new_payload: creates the payload that a response starts with; None for no payload.
    """

    new_payload: Callable[[], PayloadBuilder] | None = None

    def __init__(self, declared_type: Any) -> None:
        self.type = declared_type
        self.is_native = not (is_custom(declared_type) or _is_pydantic(declared_type))

    def reader(self, *, is_strict: bool = True) -> Convert:
        """Return the function that makes the declared input of a payload.

        It raises BadInputError with all wrong fields. If it is not strict, it accepts text for
        numbers, as in a query string.
        """
        if _is_pydantic(self.type):
            return partial(_read_pydantic, self.type)
        if is_custom(self.type):
            custom: Convert = self.type.from_payload
            return custom
        if is_strict:
            msgpack.Decoder(self.type)  # raises errors of the type now, not at the first call
        convert = partial(msgspec.convert, type=self.type, strict=is_strict)
        return _reader(self.type, convert, is_strict=is_strict)

    def writer(self) -> Convert:
        """Return the function that checks an answer against the declared output."""
        return partial(checked_answer, self.type, self.reader())


class DeclaredStream(Declared):
    """A declared output that is sent while it is made, ``AsyncIterator[int]``, or a file."""

    def writer(self) -> Convert:
        """Return a function that leaves the answer as it is: an item is not checked."""
        return _unchanged


_STREAMS = (AsyncIterator, AsyncIterable, AsyncGenerator)

Kind = Callable[[type[Service[Any, Any]], str, Any], Declared | None]
"""Returns the declaration of a class for a side and its value, if it is of this kind."""

_kinds: list[Kind] = []


def register_kind(kind: Kind) -> None:
    """Accept another kind of declaration than types."""
    if kind not in _kinds:
        _kinds.append(kind)


def declared(cls: type[Service[Any, Any]], side: str) -> Declared | None:
    """Return the declaration of a class for its ``input`` or ``output``, or None."""
    value = getattr(cls, side, None)
    if value is None:
        value = _type_argument(cls, 0 if side == "input" else 1)
    if is_stream(value) or value is FileAnswer:
        return DeclaredStream(value)
    for kind in _kinds:
        if (found := kind(cls, side, value)) is not None:
            return found
    return None if value is None else Declared(value)


def schema_of(declared_type: Any, ref_template: str = "#/$defs/{name}") -> dict[str, Any]:
    """Return the JSON Schema of a declared type; ``ANYTHING`` if it has none.

    Of a stream, it is that of its items.
    """
    found: dict[str, Any]
    if declared_type is None:
        return ANYTHING
    if is_stream(declared_type):
        return schema_of(get_args(declared_type)[0], ref_template)
    describe: Callable[[], dict[str, Any]] | None = getattr(declared_type, "json_schema", None)
    if callable(describe):
        return describe()
    if hasattr(declared_type, "model_json_schema"):
        template = ref_template.replace("{name}", "{model}")  # pydantic's placeholder
        found = declared_type.model_json_schema(ref_template=template)
        return found
    try:
        return msgspec.json.schema(
            declared_type, ref_template=ref_template, schema_hook=schema_of_file
        )
    except (TypeError, NotImplementedError):
        return ANYTHING


def is_stream(declared_type: Any) -> bool:
    """Return True for a declared output whose items are sent while they are made."""
    return get_origin(declared_type) in _STREAMS


def is_custom(declared_type: Any) -> bool:
    """Return True if the declared type parses its payload by its own rules."""
    return isinstance(declared_type, type) and issubclass(declared_type, CustomInput)


def checked_answer(wanted: Any, read: Convert, payload: Any) -> Any:
    """Return the answer as the declared type, or raise InvocationError."""
    if type(payload) is wanted:
        return payload
    try:
        return read(payload.value() if isinstance(payload, PayloadBuilder) else payload)
    except BadInputError as error:
        raise InvocationError(f"answer does not match the declared output: {error}") from error


def _type_argument(cls: type, index: int) -> Any:
    """Return ``In`` or ``Out`` of ``class X(Service[In, Out])``."""
    for base in cls.__mro__:
        for generic in base.__dict__.get("__orig_bases__", ()):
            origin = get_origin(generic)
            if isinstance(origin, type) and issubclass(origin, Service):
                arguments = get_args(generic)
                found = arguments[index] if index < len(arguments) else None
                is_open = found in (Any, type(None)) or isinstance(found, TypeVar)
                return None if is_open else found
    return None


def _unchanged(payload: Any) -> Any:
    return payload


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
        details: list[dict[str, Any]] = getattr(error, "errors", list)()
        raise BadInputError.of(
            FieldError(_pydantic_path(detail["loc"]), detail.get("input"), detail["msg"])
            for detail in details
        ) from error


def _is_pydantic(wanted: Any) -> bool:
    """Return True for a pydantic model, without importing pydantic."""
    pydantic = sys.modules.get("pydantic")
    return (
        pydantic is not None
        and isinstance(wanted, type)
        and issubclass(wanted, pydantic.BaseModel)
    )


def _pydantic_path(location: tuple[str | int, ...]) -> str:
    path = ""
    for part in location:
        path = f"{path}[{part}]" if isinstance(part, int) else below(path, part)
    return path
