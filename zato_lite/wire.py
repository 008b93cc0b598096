"""Bytes to values and back: the only module that knows orjson."""

import json
from collections.abc import Callable
from typing import Any

import orjson

from zato_lite.errors import BadInputError

OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z
dumps = orjson.dumps
"""``encode``, for whoever is in a hurry: ``dumps(value, default, OPTIONS)``."""

_FLOATS_FROM = 2.0**63  # integers from here on may have become floats
_MOST_DIGITS = 20


def decode(data: bytes | str) -> Any:
    """The value that a JSON text stands for.

    Raises:
        BadInputError: the text is not JSON (RFC 8259).
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadInputError(f"not JSON: {error}") from error


def encode(value: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    """The JSON text of a value; ``default`` turns what JSON does not know into what it knows.

    Raises:
        TypeError: the value has no JSON form.
    """
    return orjson.dumps(value, default, OPTIONS)


def decode_strict(data: bytes) -> Any:
    """The value of a JSON text in which nothing is ambiguous: what comes from strangers.

    A key may not be there twice in one object, and an integer may not be beyond 64 bits, since
    the one would be dropped and the other rounded without a word.

    Raises:
        BadInputError: the text is not JSON, or is ambiguous.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadInputError(f"not JSON: {error}") from error
    try:
        is_same = orjson.dumps(value) == data  # compact, as most clients write: nothing was lost
    except orjson.JSONEncodeError as error:
        raise BadInputError("not JSON that can be sent on: it is nested too deep") from error
    if is_same or _is_whole(value, data):
        return value
    try:
        json.loads(data, object_pairs_hook=_unique, parse_int=_in_64_bits)
    except (RecursionError, ValueError) as error:
        raise BadInputError(f"not JSON: {error}") from error
    return value


def _is_whole(value: Any, data: bytes) -> bool:
    """Whether all that the text says is surely in the value; False when it takes a closer look.

    Each key comes with a colon, and the others are inside strings: if the value holds as many as
    the text, no key was dropped. Escapes could hide one, and a big float may have been an integer.
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
        raise ValueError("a key is there twice in one object")


def _in_64_bits(digits: str) -> None:
    if len(digits) > _MOST_DIGITS or not -(2**63) <= int(digits) < 2**64:
        raise ValueError("an integer is beyond 64 bits")
