"""Reader of Quartz's cron expressions, one a line; each job runs the same service."""

import re
from collections.abc import Iterator

from zato_lite.builtin.imports.entry import Entry, Options, cron_fields, name_of, zone_fields
from zato_lite.errors import BadInputError


def read(document: str, options: Options) -> Iterator[Entry]:
    """Yield an entry for each line that is not empty or a comment."""
    for number, line in enumerate(document.splitlines(), 1):
        if not (expression := line.strip()) or expression.startswith("#"):
            continue
        place = f"line {number}"
        try:
            converted, differences = convert(expression)
        except BadInputError as error:
            yield Entry(place, None, (str(error),))
            continue
        name = name_of(f"quartz line {number}: {expression}")
        fields = {"name": name, "service": options.service, **cron_fields(converted)}
        yield Entry(place, fields | zone_fields(options.timezone), differences)


def convert(expression: str) -> tuple[str, tuple[str, ...]]:
    """Return an expression of Quartz as one of ours, with the differences.

    Quartz counts Sunday as 1 and wants ``?`` in one of the day fields; seconds come first in both.

    Raises:
        BadInputError: the number of fields is wrong.
    """
    parts = expression.split()
    if len(parts) not in (6, 7):
        raise BadInputError(f"a Quartz expression has 6 or 7 fields, not {len(parts)}")
    differences = []
    days = re.sub(r"(?<![A-Za-z#/\d])\d", lambda digit: str((int(digit[0]) - 1) % 7), parts[5])
    if days != parts[5]:
        differences.append(f"day of week {parts[5]} is {days}: Quartz counts Sunday as 1")
    differences.append("at clock changes cron's rules hold; Quartz skips and loses hours")
    return " ".join([*parts[:5], days, *parts[6:]]), tuple(differences)
