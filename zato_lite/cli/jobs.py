"""``zato-lite job``: jobs by their names."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import click

from zato_lite.cli.complete import job_names, service_names
from zato_lite.cli.definition import Defining, definition_of
from zato_lite.cli.render import Column, Result, last_line, printed
from zato_lite.cli.verb import Session, polls, verb
from zato_lite.errors import BadInputError, DeadlineError, NotFoundError

JOB = "zato.scheduler.job"

_STATES = ("active", "paused", "failing", "running", "missed", "late")
_SORTS = ("name", "next", "last", "failed", "duration")
_DOWNWARDS = ("last", "failed", "duration")
FIGURES = ("words", "outcomes", "durations")
_PAGE = 500
_MARKS = {"ok": "✓", "running": "…"}
_LEVELS = {"warning": "yellow", "error": "red", "critical": "red", "system": "cyan"}


def _latest(row: Mapping[str, Any]) -> str:
    """Return a mark for each of a job's latest runs, oldest first."""
    return "".join(_MARKS.get(outcome, "✗") for outcome, _ in row.get("outcomes", ()))


JOBS = (
    Column("name"),
    Column("state", kind="state"),
    Column("schedule", "words"),
    Column("next", "next_iso", "when"),
    Column("last", "last_iso", "when"),
    Column("outcome", "last_outcome", "state"),
    Column("service", is_wide=True),
    Column("latest runs", _latest, is_wide=True),
    Column("p50", "p50_ms", "ms", is_wide=True),
    Column("p95", "p95_ms", "ms", is_wide=True),
    Column("in flight", is_wide=True),
    Column("tags", is_wide=True),
    Column("principal", is_wide=True),
    Column("id", is_wide=True),
)
_SHOWN = (
    *(each._replace(is_wide=False) for each in JOBS),
    *map(Column, ("description", "timezone", "extra", "calendar", "pause note", "paused by")),
)
RUNS = (
    Column("run", "run_id"),
    Column("job", "job_name"),
    Column("number", "current_run"),
    Column("outcome", kind="state"),
    Column("slot", "planned_fire_time_iso", "when"),
    Column("duration", "duration_ms", "ms"),
    Column("delay", "delay_ms", "ms"),
    Column("error", lambda row: last_line(row.get("error"))),
    Column("kind", is_wide=True),
    Column("attempt", is_wide=True),
    Column("requested by", is_wide=True),
    Column("principal", is_wide=True),
)
SLOTS = (
    Column("local"),
    Column("in", "at", "when"),
    Column("remarks"),
    Column("slot", is_wide=True),
    Column("start", "at", is_wide=True),
)
_LEDGER = (
    Column("outcome", kind="state"),
    Column("first", "first_iso", "when"),
    Column("last", "last_iso", "when"),
    Column("slots", "count"),
    Column("reason"),
)

name_argument = click.argument("name", shell_complete=job_names)


@click.group()
def job() -> None:
    """List, create, change, run and explain jobs."""


def filters(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select jobs."""
    for decorate in (
        click.option("--tag", help="Jobs with this label."),
        click.option("--state", type=click.Choice(_STATES), help="Jobs in this state."),
        click.option(
            "--service", "service_name", shell_complete=service_names, help="Jobs of a service."
        ),
    ):
        function = decorate(function)
    return function


@verb(
    job,
    "list",
    reads=True,
    examples=("job list", "job list --state failing -o wide", "job list nightly --json"),
)
@click.argument("words", nargs=-1, shell_complete=job_names)
@filters
@click.option("--sort", type=click.Choice(_SORTS), help="Order.  [default: name]")
@click.option(
    "-n", "--limit", type=click.IntRange(1), default=100, help="Number of jobs.  [default: 100]"
)
def list_jobs(
    session: Session, *, words: Sequence[str], sort: str | None, limit: int, **filters: Any
) -> Result:
    """List the jobs whose names contain all WORDS."""
    rows: list[Any] = []
    total = limit
    while len(rows) < min(limit, total):
        found = session.call(
            f"{JOB}.get-list",
            {"include": FIGURES, **filters},
            query=" ".join(words),
            sort=sort,
            dir="desc" if sort in _DOWNWARDS else None,
            cur_page=len(rows) // _PAGE + 1,
            page_size=min(limit, _PAGE),
        )
        rows += found["rows"]
        total = found["total"] if found["rows"] else 0
    if total > limit:
        click.echo(f"{limit} of {total} jobs; -n shows more", err=True)
    return Result(rows[:limit], JOBS)


@verb(job, reads=True, examples=("job show nightly", "job show nightly -o yaml"))
@name_argument
def show(session: Session, name: str) -> Result:
    """Show a job; with -o yaml all its fields."""
    return Result(session.job(name, include=FIGURES), _SHOWN)


def value_shown(value: Any) -> str:
    """Return the value of a field before or after a change."""
    return "(default)" if value is None else printed(str(value))


def ended(session: Session, runs: Sequence[Mapping[str, Any]]) -> Result:
    """Return runs once all of them have ended; the exit status is 1 if one failed."""
    records = [
        wait_for(partial(record_of, session, each["job_id"], each["current_run"])) for each in runs
    ]
    return Result(records, RUNS, status=int(any(each["outcome"] != "ok" for each in records)))


def wait_for(read: Callable[[], dict[str, Any]], timeout: float | None = None) -> dict[str, Any]:
    """Return a run, which a function reads again and again, once it has ended.

    Raises:
        DeadlineError: it has not ended after the timeout in seconds.
    """
    for seconds in polls():
        found = read()
        if found["ended_iso"] is not None:
            return found
        if timeout is not None and seconds >= timeout:
            raise DeadlineError(f"run {found['run_id']} has not ended after {timeout:g} s")
    raise AssertionError("polls never ends")


def record_of(session: Session, job_id: int, number: int) -> dict[str, Any]:
    """Return a run by the id of its job and its number.

    Raises:
        NotFoundError: it does not exist.
    """
    found: dict[str, Any] | None = session.call(
        f"{JOB}.get-run-detail", job_id=job_id, current_run=number
    )["record"]
    if found is None:
        raise NotFoundError(f"run {number} of the job does not exist")
    return found


@verb(job, reads=True, examples=("job why nightly", "job why nightly '2027-01-15 02:00'"))
@name_argument
@click.argument("at", default="")
def why(session: Session, name: str, at: str) -> Result:
    """Explain why a job did or did not run at an instant.

    By default it is the latest slot since the job's creation, or the next one if there has been
    none. Without an offset, AT is in the job's time zone.
    """
    if at:
        found = session.call(f"{JOB}.why", name=name, at=at)
    else:
        from datetime import UTC, datetime  # noqa: PLC0415

        session.job(name)  # which also tells the server's time
        now = datetime.fromtimestamp(session.now, UTC).isoformat()
        found = session.call(f"{JOB}.why", name=name, at=now)
        for slot in filter(None, (found["previous_slot"], found["next_slot"])):
            found = session.call(f"{JOB}.why", name=name, at=slot)
            if found["outcome"] != "before_creation":
                break
    return Result(found, _WHY, text=_explained(found))


_WHY = (
    Column("at"),
    Column("outcome", kind="state"),
    Column("reason"),
    Column("previous slot"),
    Column("next slot"),
)


def _explained(found: Mapping[str, Any]) -> str:
    lines = [f"{found['job_name']} at {found['at']}: {found['outcome']}", found["reason"]]
    lines += [f"  {each['label']}" for each in found["actions"]]
    return "\n".join(line for line in lines if line)


@verb(
    job, reads=True, examples=("job history nightly", "job history nightly --outcome error -n 5")
)
@name_argument
@click.option("--outcome", "outcomes", multiple=True, help="Runs that ended like this.")
@click.option("--skipped", is_flag=True, help="Slots without a run, and the reasons, instead.")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1, 1_000),
    default=20,
    help="Number of rows.  [default: 20]",
)
def history(
    session: Session, name: str, *, outcomes: Sequence[str], skipped: bool, limit: int
) -> Result:
    """Show the latest runs of a job, newest first."""
    job_id = session.id_of(name)
    if skipped:
        rows = session.call(f"{JOB}.get-ledger", id=job_id, page_size=limit)["rows"]
        return Result(rows, _LEDGER)
    given = {"outcomes": outcomes} if outcomes else {}
    found = session.call(f"{JOB}.get-history", given, id=job_id, page_size=limit)
    return Result(found["rows"], RUNS)


@verb(job, reads=True, examples=("job logs nightly", "job logs nightly 12", "job logs nightly -f"))
@name_argument
@click.argument("number", type=click.IntRange(1), required=False)
@click.option("-f", "--follow", is_flag=True, help="Print new lines until the run has ended.")
@click.option("--level", type=click.Choice(("info", "warn", "error")), help="Least level.")
def logs(
    session: Session, name: str, number: int | None, *, follow: bool, level: str | None
) -> Result | None:
    """Show the log lines of a run, by default of the latest one."""
    job_id = session.id_of(name)
    if number is None:
        latest = session.call(f"{JOB}.get-history", id=job_id, page_size=1)["rows"]
        if not latest:
            raise NotFoundError(f"job {name!r} has not run yet")
        number = int(latest[0]["current_run"])
    else:
        record_of(session, job_id, number)
    return show_log(session, job_id, number, follow=follow, level=level)


def show_log(
    session: Session, job_id: int, number: int, *, follow: bool, level: str | None
) -> Result | None:
    """Print the log lines of a run; until its end, if the user follows it."""
    parts = _entries(session, job_id, number, follow=follow, level=level)
    if session.form is not None:
        return Result([entry for part in parts for entry in part])
    for part in parts:
        for entry in part:
            shown = click.style(f"{entry['level'].upper():<8}", fg=_LEVELS.get(entry["level"]))
            click.echo(f"{entry['timestamp_iso']} {shown} {printed(entry['message'])}")
        sys.stdout.flush()
    return None


def _entries(
    session: Session, job_id: int, number: int, *, follow: bool, level: str | None
) -> Iterator[Sequence[Mapping[str, Any]]]:
    since = 0
    for _ in polls():
        has_ended = not follow or record_of(session, job_id, number)["ended_iso"] is not None
        found = session.call(
            f"{JOB}.get-log-entries",
            job_id=job_id,
            current_run=number,
            since_idx=since,
            level=level,
        )
        yield found["entries"]
        since = found["next_idx"]
        if has_ended:
            return


@verb(
    job,
    reads=True,
    cls=Defining,
    examples=("job upcoming nightly", "job upcoming --cron '0 2 * * *' --timezone Europe/Warsaw"),
)
@click.argument("name", required=False, shell_complete=job_names)
@click.option(
    "-n",
    "--count",
    type=click.IntRange(1, 1_000),
    default=10,
    help="Number of slots.  [default: 10]",
)
@click.option("--after", help="Instant to begin from.  [default: now]")
@click.option(
    "--remarkable",
    "only_remarkable",
    is_flag=True,
    help="Slots of a year around clock changes and days off.",
)
@click.option("--mine", help="Time zone in which to show the slots, too.")
def upcoming(
    session: Session,
    name: str | None,
    *,
    count: int,
    after: str | None,
    only_remarkable: bool,
    mine: str | None,
    **given: Any,
) -> Result:
    """Show the next slots of a job or of a schedule.

    With NAME, the options show what a change of the job would do.
    """
    sent = definition_of(given)
    if name is not None:
        sent["id"] = session.id_of(name)
    elif not sent:
        raise BadInputError("no job is named; give NAME, or a schedule: --every, --cron or --at")
    found = session.call(
        f"{JOB}.get-upcoming",
        sent,
        count=count,
        after=after,
        only_remarkable=only_remarkable,
        mine=mine,
    )
    columns = [*SLOTS[:1], *[Column("mine")] * (mine is not None), *SLOTS[1:]]
    return Result(found, columns, rows=found["slots"])
