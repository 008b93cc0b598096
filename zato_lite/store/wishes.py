"""Wishes: a node asks the owner of a run to give it back before it starts, or to cancel it.

A run that another node has claimed cannot be taken from it: it may start at any moment. So its
owner is asked. It keeps the run from starting, and gives it back in one transaction, or writes
that the run has started. A wish is part of the run's row; bells only make it heard sooner.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from zato_lite.store import jobs
from zato_lite.store.attempts import StartedRuns
from zato_lite.store.dialect import AMONG_NUMBERS
from zato_lite.store.holds import hold_these
from zato_lite.store.ports import Connection
from zato_lite.store.sql import execute, fetch_ids, lock_all_jobs, lock_jobs, read_rows
from zato_lite.timetable.job import SECOND, Instant

CALM = SECOND
"""Time for which the jobs of asked runs are not claimed ahead, so that the change can be made."""

# Runs that node ? may not take back, as another one has claimed them and may start them. A node
# without a record is dead: its runs are taken over with what their jobs say by then.
_OTHERS = """SELECT id, job_id, node FROM run WHERE outcome IS NULL AND state = 'claimed'
    AND kind IN ('scheduled', 'callback') AND attempt = 1 AND started_at IS NULL
    AND node <> ? AND node IN (SELECT n.id FROM node n)"""

_WISHES = "SELECT id, job_id, wish FROM run WHERE node = ? AND wish IS NOT NULL"


class Asked(NamedTuple):
    """The owners of runs that were asked, instead of a change; it has to be tried again."""

    nodes: frozenset[int]


class Wish(NamedTuple):
    """A wish about a run of this node: ``revoke`` or ``cancel``."""

    run_id: int
    job_id: int
    wish: str


class _OwnedRun(NamedTuple):
    """A run that a node has claimed."""

    id: int
    job_id: int
    node: int


def ask_owners(
    connection: Connection, job_ids: Collection[int] | None, node: int, now: Instant
) -> Asked | None:
    """Ask other nodes for the runs of these jobs, or of all, that have not started; None if none.

    A later cancellation of such a run is more than this wish, and replaces it.
    """
    if job_ids is None:
        lock_all_jobs(connection)
        runs = read_rows(connection, _OTHERS, (node,), _OwnedRun)
    else:
        lock_jobs(connection, job_ids)
        some = f"{_OTHERS} AND job_id {AMONG_NUMBERS}"
        runs = read_rows(connection, some, (node, connection.many(job_ids)), _OwnedRun)
    if not runs:
        return None
    execute(
        connection,
        f"UPDATE run SET wish = 'revoke' WHERE wish IS NULL AND id {AMONG_NUMBERS}",
        (connection.many([run.id for run in runs]),),
    )
    execute(
        connection,
        f"UPDATE timer SET calm_until = ? WHERE job_id {AMONG_NUMBERS}",
        (now + CALM, connection.many({run.job_id for run in runs})),
    )
    return Asked(frozenset(run.node for run in runs))


def list_wishes(connection: Connection, node: int) -> list[Wish]:
    """Return the wishes about runs of this node."""
    return read_rows(connection, _WISHES, (node,), Wish)


def give_back(connection: Connection, job_ids: Sequence[int], started: StartedRuns) -> list[int]:
    """Answer the wishes to revoke runs of these jobs; return the runs that must not start here.

    They are deleted, and their slots decided later; or they are left to any node, if a later slot
    was decided with them. The store learns which of the others have started.
    """
    wanted = [
        wish
        for wish in list_wishes(connection, started.node)
        if wish.wish == "revoke" and wish.job_id in job_ids
    ]
    begun = [wish.run_id for wish in wanted if wish.run_id in started.run_ids]
    execute(
        connection,
        "UPDATE run SET wish = NULL, started_at = coalesce(started_at, claimed_at)"
        f" WHERE id {AMONG_NUMBERS}",
        (connection.many(begun),),
    )
    left = [wish for wish in wanted if wish.run_id not in started.run_ids]
    revoked: list[int] = []
    for job_id in sorted({wish.job_id for wish in left}):
        if jobs.get_if_exists(connection, job_id) is not None:
            revoked += jobs.revoke_claims(connection, job_id, started)
    free = sorted({wish.run_id for wish in left} - set(revoked))
    hold_these(connection, free)
    return revoked + free


def _ask_to_cancel(connection: Connection, condition: str, values: Sequence[Any]) -> list[int]:
    """Ask the owners of running runs to cancel them; return the owners."""
    statement = f"""UPDATE run SET wish = 'cancel' WHERE outcome IS NULL AND state = 'claimed'
        AND node <> 0 AND {condition} RETURNING node"""
    return [node for (node,) in connection.execute(statement, values)]


def ask_to_cancel_run(connection: Connection, job_id: int, number: int, node: int) -> list[int]:
    """Ask the node that has a run to cancel it; return the node, if it is another one."""
    condition = "job_id = ? AND number = ? AND node <> ?"
    return _ask_to_cancel(connection, condition, (job_id, number, node))


def ask_to_cancel_jobs(connection: Connection, job_ids: Sequence[int], node: int) -> list[int]:
    """Ask other nodes to cancel the runs of these jobs; return the nodes."""
    condition = f"node <> ? AND job_id {AMONG_NUMBERS}"
    return _ask_to_cancel(connection, condition, (node, connection.many(job_ids)))


def waiting_nodes(connection: Connection, job_ids: Collection[int], node: int) -> list[int]:
    """Return the other nodes on which runs of these jobs wait for a run that has ended."""
    return fetch_ids(
        connection,
        "SELECT DISTINCT node FROM run WHERE outcome IS NULL AND state = 'queued'"
        f" AND node <> 0 AND node <> ? AND job_id {AMONG_NUMBERS}",
        (node, connection.many(job_ids)),
    )
