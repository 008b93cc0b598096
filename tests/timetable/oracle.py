"""Oracle for cron expressions: cron's manual, implemented by a search of each day and time.

Nothing is shared with the code under test: no parser, no sets, no arithmetic.
"""

import random
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


def _number(text: str, names: list[str], base: int) -> int:
    return names.index(text.lower()) + base if text.lower() in names else int(text)


def _walk(low: int, high: int, first: int, last: int, step: int) -> Iterator[int]:
    """Iterate from first to last in steps, starting again at ``low`` after ``high``."""
    value, taken = first, 0
    while True:
        if taken % step == 0:
            yield value
        if value == last:
            return
        value, taken = (low if value == high else value + 1), taken + 1


def field_matches(
    field: str, value: int, low: int, high: int, names: list[str] | None = None
) -> bool:
    """Return True if a field (items, ranges, steps, wrapped ranges) has the value."""
    for item in field.split(","):
        body, _, step = item.partition("/")
        if body in {"*", "?"}:
            first, last = low, high
        elif "-" in body:
            first, last = (_number(part, names or [], low) for part in body.split("-"))
        else:
            first = _number(body, names or [], low)
            last = high if step else first
        if value in _walk(low, high, first, last, int(step or 1)):
            return True
    return False


def _workday(day: date) -> bool:
    return day.isoweekday() <= 5


def _days_of_month(day: date) -> list[date]:
    first = day.replace(day=1)
    return [
        other for other in (first + timedelta(n) for n in range(31)) if other.month == first.month
    ]


def date_matches(field: str, day: date) -> bool:
    """Return True if the field of the day of month has the day."""
    days = _days_of_month(day)
    for item in field.split(","):
        if item == "LW":
            found = [other for other in days if _workday(other)][-1] == day
        elif item.startswith("L"):
            back = int(item[2:] or 0)
            found = back < len(days) and days[-1 - back] == day
        elif item.endswith("W"):
            wanted = int(item[:-1])
            if wanted > len(days):
                found = False
            else:
                work = [other for other in days if _workday(other)]
                nearest = min(work, key=lambda other: (abs(other.day - wanted), other.day))
                found = nearest == day
        else:
            found = field_matches(item, day.day, 1, 31)
        if found:
            return True
    return False


def weekday_matches(field: str, day: date) -> bool:
    """Return True if the field of the day of week has the day; 0 and 7 are Sunday."""
    weekday = day.isoweekday() % 7
    alike = [other for other in _days_of_month(day) if other.isoweekday() == day.isoweekday()]
    for item in field.split(","):
        if "#" in item:
            name, which = item.split("#")
            same = _number(name, WEEKDAYS, 0) % 7 == weekday
            found = same and alike.index(day) + 1 == int(which)
        elif item.endswith("L"):
            found = _number(item[:-1], WEEKDAYS, 0) % 7 == weekday and alike[-1] == day
        else:
            found = _plain_weekday(item, weekday)
        if found:
            return True
    return False


def _plain_weekday(item: str, weekday: int) -> bool:
    body, _, step = item.partition("/")
    if "-" in body:
        first, last = (_number(part, WEEKDAYS, 0) for part in body.split("-"))
        if first <= last:  # 5-7 as it stands
            return weekday in {day % 7 for day in range(first, last + 1, int(step or 1))}
        return weekday in _walk(0, 6, first % 7, last % 7, int(step or 1))
    if body == "7":
        return weekday == 0
    return field_matches(item, weekday, 0, 6, WEEKDAYS)


class Oracle:
    """Cron expression as the manual defines it."""

    def __init__(self, expression: str, *, day_and: bool = False) -> None:
        fields = expression.split()
        fields = ["0", *fields] if len(fields) == 5 else fields
        fields = [*fields, "*"] if len(fields) == 6 else fields
        self.second, self.minute, self.hour, self.day, self.month, self.weekday, self.year = fields
        stars = self.day[0] in "*?" or self.weekday[0] in "*?"
        self._join: Callable[[list[bool]], bool] = all if day_and or stars else any
        self.times = [
            timedelta(hours=hour, minutes=minute, seconds=second)
            for hour in range(24)
            if field_matches(self.hour, hour, 0, 23)
            for minute in range(60)
            if field_matches(self.minute, minute, 0, 59)
            for second in range(60)
            if field_matches(self.second, second, 0, 59)
        ]

    def is_day(self, day: date) -> bool:
        if not field_matches(self.month, day.month, 1, 12, MONTHS):
            return False
        if self.year != "*" and not field_matches(self.year, day.year, 1970, 2099):
            return False
        return self._join([date_matches(self.day, day), weekday_matches(self.weekday, day)])

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Return all matches in (after, until], in order."""
        day = after.date()
        while day <= until.date():
            if self.is_day(day):
                midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001
                for time in self.times:
                    if after < midnight + time <= until:
                        yield midnight + time
            day += timedelta(1)


# ---- random expressions, in eight categories


def _range(random: random.Random, low: int, high: int) -> str:
    first, last = sorted((random.randint(low, high), random.randint(low, high)))
    return f"{first}-{last}"


def _field(random: random.Random, low: int, high: int) -> str:
    """Return a random field of any common form."""
    match random.randrange(6):
        case 0 | 1:
            return "*"
        case 2:
            return str(random.randint(low, high))
        case 3:
            return _range(random, low, high)
        case 4:
            return f"*/{random.randint(1, (high - low) // 2 + 1)}"
        case _:
            return ",".join(str(random.randint(low, high)) for _ in range(random.randint(2, 4)))


def _clock(random: random.Random) -> str:
    return f"{_field(random, 0, 59)} {_field(random, 0, 23)}"


def _plain(random: random.Random) -> str:
    return f"{_clock(random)} {_field(random, 1, 28)} {_field(random, 1, 12)} *"


def _names(random: random.Random) -> str:
    month = random.choice([random.choice(MONTHS), "mar-oct", "JAN,jul", "*", "feb-nov/3"])
    day = random.choice([random.choice(WEEKDAYS), "mon-fri", "SAT,sun", "mon-fri/2", "sun-wed"])
    return f"{_clock(random)} * {month} {day}"


def _steps(random: random.Random) -> str:
    first, step = random.randint(0, 59), random.randint(1, 30)
    hours = f"{_range(random, 0, 23)}/{random.randint(1, 6)}"
    return f"{first}/{step},{random.randint(0, 59)} {hours} * * {_field(random, 0, 6)}"


def _days(random: random.Random) -> str:
    """Return an expression with both day fields, for the rule of either or both."""
    day = random.choice(["*", "*/2", "*/7", "13", "1,15", "10-20", "1-31/3", "?"])
    weekday = random.choice(["*", "*/2", "1", "fri", "mon-fri", "0,6", "7", "5-7", "?"])
    return (
        f"{random.randint(0, 59)} {random.randint(0, 23)} {day} {_field(random, 1, 12)} {weekday}"
    )


def _special(random: random.Random) -> str:
    """Return an expression with ``L``, ``W`` or ``#``."""
    day = random.choice(["L", "LW", "15W", "1W", "31W", "L-3", "1,L", "30W", "L-29", "28,29W"])
    weekday = random.choice(["friL", "5L", "mon#1", "2#3", "sun#5", "wed,friL", "sat#2,0"])
    both = f"{day} * *" if random.random() < 0.5 else f"* * {weekday}"
    if random.random() < 0.2:
        both = f"{day} * {weekday}"
    return f"{random.randint(0, 59)} {random.randint(0, 23)} {both}"


def _seconds(random: random.Random) -> str:
    weekday = _field(random, 0, 6)
    return f"{_field(random, 0, 59)} {random.randint(0, 59)} {_field(random, 0, 23)} * * {weekday}"


def _years(random: random.Random) -> str:
    year = random.choice(["2027", "2026-2029", "*/2", "2028,2031", "2026/3", "*"])
    return f"0 {random.randint(0, 59)} {random.randint(0, 23)} {_field(random, 1, 28)} * * {year}"


def _wrapped(random: random.Random) -> str:
    """Return an expression with ranges that wrap around."""
    return " ".join(
        (
            random.choice(["50-10", "55-5/3", "0"]),
            random.choice(["22-2", "23-1", "20-4/2", "12"]),
            random.choice(["*", "25-5", "28-3"]),
            random.choice(["*", "nov-feb", "10-3", "dec-jan"]),
            random.choice(["*", "fri-mon", "6-2", "sat-sun", "thu-tue/2"]),
        )
    )


CATEGORIES: dict[str, Callable[[random.Random], str]] = {
    "plain": _plain,
    "names": _names,
    "steps": _steps,
    "days": _days,
    "special": _special,
    "seconds": _seconds,
    "years": _years,
    "wrapped": _wrapped,
}
