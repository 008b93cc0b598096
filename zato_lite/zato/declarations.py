"""Zato's declarations of input and output: elements, ``class SimpleIO``, ``class IO``, models."""

from collections.abc import Iterable
from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any

from zato_lite.errors import ConfigError
from zato_lite.service.base import Service
from zato_lite.service.typed import Convert, Declared, checked_answer
from zato_lite.zato.elements import Element, Elements, element
from zato_lite.zato.model import Model
from zato_lite.zato.payload import ResponsePayload


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


class FreeForm(Declared):
    """An output of a service written for Zato that declares none."""

    new_payload = ResponsePayload

    def __init__(self) -> None:
        super().__init__(None)

    def writer(self) -> Convert:
        """Return the function that returns what was set."""
        return partial(checked_answer, None, _as_it_is)


class DeclaredModel(Declared):
    """A declared model, or a list of models."""

    new_payload = ResponsePayload

    def writer(self) -> Convert:
        """Return the function that checks an answer: one model, or several."""
        return partial(_checked_models, self.type, self.reader())


def zato_kind(cls: type[Service[Any, Any]], side: str, value: Any) -> Declared | None:
    """Return the declaration of a class for a side, if it is one of Zato's."""
    simple = getattr(cls, "SimpleIO", None) or getattr(cls, "IO", None)
    if value is None and simple is not None:
        value = _simple_io(simple, side)
        if value is None:
            value = getattr(simple, side, None)
    if value is None:
        return FreeForm() if side == "output" and _is_free(cls) else None
    elements = value if isinstance(value, Elements) else elements_of(value)
    if elements is not None:
        return DeclaredElements(elements)
    if getattr(simple, "response_elem", None):
        raise ConfigError("response_elem needs elements as the output, not a type")
    if side == "output" and getattr(simple, "output_repeated", False):
        declared = Declared(list.__class_getitem__(value))
        declared.new_payload = ResponsePayload
        return declared
    return DeclaredModel(value) if _is_model(value) else Declared(value)


def _is_free(cls: type[Service[Any, Any]]) -> bool:
    """Return True for a service whose payload may be set part by part without a declaration."""
    handles = (getattr(cls, name) for name in dir(cls) if name.split("_")[0] == "handle")
    return bool(getattr(cls, "has_free_payload", False)) and not any(
        iscoroutinefunction(each) or isasyncgenfunction(each) for each in handles
    )


def _as_it_is(payload: Any) -> Any:
    return payload


def _checked_models(wanted: Any, read: Convert, payload: Any) -> Any:
    if isinstance(payload, ResponsePayload):
        payload = payload.value()
    if payload is None or isinstance(payload, str | bytes):
        return payload
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
    if not items or side == "input":
        return Elements(items) if items else None
    is_repeated = bool(getattr(declaration, "output_repeated", False))
    elem = str(getattr(declaration, "response_elem", "") or "")
    return Elements(items, is_repeated, elem, _skipped(declaration, optional))


def _skipped(declaration: type, optional: Iterable[Element]) -> frozenset[str]:
    """Return the optional elements that an answer leaves out while they are empty."""
    if hasattr(declaration, "SkipEmpty"):
        raise ConfigError("class SkipEmpty is not supported; use skip_empty_keys")

    names = {item.name for item in optional}

    def chosen(name: str) -> set[str]:
        value = getattr(declaration, name, False)
        return names if value is True else names & {*_names(value or ())}

    return frozenset(chosen("skip_empty_keys") - chosen("force_empty_keys"))


def _names(value: Any) -> Iterable[str]:
    return (value,) if isinstance(value, str) else value
