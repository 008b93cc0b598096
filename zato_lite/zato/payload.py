"""``self.response.payload`` of services written for Zato: set part by part, at any depth."""

from collections.abc import Iterable
from typing import Any

from zato_lite.service.attribute_dict import AttributeDict
from zato_lite.service.request import PayloadBuilder


class _Node(AttributeDict):
    """A dictionary whose missing attributes are further dictionaries; empty ones are left out."""

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            if name.startswith("__"):
                raise AttributeError(name)
            self[name] = _Node()
        return super().__getattr__(name)

    def filled(self) -> dict[str, Any]:
        """Return a plain dictionary, without what was only read."""
        found = {}
        for name, value in self.items():
            kept = value.filled() if isinstance(value, _Node) else value
            if kept or not isinstance(value, _Node):
                found[name] = kept
        return found


class ResponsePayload(PayloadBuilder):
    """Payload that is set attribute by attribute, or as a list, item by item."""

    __slots__ = ("_fields", "_rows")

    def __init__(self) -> None:
        object.__setattr__(self, "_fields", _Node())
        object.__setattr__(self, "_rows", None)

    def __setattr__(self, name: str, value: Any) -> None:
        # An unset part that is assigned to another one is an answer, if an empty one.
        self._fields[name] = value.filled() if isinstance(value, _Node) else value

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fields, name)

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, str):
            self._fields[key] = value
        else:
            self.rows()[key] = value

    def __getitem__(self, key: Any) -> Any:
        return self._fields[key] if isinstance(key, str) else self.rows()[key]

    def __bool__(self) -> bool:
        return bool(self.value())

    def __repr__(self) -> str:
        return repr(self.value())

    def rows(self) -> list[Any]:
        """Return the payload as a list; it stays a list."""
        if self._rows is None:
            object.__setattr__(self, "_rows", [])
        rows: list[Any] = self._rows
        return rows

    def append(self, row: Any) -> None:
        """Append to the list."""
        self.rows().append(row)

    def extend(self, rows: Iterable[Any]) -> None:
        """Append all to the list."""
        self.rows().extend(rows)

    def value(self) -> Any:
        """Return the list or the dictionary that was set, or None."""
        if self._rows is not None:
            return self._rows
        return self._fields.filled() or None
