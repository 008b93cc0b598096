"""``zato-lite status``, ``node``, ``scheduler`` and ``wait``: the state of a server."""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import click

from zato_lite.cli.jobs import RUNS, wait_for
from zato_lite.cli.render import Column, Result
from zato_lite.cli.runs import found as found_run
from zato_lite.cli.verb import Session, polls, verb
from zato_lite.errors import DeadlineError, UnavailableError

_STATUS = "zato.scheduler.status"
_READY, _READY_S = 200, 30.0
NODES = (
    Column("name"),
    Column("pid"),
    Column("version"),
    Column("in flight"),
    Column("capacity"),
    Column("claims/s", lambda row: round(row["claims_per_s"], 2)),
    Column("started", kind="when"),
    Column("seen", kind="when"),
    Column("lag", "lag_ms", "ms", is_wide=True),
    Column("id", is_wide=True),
)


def _state(row: Mapping[str, Any]) -> str:
    if row["is_paused"]:
        return f"paused by {row['paused_by']} {row['pause_note']}".rstrip()
    return "active" if row["nodes"] else "no node runs jobs"


def jobs_by_state(row: Mapping[str, Any]) -> list[str]:
    """Return the number of jobs in each state that some are in."""
    return [f"{count} {state}" for state, count in row["jobs"].items() if count or state == "all"]


STATUS = (
    Column("scheduler", _state, "state"),
    Column("jobs", jobs_by_state),
    Column("in flight"),
    Column("queued"),
    Column("next run", "next_fire_iso", "when"),
    Column("lateness p50", "lateness_p50_ms", "ms"),
    Column("lateness p99", "lateness_p99_ms", "ms"),
    Column("nodes", lambda row: [each["name"] for each in row["nodes"]]),
    Column("clock", "clock_warning"),
)


@verb(reads=True, examples=("status", "status --json"))
def status(session: Session) -> Result:
    """Show the state of the scheduler."""
    return Result(session.call(_STATUS), STATUS)


@click.group()
def node() -> None:
    """List the nodes of the store."""


@verb(node, "list", examples=("node list",))
def list_nodes(session: Session) -> Result:
    """List the processes that run jobs."""
    return Result(session.call(_STATUS)["nodes"], NODES)


@click.group()
def scheduler() -> None:
    """Pause and resume the whole scheduler."""


@verb(scheduler, examples=("scheduler pause -m 'migration'",))
@click.option("-m", "--note", help="Reason.")
def pause(session: Session, note: str | None) -> Result:
    """Start no slot of any job until the scheduler is resumed."""
    return Result(session.call("zato.scheduler.pause", note=note), text="paused the scheduler")


@verb(scheduler, examples=("scheduler resume",))
def resume(session: Session) -> Result:
    """Start the slots of all active jobs again."""
    return Result(session.call("zato.scheduler.resume"), text="resumed the scheduler")


@verb(examples=("wait", "wait --timeout 60", "wait nightly/3"))
@click.argument("run_id", required=False)
@click.option(
    "--timeout",
    type=click.FloatRange(0),
    help="Seconds.  [default: 30 for the server, no limit for a run]",
)
def wait(session: Session, run_id: str | None, timeout: float | None) -> Result:
    """Wait for the server, or for the end of a run.

    A server is waited for until it is ready. The status is 7 if the time is over, and 1 if the run
    failed.
    """
    if run_id is not None:
        record = wait_for(partial(found_run, session, run_id), timeout)
        return Result(record, RUNS, status=int(record["outcome"] != "ok"))
    answer: Any = "no answer"
    limit = _READY_S if timeout is None else timeout
    for seconds in polls():
        with suppress(UnavailableError):
            code, answer = session.get("/readyz")
            if code == _READY:
                return Result(answer, text="ready")
        if seconds >= limit:
            raise DeadlineError(f"{session.url} is not ready after {limit:g} s: {answer}")
    raise AssertionError("polls never ends")
