"""Reader of Quartz's cron expressions, one a line; each job runs the same service.

Weekdays count from Sunday = 1; seconds come first; one of the day fields is ``?``.
"""

import re
from collections.abc import Iterator

from zato_lite.builtin.imports import numbers
from zato_lite.builtin.imports.entry import (
    Entry,
    NoEquivalentError,
    Options,
    cron_fields,
    name_of,
    note_clock_changes,
    zone_fields,
)
from zato_lite.builtin.imports.numbers import Kind
from zato_lite.errors import BadInputError

_KINDS = (
    numbers.SECOND,
    numbers.MINUTE,
    numbers.HOUR,
    numbers.DAY,
    numbers.MONTH,
    numbers.WEEKDAY,
    numbers.YEAR,
)
_FIRST_WEEKDAY = 1
_ITEM = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d{1,9}))?")
_DAY_RULE = re.compile(r"L(?:-\d{1,2})?|LW|\d{1,2}W")
_WEEKDAY_RULE = re.compile(r"([A-Z]{3}|\d)(?:#([1-5])|(L))")


def read(document: str, options: Options) -> Iterator[Entry]:
    """Yield an entry for each line that is not empty or a comment."""
    for number, line in enumerate(document.split("\n"), 1):
        if not (expression := line.strip()) or expression.startswith("#"):
            continue
        place = f"line {number}"
        try:
            converted, differences = convert(expression)
        except BadInputError as error:
            yield Entry(place, None, (str(error),))
            continue
        notes = [*differences]
        rule = "cron's rules hold"
        if options.timezone is None:
            notes.append("evaluated in UTC; Quartz takes the machine's time zone")
        note_clock_changes(options.timezone, "Quartz", rule, options, notes)
        name = name_of(f"quartz line {number}: {expression}")
        fields = {"name": name, "service": options.service, **cron_fields(converted)}
        yield Entry(place, fields | zone_fields(options.timezone), tuple(notes))


def convert(expression: str) -> tuple[str, tuple[str, ...]]:
    """Return an expression of Quartz as one of ours, with the differences.

    Raises:
        BadInputError: Quartz refuses the expression.
    """
    parts = expression.upper().split()
    if len(parts) not in (6, 7):
        raise BadInputError(f"a Quartz expression has 6 or 7 fields, not {len(parts)}")
    if (parts[3] == "?") == (parts[5] == "?"):
        raise BadInputError("exactly one of day of month and day of week must be ? in Quartz")
    try:
        found = [_field(kind, part) for kind, part in zip(_KINDS, parts, strict=False)]
    except NoEquivalentError as error:
        raise BadInputError(str(error)) from error
    differences = []
    if re.search(r"\d", parts[5]):
        text = f"day of week {parts[5]} is {found[5]}: Quartz counts Sunday as 1"
        differences.append(text)
    return " ".join(found), tuple(differences)


def _field(kind: Kind, text: str) -> str:
    if text in ("?", "*"):
        if text == "?" and kind not in (numbers.DAY, numbers.WEEKDAY):
            raise NoEquivalentError(f"? is only for the day fields, not for the {kind.name}")
        return text
    parts = [_rule(kind, item) or _range(kind, item) for item in text.split(",")]
    found = {number for part in parts if isinstance(part, set) for number in part}
    rules = [part for part in parts if isinstance(part, str)]
    if not found:
        return ",".join(rules)
    plain = numbers.written(kind, found, "" if rules else text)
    return ",".join([plain, *rules]) if plain != "*" else plain


def _rule(kind: Kind, item: str) -> str | None:
    """Return ``L``, ``W`` and ``#`` as they are written here."""
    if kind is numbers.DAY and _DAY_RULE.fullmatch(item):
        return item
    if kind is not numbers.WEEKDAY:
        return None
    if item == "L":
        return "6"
    if (match := _WEEKDAY_RULE.fullmatch(item)) is None:
        return None
    day = _number(kind, match[1], item)
    return f"{day}#{match[2]}" if match[2] else f"{day}L"


def _range(kind: Kind, item: str) -> set[int]:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise NoEquivalentError(f"{item!r} is not a valid {kind.name} in Quartz")
    star, first, last, step = match.groups()
    by = int(step) if step is not None else 1
    if not 1 <= by <= len(kind.all):
        raise NoEquivalentError(f"{item!r}: a step of {kind.name} is from 1 to {len(kind.all)}")
    if star:
        return {*kind.all[::by]}
    low = _number(kind, first, item)
    if last is None:
        return {*range(low, kind.high + 1, by)} if step is not None else {low}
    high = _number(kind, last, item)
    if low <= high:
        return {*range(low, high + 1, by)}
    if kind is numbers.YEAR:
        raise NoEquivalentError(f"{item!r}: years do not start again")
    turn = len(kind.all)
    return {(n - kind.low) % turn + kind.low for n in range(low, high + turn + 1, by)}


def _number(kind: Kind, text: str, item: str) -> int:
    """Return a number of a field, weekdays from Sunday = 0 as here."""
    names = numbers.NAMES.get(kind, ())
    if text.lower() in names:
        return names.index(text.lower()) + kind.low
    shift = _FIRST_WEEKDAY if kind is numbers.WEEKDAY else 0
    low, high = kind.low + shift, kind.high + shift
    if not (text.isascii() and text.isdigit()) or not low <= int(text[:9]) <= high:
        words = f" or {names[0]}-{names[-1]}" if names else ""
        hint = "; Sunday is 1 in Quartz" if kind is numbers.WEEKDAY else ""
        raise NoEquivalentError(
            f"{item!r}: a {kind.name} is from {low} to {high}{words} in Quartz{hint}"
        )
    return int(text) - shift
