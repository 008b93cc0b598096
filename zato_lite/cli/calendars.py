"""``zato-lite calendar``: named sets of days on which jobs do not run."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from zato_lite.cli.complete import calendar_names
from zato_lite.cli.definition import edited_by_hand
from zato_lite.cli.options import given
from zato_lite.cli.render import Column, Result
from zato_lite.cli.verb import Session, verb
from zato_lite.errors import BadInputError

_CALENDAR = "zato.scheduler.calendar"
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LISTS = ("weekdays", "yearly", "dates", "ranges", "included")


def _weekdays_shown(row: Mapping[str, Any]) -> list[str]:
    return [_WEEKDAYS[day] for day in row.get("weekdays", ())]


def _ranges_shown(row: Mapping[str, Any]) -> list[str]:
    return [
        f"{each['first']}/{each['last']} {each.get('reason', '')}".rstrip()
        for each in row.get("ranges", ())
    ]


_LISTED = (
    Column("name"),
    Column("weekdays", _weekdays_shown),
    Column("yearly"),
    Column("dates"),
    Column("ranges", _ranges_shown),
    Column("included", is_wide=True),
    Column("description", is_wide=True),
)
_SHOWN = (
    *(column._replace(is_wide=False) for column in _LISTED),
    Column("days off", lambda row: f"{len(row['days'])} in {row['year']}"),
    Column("jobs", lambda row: [each["name"] for each in row["jobs"]]),
)
_DAYS = (Column("date"), Column("reason"))

_name = click.argument("name", shell_complete=calendar_names)


def _fields(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that are the fields of a calendar."""
    for option, name, help_ in (
        ("--include", "included", "Open day, whatever the others say."),
        ("--range", "ranges", "Days off: '2027-12-20/2027-12-31', and a reason."),
        ("--yearly", "yearly", "Day off of each year: 12-25, easter+1, 'thu#4 nov', 'monL may'."),
        ("--weekday", "weekdays", f"Day off of each week: {', '.join(_WEEKDAYS)}."),
        ("--date", "dates", "Day off: 2027-05-03."),
    ):
        function = click.option(option, name, multiple=True, metavar="DAY", help=help_)(function)
    return click.option("--description", help="A text.")(function)


@click.group()
def calendar() -> None:
    """List, show, create, change and delete calendars."""


@verb(calendar, "list", reads=True, examples=("calendar list", "calendar list -o wide"))
def list_calendars(session: Session) -> Result:
    """List the calendars."""
    return Result(session.call(f"{_CALENDAR}.get-list"), _LISTED)


@verb(
    calendar, reads=True, examples=("calendar show holidays", "calendar show holidays --year 2027")
)
@_name
@click.option(
    "--year", type=click.IntRange(1970, 9998), help="Show the days off of a year, instead."
)
def show(session: Session, name: str, year: int | None) -> Result:
    """Show a calendar, and the jobs that use it."""
    found = session.call(f"{_CALENDAR}.get-by-name", name=name)
    shown = year or datetime.fromtimestamp(session.now, UTC).year
    of_year = session.call(f"{_CALENDAR}.get-days", name=name, year=shown)
    return Result(of_year["days"], _DAYS) if year else Result({**found, **of_year}, _SHOWN)


@verb(
    calendar,
    examples=(
        "calendar create holidays --yearly 12-25 --yearly easter+1 --date 2027-05-03",
        "calendar create freeze --weekday sat --weekday sun --range '2027-12-20/2027-12-31 year'",
    ),
)
@_name
@_fields
def create(session: Session, name: str, **options: Any) -> Result:
    """Create a calendar of days on which jobs do not run."""
    made = session.call(f"{_CALENDAR}.create", _given(options), name=name)
    return Result(made, text=f"created calendar {name}")


@verb(
    calendar,
    examples=(
        "calendar edit holidays --date 2028-05-03",
        "calendar edit holidays --clear dates --date 2028-05-03",
        "calendar edit holidays --new-name days-off",
        "calendar edit holidays",
    ),
)
@_name
@_fields
@click.option("--clear", multiple=True, type=click.Choice(_LISTS), help="Empty a list first.")
@click.option("--new-name", help="New name, also in the jobs that use the calendar.")
def edit(
    session: Session, name: str, *, clear: Sequence[str], new_name: str | None, **options: Any
) -> Result:
    """Change a calendar; without an option, in your editor.

    The options add to its lists.
    """
    before = session.call(f"{_CALENDAR}.get-by-name", name=name)
    changes = _added(before, clear, _given(options))
    if not changes and new_name is None:
        fields = {"description": "", **{field: [] for field in _LISTS}, **before}
        changes = edited_by_hand({key: fields[key] for key in fields if key != "name"})
    if not changes and new_name is None:
        return Result(before, _LISTED, text="nothing was changed")
    if changes:
        after = {key: value for key, value in {**before, **changes}.items() if value is not None}
        session.call(f"{_CALENDAR}.edit", after)
    if new_name is not None:
        session.call(f"{_CALENDAR}.rename", name=name, new_name=new_name)
    return Result({"name": new_name or name}, text=f"changed calendar {name}")


@verb(calendar, examples=("calendar delete holidays",))
@_name
def delete(session: Session, name: str) -> Result:
    """Delete a calendar that no job uses."""
    session.call(f"{_CALENDAR}.delete", name=name)
    return Result({"name": name}, text=f"deleted calendar {name}")


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a calendar that options have given."""
    fields = given(options)
    if "weekdays" in fields:
        fields["weekdays"] = [_weekday(each) for each in fields["weekdays"]]
    if "ranges" in fields:
        fields["ranges"] = [_range(each) for each in fields["ranges"]]
    return fields


def _weekday(text: str) -> int:
    if (day := text.strip().lower()[:3]) not in _WEEKDAYS:
        raise BadInputError(f"--weekday: {text!r} is not one of {', '.join(_WEEKDAYS)}")
    return _WEEKDAYS.index(day)


def _range(text: str) -> dict[str, str]:
    days, _, reason = text.strip().partition(" ")
    first, slash, last = days.partition("/")
    if not slash:
        raise BadInputError(f"--range: {text!r} is not FIRST/LAST, as 2027-12-20/2027-12-31")
    return {"first": first, "last": last, **({"reason": reason.strip()} if reason else {})}


def _added(
    before: Mapping[str, Any], clear: Sequence[str], new: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the changed fields of a calendar whose lists were cleared, or added to."""
    emptied: dict[str, Any] = {name: [] for name in clear}
    kept = {**before, **emptied}
    added = {name: [*kept.get(name, ()), *new[name]] for name in new if name in _LISTS}
    unique = {
        name: [each for place, each in enumerate(values) if each not in values[:place]]
        for name, values in added.items()
    }
    return {**emptied, **new, **unique}
