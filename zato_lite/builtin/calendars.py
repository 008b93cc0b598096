"""Services for calendars: named sets of days on which jobs do not run."""

from datetime import date
from typing import Annotated, Any, TypedDict

import msgspec

from zato_lite.builtin.audit_subject import differences
from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.input import Name, NameRef, Note, ParsedBy
from zato_lite.builtin.output import Empty, Named
from zato_lite.builtin.permissions import authority_of, visible_to
from zato_lite.errors import ConflictError, NotFoundError
from zato_lite.scheduler.calendars import Calendars
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.service.offload import offload_long
from zato_lite.timetable.calendar import Calendar, DateRange, check_calendar


def _list_of(item: Any, most: int, /, **schema: Any) -> ParsedBy:
    """Return the parser of a list whose items msgspec converts."""
    wanted = tuple.__class_getitem__((item, ...))

    def parse(value: Any) -> Any:
        if isinstance(value, list) and len(value) > most:
            raise ValueError(f"a list of at most {most} items")
        return msgspec.convert(value, wanted)

    return ParsedBy(parse, {"type": "array", "items": schema, "maxItems": most})


_MAX_DATES, _MAX_RANGES, _MAX_RULES = 5_000, 1_000, 500
"""Each day on which a job is due is looked for in these lists."""

_MAX_SHOWN = 200

_DATE = {"type": "string", "format": "date"}
_RANGE = {
    "type": "object",
    "properties": {"first": _DATE, "last": _DATE, "reason": {"type": "string"}},
    "required": ["first", "last"],
}
Dates = Annotated[tuple[date, ...], _list_of(date, _MAX_DATES, **_DATE)]
Weekdays = Annotated[tuple[int, ...], _list_of(int, 7, type="integer", minimum=0, maximum=6)]
Rules = Annotated[tuple[str, ...], _list_of(str, _MAX_RULES, type="string", example="12-25")]
Ranges = Annotated[tuple[DateRange, ...], _list_of(DateRange, _MAX_RANGES, **_RANGE)]


class CalendarInput(NameRef, forbid_unknown_fields=True):
    """A calendar, as it replaces the one of the same name."""

    description: Note = ""
    dates: Dates = ()
    weekdays: Weekdays = ()
    yearly: Rules = ()
    ranges: Ranges = ()
    included: Dates = ()


class GetList(Service[Any, list[Calendar]]):
    """Return all calendars by name."""

    name = "zato.scheduler.calendar.get-list"
    role = "viewer"
    calendars = needs(Calendars)

    async def handle(self) -> None:
        found = await self.calendars.calendars()
        self.response.payload = [msgspec.to_builtins(found[name]) for name in sorted(found)]


class GetByName(Service[NameRef, Calendar]):
    """Return a calendar."""

    name = "zato.scheduler.calendar.get-by-name"
    role = "viewer"
    calendars = needs(Calendars)

    async def handle(self) -> None:
        wanted = self.request.input.name
        found = (await self.calendars.calendars()).get(wanted)
        if found is None:
            raise NotFoundError(f"Calendar `{wanted}` not found")
        self.response.payload = msgspec.to_builtins(found)


class DaysInput(CalendarInput, forbid_unknown_fields=True, kw_only=True):
    """A year of a stored calendar, or of one that is described by its fields."""

    year: Annotated[int, msgspec.Meta(ge=1970, le=9998)]

    @property
    def is_stored(self) -> bool:
        """True if only the name of a calendar was sent."""
        rules = (self.dates, self.weekdays, self.yearly, self.ranges, self.included)
        return not any(rules)


class DayOff(TypedDict):
    """An excluded day and the reason."""

    date: str
    reason: str


class UsingJob(TypedDict):
    """A job that uses the calendar."""

    id: int
    name: str


class DaysOff(TypedDict):
    """The excluded days of a year; and the first 200 jobs that use the calendar, by name."""

    year: int
    days: list[DayOff]
    jobs: list[UsingJob]
    job_count: int


class GetDays(Service[DaysInput, DaysOff]):
    """Return the excluded days of a year with their reasons, and the jobs that use the calendar.

    With ``dates``, ``weekdays``, ``yearly``, ``ranges`` or ``included`` the calendar is the one
    that these describe, before it is saved.
    """

    name = "zato.scheduler.calendar.get-days"
    role = "viewer"
    calendars = needs(Calendars)

    async def handle(self) -> None:
        params = self.request.input
        permits = visible_to(authority_of(self))
        calendar = await self._calendar(params)
        days = await offload_long(_days_off, calendar, params.year)
        jobs, count = await self.calendars.jobs_using(params.name, _MAX_SHOWN, permits)
        self.response.payload = {
            "year": params.year,
            "days": days,
            "jobs": [{"id": job.id, "name": job.name} for job in jobs],
            "job_count": count,
        }

    async def _calendar(self, params: DaysInput) -> Calendar:
        if params.is_stored:
            found = (await self.calendars.calendars()).get(params.name)
            if found is None:
                raise NotFoundError(f"Calendar `{params.name}` not found")
            return found
        fields = msgspec.structs.asdict(params)
        del fields["year"]
        calendar = Calendar(**fields)
        check_calendar(calendar)
        return calendar


def _days_off(calendar: Calendar, year: int) -> list[DayOff]:
    first, end = date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal()
    epoch = date(1970, 1, 1).toordinal()
    reasons = ((day, calendar.why_excluded(day - epoch)) for day in range(first, end))
    return [
        {"date": date.fromordinal(day).isoformat(), "reason": reason}
        for day, reason in reasons
        if reason is not None
    ]


class SavesCalendar(AuditedService[CalendarInput, Named]):
    """Base of the services that save a calendar."""

    role = "editor"
    scope = "all"
    calendars = needs(Calendars)

    async def save(self, params: CalendarInput) -> str:
        """Check and save the calendar; return its name."""
        calendar = Calendar(**msgspec.structs.asdict(params))
        check_calendar(calendar)
        self.record_with_change(calendar.name, lambda before: differences(before, calendar))
        await self.calendars.save_calendar(calendar)
        self.response.payload = {"name": calendar.name}
        return calendar.name


class Create(SavesCalendar):
    """Create a calendar."""

    name = "zato.scheduler.calendar.create"

    async def change(self, params: CalendarInput) -> str:
        if params.name in await self.calendars.calendars():
            raise ConflictError(f"Calendar `{params.name}` already exists")
        return await self.save(params)


class NewName(NameRef):
    """A calendar and its new name."""

    new_name: Name


class Rename(AuditedService[NewName, Named]):
    """Give a calendar a new name, also in the jobs that use it."""

    name = "zato.scheduler.calendar.rename"
    role = "editor"
    scope = "all"
    calendars = needs(Calendars)

    async def change(self, params: NewName) -> str:
        subject = f"{params.name} → {params.new_name}"
        changes = {"name": [params.name, params.new_name]}
        self.record_with_change(subject, lambda _: changes)
        await self.calendars.rename_calendar(params.name, params.new_name)
        self.response.payload = {"name": params.new_name}
        return subject


class Edit(SavesCalendar):
    """Replace a calendar; jobs that use it follow the new one."""

    name = "zato.scheduler.calendar.edit"

    async def change(self, params: CalendarInput) -> str:
        if params.name not in await self.calendars.calendars():
            raise NotFoundError(f"Calendar `{params.name}` not found")
        return await self.save(params)


class Delete(AuditedService[NameRef, Empty]):
    """Delete a calendar that no job uses."""

    name = "zato.scheduler.calendar.delete"
    role = "editor"
    scope = "all"
    calendars = needs(Calendars)

    async def change(self, params: NameRef) -> str:
        self.record_with_change(params.name, lambda deleted: differences(deleted, None))
        await self.calendars.delete_calendar(params.name)
        self.response.payload = {}
        return params.name
