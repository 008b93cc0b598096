"""Zato's element lists: ``input = "name", "-age", Int("count")`` and ``class SimpleIO``."""

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from decimal import Decimal as _Decimal
from typing import Any, ClassVar, NamedTuple

from zato_lite.errors import BadInputError, FieldError
from zato_lite.service.bunch import Bunch, Message

_TRUE = frozenset(("true", "1", "yes", "on", "y", "t"))
_FALSE = frozenset(("false", "0", "no", "off", "n", "f", ""))
_BOOL_PREFIXES = ("by_", "has_", "is_", "may_", "needs_", "should_")
_INT_NAMES = frozenset(("id",))
_INT_SUFFIXES = ("_id", "_count", "_size", "_size_min", "_size_max", "_timeout")


class Element:
    """One named element of an input or an output; a name with ``-`` in front is optional."""

    json_type: ClassVar[dict[str, Any]] = {}

    def __init__(self, name: str, *, default: Any = None) -> None:
        self.is_required = not name.startswith("-")
        self.name = name.lstrip("-")
        self.default = default

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def convert(self, value: Any) -> Any:
        """The value as this element's type.

        Raises:
            ValueError, TypeError: it has none.
        """
        return value


class AsIs(Element):
    """Whatever it is."""


class Opaque(Element):
    """Whatever it is."""


class Text(Element):
    """Text."""

    json_type: ClassVar[dict[str, Any]] = {"type": "string"}

    def convert(self, value: Any) -> str:
        """The value as text."""
        if isinstance(value, (dict, list)):
            raise TypeError("Expected text")
        return value if isinstance(value, str) else str(value)


class CSV(Element):
    """Text with commas, as a list."""

    json_type: ClassVar[dict[str, Any]] = {"type": "string"}

    def convert(self, value: Any) -> list[str]:
        """The parts."""
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


class Int(Element):
    """A whole number, or its text."""

    json_type: ClassVar[dict[str, Any]] = {"type": "integer"}

    def convert(self, value: Any) -> int:
        """The number."""
        number = int(value)
        if number != value and not isinstance(value, str):
            raise ValueError("Expected a whole number")
        return number


class Float(Element):
    """A number, or its text."""

    json_type: ClassVar[dict[str, Any]] = {"type": "number"}

    def convert(self, value: Any) -> float:
        """The number."""
        return float(value)


class Decimal(Element):
    """A decimal number, or its text."""

    json_type: ClassVar[dict[str, Any]] = {"type": "string", "format": "decimal"}

    def convert(self, value: Any) -> _Decimal:
        """The number."""
        try:
            return _Decimal(str(value))
        except ArithmeticError as error:
            raise ValueError("Expected a decimal number") from error


class Bool(Element):
    """True or false, or words for it."""

    json_type: ClassVar[dict[str, Any]] = {"type": "boolean"}

    def convert(self, value: Any) -> bool:
        """The truth."""
        if isinstance(value, bool):
            return value
        text = str(value).strip().lower()
        if text not in _TRUE | _FALSE:
            raise ValueError("Expected true or false")
        return text in _TRUE


class Date(Element):
    """A date in ISO 8601."""

    json_type: ClassVar[dict[str, Any]] = {"type": "string", "format": "date"}

    def convert(self, value: Any) -> dt.date:
        """The date."""
        return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)


class DateTime(Element):
    """A date and time in ISO 8601."""

    json_type: ClassVar[dict[str, Any]] = {"type": "string", "format": "date-time"}

    def convert(self, value: Any) -> dt.datetime:
        """The moment."""
        return value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(value)


UTC = DateTime


class UUID(Element):
    """A UUID."""

    json_type: ClassVar[dict[str, Any]] = {"type": "string", "format": "uuid"}

    def convert(self, value: Any) -> uuid.UUID:
        """The UUID."""
        return value if isinstance(value, uuid.UUID) else uuid.UUID(value)


class Dict(Element):
    """A dictionary."""

    json_type: ClassVar[dict[str, Any]] = {"type": "object"}

    def convert(self, value: Any) -> Message:
        """The dictionary, with attribute access."""
        if not isinstance(value, Mapping):
            raise TypeError("Expected a dictionary")
        return Message(value)


class List(Element):
    """A list; a single value is a list of one."""

    json_type: ClassVar[dict[str, Any]] = {"type": "array"}

    def convert(self, value: Any) -> list[Any]:
        """The list."""
        return list(value) if isinstance(value, (list, tuple, set)) else [value]


class DictList(Element):
    """A list of dictionaries."""

    json_type: ClassVar[dict[str, Any]] = {"type": "array", "items": {"type": "object"}}

    def convert(self, value: Any) -> list[Message]:
        """The dictionaries, with attribute access."""
        if not isinstance(value, (list, tuple)) or any(not isinstance(v, Mapping) for v in value):
            raise TypeError("Expected a list of dictionaries")
        return [Message(item) for item in value]


def element(declared: "str | Element") -> Element:
    """The element itself, or one inferred from its name, as Zato does it."""
    if isinstance(declared, Element):
        return declared
    name = declared.lstrip("-")
    if name.startswith(_BOOL_PREFIXES):
        return Bool(declared)
    if name in _INT_NAMES or name.endswith(_INT_SUFFIXES):
        return _Number(declared)
    return AsIs(declared)


class _Number(Int):
    """A whole number by its name; what is none stays what it is: names may mislead."""

    json_type: ClassVar[dict[str, Any]] = {}

    def convert(self, value: Any) -> Any:
        try:
            return super().convert(value)
        except (ValueError, TypeError):
            return value


class Elements(NamedTuple):
    """A declared list of elements."""

    items: tuple[Element, ...]
    is_repeated: bool = False

    def read(self, payload: Any) -> Message:
        """The declared elements of a payload; those left out are their defaults.

        Raises:
            BadInputError: names every element that is missing or wrong.
        """
        if payload is None or payload == "":
            payload = {}
        if not isinstance(payload, Mapping):
            raise BadInputError(f"Expected a dictionary, got `{type(payload).__name__}`")
        found, errors = self._convert(payload)
        if errors:
            raise BadInputError.of(errors)
        return found

    def write(self, payload: Any) -> Any:
        """The declared elements of an answer.

        Raises:
            BadInputError: names every element that is missing or wrong.
        """
        if payload is None and not any(item.is_required for item in self.items):
            return None
        if isinstance(payload, (list, tuple)):
            return [self.write(item) for item in payload]
        if not isinstance(payload, Mapping):
            payload = {item.name: getattr(payload, item.name, None) for item in self.items}
        found, errors = self._convert({k: v for k, v in payload.items() if v is not None})
        if errors:
            raise BadInputError.of(errors)
        return found

    def _convert(self, payload: Mapping[str, Any]) -> tuple[Message, list[FieldError]]:
        found, errors = Message(), []
        for item in self.items:
            value = payload.get(item.name)
            if value is None:
                if item.is_required and item.name not in payload:
                    message = f"Missing required input element: {item.name}"
                    errors.append(FieldError(item.name, None, message))
                found[item.name] = item.default
                continue
            try:
                found[item.name] = item.convert(value)
            except (ValueError, TypeError, AttributeError) as error:
                errors.append(FieldError(item.name, value, f"{item.name}: {error}"))
        return found, errors

    def schema(self) -> dict[str, Any]:
        """What JSON Schema says of it."""
        one = {
            "type": "object",
            "properties": {item.name: dict(item.json_type) for item in self.items},
            "required": [item.name for item in self.items if item.is_required],
        }
        return {"type": "array", "items": one} if self.is_repeated else one


class Answer:
    """A response's payload that is set attribute by attribute, or item by item of a list."""

    __slots__ = ("_fields", "_rows")

    def __init__(self) -> None:
        object.__setattr__(self, "_fields", Bunch())
        object.__setattr__(self, "_rows", None)

    def __setattr__(self, name: str, value: Any) -> None:
        self._fields[name] = value

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fields, name)

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, str):
            self._fields[key] = value
        else:
            self.rows()[key] = value

    def __getitem__(self, key: Any) -> Any:
        return self._fields[key] if isinstance(key, str) else self.rows()[key]

    def rows(self) -> list[Any]:
        """The answer as a list, from now on."""
        if self._rows is None:
            object.__setattr__(self, "_rows", [])
        rows: list[Any] = self._rows
        return rows

    def append(self, row: Any) -> None:
        """Add to the list."""
        self.rows().append(row)

    def extend(self, rows: Iterable[Any]) -> None:
        """Add all to the list."""
        self.rows().extend(rows)

    def value(self) -> Any:
        """What was set: a list, a dictionary, or None if nothing was."""
        if self._rows is not None:
            return self._rows
        return self._fields or None


def elements_of(declared: Any) -> Elements | None:
    """The elements of ``input = …``: a name, an element, or several in a tuple or list."""
    if isinstance(declared, (str, Element)):
        declared = (declared,)
    if not isinstance(declared, (tuple, list)) or not declared:
        return None
    if not all(isinstance(item, (str, Element)) for item in declared):
        return None
    return Elements(tuple(element(item) for item in declared))


def simple_io(declaration: type, side: str) -> Elements | None:
    """The elements that an inner ``class SimpleIO`` declares for ``input`` or ``output``."""

    def listed(name: str) -> Iterable[Any]:
        value = getattr(declaration, name, ())
        if isinstance(value, (str, Element)):
            return (value,)
        return value if isinstance(value, (tuple, list)) else ()

    default = getattr(declaration, "default_value", None)
    required = [element(item) for item in listed(f"{side}_required")]
    optional = [element(item) for item in listed(f"{side}_optional")]
    for item in listed(side):
        (required if element(item).is_required else optional).append(element(item))
    for item in optional:
        item.is_required = False
        item.default = default if item.default is None else item.default
    items = (*required, *optional)
    is_repeated = side == "output" and bool(getattr(declaration, "output_repeated", False))
    return Elements(items, is_repeated) if items else None
