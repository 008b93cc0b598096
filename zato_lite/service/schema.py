"""The JSON Schema of what services take and give, and the plain values of what they answer."""

from typing import Any

import msgspec

from zato_lite.service.elements import Elements

ANYTHING: dict[str, Any] = {}
"""The schema of what is not declared."""


def schema_of(declared: Any, ref_template: str = "#/$defs/{name}") -> dict[str, Any]:
    """The JSON Schema of a declared type; of a type that has none, that of anything."""
    if declared is None:
        return ANYTHING
    if isinstance(declared, Elements):
        return declared.schema()
    if hasattr(declared, "model_json_schema"):
        template = ref_template.replace("{name}", "{model}")  # pydantic's word for it
        found: dict[str, Any] = declared.model_json_schema(ref_template=template)
        return found
    try:
        return msgspec.json.schema(declared, ref_template=ref_template)
    except (TypeError, NotImplementedError):
        return ANYTHING


def plain(value: Any) -> Any:
    """What JSON knows of a value that it does not know: models of each kind, sets, bytes."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return msgspec.to_builtins(value, enc_hook=_plain_model)


def _plain_model(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no JSON form")
