"""``zato-lite run``: runs by their ids, or by their job and number."""

from collections.abc import Sequence
from typing import Any

import click

from zato_lite.cli.complete import job_names, node_names, service_names
from zato_lite.cli.jobs import JOB, RUNS, ended, record_of, show_log
from zato_lite.cli.render import Column, Result
from zato_lite.cli.verb import Session, verb
from zato_lite.errors import BadInputError, NotFoundError

_LISTED = (*RUNS[:3], Column("service"), *RUNS[3:], Column("node", is_wide=True))
_SHOWN = (
    *(column._replace(is_wide=False) for column in RUNS if column.title != "error"),
    Column("error", kind="lines"),
    *map(Column, ("service", "node name", "started iso", "ended iso", "result", "cid")),
)


@click.group()
def run() -> None:
    """List, show, cancel and retry runs.

    A run is named by its id, or as JOB/NUMBER.
    """


@verb(run, "list", reads=True, examples=("run list", "run list --job nightly --outcome error"))
@click.option("--job", "name", shell_complete=job_names, help="Runs of a job.")
@click.option("--service", "service_name", shell_complete=service_names, help="Runs of a service.")
@click.option("--node", shell_complete=node_names, help="Runs on a node.")
@click.option("--outcome", "outcomes", multiple=True, help="Outcome, or running.")
@click.option("--since", help="Runs of slots from this instant on.")
@click.option(
    "-n", "--limit", type=click.IntRange(1, 200), default=50, help="Runs.  [default: 50]"
)
def list_runs(
    session: Session, *, name: str | None, outcomes: Sequence[str], **filters: Any
) -> Result:
    """List the latest runs of all jobs, newest first."""
    chosen: dict[str, Any] = {"outcomes": outcomes} if outcomes else {}
    if name is not None:
        chosen["id"] = session.id_of(name)
    return Result(session.call("zato.scheduler.get-runs", chosen, **filters)["rows"], _LISTED)


@verb(run, reads=True, examples=("run show 12", "run show nightly/3 -o yaml"))
@click.argument("run_id")
def show(session: Session, run_id: str) -> Result:
    """Show a run with its attempts and its result."""
    return Result(found(session, run_id), _SHOWN)


@verb(run, reads=True, examples=("run logs 12", "run logs nightly/3 -f"))
@click.argument("run_id")
@click.option("-f", "--follow", is_flag=True, help="Print new lines until the run has ended.")
@click.option("--level", type=click.Choice(("info", "warn", "error")), help="Least level.")
def logs(session: Session, run_id: str, *, follow: bool, level: str | None) -> Result | None:
    """Show the log lines of a run."""
    one = found(session, run_id)
    if not one["job_id"]:
        raise NotFoundError(f"run {run_id} has no job; its lines are in the log of the server")
    return show_log(session, one["job_id"], one["current_run"], follow=follow, level=level)


@verb(run, examples=("run cancel 12", "run cancel nightly/3"))
@click.argument("run_ids", nargs=-1, required=True)
def cancel(session: Session, run_ids: Sequence[str]) -> Result:
    """Cancel runs that have not ended."""
    ids = [found(session, each)["run_id"] for each in run_ids]
    answer = session.call(f"{JOB}.cancel-many", run_ids=ids)
    left = f"; {len(ids) - answer['count']} had ended already" * (answer["count"] < len(ids))
    return Result(
        answer, RUNS[:3], text=f"cancelled {answer['count']} runs{left}", rows=answer["runs"]
    )


@verb(run, examples=("run retry 12", "run retry nightly/3 --wait"))
@click.argument("run_ids", nargs=-1, required=True)
@click.option("-w", "--wait", is_flag=True, help="Wait for the end; status 1 if it failed.")
def retry(session: Session, run_ids: Sequence[str], *, wait: bool) -> Result:
    """Run the slots of ended runs again, as new runs."""
    ids = [found(session, each)["run_id"] for each in run_ids]
    started = session.call(f"{JOB}.retry-many", run_ids=ids)["runs"]
    if wait:
        return ended(session, [{**each, "job_id": each["id"]} for each in started])
    words = ", ".join(f"run {each['current_run']} of {each['job_name']}" for each in started)
    return Result(started, text=f"started {words}")


def found(session: Session, run_id: str) -> dict[str, Any]:
    """Return a run by its id, or by its job and number.

    Raises:
        BadInputError: the text is neither.
        NotFoundError: the run does not exist.
    """
    name, slash, number = run_id.rpartition("/")
    if not number.isdecimal():
        raise BadInputError(f"{run_id!r} is not a run; use its id, or JOB/NUMBER")
    if slash:
        return record_of(session, session.id_of(name), int(number))
    rows = session.call("zato.scheduler.get-runs", before=int(number) + 1, limit=1)["rows"]
    if not rows or rows[0]["run_id"] != int(number):
        raise NotFoundError(f"run {number} does not exist; see zato-lite run list")
    row: dict[str, Any] = rows[0]
    if row["job_id"]:
        return record_of(session, row["job_id"], row["current_run"])
    return {**row, "node_name": row["node"], "ended_iso": row["finished_iso"]}
