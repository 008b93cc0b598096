"""Log values: whatever a service logs, as text and JSON values that any line can hold."""

import logging
import math
import os
import traceback
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import UUID

from zato_lite.redaction import HIDDEN, is_secret_name, redacted

MAX_TEXT = 100_000
"""Characters of one text in a line; the rest is cut off, and its length noted."""

MAX_DEPTH = 20
"""Levels of nesting of a field; what lies deeper is written as text."""

MAX_ITEMS = 10_000
"""Values in one field, at all levels; the rest is left out."""

_PACKAGE = f"{Path(__file__).parent}{os.sep}"
_FUTURES = str(Path(os.__file__).parent / "concurrent" / "futures" / "_base.py")
_LARGEST, _SMALLEST = 2**64 - 1, -(2**63)
_AS_THEY_ARE = (datetime, date, UUID)


def message_of(record: logging.LogRecord) -> str:
    """Return a record's message; without its arguments if they do not fit."""
    return _message_of(record)[0]


def message_and_arguments(record: logging.LogRecord) -> tuple[str, str]:
    """Return a record's message, and its arguments as text if they do not fit the message."""
    message, fits = _message_of(record)
    return message, "" if fits else shown(safe_text(record.args, repr))


def _message_of(record: logging.LogRecord) -> tuple[str, bool]:
    try:
        return shown(record.getMessage()), True
    except BaseException:  # noqa: BLE001 - code of a service, which may raise anything
        return shown(safe_text(record.msg)), False


def traceback_of(
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
    *,
    is_full: bool = False,
) -> str:
    """Return the traceback of an exception, whose own methods may raise.

    Frames of this package are left out if there are others, except with ``is_full``.
    """
    try:
        if kind is None or error is None:
            text = "".join(traceback.format_exception(kind, error, trace))
        else:
            found = traceback.TracebackException(kind, error, trace)
            if not is_full:
                _leave_out(found)
            text = "".join(found.format())
        text = text.removesuffix("\n")
    except BaseException as failure:  # noqa: BLE001 - code of a service, which may raise anything
        name = "no exception" if kind is None else kind.__qualname__
        text = f"{name}: its traceback cannot be written: {type(failure).__name__}"
    return shown(text)


def is_framework(file: str) -> bool:
    """Return True for a file of this package."""
    return file.startswith(_PACKAGE)


def _is_in_between(file: str) -> bool:
    """Return True for a file of this package, or the one that hands results to its threads."""
    return is_framework(file) or file == _FUTURES


def _leave_out(found: traceback.TracebackException) -> None:
    """Leave out the package's frames, except for one that raised the exception."""
    left = [found]
    while left:  # a chain of exceptions may be longer than the limit of recursion
        each = left.pop()
        last = each.stack[-1:]
        own = [frame for frame in each.stack[:-1] if not _is_in_between(frame.filename)]
        if own or not all(is_framework(frame.filename) for frame in last):
            each.stack[:] = own + last
        others = (each.__cause__, each.__context__, *(each.exceptions or ()))
        left += (other for other in others if other is not None)


def shown(text: str) -> str:
    """Return a text without secrets and lone surrogates, cut to ``MAX_TEXT`` characters."""
    if (length := len(text)) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}… ({length - MAX_TEXT} more characters)"
    return escaped(redacted(text))


def escaped(text: str) -> str:
    """Escape lone surrogates, which UTF-8 cannot encode; some file names contain them."""
    return str.encode(text, "utf-8", "backslashreplace").decode()


def safe_text(value: Any, convert: Callable[[Any], str] = str) -> str:
    """Return the text of a value; if its own method raises, the type and the error instead."""
    try:
        return str.__str__(convert(value))
    except BaseException as error:  # noqa: BLE001 - code of a service, which may raise anything
        return f"<{type(value).__qualname__}: {convert.__name__}() raised {type(error).__name__}>"


def loggable(value: Any, name: str = "") -> Any:
    """Return a value that JSON can hold, to be logged under a name, without secrets."""
    try:
        return _Values().converted(value, name, 0)
    except BaseException as error:  # noqa: BLE001 - code of a service, which may raise anything
        return f"<{type(value).__qualname__}: {type(error).__name__}>"


class _Values:
    """Converter of one field."""

    def __init__(self) -> None:
        self._left = MAX_ITEMS

    def converted(self, value: Any, name: str, depth: int) -> Any:
        """Return the value as JSON can hold it."""
        self._left -= 1
        if value is None or isinstance(value, bool):
            return value
        if is_secret_name(name):
            return HIDDEN
        if isinstance(value, str):
            return shown(str.__str__(value))
        if _is_in_json(value):
            return value
        if depth < MAX_DEPTH and isinstance(value, Mapping):
            return self._mapping(value, depth)
        is_list = depth < MAX_DEPTH and isinstance(value, list | tuple | AbstractSet)
        return self._list(value, depth) if is_list else shown(safe_text(value, repr))

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in value.items():
            if self._left <= 0:
                found["…"] = f"{len(value) - len(found)} more"
                break
            text = shown(key if isinstance(key, str) else safe_text(key))
            found[text] = self.converted(item, text, depth + 1)
        return found

    def _list(self, value: Any, depth: int) -> list[Any]:
        found: list[Any] = []
        for item in value:
            if self._left <= 0:
                found.append(f"… {len(value) - len(found)} more")
                break
            found.append(self.converted(item, "", depth + 1))
        return found


def _is_in_json(value: Any) -> bool:
    kind = type(value)
    if kind is int:
        return bool(_SMALLEST <= value <= _LARGEST)
    return math.isfinite(value) if kind is float else kind in _AS_THEY_ARE
