"""``self.time`` of services written for Zato."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from zato_lite.service.context import DATE_FORMAT, DATETIME_FORMAT, Time, formatted, parsed

_STORED = "kvdb:"
_FORMAT_KEY = "kvdb:date-format:"
_ISO = "YYYY-MM-DDTHH:mm:ss.SSSSSS"


class ZatoTime(Time):
    """The current time, as text in Zato's formats; ``needs_format=False`` returns a datetime.

    Args:
        now: returns the current time.
        stored: returns the text at a key of Redis.
    """

    def __init__(self, now: Callable[[], datetime], stored: Callable[[str], str | None]) -> None:
        super().__init__(now)
        self._stored = stored

    def now(
        self,
        format: str = DATETIME_FORMAT,  # noqa: A002 - Zato's name
        tz: str = "UTC",
        needs_format: bool = True,
        delta: timedelta | None = None,
    ) -> Any:
        """Return the current time in a time zone."""
        moment = self.datetime(tz) + (delta or timedelta())
        return formatted(moment, format) if needs_format else moment

    def utcnow(
        self,
        format: str = DATETIME_FORMAT,  # noqa: A002
        needs_format: bool = True,
    ) -> Any:
        """Return the current time in UTC."""
        return self.now(format, "UTC", needs_format)

    def today(
        self,
        format: str = DATE_FORMAT,  # noqa: A002
        tz: str = "UTC",
        needs_format: bool = True,
    ) -> Any:
        """Return today's date; as a datetime, its midnight."""
        midnight = self.datetime(tz).replace(hour=0, minute=0, second=0, microsecond=0)
        return formatted(midnight, format) if needs_format else midnight

    def yesterday(
        self,
        format: str = DATE_FORMAT,  # noqa: A002
        tz: str = "UTC",
        needs_format: bool = True,
    ) -> Any:
        """Return yesterday's date; as a datetime, the time a day ago."""
        return self.now(format, tz, needs_format, timedelta(days=-1))

    def tomorrow(
        self,
        format: str = DATE_FORMAT,  # noqa: A002
        tz: str = "UTC",
        needs_format: bool = True,
    ) -> Any:
        """Return tomorrow's date; as a datetime, the time in a day."""
        return self.now(format, tz, needs_format, timedelta(days=1))

    def isonow(self, tz: str = "UTC", needs_format: bool = True) -> Any:
        """Return the current time in a time zone, with microseconds."""
        return self.now(_ISO, tz, needs_format)

    def isoutcnow(self, needs_format: bool = True) -> Any:
        """Return the current time in UTC, with microseconds."""
        return self.now(_ISO, "UTC", needs_format)

    def utcnow_as_float(self) -> float:
        """Return the seconds since 1970."""
        return self.datetime().timestamp()

    def one_day_from(
        self,
        date: Any,
        format: str = DATE_FORMAT,  # noqa: A002
        needs_format: bool = True,
    ) -> Any:
        """Return the time a day after a date."""
        return _after(date, timedelta(days=1), format, needs_format)

    def one_hour_from(
        self,
        date: Any,
        format: str = DATE_FORMAT,  # noqa: A002
        needs_format: bool = True,
    ) -> Any:
        """Return the time an hour after a date."""
        return _after(date, timedelta(hours=1), format, needs_format)

    def one_minute_from(
        self,
        date: Any,
        format: str = DATE_FORMAT,  # noqa: A002
        needs_format: bool = True,
    ) -> Any:
        """Return the time a minute after a date."""
        return _after(date, timedelta(minutes=1), format, needs_format)

    def reformat(self, value: str | datetime, from_: str, to: str) -> str:
        """Convert a time from one format to another; ``kvdb:name`` is one that Redis has.

        Raises:
            ValueError: the value does not have the format, or Redis does not have one.
        """
        moment = value if isinstance(value, datetime) else parsed(value, self._format(from_))
        return formatted(moment, self._format(to))

    def _format(self, pattern: str) -> str:
        if not pattern.startswith(_STORED):
            return pattern
        key = _FORMAT_KEY + pattern[len(_STORED) :]
        if (found := self._stored(key)) is None:
            raise ValueError(f"self.time.reformat: Redis has no format {key!r}")
        return found


def _after(date: Any, delta: timedelta, pattern: str, needs_format: bool) -> Any:
    moment = datetime.fromisoformat(date) if isinstance(date, str) else date
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    return formatted(moment + delta, pattern) if needs_format else moment + delta
