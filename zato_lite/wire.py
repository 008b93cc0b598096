"""JSON: decoding and encoding. Only module that imports orjson."""

import json
from collections.abc import Callable
from typing import Any

import orjson

from zato_lite.errors import BadInputError

OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z
dumps = orjson.dumps
"""``encode`` without the extra call, for hot paths: ``dumps(value, default, OPTIONS)``."""

_FLOATS_FROM = 2.0**63  # orjson turns larger integers into floats
_MAX_DIGITS = 20


def decode(data: bytes | str) -> Any:
    """Return the value of a JSON text.

    Raises:
        BadInputError: the text is not JSON (RFC 8259).
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadInputError(f"not JSON: {error}") from error


def encode(value: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    """Return the JSON text of a value; ``default`` converts values that JSON does not have.

    Raises:
        TypeError: the value cannot be represented in JSON.
    """
    return orjson.dumps(value, default, OPTIONS)


def decode_strict(data: bytes) -> Any:
    """Return the value of a JSON text from outside, which must not be ambiguous.

    Duplicate keys in an object and integers beyond 64 bits are refused, because other readers
    would drop the former and round the latter silently.

    Raises:
        BadInputError: the text is not JSON, or is ambiguous.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadInputError(f"not JSON: {error}") from error
    try:
        is_same = orjson.dumps(value) == data  # true of compact JSON, which most clients send
    except orjson.JSONEncodeError as error:
        raise BadInputError("not JSON that can be encoded again: nested too deeply") from error
    if is_same or _is_complete(value, data):
        return value
    try:
        json.loads(data, object_pairs_hook=_unique, parse_int=_in_64_bits)
    except (RecursionError, ValueError) as error:
        raise BadInputError(f"not JSON: {error}") from error
    return value


def _is_complete(value: Any, data: bytes) -> bool:
    """Return True if the value certainly holds all of the text; False if it must be parsed again.

    Colons follow keys or are within strings: if value and text have equally many, no key was
    dropped. Escapes could hide a colon, and a large float may have been an integer.
    """
    if b"\\u" in data:
        return False
    colons = 0
    left = [value]
    while left:
        item = left.pop()
        kind = type(item)
        if kind is str:
            if ":" in item:
                colons += item.count(":")
        elif kind is dict:
            colons += len(item)
            left.extend(item)
            left.extend(item.values())
        elif kind is list:
            left.extend(item)
        elif kind is float and not -_FLOATS_FROM < item < _FLOATS_FROM:
            return False
    return colons == data.count(b":")


def _unique(pairs: list[tuple[str, Any]]) -> None:
    names = {name for name, _ in pairs}
    if len(names) != len(pairs):
        raise ValueError("duplicate key in an object")


def _in_64_bits(digits: str) -> None:
    if len(digits) > _MAX_DIGITS or not -(2**63) <= int(digits) < 2**64:
        raise ValueError("integer beyond 64 bits")
