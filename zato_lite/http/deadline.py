"""How long a caller is ready to wait, and what of that is granted: pure."""

import re
from collections.abc import Mapping

from zato_lite.errors import BadInputError, FieldError

HEADER = "Request-Timeout"
"""Seconds, counted from when the request is complete."""

_FIELD = HEADER.lower().encode()
_SECONDS = re.compile(rb"[0-9]{1,9}(\.[0-9]{1,9})?\Z")


def time_limit(headers: Mapping[bytes, bytes], most: float | None) -> float | None:
    """Seconds that an invocation may take: what the caller asks for, within the server's limit.

    Raises:
        BadInputError: the header is no number of seconds above 0.
    """
    sent = headers.get(_FIELD)
    if sent is None:
        return most
    seconds = float(sent) if _SECONDS.match(sent) else 0.0
    if not seconds:
        text = sent.decode("latin-1")
        allowed = "a decimal number of seconds above 0, such as 2.5"
        message = f"{HEADER}: {text!r} is not allowed; {allowed}"
        raise BadInputError.of([FieldError(HEADER, text, message)])
    return shorter(seconds, most)


def shorter(one: float | None, other: float | None) -> float | None:
    """The shorter of two limits; None is no limit."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
