"""Calendars: sets of days on which the jobs that use them do not run."""

from collections.abc import Mapping, Sequence

from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.store import calendars, jobs
from zato_lite.store.calendars import UsingJob
from zato_lite.store.companion import accompanied
from zato_lite.store.ports import Database
from zato_lite.store.visibility import Permits
from zato_lite.timetable.calendar import Calendar


class Calendars:
    """Stored calendars, read and changed by name; a method returns once its change is durable."""

    def __init__(self, database: Database, scheduler: Scheduler) -> None:
        self._database, self._scheduler = database, scheduler

    async def save_calendar(self, calendar: Calendar) -> None:
        """Save a calendar; replace the one with the same name."""
        await self._database.write(accompanied(lambda c: calendars.save_calendar(c, calendar)))
        self._scheduler.reschedule_claim()

    async def rename_calendar(self, name: str, new_name: str) -> None:
        """Give a calendar a new name, also in the jobs that use it.

        Raises:
            NotFoundError: no calendar has this name.
            ConflictError: another calendar has the new name.
        """
        await self._database.write(
            accompanied(lambda c: calendars.rename_calendar(c, name, new_name))
        )

    async def delete_calendar(self, name: str) -> None:
        """Delete a calendar.

        Raises:
            NotFoundError: no calendar has this name.
            ConflictError: jobs use the calendar; the message names them.
        """
        await self._database.write(accompanied(lambda c: calendars.delete_calendar(c, name)))

    async def calendars(self) -> Mapping[str, Calendar]:
        """Return all calendars, by name."""
        return await self._database.read(jobs.get_calendars)

    async def jobs_using(
        self, name: str, limit: int, permits: Permits | None
    ) -> tuple[Sequence[UsingJob], int]:
        """Return the first visible jobs that use a calendar, by name, and the number of all."""
        return await self._database.read(lambda c: calendars.jobs_using(c, name, limit, permits))
