"""The surroundings of a service: its channel, its logger and its clock with Zato's formats."""

import functools
import logging
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from zato_lite.service.message import Caller

_TOKENS = {
    "YYYY": "%Y",
    "YY": "%y",
    "MMMM": "%B",
    "MMM": "%b",
    "MM": "%m",
    "DD": "%d",
    "HH": "%H",
    "hh": "%I",
    "mm": "%M",
    "ss": "%S",
    "SSSSSS": "%f",
    "dddd": "%A",
    "ddd": "%a",
    "A": "%p",
    "ZZ": "%z",
}
_TOKEN = re.compile("|".join(sorted(_TOKENS, key=len, reverse=True)))

DATE_FORMAT = "YYYY-MM-DD"
DATETIME_FORMAT = "YYYY-MM-DD HH:mm:ss"


class Channel:
    """The way in which the invocation came in.

    Attributes:
        type: invoke, async, scheduler, http, cli, startup or shutdown.
        name: the job's name, the path of the HTTP request, the invoking service, or "".
        security: the caller.
    """

    __slots__ = ("data_format", "id", "name", "security", "type")

    def __init__(self, channel_type: str, name: str, caller: Caller) -> None:
        self.type = channel_type
        self.name = name
        self.id = 0
        self.data_format = "json"
        self.security = caller

    @property
    def sec(self) -> Caller:
        """Return the caller, under Zato's short name."""
        return self.security


class ServiceLogger(logging.LoggerAdapter[logging.Logger]):
    """The logger named after a service, with the methods that Zato's services use."""

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        """Return both; the log's own filter adds the invocation, unless ``cid=…`` was given."""
        if "cid" in kwargs:
            kwargs["extra"] = {**kwargs.get("extra", {}), "cid": kwargs.pop("cid")}
        return msg, kwargs

    def warn(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a warning; standard loggers of newer Python versions lack this name."""
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        self.warning(msg, *args, **kwargs)


@functools.cache
def service_logger(name: str) -> ServiceLogger:
    """Return the logger of a service."""
    return ServiceLogger(logging.getLogger(name))


class Time:
    """The current time, as text in Zato's formats or as an aware datetime."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    def datetime(self, timezone: str = "UTC") -> datetime:
        """Return the current time, aware."""
        return self._now().astimezone(ZoneInfo(timezone))

    def utcnow(self, format: str = DATETIME_FORMAT) -> str:  # noqa: A002 - Zato's name
        """Return the current time in UTC."""
        return self.now(format)

    def now(self, format: str = DATETIME_FORMAT, tz: str = "UTC") -> str:  # noqa: A002
        """Return the current time in a time zone."""
        return formatted(self.datetime(tz), format)

    def today(self, format: str = DATE_FORMAT, tz: str = "UTC") -> str:  # noqa: A002
        """Return today's date."""
        return self.now(format, tz)

    def yesterday(self, format: str = DATE_FORMAT, tz: str = "UTC") -> str:  # noqa: A002
        """Return yesterday's date."""
        return formatted(self.datetime(tz) - timedelta(days=1), format)

    def tomorrow(self, format: str = DATE_FORMAT, tz: str = "UTC") -> str:  # noqa: A002
        """Return tomorrow's date."""
        return formatted(self.datetime(tz) + timedelta(days=1), format)


def formatted(moment: datetime, pattern: str) -> str:
    """Return a time as text in one of Zato's formats, such as ``YYYY-MM-DD``."""
    return moment.strftime(_native(pattern))


def parsed(text: str, pattern: str) -> datetime:
    """Return the time of a text in one of Zato's formats.

    Raises:
        ValueError: it does not have the format.
    """
    return datetime.strptime(text, _native(pattern))  # noqa: DTZ007 - the format decides


def _native(pattern: str) -> str:
    return _TOKEN.sub(lambda token: _TOKENS[token[0]], pattern)
