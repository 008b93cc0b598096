"""Shared schemas of an OpenAPI document: each type once, under its name. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from zato_lite.wire import encode

PREFIX = "#/components/schemas/"
_DEFINITIONS = "#/$defs/"


class Components:
    """The schemas to which operations refer.

    Types with the same name and the same schema are one; another type of that name gets the
    service's name before its own.
    """

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self.schemas: dict[str, Any] = dict(schemas)
        self._names: dict[tuple[str, bytes], str] = {}

    def add(self, schema: dict[str, Any], service: str) -> dict[str, Any]:
        """Share a schema and its definitions; return the schema that refers to them."""
        title = schema.get("title")
        definitions = dict(schema.get("$defs", {}))
        own = {key: value for key, value in schema.items() if key != "$defs"}
        if title and "properties" in own and title not in definitions:
            definitions[title] = own
            own = {"$ref": f"{_DEFINITIONS}{title}"}
        names = {name: self._name(name, definitions, service) for name in definitions}
        for name, shared in names.items():
            if shared not in self.schemas:
                moved = _moved(definitions[name], names)
                titled = {"title": shared} if "title" in moved else {}  # generators name types so
                self.schemas[shared] = {**moved, **titled}
        return dict(_moved(own, names))

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the shared schema to which a schema refers, or the schema itself."""
        name = schema.get("$ref", "").removeprefix(PREFIX)
        return dict(self.schemas.get(name, schema))

    def _name(self, name: str, definitions: Mapping[str, Any], service: str) -> str:
        """Return the name of a definition in the document, the same for equal ones."""
        key = name, encode(_closure(name, definitions))
        if key not in self._names:
            shared = slug(name)
            taken = {*self.schemas, *self._names.values()}
            if shared in taken:
                shared = f"{slug(service)}_{shared}"
            self._names[key] = free_name(shared, taken)
        return self._names[key]


def slug(text: str) -> str:
    """Return a text as an identifier."""
    return re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")


def free_name(wanted: str, taken: set[str]) -> str:
    """Return a name that is not taken: the one wanted, or the same with a number."""
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}_{number}", number + 1
    return name


def used_schemas(value: Any, schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schemas to which a part of the document refers, directly or not."""
    used: dict[str, Any] = {}
    left = [*_references(value)]
    while left:
        name = left.pop().removeprefix(PREFIX)
        if name in schemas and name not in used:
            used[name] = schemas[name]
            left += _references(schemas[name])
    return {name: schemas[name] for name in schemas if name in used}


def _closure(name: str, definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a definition and those to which it refers, in the order of their names."""
    found: dict[str, Any] = {}
    left = [name]
    while left:
        if (each := left.pop()) in definitions and each not in found:
            found[each] = definitions[each]
            left += [n.removeprefix(_DEFINITIONS) for n in _references(definitions[each])]
    return dict(sorted(found.items()))


def _references(value: Any) -> Iterator[str]:
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            if isinstance(reference := each.get("$ref"), str):
                yield reference
            left += each.values()
        elif isinstance(each, list):
            left += each


def _moved(value: Any, names: Mapping[str, str]) -> Any:
    """Return a schema whose references lead to the document's schemas."""
    if isinstance(value, list):
        return [_moved(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    moved = {key: _moved(item, names) for key, item in value.items()}
    reference = moved.get("$ref")
    if isinstance(reference, str) and reference.startswith(_DEFINITIONS):
        moved["$ref"] = PREFIX + names[reference.removeprefix(_DEFINITIONS)]
    if moved.get("items") is False and "maxItems" in moved:
        del moved["items"]  # says the same once more, and not all generators read it
    if isinstance(mapping := moved.get("mapping"), dict):  # of a discriminator
        moved["mapping"] = {
            tag: _moved({"$ref": target}, names)["$ref"] for tag, target in mapping.items()
        }
    return moved
