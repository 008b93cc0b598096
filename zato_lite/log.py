"""Log lines as events with fields: pretty on a terminal, JSON elsewhere."""

import logging
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, Protocol

from zato_lite.redaction import redacted, without_secrets
from zato_lite.wire import encode

Sink = Callable[[logging.LogRecord], None]
"""Takes each log record that is written while a run is executed."""


class LogContext(Protocol):
    """What every line says of the invocation that wrote it."""

    @property
    def cid(self) -> str:
        """Correlation id."""
        ...

    @property
    def sink(self) -> Sink | None:
        """Where the lines are kept besides the log, if anywhere."""
        ...


invocation_context: ContextVar[LogContext | None] = ContextVar("invocation", default=None)
"""The invocation that the current task is in; set by the invoker."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "cid", "taskName"}
_MOST_WORDS = 10
_COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}


class Settings(NamedTuple):
    """How to log: the least level, and ``pretty``, ``json`` or ``auto`` (pretty on a terminal)."""

    level: str = "INFO"
    format: Literal["auto", "pretty", "json"] = "auto"


def set_up(settings: Settings) -> None:
    """Send the log to standard error, in the form that the settings ask for."""
    handler = logging.StreamHandler(sys.stderr)
    pretty = settings.format == "pretty" or (settings.format == "auto" and sys.stderr.isatty())
    handler.setFormatter(PrettyFormatter(sys.stderr.isatty()) if pretty else JSONFormatter())
    handler.addFilter(add_context)
    root = logging.getLogger()
    root.handlers[:] = [handler, RunCapture()]
    root.setLevel(settings.level.upper())


def add_context(record: logging.LogRecord) -> bool:
    """Give the record the cid of the invocation that wrote it."""
    if not hasattr(record, "cid"):
        context = invocation_context.get()
        record.cid = context.cid if context is not None else ""
    return True


class RunCapture(logging.Handler):
    """Hands what a service logs during a run to that run's sink."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record where its invocation keeps its lines, if it does."""
        context = invocation_context.get()
        if context is not None and (sink := context.sink) is not None:
            sink(record)


class Repeats:
    """A trouble that may come again and again, and is told seldom: the 1st, 2nd, 4th, 8th … time.

    Attributes:
        count: how often it came since all was well; 0 while it is.
        words: what was said the last time.
    """

    def __init__(self) -> None:
        self.count = 0
        self.words = ""
        self._told: set[str] = set()

    def again(self, words: str) -> bool:
        """It came, in these words; whether it is to be told. New words always are, up to ten."""
        self.count += 1
        self.words = words
        is_new = words not in self._told and len(self._told) < _MOST_WORDS
        if is_new:
            self._told.add(words)
        return is_new or self.count & (self.count - 1) == 0

    def over(self) -> int:
        """All is well; how often it came before."""
        count, self.count = self.count, 0
        self._told.clear()
        return count


class JSONFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, cid, event, and the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": _iso(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": redacted(record.getMessage()),
        }
        if cid := getattr(record, "cid", ""):
            line["cid"] = cid
        line.update(extras(record))
        if record.exc_info:
            line["exception"] = redacted(self.formatException(record.exc_info))
        return encode(line, repr).decode()


class PrettyFormatter(logging.Formatter):
    """A line for a person's eyes, coloured by level on a terminal."""

    def __init__(self, coloured: bool) -> None:
        super().__init__()
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        """The line, with the traceback below it if there is one."""
        level = f"{record.levelname:<7}"
        if self._coloured:
            level = f"\033[{_COLOURS.get(record.levelname, '0')}m{level}\033[0m"
        fields = "".join(f" {name}={value}" for name, value in extras(record).items())
        cid = f" [{cid}]" if (cid := getattr(record, "cid", "")) else ""
        clock_time = _iso(record)[11:23]
        message = redacted(record.getMessage())
        line = f"{clock_time} {level} {record.name}: {message}{fields}{cid}"
        if record.exc_info:
            line += "\n" + redacted(self.formatException(record.exc_info))
        return line


def extras(record: logging.LogRecord) -> Mapping[str, Any]:
    """The fields that the line's writer gave in ``extra``, without what is secret in them."""
    return {
        name: without_secrets(value, name)
        for name, value in vars(record).items()
        if name not in _STANDARD
    }


def _iso(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
