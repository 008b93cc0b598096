"""Payloads: parses the text of a job, and converts answers to JSON values."""

import ast
import re
from typing import Any

import msgspec

from zato_lite.errors import BadInputError
from zato_lite.wire import decode

EMBEDDED = "zato_embedded"
"""Key that marks data put into a job by ``self.schedule``."""

_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_MAX_PAIRS = 1_000
_MAX_LITERAL = 10_000
"""Pairs, and letters of a value, that are parsed at each run; a longer text stays a text."""

_CONSTANTS = {"true": True, "false": False, "none": None, "null": None}


def payload_of(extra: str | None) -> Any:
    """Return the value of a job's extra data: parsed JSON, a dictionary of its lines, or its text.

    Data that ``self.schedule`` has embedded is returned without its envelope.
    """
    if not extra:
        return None
    try:
        value = decode(extra)
    except BadInputError:
        return _pairs(extra)
    if isinstance(value, dict) and value.get(EMBEDDED) is True:
        return value.get("data")
    return value


def embed(data: Any) -> dict[str, Any]:
    """Return the envelope in which ``self.schedule`` sends data to a job's service."""
    return {EMBEDDED: True, "data": data}


def plain(value: Any) -> Any:
    """Convert a value that JSON does not know (a model, a set, bytes) to one that it knows."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return msgspec.to_builtins(value, enc_hook=_plain_model)


def _plain_model(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _pairs(text: str) -> Any:
    """Return ``key=value`` lines, or pairs between semicolons, as a dictionary; else the text."""
    if text.count("\n") + text.count(";") > _MAX_PAIRS:
        return text
    lines = [line.strip() for line in re.split(r"[\n;]", text)]
    parts = [line.partition("=") for line in lines if line and not line.startswith("#")]
    pairs = [(name.rstrip(), value.lstrip()) for name, sign, value in parts if sign]
    if not pairs or len(pairs) < len(parts) or not all(_NAME.fullmatch(n) for n, _ in pairs):
        return text
    return {name: _literal(value) for name, value in pairs}


def _literal(text: str) -> Any:
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    if len(text) > _MAX_LITERAL:
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
