"""``self.time``: what time it is, as services like to have it."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

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

DAY = "YYYY-MM-DD"
MOMENT = "YYYY-MM-DD HH:mm:ss"


class Time:
    """The present, as text in Zato's formats or as an aware datetime."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    def datetime(self, timezone: str = "UTC") -> datetime:
        """Now, aware."""
        return self._now().astimezone(ZoneInfo(timezone))

    def utcnow(self, format: str = MOMENT) -> str:  # noqa: A002 - Zato's name
        """Now, in UTC."""
        return self.now(format)

    def now(self, format: str = MOMENT, tz: str = "UTC") -> str:  # noqa: A002 - Zato's name
        """Now, in a time zone."""
        return _formatted(self.datetime(tz), format)

    def today(self, format: str = DAY, tz: str = "UTC") -> str:  # noqa: A002 - Zato's name
        """Today's date."""
        return self.now(format, tz)

    def yesterday(self, format: str = DAY, tz: str = "UTC") -> str:  # noqa: A002 - Zato's name
        """Yesterday's date."""
        return _formatted(self.datetime(tz) - timedelta(days=1), format)

    def tomorrow(self, format: str = DAY, tz: str = "UTC") -> str:  # noqa: A002 - Zato's name
        """Tomorrow's date."""
        return _formatted(self.datetime(tz) + timedelta(days=1), format)


def _formatted(moment: datetime, pattern: str) -> str:
    return moment.strftime(_TOKEN.sub(lambda token: _TOKENS[token[0]], pattern))
