"""Jobs, calls in the background, locks and errors."""

import datetime as dt
from typing import Any, assert_type

import msgspec

from zato_lite import (
    BadInputError,
    BlockingService,
    FieldError,
    NotFoundError,
    OutgoingError,
    Service,
    cron,
    every,
)
from zato_lite.service.job_answers import Explanation, HistoryPage, JobDetail, JobItem, NewRuns


class Reminder(msgspec.Struct):
    customer: int
    text: str = "Please call us"


class Remind(Service[Reminder, bool]):
    schedule = cron(
        "0 8 * * mon-fri", timezone="Europe/Warsaw", extra={"customer": 1}, max_retries=3
    )

    async def handle(self) -> bool:
        async with self.lock(f"customer-{self.request.input.customer}"):
            assert_type(self.time_left, float | None)
        if self.job is not None:
            assert_type(self.job.attempt, int)
        return True


class Sweep(BlockingService[None, int]):
    schedule = every(minutes=5, on_missed="skip")

    def handle(self) -> int:
        runs = self.schedule.history("typed-plans.sweep")
        assert_type(runs, HistoryPage)
        return len(runs["rows"])


class Plan(Service[Reminder, dict[str, Any]]):
    async def handle(self) -> dict[str, Any]:
        reminder = self.request.input
        if not reminder.text:
            raise BadInputError.of([FieldError("text", "", "text: must not be empty")])
        if reminder.customer > 1000:
            raise NotFoundError(f"no customer {reminder.customer}")
        made = await self.schedule.onetime(
            Remind, name="remind", after_minutes=5, data={"customer": reminder.customer}
        )
        assert_type(made, int)
        hourly = await self.schedule.interval(
            "typed-plans.remind", name="hourly", hours=1, data={"customer": 2}
        )
        assert_type(await self.schedule.pause("hourly", note="not yet"), JobItem)
        assert_type(await self.schedule.get(hourly), JobDetail)
        why = await self.schedule.why("hourly", dt.datetime(2027, 1, 20, 12, tzinfo=dt.UTC))
        assert_type(why, Explanation)
        slots = await self.schedule.backfill(
            "hourly", "2027-01-05", "2027-01-06", force=True, dry_run=True
        )
        assert_type(slots, NewRuns)
        run = await self.invoke_async(Remind, {"customer": 3}, delay=60, retries=2)
        return {"job": made, "why": why["sentence"], "run": run}


class Ask(Service[Reminder, bool]):
    async def handle(self) -> bool:
        try:
            answer = await self.invoke(Remind, self.request.input, timeout=5)
        except OutgoingError as error:
            self.logger.warning("not asked", extra={"status": error.status})
            return False
        assert_type(answer, bool)
        return answer
