"""Reader of crontab files, crontab(5): each job runs a service with the command as its input."""

import re
from collections.abc import Iterator
from typing import Any

from zato_lite.builtin.imports.entry import Entry, Options, cron_fields, name_of, zone_fields

_LINE = re.compile(r"(@\w+|(?:\S+\s+){4}\S+)\s+(.+)")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_STDIN = re.compile(r"(?<!\\)%")


def read(document: str, options: Options) -> Iterator[Entry]:
    """Yield the entries of a crontab; a variable holds for the lines after it, as in cron."""
    timezone: str | None = None
    ignored: list[str] = []
    for number, line in enumerate(document.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if (assignment := _ASSIGNMENT.fullmatch(stripped)) is not None:
            variable, value = assignment[1], assignment[2].strip("'\"")
            if variable == "CRON_TZ":
                timezone = value
            else:
                ignored.append(variable)
            continue
        yield _entry(number, stripped, options._replace(timezone=timezone), ignored)


def _entry(number: int, line: str, options: Options, ignored: list[str]) -> Entry:
    place = f"line {number}"
    match = _LINE.fullmatch(line)
    if match is None:
        return Entry(place, None, (f"not a valid crontab line: {line!r}",))
    expression, command = " ".join(match[1].split()), match[2]
    if expression == "@reboot":
        return Entry(place, None, ("@reboot is not supported; use a service's start-up hook",))
    differences = [
        f"runs the service {options.service} with the command as its input, not a shell"
    ]
    extra: dict[str, Any] = {}
    if options.with_user:
        extra["user"], _, command = command.partition(" ")
        differences.append(f"the service receives the user {extra['user']!r} but runs as its own")
    if ignored:
        differences.append(f"variables are not set: {', '.join(ignored)}")
    if options.timezone is None:
        differences.append("evaluated in UTC; cron takes the machine's time zone")
    extra["command"], *stdin = (part.replace("\\%", "%") for part in _STDIN.split(command))
    extra["command"] = extra["command"].strip()
    if stdin:
        extra["stdin"] = "\n".join(stdin)
    fields = {
        "name": name_of(f"crontab line {number}: {extra['command']}"),
        "service": options.service,
        **cron_fields(expression),
        "extra": extra,
    }
    return Entry(place, fields | zone_fields(options.timezone), tuple(differences))
