"""From a JSON Schema to an example of what it describes: pure."""

from collections.abc import Mapping
from typing import Any

_FORMATS = {
    "date-time": "2030-01-31T12:00:00Z",
    "date": "2030-01-31",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "uuid": "7f9c24e8-3b12-4c5f-9a8e-1d2c3b4a5f60",
}
_PLAIN = {"boolean": True, "null": None}
_DEEPEST = 8


class NoExampleError(Exception):
    """The schema asks for more than is understood here, or for itself without end."""


def example_of(schema: Mapping[str, Any], all_schemas: Mapping[str, Any], depth: int = 0) -> Any:
    """An example: what the schema gives as one, or else what is required, as small as may be.

    Args:
        schema: of what.
        all_schemas: what ``#/components/schemas/…`` refers to.
        depth: how many schemas it is inside of.

    Raises:
        NoExampleError: none can be made.
    """
    if depth > _DEEPEST or "pattern" in schema or "allOf" in schema or "not" in schema:
        raise NoExampleError
    if (reference := schema.get("$ref")) is not None:
        named = all_schemas[reference.rpartition("/")[2]]
        return example_of(named, all_schemas, depth + 1)
    for given in ("example", "const", "default"):
        if given in schema:
            return schema[given]
    for listed in ("examples", "enum"):
        if schema.get(listed):
            return schema[listed][0]
    if (choices := schema.get("anyOf") or schema.get("oneOf")) is not None:
        return _one_of(choices, all_schemas, depth)
    return _by_type(schema, all_schemas, depth)


def _one_of(choices: list[Mapping[str, Any]], all_schemas: Mapping[str, Any], depth: int) -> Any:
    """An example of the first choice that is not nothing and that there is one of."""
    for choice in sorted(choices, key=lambda it: it.get("type") == "null"):
        try:
            return example_of(choice, all_schemas, depth + 1)
        except NoExampleError:
            continue
    raise NoExampleError


def _by_type(schema: Mapping[str, Any], all_schemas: Mapping[str, Any], depth: int) -> Any:
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {
                name: example_of(properties[name], all_schemas, depth + 1)
                for name in schema.get("required", ())
            }
        case "array":
            return _array(schema, all_schemas, depth)
        case "string":
            return _string(schema)
        case "integer" | "number":
            return _number(schema)
        case other:
            return _PLAIN.get(str(other), {})


def _array(schema: Mapping[str, Any], all_schemas: Mapping[str, Any], depth: int) -> list[Any]:
    if (pieces := schema.get("prefixItems")) is not None:
        return [example_of(piece, all_schemas, depth + 1) for piece in pieces]
    least = schema.get("minItems", 0)
    if schema.get("uniqueItems") and least > 1:
        raise NoExampleError
    items = schema.get("items")
    if not isinstance(items, Mapping) or schema.get("maxItems") == 0:
        return [{}] * least
    try:
        return [example_of(items, all_schemas, depth + 1)] * max(least, 1)
    except NoExampleError:
        if least:
            raise
        return []


def _string(schema: Mapping[str, Any]) -> str:
    known = _FORMATS.get(schema.get("format", ""))
    if known is not None:
        return known
    least: int = schema.get("minLength", 0)
    most: int = schema.get("maxLength", 4)
    return ("text" * (least // 4 + 1))[: max(least, min(most, 4))]


def _number(schema: Mapping[str, Any]) -> float:
    step = schema.get("multipleOf", 1)
    least = schema.get("minimum")
    if least is None and "exclusiveMinimum" in schema:
        least = schema["exclusiveMinimum"] + step
    most = schema.get("maximum")
    if most is None and "exclusiveMaximum" in schema:
        most = schema["exclusiveMaximum"] - step
    found = 1 if least is None else least
    found = -(-found // step) * step
    if most is not None and found > most:
        found = most // step * step
    if least is not None and found < least:
        raise NoExampleError
    return int(found) if schema["type"] == "integer" else found
