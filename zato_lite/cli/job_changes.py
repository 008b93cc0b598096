"""``zato-lite job``: the commands that change jobs, beside those of ``jobs`` that read them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from zato_lite.cli.complete import job_names, service_names
from zato_lite.cli.definition import Defining, definition_of, edited_by_hand
from zato_lite.cli.jobs import FIGURES, JOB, ended, filters, job, name_argument, value_shown
from zato_lite.cli.render import Result, duration
from zato_lite.cli.verb import Session, verb
from zato_lite.errors import BadInputError

_NAMED = 20
_MEAN_S = 0.5
"""Seconds by which a server's time, sent as whole seconds, is late in the mean."""


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
    if "job_type" not in definition:
        raise BadInputError("one of --every, --cron and --at is required")
    if dry_run:
        return _validated(session.call(f"{JOB}.validate", definition), name)
    session.call(f"{JOB}.create", definition)
    made = session.job(name, include=FIGURES)
    ahead = "; it runs now" if _has_begun(made) else next_words(made, session.now)
    return Result(made, text=f"created {name}: {made['words']}{ahead}")


def _has_begun(made: Mapping[str, Any]) -> bool:
    """Return True for a new job whose only slot had passed: its run has been started."""
    return bool(made["is_active"]) and not made["next_iso"]


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
    if not changes:
        from zato_lite.builtin.definition import NAMES  # noqa: PLC0415 - --help is quick

        changes = edited_by_hand({name: before[name] for name in NAMES if name in before})
    if not changes:
        return Result({}, text="nothing was changed")
    sent = {**changes, "id": before["id"], "version": before["version"]}
    if dry_run:
        return _validated(session.call(f"{JOB}.validate", sent), name)
    session.call(f"{JOB}.edit", sent)
    made = session.call(f"{JOB}.get-by-id", {"include": FIGURES}, id=before["id"])
    return Result(
        made, text=f"changed {made['name']}: {made['words']}{next_words(made, session.now)}"
    )


def next_words(made: Mapping[str, Any], now: float) -> str:
    """Return when a job's next run comes, in words."""
    from datetime import datetime  # noqa: PLC0415

    if not made["next_iso"]:
        return "; no run is due" if made["is_active"] else "; the job is paused"
    seconds = datetime.fromisoformat(made["next_iso"]).timestamp() - now - _MEAN_S
    return f"; next run in {duration(seconds * 1000)}" if seconds > 0 else "; next run now"


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


def selecting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the arguments and options that select several jobs."""
    function = click.option("-y", "--yes", is_flag=True, help="Do not ask.")(filters(function))
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
    slots = f"the next {count} slots" if count > 1 else "the next slot" if count else "no slot"
    return change_many(session, "skip", f"skipped {slots} of", count=count, **chosen)


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
