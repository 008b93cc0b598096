"""Descriptions: schedules and durations in plain English."""

from collections.abc import Callable, Sequence

from zato_lite.timetable import cron
from zato_lite.timetable.expression import DayRule, Expression
from zato_lite.timetable.job import Cron, Interval, OneTime, Trigger
from zato_lite.timetable.zone import to_text

_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_MAX_TIMES = 6
_SIXTY, _HOURS, _LONGEST_MONTH = 60, 24, 31
_RANGE = 3
_SECOND_MS = 1_000
_WORKDAYS = (1, 2, 3, 4, 5)
_WEEKEND = (0, 6)


def describe(trigger: Trigger) -> str:
    """Describe a schedule: ``every weekday at 02:00, Europe/Warsaw``."""
    words = _schedule_words(trigger)
    if trigger.end is None or isinstance(trigger, OneTime):
        return words
    return f"{words}, before {to_text(trigger.end, trigger.timezone)} (not included)"


def _schedule_words(trigger: Trigger) -> str:
    match trigger:
        case OneTime():
            return f"once, at {to_text(trigger.start, trigger.timezone)}"
        case Interval():
            return f"every {_period(trigger.period)}"
        case Cron():
            if period := cron.every(trigger.expression):
                return f"every {_period(period)}"
            seed = trigger.seed if cron.has_hash(trigger.expression) else ""
            expression = cron.parse(trigger.expression, seed, trigger.day_and)
            return f"{_sentence(expression)}, {trigger.timezone or 'UTC'}"


def duration(milliseconds: float) -> str:
    """Format a duration in Zato's form: ``< 1ms``, ``35ms``, ``2.5s``."""
    if milliseconds < 1:
        return "< 1ms"
    if milliseconds < _SECOND_MS:
        return f"{int(milliseconds)}ms"
    return f"{milliseconds / _SECOND_MS:.1f}s"


def _period(microseconds: int) -> str:
    """Format a period: 90 seconds as ``1 minute 30 seconds``."""
    units = (("week", 604_800_000), ("day", 86_400_000), ("hour", 3_600_000),
             ("minute", 60_000), ("second", 1_000), ("millisecond", 1))  # fmt: skip
    left, words = microseconds // 1_000, []
    for name, size in units:
        count, left = divmod(left, size)
        if count:
            words.append(f"{count} {name}{'s' * (count > 1)}")
    text = " ".join(words)
    return text.removeprefix("1 ") if len(words) == 1 else text


def _sentence(expression: Expression) -> str:
    days = _day_words(expression)
    times = (expression.hours, expression.minutes, expression.seconds)
    if clock := _clock_words(*times):
        return f"{days} at {clock}"
    cadence = _cadence_words(*times)
    return cadence if days == "every day" else f"{cadence}, {days}"


def _clock_words(hours: Sequence[int], minutes: Sequence[int], seconds: Sequence[int]) -> str:
    """Describe times of day: ``02:00 and 14:00``; empty if there are too many to list."""
    if len(hours) * len(minutes) * len(seconds) > _MAX_TIMES:
        return ""
    if list(minutes) == list(seconds) == [0] and _step(hours, _HOURS):
        return ""
    ends = [f":{second:02}" if any(seconds) else "" for second in seconds]
    return _listed([clock + end for clock in _clocks(hours, minutes) for end in ends])


def _clocks(hours: Sequence[int], minutes: Sequence[int]) -> list[str]:
    return [f"{hour:02}:{minute:02}" for hour in hours for minute in minutes]


def _cadence_words(hours: Sequence[int], minutes: Sequence[int], seconds: Sequence[int]) -> str:
    """Describe a cadence: ``every 5 minutes``, ``at minute 5 of every hour``."""
    if list(minutes) == list(seconds) == [0]:
        by_step = len(hours) == _HOURS or _step(hours, _HOURS)
        return _field_words(hours, _HOURS, "hour") if by_step else f"at {_hours(hours)}"
    if len(seconds) > 1:
        words = _field_words(seconds, _SIXTY, "second")
        if len(hours) * len(minutes) <= _MAX_TIMES:
            return f"{words} of {_listed(_clocks(hours, minutes))}"
        if len(minutes) < _SIXTY:
            words += f", {_field_words(minutes, _SIXTY, 'minute')}"
    else:
        words = _field_words(minutes, _SIXTY, "minute")
        words += f" at second {seconds[0]}" if any(seconds) else ""
    if len(hours) == _HOURS:
        return words if words.startswith("every") else f"{words} of every hour"
    return f"{words} {_hour_words(hours)}"


def _hours(hours: Sequence[int]) -> str:
    return f"{_ranges(hours, lambda hour: f'{hour:02}:00')}"


def _hour_words(hours: Sequence[int]) -> str:
    if step := _step(hours, 24):
        return f"of every {_ordinal(step)} hour"
    return f"from {_ranges(hours, lambda hour: f'{hour:02}:00', lambda hour: f'{hour:02}:59')}"


def _field_words(values: Sequence[int], size: int, unit: str) -> str:
    """Describe one field: ``every 5 minutes``, ``at minutes 0, 7 and 9``."""
    if len(values) == size:
        return f"every {unit}"
    if step := _step(values, size):
        offset = f" from {unit} {values[0]}" if values[0] else ""
        return f"every {step} {unit}s{offset}"
    return f"at {unit}{'s' * (len(values) > 1)} {_ranges(values, str)}"


def _step(values: Sequence[int], size: int) -> int:
    """Return the step if equal steps cover the whole field, or 0."""
    if len(values) <= 1:
        return 0
    step = values[1] - values[0]
    whole = list(range(values[0], size, step))
    return step if values[0] < step and list(values) == whole and size % step == 0 else 0


def _day_words(expression: Expression) -> str:
    by_date, by_weekday = _date_words(expression), _weekday_words(expression)
    if by_date and by_weekday:
        if expression.both:
            by_weekday = f"if it is {by_weekday}".replace("every ", "a ").replace(" and ", " or ")
        days = f"{by_date} {by_weekday}" if expression.both else f"{by_date} and {by_weekday}"
    else:
        days = by_date or by_weekday or "every day"
    months = sorted(expression.months)
    if len(months) < len(_MONTHS):
        days += f" in {_ranges(months, lambda month: _MONTHS[month - 1])}"
    if expression.years is not None:
        days += f" in {_ranges(sorted(expression.years), str)}"
    return days


def _date_words(expression: Expression) -> str:
    days = [day for day in range(1, 32) if expression.days >> day & 1]
    if len(days) == _LONGEST_MONTH:
        return ""
    step = days[1] - days[0] if len(days) > _RANGE else 0
    if step > 1 and days == list(range(1, _LONGEST_MONTH + 1, step)) and not expression.rules:
        return f"every {_ordinal(step)} day of the month"
    words = [f"day{'s' * (len(days) > 1)} {_ranges(days, str)}"] if days else []
    words.extend(_rule_words(rule) for rule in expression.rules)
    return f"on {_listed(words)} of the month"


def _weekday_words(expression: Expression) -> str:
    days = expression.weekdays
    rules = [_rule_words(rule) for rule in expression.weekday_rules]
    if len(days) == len(_DAYS):
        return ""
    if days == _WORKDAYS:
        return _listed(["every weekday", *rules])
    if days == _WEEKEND:
        return _listed(["every Saturday and Sunday", *rules])
    places = sorted((day - 1) % 7 for day in days)  # from Monday on
    names = [_DAYS[(place + 1) % 7] for place in places]
    if len(names) > 2 and places[-1] - places[0] == len(names) - 1:  # noqa: PLR2004 - a pair has "and"
        rules = [f"every day from {names[0]} to {names[-1]}", *rules]
    elif names:
        rules = [f"every {_listed(names)}", *rules]
    return _listed(rules)


def _rule_words(rule: DayRule) -> str:
    match rule.kind:
        case "last":
            return (
                f"the {_ordinal(rule.number + 1)} to last day" if rule.number else "the last day"
            )
        case "last_workday":
            return "the last weekday"
        case "workday":
            return f"the weekday nearest to day {rule.number}"
        case "nth":
            which = "last" if rule.which < 0 else _ordinal(rule.which)
            return f"the {which} {_DAYS[rule.number]} of the month"


def _ordinal(number: int) -> str:
    teens = number // 10 % 10 == 1
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _ranges(
    values: Sequence[int],
    name: Callable[[int], str],
    last_name: Callable[[int], str] | None = None,
) -> str:
    """List values by name, three and more in a row as a range: ``1 to 5, 8 and 10``."""
    words: list[str] = []
    index = 0
    while index < len(values):
        end = index
        while end + 1 < len(values) and values[end + 1] == values[end] + 1:
            end += 1
        last = (last_name or name)(values[end])
        if end - index + 1 >= _RANGE or last_name:
            words.append(f"{name(values[index])} to {last}")
        else:
            words.extend(name(value) for value in values[index : end + 1])
        index = end + 1
    return _listed(words)


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
