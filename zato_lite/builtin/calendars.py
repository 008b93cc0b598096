"""Calendars as services: named sets of days on which nothing runs."""

from typing import Any

import msgspec

from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.fields import Reader, name
from zato_lite.builtin.preview import calendars_of
from zato_lite.errors import BadInputError, ConflictError, NotFoundError
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.timetable.calendar import Calendar, check_calendar


class GetList(Service):
    """All calendars by name."""

    name = "zato.scheduler.calendar.get-list"
    jobs = needs(JobCommands)

    async def handle(self) -> None:
        calendars = await calendars_of(self.jobs)
        self.response.payload = [msgspec.to_builtins(calendars[key]) for key in sorted(calendars)]


class GetByName(Service):
    """One calendar."""

    name = "zato.scheduler.calendar.get-by-name"
    jobs = needs(JobCommands)

    async def handle(self) -> None:
        wanted = name_of(self.request.payload)
        found = (await calendars_of(self.jobs)).get(wanted)
        if found is None:
            raise NotFoundError(f"Calendar `{wanted}` not found")
        self.response.payload = msgspec.to_builtins(found)


class Create(AuditedService):
    """Keep a new calendar."""

    name = "zato.scheduler.calendar.create"
    jobs = needs(JobCommands)

    async def change(self, params: Any) -> str:
        calendar = calendar_of(self.request.payload)
        if calendar.name in await self.jobs.calendars():
            raise ConflictError(f"Calendar `{calendar.name}` already exists")
        await self.jobs.save_calendar(calendar.name, msgspec.json.encode(calendar))
        self.response.payload = {"name": calendar.name}
        return calendar.name


class Edit(AuditedService):
    """Replace a calendar; jobs that use it follow it from now on."""

    name = "zato.scheduler.calendar.edit"
    jobs = needs(JobCommands)

    async def change(self, params: Any) -> str:
        calendar = calendar_of(self.request.payload)
        if calendar.name not in await self.jobs.calendars():
            raise NotFoundError(f"Calendar `{calendar.name}` not found")
        await self.jobs.save_calendar(calendar.name, msgspec.json.encode(calendar))
        self.response.payload = {"name": calendar.name}
        return calendar.name


class Delete(AuditedService):
    """Forget a calendar that no job uses."""

    name = "zato.scheduler.calendar.delete"
    jobs = needs(JobCommands)

    async def change(self, params: Any) -> str:
        asked = name_of(self.request.payload)
        await self.jobs.delete_calendar(asked)
        self.response.payload = {}
        return asked


def name_of(sent: Any) -> str:
    """The calendar's name in a request."""
    reader = Reader(sent)
    found = reader.required("name", name, "")
    reader.check()
    return found


def calendar_of(sent: Any) -> Calendar:
    """The calendar that the fields of a request define.

    Raises:
        BadInputError: names what is wrong.
    """
    found = name_of(sent)
    known = {field.name for field in msgspec.structs.fields(Calendar)}
    reader = Reader(sent)
    reader.only((*known, "cluster_id"))
    reader.check()
    given = {field: value for field, value in reader.given.items() if field in known}
    try:
        calendar = msgspec.convert({**given, "name": found}, Calendar)
    except msgspec.ValidationError as error:
        raise BadInputError(f"calendar: {error}") from error
    check_calendar(calendar)
    return calendar
