"""From the text that a job carries to what its service receives."""

import ast
import re
from typing import Any

from zato_lite.errors import BadInputError
from zato_lite.wire import decode

EMBEDDED = "zato_embedded"
"""The key that marks data put into a job by ``self.schedule``."""

_PAIR = re.compile(r"\s*([A-Za-z_][\w.-]*)\s*=\s*(.*?)\s*")
_WORDS = {"true": True, "false": False, "none": None, "null": None}


def payload_of(extra: str | None) -> Any:
    """The value behind a job's extra data: parsed JSON, a dictionary of its lines, or its text.

    What ``self.schedule`` wrapped is unwrapped: the target gets the data itself.
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
    """The envelope in which ``self.schedule`` sends data to a job's service."""
    return {EMBEDDED: True, "data": data}


def _pairs(text: str) -> Any:
    """``key=value`` lines, or pairs between semicolons, as a dictionary; else the text."""
    lines = [line.strip() for line in re.split(r"[\n;]", text)]
    lines = [line for line in lines if line and not line.startswith("#")]
    pairs = [_PAIR.fullmatch(line) for line in lines]
    if not pairs or not all(pairs):
        return text
    return {pair[1]: _literal(pair[2]) for pair in pairs if pair}


def _literal(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
