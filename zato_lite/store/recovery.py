"""Runs that change hands: taken over from the dead, handed back, begun when others let them."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from zato_lite.store import jobs
from zato_lite.store.completion import complete_all, keep_attempt
from zato_lite.store.jobs import OpenRun
from zato_lite.store.ports import Connection
from zato_lite.store.rows import RunKind, RunState
from zato_lite.store.runs import AttemptResult, ClaimedAttempt
from zato_lite.store.sql import advance, execute, ids_of, listed, one, read_rows
from zato_lite.timetable.job import SECOND, Instant, Job
from zato_lite.timetable.outcome import NextStep, next_step

SUSPECT = 2
"""A run during which so many processes died may be what kills them."""

APART = SECOND
"""Suspects begin so long after one another: who kills the process then is alone with it."""


class RecoveryResult(NamedTuple):
    """What was taken over: attempts to make, and how many runs were closed for good."""

    fires: Sequence[ClaimedAttempt]
    closed: int
    more: bool


def adopt(
    connection: Connection, alive: Sequence[int], node: int, now: Instant, limit: int = 1000
) -> RecoveryResult:
    """Take over runs of nodes that are not alive, as their jobs say for a crash."""
    found = read_rows(connection, _OPEN, (listed(alive), limit), _Open)
    fires: list[ClaimedAttempt] = []
    closed: list[AttemptResult] = []
    suspects = 0
    for open_run in found:
        fire = _fire_of(open_run, now)
        if open_run.is_deleted:
            words = "the job was deleted"
            closed.append(AttemptResult(fire, NextStep("cancelled"), "cancelled", now, words))
            continue
        if open_run.node == 0 or open_run.state != "claimed" or open_run.slot > now:
            fires.append(_moved_to(connection, fire, node))
            continue
        fire.crashes += 1
        settled = next_step(
            fire.job, "lost", fire.attempt, fire.crashes, 0, now, job_id=fire.job_id
        )
        words = "the process died during the run"
        if settled.is_quarantined:
            words = f"quarantined: {fire.crashes} processes died during this run"
        ended = AttemptResult(fire, settled, "lost", now, words)
        if settled.outcome is None:
            suspects += fire.crashes >= SUSPECT
            fires.append(_after_crash(connection, ended, node, now + suspects * APART))
        else:
            closed.append(ended)
    fires.extend(complete_all(connection, closed, now, node).fires)
    return RecoveryResult(fires, len(closed), len(found) == limit)


def begin_again(
    connection: Connection, fire: ClaimedAttempt, *, alone: bool
) -> Literal["begin", "wait", "gone"]:
    """An attempt that was waited for begins: if the process dies now, it is a crash.

    It is gone when somebody has closed the run, and has to wait as long as another process is at
    the run that it is queued behind.
    """
    if fire.queued and not alone:
        busy = one(
            connection,
            "SELECT 1 FROM run WHERE job_id = ? AND outcome IS NULL AND state = 'claimed'",
            (fire.job_id,),
        )
        if busy is not None:
            return "wait"
    changed = execute(
        connection,
        "UPDATE run SET state = 'claimed' WHERE id = ? AND token = ? AND outcome IS NULL",
        (fire.run_id, fire.token),
    )
    return "begin" if changed else "gone"


def give_up(connection: Connection, fires: Sequence[ClaimedAttempt], begun: OpenRun) -> None:
    """What was not begun is as if it had never been claimed, or else anybody's again."""
    slots = {fire.job_id for fire in fires if fire.kind == "scheduled" and fire.attempt == 1}
    revoked: set[int] = set()
    alive = ids_of(
        connection,
        "SELECT job_id AS id FROM timer WHERE job_id IN (SELECT value FROM json_each(?))",
        (listed(slots),),
    )
    for job_id in alive:
        revoked.update(jobs.revoke(connection, job_id, begun))
    for fire in fires:
        if fire.run_id not in revoked:
            execute(
                connection,
                "UPDATE run SET node = 0 WHERE id = ? AND token = ? AND outcome IS NULL",
                (fire.run_id, fire.token),
            )


class _Open(msgspec.Struct, frozen=True, kw_only=True):
    """A run without an outcome, as far as taking over needs it."""

    id: int
    job_id: int
    number: int
    slot: Instant
    kind: RunKind
    state: RunState
    node: int
    token: int
    attempt: int
    crashes: int
    stops: int
    retry_at: Instant | None
    job: Job
    cid: str
    is_deleted: int


_OPEN = """SELECT json_object('id', r.id, 'job_id', r.job_id, 'number', r.number, 'slot', r.slot,
        'kind', r.kind, 'state', r.state, 'node', r.node, 'token', r.token, 'attempt', r.attempt,
        'crashes', r.crashes, 'stops', (SELECT count(*) FROM attempt a
            WHERE a.run_id = r.id AND a.outcome = 'cancelled'),
        'retry_at', r.retry_at, 'cid', coalesce(c.cid, ''), 'is_deleted', j.deleted_at IS NOT NULL,
        'job', json(coalesce(c.definition, j.definition))) AS line
    FROM (SELECT * FROM run INDEXED BY run_open
          WHERE outcome IS NULL AND job_id >= 0
          AND node NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?) r
    LEFT JOIN job j ON j.id = r.job_id LEFT JOIN call c ON c.run_id = r.id"""


def _fire_of(run: _Open, now: Instant) -> ClaimedAttempt:
    return ClaimedAttempt(
        run_id=run.id,
        job_id=run.job_id,
        number=run.number,
        slot=run.slot,
        at=max(now, run.slot) if run.state == "claimed" else run.retry_at or now,
        token=run.token,
        job=run.job,
        attempt=run.attempt,
        crashes=run.crashes,
        stops=run.stops,
        kind=run.kind,
        queued=run.state == "queued",
        waited=run.state != "claimed",
        cid=run.cid,
    )


def _moved_to(connection: Connection, fire: ClaimedAttempt, node: int) -> ClaimedAttempt:
    """The same attempt on another node, with a token of its own: it was never begun."""
    token = advance(connection, "token", 1)[0]
    execute(
        connection,
        "UPDATE run SET node = ?, token = ? WHERE id = ?",
        (node, token, fire.run_id),
    )
    fire.token = token
    return fire


def _after_crash(
    connection: Connection, ended: AttemptResult, node: int, now: Instant
) -> ClaimedAttempt:
    """The next attempt; that of a suspect has its own moment, so that it takes no other along."""
    fire = ended.fire
    is_suspect = fire.crashes >= SUSPECT
    token = advance(connection, "token", 1)[0]
    keep_attempt(connection, ended)
    execute(
        connection,
        "UPDATE run SET node = ?, token = ?, attempt = ?, crashes = ?, state = ?, retry_at = ?"
        " WHERE id = ?",
        (
            node,
            token,
            fire.attempt + 1,
            fire.crashes,
            "waiting" if is_suspect else "claimed",
            now if is_suspect else None,
            fire.run_id,
        ),
    )
    return msgspec.structs.replace(
        fire, token=token, attempt=fire.attempt + 1, at=now, waited=is_suspect
    )
