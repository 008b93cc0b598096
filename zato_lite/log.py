"""Log: events with fields, formatted for a terminal or as JSON."""

import logging
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, Protocol

from zato_lite.log_values import (
    escaped,
    loggable,
    message_and_arguments,
    safe_text,
    shown,
    traceback_of,
)
from zato_lite.wire import encode

Sink = Callable[[logging.LogRecord], None]
"""Receives each log record that a service writes during a run."""


class LogContext(Protocol):
    """The part of an invocation that log records refer to."""

    @property
    def cid(self) -> str:
        """Correlation id, added to each line."""
        ...

    @property
    def sink(self) -> Sink | None:
        """Receiver of the invocation's records besides the log; None for none."""
        ...


invocation_context: ContextVar[LogContext | None] = ContextVar("invocation", default=None)
"""The invocation of the current task; set by the invoker."""

_MADE = "_zato_lite_line"
"""Attribute of a record with its line, so that two handlers make it once."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "cid", "taskName"}
_STANDARD |= {_MADE}
_KEYS = frozenset(
    {"time", "level", "logger", "event", "arguments", "cid", "exception", "stack", "not_json"}
)
"""Keys of a line; a field of the same name is written with an underscore."""

_MAX_MESSAGES = 10
"""Different messages of one problem that are logged regardless of its count."""

_COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}


class Settings(NamedTuple):
    """Least level, ``pretty``, ``json`` or ``auto`` (pretty on a terminal), full tracebacks."""

    level: str = "INFO"
    format: Literal["auto", "pretty", "json"] = "auto"
    is_full: bool = False


def set_up(settings: Settings) -> None:
    """Send the log to standard error in the format of the settings."""
    handler = logging.StreamHandler(sys.stderr)
    pretty = settings.format == "pretty" or (settings.format == "auto" and sys.stderr.isatty())
    is_terminal, is_full = sys.stderr.isatty(), settings.is_full
    handler.setFormatter(
        PrettyFormatter(is_terminal, is_full=is_full) if pretty else JSONFormatter(is_full=is_full)
    )
    handler.addFilter(add_context)
    root = logging.getLogger()
    root.handlers[:] = [handler, RunCapture()]
    root.setLevel(settings.level.upper())


def add_context(record: logging.LogRecord) -> bool:
    """Add the invocation's correlation id to a record."""
    if not hasattr(record, "cid"):
        context = invocation_context.get()
        record.cid = context.cid if context is not None else ""
    return True


class RunCapture(logging.Handler):
    """Handler that passes records of a run to the run's sink."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record to the sink of the current invocation, if it has one."""
        context = invocation_context.get()
        if context is not None and (sink := context.sink) is not None:
            try:
                sink(record)
            except Exception:  # noqa: BLE001 - a service must not fail because it logs
                self.handleError(record)


class Repeats:
    """A problem that may repeat and is logged the 1st, 2nd, 4th, 8th … time.

    Attributes:
        count: occurrences since the last success.
        words: the latest message.
    """

    def __init__(self) -> None:
        self.count = 0
        self.words = ""
        self._messages: set[str] = set()

    def again(self, words: str) -> bool:
        """Count an occurrence; return True if it should be logged, as new messages always are."""
        self.count += 1
        self.words = words
        is_new = words not in self._messages and len(self._messages) < _MAX_MESSAGES
        if is_new:
            self._messages.add(words)
        return is_new or self.count & (self.count - 1) == 0

    def over(self) -> int:
        """Record a success; return the number of occurrences before it."""
        count, self.count = self.count, 0
        self._messages.clear()
        return count


class _Line(NamedTuple):
    """A record as a JSON object; the type of it marks it as ours."""

    text: str


class JSONFormatter(logging.Formatter):
    """Formats a record as a JSON object: time, level, logger, event, cid, and its fields."""

    def __init__(self, *, is_full: bool = False) -> None:
        super().__init__()
        self._is_full = is_full

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: valid JSON, whatever a service has logged. It is made once."""
        made = vars(record).get(_MADE)
        if not isinstance(made, _Line):
            made = vars(record)[_MADE] = _Line(self._line_of(record))
        return made.text

    def _line_of(self, record: logging.LogRecord) -> str:
        event, arguments = message_and_arguments(record)
        line: dict[str, Any] = {
            "time": _iso(record),
            "level": escaped(safe_text(record.levelname)).lower(),
            "logger": escaped(safe_text(record.name)),
            "event": event,
        }
        if arguments:
            line["arguments"] = arguments
        if cid := getattr(record, "cid", ""):
            line["cid"] = escaped(safe_text(cid))
        for name, value in extras(record).items():
            line[f"{name}_" if name in _KEYS else name] = value
        if record.exc_info:
            line["exception"] = traceback_of(*record.exc_info, is_full=self._is_full)
        if record.stack_info:
            line["stack"] = shown(record.stack_info)
        try:
            return encode(line).decode()
        except TypeError as error:  # more levels than JSON may have here, for instance
            plain = {name: shown(safe_text(value)) for name, value in line.items()}
            return encode(plain | {"not_json": shown(str(error))}).decode()


class PrettyFormatter(logging.Formatter):
    """Formats a record for reading, coloured by level on a terminal."""

    def __init__(self, coloured: bool, *, is_full: bool = False) -> None:
        super().__init__()
        self._coloured, self._is_full = coloured, is_full

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, followed by the traceback if the record has one."""
        level = f"{escaped(safe_text(record.levelname)):<7}"
        if self._coloured:
            level = f"\033[{_COLOURS.get(record.levelname, '0')}m{level}\033[0m"
        fields = "".join(f" {name}={value}" for name, value in extras(record).items())
        cid = f" [{escaped(safe_text(cid))}]" if (cid := getattr(record, "cid", "")) else ""
        clock_time = _iso(record)[11:23]
        event, arguments = message_and_arguments(record)
        fields = f" {arguments}{fields}" if arguments else fields
        text = f"{escaped(safe_text(record.name))}: {event}{fields}{cid}"
        if record.exc_info:
            text += "\n" + traceback_of(*record.exc_info, is_full=self._is_full)
        if record.stack_info:
            text += "\n" + shown(record.stack_info)
        return f"{clock_time} {level} {printable(text)}"


def printable(text: str) -> str:
    """Return the text with its control characters escaped, for they could change a terminal."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else ascii(letter)[1:-1]
        for letter in text
    )


def extras(record: logging.LogRecord) -> Mapping[str, Any]:
    """Return the fields that were passed in ``extra``, with secrets redacted."""
    return {
        escaped(safe_text(name)): loggable(value, safe_text(name))
        for name, value in vars(record).items()
        if name not in _STANDARD
    }


def _iso(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
