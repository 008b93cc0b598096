"""Zato's declarations of input and output: elements, ``class SimpleIO``, and models."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from zato_lite.service.attribute_dict import AttributeDict
from zato_lite.service.base import Service
from zato_lite.service.request import PayloadBuilder
from zato_lite.service.typed import Convert, Declared, checked_answer
from zato_lite.zato.elements import Element, Elements, element
from zato_lite.zato.model import Model


class ResponsePayload(PayloadBuilder):
    """Payload that is set attribute by attribute, or as a list, item by item."""

    __slots__ = ("_fields", "_rows")

    def __init__(self) -> None:
        object.__setattr__(self, "_fields", AttributeDict())
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
        return self._fields or None


class DeclaredElements(Declared):
    """A declared list of elements."""

    new_payload = ResponsePayload

    def __init__(self, elements: Elements) -> None:
        super().__init__(elements)
        self.is_native = False

    def reader(self, *, is_strict: bool = True) -> Convert:
        """Return the function that reads the elements, which accept text in any case."""
        elements: Elements = self.type
        return elements.read

    def writer(self) -> Convert:
        """Return the function that checks an answer against the elements."""
        elements: Elements = self.type
        return partial(checked_answer, None, elements.write)


class DeclaredModel(Declared):
    """A declared model, or a list of models."""

    new_payload = ResponsePayload

    def writer(self) -> Convert:
        """Return the function that checks an answer: one model, or several."""
        return partial(_checked_models, self.type, self.reader())


def zato_kind(cls: type[Service[Any, Any]], side: str, value: Any) -> Declared | None:
    """Return the declaration of a class for a side, if it is one of Zato's."""
    simple = getattr(cls, "SimpleIO", None)
    if value is None and simple is not None:
        value = _simple_io(simple, side)
        if value is None:
            value = getattr(simple, side, None)
    if value is None:
        return None
    elements = value if isinstance(value, Elements) else elements_of(value)
    if elements is not None:
        return DeclaredElements(elements)
    if side == "output" and getattr(simple, "output_repeated", False):
        declared = Declared(list.__class_getitem__(value))
        declared.new_payload = ResponsePayload
        return declared
    return DeclaredModel(value) if _is_model(value) else Declared(value)


def _checked_models(wanted: Any, read: Convert, payload: Any) -> Any:
    if isinstance(payload, ResponsePayload):
        payload = payload.value()
    if isinstance(payload, (list, tuple)):
        return [checked_answer(wanted, read, item) for item in payload]
    return checked_answer(wanted, read, payload)


def _is_model(wanted: Any) -> bool:
    return isinstance(wanted, type) and issubclass(wanted, Model)


def elements_of(declared: Any) -> Elements | None:
    """Return the elements of ``input = …``: a name, an element, or a tuple or list of them."""
    if isinstance(declared, (str, Element)):
        declared = (declared,)
    if not isinstance(declared, (tuple, list)) or not declared:
        return None
    if not all(isinstance(item, (str, Element)) for item in declared):
        return None
    return Elements(tuple(element(item) for item in declared))


def _simple_io(declaration: type, side: str) -> Elements | None:
    """Return the elements that an inner ``class SimpleIO`` declares for a side."""

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
