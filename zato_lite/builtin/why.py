"""Service that explains why a job did or did not run at an instant."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from zato_lite.builtin.bulk_runs import FAILED
from zato_lite.builtin.history import ledger_item, run_item
from zato_lite.builtin.input import Input, JobId, LocalMoment, Name, missing, read_local
from zato_lite.builtin.output import iso, iso_or_none
from zato_lite.builtin.permissions import authority_of, require_visible_job
from zato_lite.clock import Clock
from zato_lite.errors import FieldError
from zato_lite.scheduler.calendars import Calendars
from zato_lite.scheduler.commands import JobCommands
from zato_lite.scheduler.history import RunHistory
from zato_lite.service.base import Service
from zato_lite.service.job_answers import Action, Explanation, Fact
from zato_lite.service.needs import needs
from zato_lite.store.clock import AHEAD
from zato_lite.store.rows import JobRow, LedgerRow, NodeRow, Pause, RunRow
from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.describe import describe
from zato_lite.timetable.job import DAY, Instant, Trigger
from zato_lite.timetable.pauses import pause_of, with_author
from zato_lite.timetable.trigger import next_after, previous_before
from zato_lite.timetable.zone import day_of

_JOB = "zato.scheduler.job"
_MAX_SENTENCE = 500
_TRACEBACK = "Traceback (most recent call last):"

_DOWN = re.compile(r"the server was down from (\S+) (\S+) UTC to (\S+) (\S+) UTC")


class WhyInput(Input):
    """A job by its id or name, and an instant; without an offset, in the job's time zone."""

    at: LocalMoment
    id: JobId | None = None
    name: Name | None = None

    @classmethod
    def check(cls, values: dict[str, Any], errors: list[FieldError]) -> None:
        wrong = {error.field for error in errors}
        if not values.keys() & {"id", "name"} and wrong.isdisjoint({"id", "job_id", "name"}):
            errors.append(missing("id"))


class Why(Service[WhyInput, Explanation]):
    """Explain why a job (``id`` or ``name``) did or did not run at an instant (``at``)."""

    name = "zato.scheduler.job.why"
    role = "viewer"
    scope = "own"
    jobs = needs(JobCommands)
    calendars = needs(Calendars)
    history = needs(RunHistory)
    clock = needs(Clock)

    async def handle(self) -> None:
        params = self.request.input
        if params.id is not None:
            row = await self.jobs.get(params.id)
        else:
            row = await self.jobs.get_by_name(params.name or "")
        named = params.name or "" if params.id is None else params.id
        require_visible_job(row.job, authority_of(self), named)
        [at] = read_local(row.job.trigger.timezone, at=params.at)
        found = await self.history.slot(row.id, at)
        now = self.clock.now()
        pause = await self.jobs.paused()
        around = await self._surroundings(row, at, found, pause)
        answer = with_clock(answer_of(row, at, found, now, around), row, at, now)
        trigger = row.job.trigger
        self.response.payload = {
            "job_id": row.id,
            "job_name": row.job.name,
            "timezone": trigger.timezone or "UTC",
            "at": iso(at),
            "outcome": answer.outcome,
            "reason": answer.reason,
            "run": run_item(found) if isinstance(found, RunRow) else None,
            "ledger": ledger_item(found) if isinstance(found, LedgerRow) else None,
            "code": answer.outcome,
            "sentence": _shortened(answer.reason),
            "facts": list(facts_of(answer, row, at, found, around)),
            "actions": list(actions_of(answer, row, at, found, around)),
            "previous_slot": iso_or_none(previous_before(trigger, at)),
            "next_slot": iso_or_none(next_after(trigger, at)),
        }

    async def _surroundings(
        self, row: JobRow, at: Instant, found: RunRow | LedgerRow | None, pause: Pause | None
    ) -> "Surroundings":
        """Read what else explains a slot without a run."""
        around = Surroundings(pause)
        if row.job.calendar is not None and not isinstance(found, RunRow):
            calendars = await self.calendars.calendars()
            around = around._replace(calendar=calendars.get(row.job.calendar))
        if not isinstance(found, LedgerRow):
            return around
        if found.outcome == "skipped_already_in_flight":
            return around._replace(blocking=await self.history.in_flight_at(row.id, at))
        if found.outcome == "missed":
            return around._replace(nodes=await self.jobs.nodes())
        return around


class Surroundings(NamedTuple):
    """Other state that explains an instant.

    Attributes:
        pause: of the whole scheduler.
        blocking: the run of the job that was in flight.
        calendar: the calendar of the job.
        nodes: the processes that run jobs.
    """

    pause: Pause | None = None
    blocking: RunRow | None = None
    calendar: Calendar | None = None
    nodes: Sequence[NodeRow] = ()


class Answer(NamedTuple):
    """Explanation of an instant: its outcome in one word, and the reason in a sentence."""

    outcome: str
    reason: str


def answer_of(
    row: JobRow,
    at: Instant,
    found: RunRow | LedgerRow | None,
    now: Instant,
    around: Surroundings,
) -> Answer:
    """Explain an instant of a job by its run, its ledger entry or its trigger."""
    if isinstance(found, LedgerRow):
        return Answer(found.outcome, found.reason or found.outcome)
    if found is not None:
        words = _run_words(found)
        if (
            found.outcome == "running"
            and found.node == 0
            and (held := _held_words(row, around.pause))
        ):
            words += f"; held: {held}"
        return Answer(found.outcome, words)
    return _off_schedule(row.job.trigger, at) or _unrecorded(row, at, now, around)


def _excluded_by(row: JobRow, at: Instant, calendar: Calendar | None) -> str | None:
    """Return why the calendar excludes an instant's day, or None."""
    zone = row.job.trigger.timezone
    return None if calendar is None else calendar.why_excluded(day_of(at, zone))


def _held_words(row: JobRow, pause: Pause | None) -> str:
    """Say which pause keeps the job's runs from starting; empty without any."""
    if not row.job.is_active:
        return with_author("the job is paused", row.paused_by, row.job.pause_note or "")
    return "" if pause is None else with_author("the scheduler is paused", pause.by, pause.note)


def with_clock(answer: Answer, row: JobRow, at: Instant, now: Instant) -> Answer:
    """Add that the clock was set back, if the job has decided slots of the future."""
    is_held_up = row.cursor > now + AHEAD and row.cursor >= row.job.trigger.start
    if not is_held_up or row.next_at is None or at > row.cursor:
        return answer
    outcome = "clock_set_back" if answer.outcome in {"unknown", "not_yet"} else answer.outcome
    words = (
        f"{answer.reason}; the clock was set back: the job's slots up to {iso(row.cursor)} are"
        " decided, and none runs again until then; zato.scheduler.continue starts it from now on"
    )
    return Answer(outcome, words)


def _off_schedule(trigger: Trigger, at: Instant) -> Answer | None:
    """Explain why the trigger has no slot at an instant; return None if it has one."""
    if at < trigger.start:
        return Answer("before_start", f"the job starts at {iso(trigger.start)}")
    if trigger.end is not None and at >= trigger.end:
        return Answer("after_end", f"the job ended at {iso(trigger.end)}")
    if next_after(trigger, at - 1) == at:
        return None
    around = (previous_before(trigger, at), next_after(trigger, at))
    nearest = " and ".join(iso(slot) for slot in around if slot is not None)
    return Answer(
        "not_on_schedule", f"{describe(trigger)}: no slot at this instant; nearest: {nearest}"
    )


def _unrecorded(row: JobRow, at: Instant, now: Instant, around: Surroundings) -> Answer:
    """Explain a slot that has neither a run nor a ledger entry."""
    job = row.job
    held = _held_words(row, around.pause)
    excluded = _excluded_by(row, at, around.calendar)
    reasons = {
        "before_creation": (
            at < row.created_at,
            f"the job was created at {iso(row.created_at)}",
        ),
        "repeats_used_up": (
            at > row.cursor and job.repeats is not None and row.started >= job.repeats,
            f"all {job.repeats} runs of the job have started",
        ),
        "excluded": (
            at > row.cursor and excluded is not None,
            f"calendar {job.calendar}: {excluded}",
        ),
        "paused": (at > row.cursor and (at <= now or not job.is_active) and held != "", held),
        "not_yet": (at > now, f"{_wait_words(row, at)} due at {iso(at)}"),
        "due": (at > row.cursor, "the slot is due and not yet claimed"),
        "unknown": (
            True,
            "no record: an earlier definition had the slot, or its history was deleted",
        ),
    }
    return next(Answer(name, words) for name, (holds, words) in reasons.items() if holds)


def _wait_words(row: JobRow, at: Instant) -> str:
    """Say whether a slot of the future is the job's first."""
    before = previous_before(row.job.trigger, at)
    is_first = before is None or before < row.created_at
    return "the job waits for its first slot," if is_first else "the slot is"


def _run_words(run: RunRow) -> str:
    words = f"run {run.number} of the job"
    if run.started_at is None:
        return f"{words} has not started yet ({run.state})"
    words += f" started at {iso(run.started_at)}"
    if run.outcome == "running":
        return f"{words} and is in flight (attempt {run.attempt})"
    return f"{words} and ended: {run.outcome}" + (f": {run.error}" if run.error else "")


def _shortened(reason: str) -> str:
    """Return the beginning of a reason; of a traceback, its last line."""
    first, *others = reason.split("\n")
    last = next((line for line in reversed(others) if line.strip()), "")
    line = first.replace(_TRACEBACK, last) if first.endswith(_TRACEBACK) else first
    return line if len(line) <= _MAX_SENTENCE else f"{line[:_MAX_SENTENCE]}…"


# Facts


def facts_of(
    answer: Answer,
    row: JobRow,
    at: Instant,
    found: RunRow | LedgerRow | None,
    around: Surroundings,
) -> Iterator[Fact]:
    """Yield the facts that explain an instant."""
    if isinstance(found, RunRow):
        yield _run_fact("run", found)
        if found.outcome == "running" and found.node == 0:
            yield from _pause_facts(row, around.pause)
    elif isinstance(found, LedgerRow):
        yield from _ledger_facts(row, at, found, around)
    else:
        yield from _definition_facts(answer.outcome, row, at, around)
    if "clock was set back" in answer.reason:
        yield {"kind": "clock", "until_iso": iso(row.cursor)}


def _run_fact(kind: str, run: RunRow) -> Fact:
    return {
        "kind": kind,
        "job_id": run.job_id,
        "current_run": run.number,
        "outcome": run.outcome,
        "started_iso": iso_or_none(run.started_at),
        "ended_iso": iso_or_none(run.finished_at),
    }


def _ledger_facts(
    row: JobRow, at: Instant, found: LedgerRow, around: Surroundings
) -> Iterator[Fact]:
    yield {
        "kind": "slots",
        "outcome": found.outcome,
        "first_iso": iso(found.first),
        "last_iso": iso(found.last),
        "count": found.count,
    }
    if around.blocking is not None:
        yield _run_fact("blocking_run", around.blocking)
    if found.outcome == "excluded":
        yield _calendar_fact(row, at, _excluded_by(row, at, around.calendar) or found.reason)
    if found.outcome == "paused":
        pause = pause_of(found.reason)
        yield {
            "kind": "pause",
            "of": pause.of,
            "by": pause.by,
            "since_iso": None,
            "until_iso": None,
            "note": pause.note,
        }
    if (down := outage_of(found.reason)) is not None:
        yield {"kind": "outage", "from_iso": down[0], "to_iso": down[1]}
    elif around.nodes and (begin := began_after(around.nodes, at)) is not None:
        yield {"kind": "outage", "from_iso": None, "to_iso": iso(begin)}


def outage_of(reason: str) -> tuple[str, str] | None:
    """Return the begin and the end of the downtime that a reason mentions."""
    found = _DOWN.search(reason)
    return found and (f"{found[1]}T{found[2]}+00:00", f"{found[3]}T{found[4]}+00:00")


def _calendar_fact(row: JobRow, at: Instant, reason: str) -> Fact:
    day = day_of(at, row.job.trigger.timezone)
    return {
        "kind": "calendar",
        "name": row.job.calendar or "",
        "day": iso(day * DAY)[:10],
        "reason": reason,
    }


def began_after(nodes: Iterable[NodeRow], at: Instant) -> Instant | None:
    """Return when the first process began after an instant at which, it seems, none ran."""
    starts = [node.started_at for node in nodes]
    return min(starts) if starts and min(starts) > at else None


def _definition_facts(
    outcome: str, row: JobRow, at: Instant, around: Surroundings
) -> Iterator[Fact]:
    job, trigger = row.job, row.job.trigger
    match outcome:
        case "paused":
            yield from _pause_facts(row, around.pause)
        case "excluded":
            yield _calendar_fact(row, at, _excluded_by(row, at, around.calendar) or "")
        case "before_start" | "after_end":
            end = iso_or_none(trigger.end)
            yield {"kind": "bounds", "start_iso": iso(trigger.start), "end_iso": end}
        case "not_on_schedule":
            zone = trigger.timezone or "UTC"
            yield {"kind": "schedule", "words": describe(trigger), "timezone": zone}
        case "before_creation":
            yield {"kind": "creation", "created_iso": iso(row.created_at)}
        case "repeats_used_up":
            yield {"kind": "repeats", "repeats": job.repeats or 0, "started": row.started}
        case "unknown":
            kept = job.keep_days
            yield {"kind": "retention", "keep_runs": job.keep_runs, "keep_days": kept}
        case _:
            pass


def _pause_facts(row: JobRow, pause: Pause | None) -> Iterator[Fact]:
    """Yield the pause that keeps the job's runs from starting."""
    job = row.job
    if not job.is_active:
        yield {
            "kind": "pause",
            "of": "job",
            "by": row.paused_by,
            "since_iso": iso_or_none(row.paused_since),
            "until_iso": iso_or_none(job.pause_until),
            "note": job.pause_note or "",
        }
    elif pause is not None:
        yield {
            "kind": "pause",
            "of": "scheduler",
            "by": pause.by,
            "since_iso": iso(pause.since),
            "until_iso": None,
            "note": pause.note,
        }


# Actions


def actions_of(
    answer: Answer,
    row: JobRow,
    at: Instant,
    found: RunRow | LedgerRow | None,
    around: Surroundings,
) -> Iterator[Action]:
    """Yield what can be done, the most useful first."""
    run = found if isinstance(found, RunRow) else around.blocking
    if answer.outcome in _BACKFILLED:
        moment = iso(at)
        span = {"id": row.id, "first": moment, "last": moment}
        yield _action("backfill", "Run this slot now", f"{_JOB}.backfill", span)
    if "clock was set back" in answer.reason:
        yield _action("continue", "Start from now on", "zato.scheduler.continue", {})
    if answer.outcome in {"paused", "running"}:
        yield from _resume_actions(row, around.pause)
    if run is not None:
        yield from _run_actions(run)
    if answer.outcome in {"not_yet", "due", "not_on_schedule", "paused"}:
        yield _action("execute", "Run now", f"{_JOB}.execute", {"id": row.id})
    if answer.outcome in {"before_start", "after_end", "not_on_schedule", "repeats_used_up"}:
        yield _action("edit", "Edit the job", f"{_JOB}.edit", {"id": row.id})


_BACKFILLED = frozenset(
    {"skipped_already_in_flight", "missed", "excluded", "before_creation", "unknown"}
)
"""Outcomes of slots that a backfill runs."""


def _resume_actions(row: JobRow, pause: Pause | None) -> Iterator[Action]:
    if not row.job.is_active:
        yield _action("resume", "Resume the job", f"{_JOB}.resume", {"id": row.id})
    elif pause is not None:
        name = "zato.scheduler.resume"
        yield _action("resume_scheduler", "Resume the scheduler", name, {})


def _run_actions(run: RunRow) -> Iterator[Action]:
    sent = {"id": run.job_id, "current_run": run.number}
    yield _action("open_run", f"Open run {run.number}", f"{_JOB}.get-run-detail", sent)
    if run.outcome == "running":
        yield _action("cancel", f"Cancel run {run.number}", f"{_JOB}.cancel-run", sent)
    elif run.outcome in FAILED:
        yield _action("retry", f"Retry run {run.number}", f"{_JOB}.retry-run", sent)


def _action(code: str, label: str, service: str, sent: dict[str, Any]) -> Action:
    return {"code": code, "label": label, "service": service, "input": sent}
