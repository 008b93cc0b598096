"""``zato-lite job``: jobs by their names."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click

from zato_lite.cli.complete import job_names, service_names
from zato_lite.cli.definition import Defining, definition_of, edited_by_hand
from zato_lite.cli.render import Column, Result, duration, printed
from zato_lite.cli.verb import Session, polls, verb
from zato_lite.errors import BadInputError, NotFoundError

JOB = "zato.scheduler.job"

_STATES = ("active", "paused", "failing", "running", "missed", "late")
_SORTS = ("name", "next", "last", "failed", "duration")
_DOWNWARDS = ("last", "failed", "duration")
_FIGURES = ("words", "outcomes", "durations")
_NAMED = 20
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
    Column("error"),
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


def _filters(function: Callable[..., Any]) -> Callable[..., Any]:
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
@_filters
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
            {"include": _FIGURES, **filters},
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
    return Result(session.job(name, include=_FIGURES), _SHOWN)


@verb(
    job,
    cls=Defining,
    examples=(
        "job create sync crm.sync --every 15m",
        "job create nightly crm.report --cron '0 2 * * *' --timezone Europe/Warsaw",
        "job create once crm.report --at '2027-01-15 08:00' --extra '{\"year\": 2026}'",
    ),
)
@name_argument
@click.argument("service", shell_complete=service_names)
@click.option("--dry-run", is_flag=True, help="Only check the definition.")
def create(session: Session, name: str, service: str, *, dry_run: bool, **given: Any) -> Result:
    """Create a job that runs SERVICE.

    Most options are fields of a definition; the server checks them all together.
    """
    definition = {"name": name, "service": service, **definition_of(given)}
    if dry_run:
        return _validated(session.call(f"{JOB}.validate", definition), name)
    session.call(f"{JOB}.create", definition)
    made = session.job(name, include=_FIGURES)
    return Result(made, text=f"created {name}: {made['words']}{_next(session, made)}")


@verb(
    job,
    cls=Defining,
    examples=(
        "job edit nightly --cron '30 2 * * *'",
        "job edit nightly --clear calendar",
        "job edit nightly",
    ),
)
@name_argument
@click.option("--clear", multiple=True, metavar="FIELD", help="Field that gets its default again.")
@click.option("--dry-run", is_flag=True, help="Only check the changes.")
def edit(
    session: Session, name: str, *, clear: Sequence[str], dry_run: bool, **given: Any
) -> Result:
    """Change fields of a job; without an option, in your editor."""
    before = session.job(name)
    changes = {**definition_of(given), **dict.fromkeys(clear)}
    changes = changes or edited_by_hand(before)
    if not changes:
        return Result({}, text="nothing was changed")
    sent = {**changes, "id": before["id"], "version": before["version"]}
    if dry_run:
        return _validated(session.call(f"{JOB}.validate", sent), name)
    session.call(f"{JOB}.edit", sent)
    made = session.call(f"{JOB}.get-by-id", {"include": _FIGURES}, id=before["id"])
    return Result(made, text=f"changed {made['name']}: {made['words']}{_next(session, made)}")


def _next(session: Session, made: Mapping[str, Any]) -> str:
    """Return when a job's next run comes, in words."""
    from datetime import datetime  # noqa: PLC0415

    if not made["next_iso"]:
        return "; no run is due"
    seconds = datetime.fromisoformat(made["next_iso"]).timestamp() - session.now
    return f"; next run in {duration(max(0, seconds) * 1000)}"


def _validated(found: Mapping[str, Any], name: str) -> Result:
    if not found["is_valid"]:
        text = "; ".join(f"{each['field']}: {each['message']}" for each in found["errors"])
        return Result(found, text=text, status=2)
    lines = [f"{name}: {found['words']}"]
    lines += [
        f"{it['field']}: {value_shown(it['from'])} -> {value_shown(it['to'])}"
        for it in found.get("changes", ())
    ]
    return Result(found, text="\n".join([*lines, *found.get("warnings", ())]))


def value_shown(value: Any) -> str:
    """Return the value of a field before or after a change."""
    return "(default)" if value is None else printed(str(value))


def selecting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the arguments and options that select several jobs."""
    function = click.option("-y", "--yes", is_flag=True, help="Do not ask.")(_filters(function))
    return click.argument("names", nargs=-1, shell_complete=job_names)(function)


def change_many(
    session: Session,
    action: str,
    done: str,
    *,
    names: Sequence[str],
    yes: bool,
    service_name: str | None,
    state: str | None,
    tag: str | None,
    **fields: Any,
) -> Result:
    """Change the jobs with these names, or all that match once a person has agreed."""
    filters = {"service_name": service_name, "state": state, "tag": tag}
    if bool(names) is any(filters.values()):
        raise BadInputError("give either names of jobs, or --service, --state and --tag")
    sent: dict[str, Any] = {**fields, **({"names": [*names]} if names else filters)}
    if not names:
        sent["expected"] = session.call(f"{JOB}.{action}-many", sent, dry_run=True)["count"]
        if sent["expected"] and not yes:
            click.confirm(f"{sent['expected']} jobs; continue?", abort=True, err=True)
    found = session.call(f"{JOB}.{action}-many", sent)
    shown = ", ".join(found["names"][:_NAMED]) + ", …" * (found["count"] > _NAMED)
    left = f"; {count} were changed by others" if (count := found.get("left_out")) else ""
    rows = [{"name": name} for name in found["names"]]
    return Result(
        found, text=f"{done} {shown}{left}" if shown else f"no job matches{left}", rows=rows
    )


@verb(
    job,
    examples=(
        "job pause nightly -m 'migration'",
        "job pause --tag billing --until 2027-01-15T06:00:00Z",
    ),
)
@selecting
@click.option("-m", "--note", help="Reason, shown with the job.")
@click.option("--until", help="Instant at which the pause ends.")
def pause(session: Session, **chosen: Any) -> Result:
    """Pause jobs: start none of their slots until they are resumed."""
    return change_many(session, "pause", "paused", **chosen)


@verb(job, examples=("job resume nightly",))
@selecting
def resume(session: Session, **chosen: Any) -> Result:
    """Resume jobs; slots that have passed stay in their ledgers."""
    return change_many(session, "resume", "resumed", **chosen)


@verb(job, examples=("job skip nightly", "job skip nightly -n 0"))
@selecting
@click.option(
    "-n", "--count", type=click.IntRange(0), default=1, help="Slots; 0 skips none.  [default: 1]"
)
def skip(session: Session, *, count: int, **chosen: Any) -> Result:
    """Skip the next slots of jobs."""
    done = f"the next {count} slots are skipped of" if count else "no slot is skipped of"
    return change_many(session, "skip", done, count=count, **chosen)


@verb(job, examples=("job delete nightly",))
@selecting
def delete(session: Session, **chosen: Any) -> Result:
    """Delete jobs; their runs stay in the history."""
    return change_many(session, "delete", "deleted", **chosen)


@verb(job, examples=("job run nightly", "job run nightly --wait"))
@selecting
@click.option("-w", "--wait", is_flag=True, help="Wait for the end; status 1 if it failed.")
def run(session: Session, *, wait: bool, names: Sequence[str], **chosen: Any) -> Result:
    """Start a run of each job now, also of paused ones.

    Their slots stay as they are.
    """
    if not names:
        return change_many(session, "execute", "started", names=names, **chosen)
    started = []
    for name in names:
        job_id = session.id_of(name)
        number = session.call(f"{JOB}.execute", id=job_id)["current_run"]
        started.append({"job_id": job_id, "job_name": name, "current_run": number})
    if wait:
        return ended(session, started)
    words = ", ".join(f"run {each['current_run']} of {each['job_name']}" for each in started)
    return Result(started, text=f"started {words}")


def ended(session: Session, runs: Sequence[Mapping[str, Any]]) -> Result:
    """Return runs once all of them have ended; the exit status is 1 if one failed."""
    records = [wait_for(session, each["job_id"], each["current_run"]) for each in runs]
    return Result(records, RUNS, status=int(any(each["outcome"] != "ok" for each in records)))


def wait_for(session: Session, job_id: int, number: int) -> dict[str, Any]:
    """Return a run once it has ended."""
    for _ in polls():
        found = record_of(session, job_id, number)
        if found["ended_iso"] is not None:
            return found
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

    By default it is the latest slot. Without an offset, AT is in the job's time zone.
    """
    if at:
        found = session.call(f"{JOB}.why", name=name, at=at)
    else:
        from datetime import UTC, datetime  # noqa: PLC0415

        session.job(name)  # which also tells the server's time
        now = datetime.fromtimestamp(session.now, UTC).isoformat()
        found = session.call(f"{JOB}.why", name=name, at=now)
        if latest := found["previous_slot"]:
            found = session.call(f"{JOB}.why", name=name, at=latest)
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
            level = click.style(f"{entry['level'].upper():<8}", fg=_LEVELS.get(entry["level"]))
            click.echo(f"{entry['timestamp_iso']} {level} {printed(entry['message'])}")
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


@verb(
    job,
    examples=(
        "job backfill nightly 2027-01-01 2027-01-07",
        "job backfill nightly 2027-01-01 2027-01-07 --dry-run",
    ),
)
@name_argument
@click.argument("first")
@click.argument("last")
@click.option("--force", is_flag=True, help="Also slots before the job's start and after its end.")
@click.option("--dry-run", is_flag=True, help="Only count the slots.")
def backfill(
    session: Session, name: str, first: str, last: str, *, force: bool, dry_run: bool
) -> Result:
    """Run the slots of a job from FIRST to LAST, both included."""
    found = session.call(
        f"{JOB}.backfill",
        id=session.id_of(name),
        first=first,
        last=last,
        force=force,
        dry_run=dry_run,
    )
    count = found["count"] if dry_run else len(found["runs"])
    words = "would run" if dry_run else "run"
    reason = f"; {found['reason']}" * bool(found["reason"])
    return Result(found, text=f"{count} slots {words}{reason}")
