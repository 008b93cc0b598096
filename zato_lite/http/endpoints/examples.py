"""Examples: values made from a JSON Schema. Pure."""

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
_MAX_DEPTH = 8


class NoExampleError(Exception):
    """The schema uses unsupported keywords, or refers to itself without end."""


def example_of(schema: Mapping[str, Any], all_schemas: Mapping[str, Any], depth: int = 0) -> Any:
    """Return the schema's own example, or else a small value with the required parts.

    Args:
        schema: the JSON Schema of the value.
        all_schemas: targets of ``#/components/schemas/…``.
        depth: number of enclosing schemas.

    Raises:
        NoExampleError: no example can be made.
    """
    if depth > _MAX_DEPTH or "pattern" in schema or "allOf" in schema or "not" in schema:
        raise NoExampleError
    if (reference := schema.get("$ref")) is not None:
        referred = all_schemas[reference.rpartition("/")[2]]
        return example_of(referred, all_schemas, depth + 1)
    for keyword in ("example", "const", "default"):
        if keyword in schema:
            return schema[keyword]
    for keyword in ("examples", "enum"):
        if schema.get(keyword):
            return schema[keyword][0]
    if (choices := schema.get("anyOf") or schema.get("oneOf")) is not None:
        return _one_of(choices, all_schemas, depth)
    return _by_type(schema, all_schemas, depth)


def _one_of(choices: list[Mapping[str, Any]], all_schemas: Mapping[str, Any], depth: int) -> Any:
    """Return an example of the first choice that has one, preferably not null."""
    for choice in sorted(choices, key=lambda choice: choice.get("type") == "null"):
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
    if (parts := schema.get("prefixItems")) is not None:
        return [example_of(part, all_schemas, depth + 1) for part in parts]
    minimum = schema.get("minItems", 0)
    if schema.get("uniqueItems") and minimum > 1:
        raise NoExampleError
    items = schema.get("items")
    if not isinstance(items, Mapping) or schema.get("maxItems") == 0:
        return [{}] * minimum
    try:
        return [example_of(items, all_schemas, depth + 1)] * max(minimum, 1)
    except NoExampleError:
        if minimum:
            raise
        return []


def _string(schema: Mapping[str, Any]) -> str:
    example = _FORMATS.get(schema.get("format", ""))
    if example is not None:
        return example
    minimum: int = schema.get("minLength", 0)
    maximum: int = schema.get("maxLength", 4)
    return ("text" * (minimum // 4 + 1))[: max(minimum, min(maximum, 4))]


def _number(schema: Mapping[str, Any]) -> float:
    step = schema.get("multipleOf", 1)
    low = schema.get("minimum")
    if low is None and "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + step
    high = schema.get("maximum")
    if high is None and "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - step
    number = 1 if low is None else low
    number = -(-number // step) * step
    if high is not None and number > high:
        number = high // step * step
    if low is not None and number < low:
        raise NoExampleError
    return int(number) if schema["type"] == "integer" else number
