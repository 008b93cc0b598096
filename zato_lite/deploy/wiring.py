"""Wiring: the resource that each need receives, and the order in which they are opened. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from zato_lite.service.resource import Key, Resource, type_name

Place = Callable[[Resource[object]], str]
"""Returns the text by which messages name a definition: its name, file and line."""


class Wiring(NamedTuple):
    """Result of matching needs with definitions.

    Attributes:
        order: the definitions that are needed, each after those that it needs itself.
        by_key: the definition that each need receives.
        faults: the reason for each need that receives none.
    """

    order: Sequence[Resource[object]]
    by_key: Mapping[Key, Resource[object]]
    faults: Mapping[Key, str]

    def built_on(self, definition: Resource[object]) -> list[Resource[object]]:
        """Return the definitions that a definition needs directly."""
        return [self.by_key[key] for key in needed_by(definition) if key in self.by_key]


def needed_by(definition: Resource[object]) -> list[Key]:
    """Return the resources that a definition needs."""
    return [key for key in definition.signature.parameters.values() if key is not None]


def wire(
    keys: Iterable[Key],
    definitions: Sequence[Resource[object]],
    is_provided: Callable[[Key], bool],
    place: Place = str,
) -> Wiring:
    """Match needs with definitions.

    Args:
        keys: the resources needed.
        definitions: the definitions of the project.
        is_provided: returns True for resources that the application, or a test, provides.
        place: names a definition in a message.
    """
    by_key: dict[Key, Resource[object]] = {}
    faults: dict[Key, str] = {}
    order: dict[Resource[object], None] = {}

    def visit(key: Key, above: tuple[Resource[object], ...]) -> None:
        if key in by_key or key in faults or is_provided(key):
            return
        found = _matching(key, definitions)
        if len(found) != 1:
            faults[key] = _mismatch(key, found, definitions, place)
        elif found[0] in above:
            circle = (*above[above.index(found[0]) :], found[0])
            faults[key] = f"resources need each other: {' → '.join(map(place, circle))}"
        elif fault := visit_needs(found[0], above):
            faults[key] = fault
        else:
            by_key[key] = found[0]
            order[found[0]] = None

    def visit_needs(definition: Resource[object], above: tuple[Resource[object], ...]) -> str:
        for key in needed_by(definition):
            visit(key, (*above, definition))
            if key in faults:
                fault = faults[key]
                return fault if "→" in fault else f"{place(definition)} needs {key}: {fault}"
        return ""

    for key in keys:
        visit(key, ())
    return Wiring(tuple(order), by_key, faults)


def _matching(key: Key, definitions: Iterable[Resource[object]]) -> list[Resource[object]]:
    return [
        each
        for each in definitions
        if each.signature.provides == key.type and key.name in {"", each.name}
    ]


def _mismatch(
    key: Key,
    found: Sequence[Resource[object]],
    definitions: Iterable[Resource[object]],
    place: Place,
) -> str:
    if found:
        names = " and ".join(map(place, found))
        kind = type_name(key.type)
        hint = f"needs({kind}, name=…)" if not key.name else "other names: @resource(name=…)"
        return f"{names} both yield {key}; use {hint}"
    others = [each for each in definitions if each.signature.provides == key.type]
    if others:
        return f"no @resource yields {key}; there are {', '.join(map(place, others))}"
    known = sorted({type_name(each.signature.provides) for each in definitions})
    listed = f"; those of the project yield {', '.join(known)}" if known else ""
    return f"no @resource yields {key}{listed}"


def needed(keys: Iterable[Key], wiring: Wiring) -> set[Resource[object]]:
    """Return the definitions that these needs receive, and all that those need."""
    found: set[Resource[object]] = set()
    rest = [wiring.by_key[key] for key in keys if key in wiring.by_key]
    while rest:
        definition = rest.pop()
        if definition not in found:
            found.add(definition)
            rest += wiring.built_on(definition)
    return found


def all_keys(definitions: Iterable[Resource[object]]) -> Iterable[Key]:
    """Return a key for each definition, and those of all that the definitions need."""
    own = (Key(each.signature.provides, each.name) for each in definitions)
    return chain(own, *(needed_by(each) for each in definitions))
