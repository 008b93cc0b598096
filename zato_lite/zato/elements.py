"""Elements: Zato's typed names of ``input = "name", "-age", Int("count")``."""

import datetime as dt
import uuid
from collections.abc import Mapping
from decimal import Decimal as _Decimal
from typing import Any, ClassVar, NamedTuple

from zato_lite.errors import BadInputError, FieldError
from zato_lite.service.attribute_dict import Message

_TRUE = frozenset(("true", "1", "yes", "on", "y", "t"))
_FALSE = frozenset(("false", "0", "no", "off", "n", "f", ""))
_BOOL_PREFIXES = ("by_", "has_", "is_", "may_", "needs_", "should_")
_INT_NAMES = frozenset(("id",))
_INT_SUFFIXES = ("_id", "_count", "_size", "_size_min", "_size_max", "_timeout")


class Element:
    """One named element of an input or an output; a name with ``-`` in front is optional.

    Attributes:
        expected: a valid value in words; without them, the error's own message is shown.
    """

    expected: ClassVar[str] = ""
    json_type: ClassVar[dict[str, Any]] = {}

    def __init__(self, name: str, *, default: Any = None) -> None:
        self.is_required = not name.startswith("-")
        self.name = name.lstrip("-")
        self.default = default

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def convert(self, value: Any) -> Any:
        """Convert the value to this element's type.

        Raises:
            ValueError, TypeError: the value is not valid.
        """
        return value


class AsIs(Element):
    """Any value, unchanged."""


class Opaque(Element):
    """Any value, unchanged."""


class Text(Element):
    """Text."""

    expected = "text"
    json_type: ClassVar[dict[str, Any]] = {"type": "string"}

    def convert(self, value: Any) -> str:
        """Return the value as text."""
        if isinstance(value, (dict, list)):
            raise TypeError
        return value if isinstance(value, str) else str(value)


class CSV(Element):
    """Comma-separated text, converted to a list."""

    json_type: ClassVar[dict[str, Any]] = {"type": "string"}

    def convert(self, value: Any) -> list[str]:
        """Return the parts."""
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


class Int(Element):
    """A whole number, or its text."""

    expected = "a whole number"
    json_type: ClassVar[dict[str, Any]] = {"type": "integer"}

    def convert(self, value: Any) -> int:
        """Return the number."""
        number = int(value)
        if number != value and not isinstance(value, str):
            raise ValueError
        return number


class Float(Element):
    """A number, or its text."""

    expected = "a number"
    json_type: ClassVar[dict[str, Any]] = {"type": "number"}

    def convert(self, value: Any) -> float:
        """Return the number."""
        return float(value)


class Decimal(Element):
    """A decimal number, or its text."""

    expected = "a decimal number"
    json_type: ClassVar[dict[str, Any]] = {"type": "string", "format": "decimal"}

    def convert(self, value: Any) -> _Decimal:
        """Return the number."""
        try:
            return _Decimal(str(value))
        except ArithmeticError as error:
            raise ValueError from error


class Bool(Element):
    """True or false, or a word for it."""

    expected = "true or false"
    json_type: ClassVar[dict[str, Any]] = {"type": "boolean"}

    def convert(self, value: Any) -> bool:
        """Return the boolean."""
        if isinstance(value, bool):
            return value
        text = str(value).strip().lower()
        if text not in _TRUE | _FALSE:
            raise ValueError
        return text in _TRUE


class Date(Element):
    """A date in ISO 8601."""

    expected = "a date such as 2026-01-31"
    json_type: ClassVar[dict[str, Any]] = {"type": "string", "format": "date"}

    def convert(self, value: Any) -> dt.date:
        """Return the date."""
        return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)


class DateTime(Element):
    """A date and time in ISO 8601."""

    expected = "a date and time such as 2026-01-31T09:30:00"
    json_type: ClassVar[dict[str, Any]] = {"type": "string", "format": "date-time"}

    def convert(self, value: Any) -> dt.datetime:
        """Return the date and time."""
        return value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(value)


UTC = DateTime


class UUID(Element):
    """A UUID."""

    expected = "a UUID"
    json_type: ClassVar[dict[str, Any]] = {"type": "string", "format": "uuid"}

    def convert(self, value: Any) -> uuid.UUID:
        """Return the UUID."""
        return value if isinstance(value, uuid.UUID) else uuid.UUID(value)


class Dict(Element):
    """A dictionary."""

    expected = "a dictionary"
    json_type: ClassVar[dict[str, Any]] = {"type": "object"}

    def convert(self, value: Any) -> Message:
        """Return the dictionary, with attribute access."""
        if not isinstance(value, Mapping):
            raise TypeError
        return Message(value)


class List(Element):
    """A list; a single value becomes a list with one item."""

    json_type: ClassVar[dict[str, Any]] = {"type": "array"}

    def convert(self, value: Any) -> list[Any]:
        """Return the list."""
        return list(value) if isinstance(value, (list, tuple, set)) else [value]


class DictList(Element):
    """A list of dictionaries."""

    expected = "a list of dictionaries"
    json_type: ClassVar[dict[str, Any]] = {"type": "array", "items": {"type": "object"}}

    def convert(self, value: Any) -> list[Message]:
        """Return the dictionaries, with attribute access."""
        if not isinstance(value, (list, tuple)) or any(not isinstance(v, Mapping) for v in value):
            raise TypeError
        return [Message(item) for item in value]


def element(declared: "str | Element") -> Element:
    """Return the element, or infer one from its name, as Zato does."""
    if isinstance(declared, Element):
        return declared
    name = declared.lstrip("-")
    if name.startswith(_BOOL_PREFIXES):
        return Bool(declared)
    if name in _INT_NAMES or name.endswith(_INT_SUFFIXES):
        return _Number(declared)
    return AsIs(declared)


class _Number(Int):
    """A whole number by its name; other values stay unchanged, as names may mislead."""

    json_type: ClassVar[dict[str, Any]] = {}

    def convert(self, value: Any) -> Any:
        try:
            return super().convert(value)
        except (ValueError, TypeError):
            return value


class Elements(NamedTuple):
    """A declared list of elements.

    Attributes:
        response_elem: the only key of an answer, above the elements; or an empty text.
        skipped: optional elements that an answer leaves out while they are None or empty text.
    """

    items: tuple[Element, ...]
    is_repeated: bool = False
    response_elem: str = ""
    skipped: frozenset[str] = frozenset()

    def read(self, payload: Any) -> Message:
        """Return the declared elements of a payload, with defaults for those not sent.

        Raises:
            BadInputError: elements are missing or wrong; it names all of them.
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
        """Return the declared elements of an answer; a text is one that was made elsewhere.

        Raises:
            BadInputError: elements are missing or wrong; it names all of them.
        """
        if payload is None or isinstance(payload, str | bytes):
            return payload
        found = self._written(payload)
        return {self.response_elem: found} if self.response_elem else found

    def _written(self, payload: Any) -> Any:
        if isinstance(payload, (list, tuple)):
            return [self._written(item) for item in payload]
        if not isinstance(payload, Mapping):
            names = (item.name for item in self.items)
            payload = {name: getattr(payload, name) for name in names if hasattr(payload, name)}
        found, errors = self._convert(payload, "output")
        if errors:
            raise BadInputError.of(errors)
        for name in self.skipped:
            if found[name] is None or found[name] == "":
                del found[name]
        return found

    def _convert(
        self, payload: Mapping[str, Any], side: str = "input"
    ) -> tuple[Message, list[FieldError]]:
        found, errors = Message(), []
        for item in self.items:
            value = payload.get(item.name)
            if value is None:
                if item.is_required and item.name not in payload:
                    message = f"Missing required {side} element: {item.name}"
                    errors.append(FieldError(item.name, None, message))
                found[item.name] = item.default
                continue
            try:
                found[item.name] = item.convert(value)
            except (ValueError, TypeError, AttributeError, OverflowError) as error:
                got = f"Expected {item.expected}, got `{type(value).__name__}`"
                text = f"{item.name}: {got if item.expected else error}"
                errors.append(FieldError(item.name, value, text))
        return found, errors

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the elements."""
        item_schema = {
            "type": "object",
            "properties": {item.name: dict(item.json_type) for item in self.items},
            "required": [item.name for item in self.items if item.is_required],
        }
        schema = {"type": "array", "items": item_schema} if self.is_repeated else item_schema
        if not self.response_elem:
            return schema
        return {"type": "object", "properties": {self.response_elem: schema}}
