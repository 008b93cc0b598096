"""The JSON Schema of what services take and give, and the plain values of what they answer."""

from typing import Any, Self

import msgspec

from zato_lite.service.elements import Elements

ANYTHING: dict[str, Any] = {}
"""The schema of what is not declared."""


class CustomInput(msgspec.Struct):
    """Base of declared inputs that read their payload and describe themselves."""

    @classmethod
    def from_payload(cls, payload: Any) -> Self:
        """Return the input that a payload holds, or raise BadInputError with all mistakes."""
        raise NotImplementedError

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema of what ``from_payload`` accepts."""
        raise NotImplementedError


def schema_of(declared: Any, ref_template: str = "#/$defs/{name}") -> dict[str, Any]:
    """The JSON Schema of a declared type; of a type that has none, that of anything."""
    if declared is None:
        return ANYTHING
    if isinstance(declared, Elements):
        return declared.schema()
    if is_custom(declared):
        described: dict[str, Any] = declared.json_schema()
        return described
    if hasattr(declared, "model_json_schema"):
        template = ref_template.replace("{name}", "{model}")  # pydantic's word for it
        found: dict[str, Any] = declared.model_json_schema(ref_template=template)
        return found
    try:
        return msgspec.json.schema(declared, ref_template=ref_template)
    except (TypeError, NotImplementedError):
        return ANYTHING


def is_custom(declared: Any) -> bool:
    """Return True if the declared type reads its payload by its own rules."""
    return isinstance(declared, type) and issubclass(declared, CustomInput)


def plain(value: Any) -> Any:
    """What JSON knows of a value that it does not know: models of each kind, sets, bytes."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return msgspec.to_builtins(value, enc_hook=_plain_model)


def _plain_model(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no JSON form")
