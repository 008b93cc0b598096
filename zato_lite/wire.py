"""Bytes to values and back: the only module that knows orjson."""

from collections.abc import Callable
from typing import Any

import orjson

from zato_lite.errors import BadInputError

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z


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
    return orjson.dumps(value, default, _OPTIONS)
