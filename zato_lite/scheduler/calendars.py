"""Calendars: sets of days on which the jobs that use them do not run."""

from collections.abc import Mapping

import msgspec

from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.store import jobs
from zato_lite.store.ports import Database
from zato_lite.timetable.calendar import Calendar


class Calendars:
    """Stored calendars, read and changed by name; a method returns once its change is durable."""

    def __init__(self, database: Database, scheduler: Scheduler) -> None:
        self._database, self._scheduler = database, scheduler

    async def save_calendar(self, name: str, calendar: bytes) -> None:
        """Save a calendar, given as JSON; replace the one with the same name."""
        decoded = msgspec.json.decode(calendar, type=Calendar)
        named = msgspec.structs.replace(decoded, name=name)
        await self._database.write(lambda c: jobs.save_calendar(c, named))
        self._scheduler.reschedule_claim()

    async def delete_calendar(self, name: str) -> None:
        """Delete a calendar.

        Raises:
            NotFoundError: no calendar has this name.
            ConflictError: jobs use the calendar; the message names them.
        """
        await self._database.write(lambda c: jobs.delete_calendar(c, name))

    async def calendars(self) -> Mapping[str, bytes]:
        """Return all calendars as JSON, by name."""
        found = await self._database.read(jobs.get_calendars)
        return {name: msgspec.json.encode(calendar) for name, calendar in found.items()}
