"""Runs: claimed when they are due, handed out, settled, and taken over from the dead."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from zato_lite.errors import ConflictError, NotFoundError
from zato_lite.store import jobs, ledger
from zato_lite.store.jobs import Begun
from zato_lite.store.ports import Connection, Row
from zato_lite.store.rows import NodeRow, Pause, RunKind, RunState
from zato_lite.store.sql import advance, execute, ids_of, listed, one, read_rows, write_rows
from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.job import SECOND, Instant, Job, OneTime
from zato_lite.timetable.plan import Downtime, Entry, JobPlan, JobState, plan, resumed
from zato_lite.timetable.settle import AttemptOutcome, Callback, Settled, settle

PLACE: tuple[Instant, int] = (-(2**62), 0)
"""Before every due instant and every job."""

SUSPECT = 2
"""A run during which so many processes died may be what kills them."""

APART = SECOND
"""Suspects begin so long after one another: who kills the process then is alone with it."""

LEFT_AT = "scheduler.left_at"
GLOBAL_PAUSE = "scheduler.pause"

_INSERT = (
    "INSERT INTO run (id, job_id, number, slot, kind, state, node, token, attempt, crashes,"
    " claimed_at) VALUES {rows}"
)


class Fire(msgspec.Struct, kw_only=True, gc=False):
    """An attempt of a run that is this node's to make.

    Attributes:
        at: when it may start, at the earliest.
        queued: it waits until no other run of its job is in flight.
        waited: it is kept as one that was not begun, until it is.
        started_at: when its service was called; 0 before.
    """

    run_id: int
    job_id: int
    number: int
    slot: Instant
    at: Instant
    token: int
    job: Job
    attempt: int = 1
    crashes: int = 0
    kind: RunKind = "scheduled"
    queued: bool = False
    waited: bool = False
    cid: str = ""
    started_at: Instant = 0


class Claimed(NamedTuple):
    """What a claim found.

    Attributes:
        fires: this node's alone. cancel: jobs whose runs in flight are to be cancelled.
        place: from here on, when there is ``more``.
        exact: the first instant up to the horizon at which something is to be decided.
        following: the first due instant beyond the horizon.
        is_shared: other processes are on the same database, or were when they died.
    """

    fires: Sequence[Fire]
    cancel: Sequence[int]
    place: tuple[Instant, int]
    more: bool
    exact: Instant | None = None
    following: Instant | None = None
    is_shared: bool = False


class Ended(msgspec.Struct, frozen=True, gc=False):
    """An attempt that has come to its end, or has come to nothing.

    Attributes:
        settled: what the timetable makes of it.
        lines: what was logged, as JSON; None for nothing.
    """

    fire: Fire
    settled: Settled
    outcome: AttemptOutcome
    finished_at: Instant
    error: str | None = None
    result: str | None = None
    lines: str | None = None


class Settlement(NamedTuple):
    """What was made of a batch: results refused, next attempts, new runs, runs not to start."""

    refused: Sequence[Ended]
    again: Sequence[Fire]
    fires: Sequence[Fire]
    revoked: Sequence[int]


_Due = tuple[int, Instant, Instant, int, int, int, Job]

_DUE = """SELECT '[' || group_concat('[' || t.job_id || ',' || t.next_at || ',' || t.cursor || ','
        || t.started || ',' || t.number || ','
        || (SELECT count(*) FROM run r WHERE r.job_id = t.job_id AND r.outcome IS NULL)
        || ',' || j.definition || ']') || ']'
    FROM (SELECT * FROM timer WHERE next_at <= ?1 AND next_at >= ?2
          AND (next_at > ?2 OR job_id > ?3)
          ORDER BY next_at, job_id LIMIT ?4) t JOIN job j ON j.id = t.job_id"""

_decode_due = msgspec.json.Decoder(list[_Due]).decode


def claim(
    connection: Connection,
    now: Instant,
    horizon: Instant,
    node: int,
    *,
    limit: int,
    place: tuple[Instant, int] = PLACE,
    downtime: Downtime | None = None,
) -> Claimed:
    """Decide what is due, and what will be by ``horizon`` if nothing can come between.

    A run that is claimed before its instant is one that is sure to be: its job has nothing in
    flight, and one slot alone. All others are decided at their own instant.
    """
    if global_pause(connection) is not None:
        return Claimed((), (), place, more=False)
    shared = int(one(connection, "SELECT count(*) FROM node")) > 1
    if shared:
        horizon = now  # nobody can hold what another process has claimed
    text = one(connection, _DUE, (horizon, *place, limit))
    due = _decode_due(text) if text else []
    batch = _Batch(connection, now, node, downtime)
    for line in due:
        batch.take(line)
    batch.write()
    exact = min((moment for moment in batch.later if moment <= horizon), default=None)
    if len(due) == limit:
        place = max((line[1], line[0]) for line in due)
        return Claimed(batch.fires, batch.cancel, place, more=True, exact=exact, is_shared=shared)
    following = one(connection, "SELECT min(next_at) FROM timer WHERE next_at > ?", (horizon,))
    return Claimed(
        batch.fires,
        batch.cancel,
        place,
        more=False,
        exact=exact,
        following=following,
        is_shared=shared,
    )


class _Batch:
    """The plans of many jobs in the making, written together."""

    def __init__(
        self, connection: Connection, now: Instant, node: int, downtime: Downtime | None
    ) -> None:
        self._connection, self._now, self._node = connection, now, node
        self._downtime = downtime
        self._calendars: dict[str, Calendar] | None = None
        self._timers: list[Row] = []
        self._entries: list[ledger.Line] = []
        self._starts: list[tuple[int, Job, int, Instant, Instant, bool]] = []
        self.fires: list[Fire] = []
        self.cancel: list[int] = []
        self.later: list[Instant] = []

    def take(self, due: _Due) -> None:
        """Plan one job, at its own instant if that is still to come."""
        job_id, next_at, cursor, started, number, in_flight, job = due
        at = next_at
        if next_at <= self._now:
            at = self._now
        elif in_flight or job.on_crash != "rerun" or not job.is_active:
            self.later.append(next_at)
            return
        state = JobState(job_id, job, cursor, started)
        if in_flight:
            state = _with_runs(self._connection, state)
        down = self._downtime
        if down is not None and next_at > down.last:
            down = None
        planned = plan(state, at, self._known(job), down)
        if next_at > self._now and not _is_sure(planned):
            self.later.append(next_at)
            return
        self._keep(planned, job_id, job, number, at)

    def _known(self, job: Job) -> dict[str, Calendar]:
        if job.calendar is None:
            return {}
        if self._calendars is None:
            self._calendars = jobs.calendars(self._connection)
        return self._calendars

    def _keep(self, planned: JobPlan, job_id: int, job: Job, number: int, at: Instant) -> None:
        if planned.entries:
            # The number of the run before it: entries with a run between them are two rows.
            slots = [start.slot for start in planned.starts]
            self._entries.extend(
                (job_id, number + sum(slot < entry.first for slot in slots), entry)
                for entry in planned.entries
            )
        if planned.cancel_running:
            self.cancel.append(job_id)
        if planned.job is not None:
            if planned.job.is_active and not job.is_active:
                jobs.unpause(self._connection, job_id)
            job = planned.job
            jobs.write_definition(self._connection, job_id, job)
        for start in planned.starts:
            number += 1
            behind = start.queued or planned.cancel_running
            self._starts.append((job_id, job, number, start.slot, at, behind))
        next_at = planned.next_at
        self._timers.append((job_id, next_at, planned.cursor, planned.started, number))
        if next_at is not None:
            self.later.append(next_at)

    def write(self) -> None:
        """Move the jobs on, and write down what runs and what does not."""
        if self._timers:
            write_rows(
                self._connection,
                # Half the price of UPDATE … FROM; the rows are there.
                "INSERT INTO timer (job_id, next_at, cursor, started, number) VALUES {rows}"
                " ON CONFLICT (job_id) DO UPDATE SET next_at = excluded.next_at,"
                " cursor = excluded.cursor, started = excluded.started,"
                " number = excluded.number",
                self._timers,
            )
        if self._entries:
            ledger.write(self._connection, self._entries)
        if not self._starts:
            return
        now, node = self._now, self._node
        tokens = advance(self._connection, "token", len(self._starts))
        rows: list[Row] = []
        fires = self.fires
        for token, (job_id, job, number, slot, at, queued) in zip(
            tokens, self._starts, strict=True
        ):
            state = "queued" if queued else "claimed"
            rows.append((token, job_id, number, slot, "scheduled", state, node, token, 1, 0, now))
            fires.append(
                Fire(
                    run_id=token,
                    job_id=job_id,
                    number=number,
                    slot=slot,
                    at=at,
                    token=token,
                    job=job,
                    queued=queued,
                    waited=queued,
                )
            )
        written = write_rows(self._connection, f"{_INSERT} ON CONFLICT DO NOTHING", rows)
        if written < len(rows):  # these slots have had their run
            ids = listed(tokens)
            kept = ids_of(
                self._connection,
                "SELECT id FROM run WHERE id IN (SELECT value FROM json_each(?))",
                (ids,),
            )
            there = set(kept)
            fires[:] = [fire for fire in fires if fire.run_id in there]


def _is_sure(planned: JobPlan) -> bool:
    return (
        len(planned.starts) == 1
        and not planned.entries
        and not planned.starts[0].queued
        and planned.job is None
    )


def _with_runs(connection: Connection, state: JobState) -> JobState:
    counts = next(
        connection.execute(
            "SELECT count(*) FILTER (WHERE state <> 'queued'),"
            " count(*) FILTER (WHERE state = 'queued'),"
            " coalesce(max(number) FILTER (WHERE state <> 'queued'), 0)"
            " FROM run WHERE job_id = ? AND outcome IS NULL",
            (state.id,),
        )
    )
    in_flight, queued, number = counts
    return msgspec.structs.replace(state, in_flight=in_flight, queued=queued, run=number)


def next_due(connection: Connection, after: Instant) -> Instant | None:
    """The first instant after a moment at which a job is to be looked at."""
    found: Instant | None = one(
        connection, "SELECT min(next_at) FROM timer WHERE next_at > ?", (after,)
    )
    return found


# Runs on demand


def start(
    connection: Connection,
    job_id: int,
    job: Job,
    now: Instant,
    node: int,
    *,
    kind: RunKind = "manual",
    slots: Sequence[Instant] = (),
    one_by_one: bool = False,
) -> list[Fire]:
    """New runs of a job for this node, for now or for the slots given; its cursor stays."""
    slots = slots or (now,)
    number = int(one(connection, "SELECT number FROM timer WHERE job_id = ?", (job_id,)))
    execute(
        connection,
        "UPDATE timer SET number = ? WHERE job_id = ?",
        (number + len(slots), job_id),
    )
    tokens = advance(connection, "token", len(slots))
    fires = [
        Fire(
            run_id=token,
            job_id=job_id,
            number=number + place,
            slot=slot,
            at=now,
            token=token,
            job=job,
            kind=kind,
            queued=one_by_one,
            waited=one_by_one,
        )
        for place, (token, slot) in enumerate(zip(tokens, slots, strict=True), start=1)
    ]
    _insert(connection, fires, now, node)
    return fires


def start_call(
    connection: Connection,
    job: Job,
    now: Instant,
    node: int,
    *,
    kind: RunKind = "async",
    cid: str = "",
) -> Fire:
    """A run of a definition that is no job's."""
    token = advance(connection, "token", 1)[0]
    at = max(now, job.trigger.start)
    fire = Fire(
        run_id=token,
        job_id=0,
        number=token,
        slot=at,
        at=at,
        token=token,
        job=job,
        kind=kind,
        cid=cid,
    )
    _insert(connection, [fire], now, node)
    execute(
        connection,
        "INSERT INTO call VALUES (?, ?, ?)",
        (token, msgspec.json.encode(job).decode(), cid),
    )
    return fire


def _insert(connection: Connection, fires: Sequence[Fire], now: Instant, node: int) -> None:
    rows = [
        (
            fire.run_id,
            fire.job_id,
            fire.number,
            fire.slot,
            fire.kind,
            "queued" if fire.queued else "claimed",
            node,
            fire.token,
            fire.attempt,
            fire.crashes,
            now,
        )
        for fire in fires
    ]
    write_rows(connection, _INSERT, rows)


def retry(connection: Connection, job_id: int, number: int, now: Instant, node: int) -> list[Fire]:
    """A finished run's slot once more, as a new run."""
    row = jobs.get(connection, job_id)
    found = list(
        connection.execute(
            "SELECT slot, outcome FROM run WHERE job_id = ? AND number = ? ORDER BY id DESC",
            (job_id, number),
        )
    )
    if not found:
        raise NotFoundError(f"Run {number} not found")
    slot, outcome = found[0]
    if outcome is None:
        raise ConflictError(f"Run {number} is in flight")
    return start(connection, job_id, row.job, now, node, kind="retry", slots=(slot,))


def cancel_waiting(connection: Connection, job_id: int, number: int, now: Instant) -> list[int]:
    """Close a run that nobody is busy with; its id."""
    found = ids_of(
        connection,
        "SELECT id FROM run WHERE job_id = ? AND number = ? AND outcome IS NULL"
        " AND (state IN ('queued', 'waiting') OR node = 0)",
        (job_id, number),
    )
    for run_id in found:
        execute(
            connection,
            "UPDATE run SET outcome = 'cancelled', state = 'done', finished_at = ? WHERE id = ?",
            (now, run_id),
        )
    return found


# Settling


def settle_all(
    connection: Connection,
    batch: Sequence[Ended],
    now: Instant,
    node: int,
    begun: Begun = jobs.NOBODY,
) -> Settlement:
    """Write down how attempts ended, and all that follows from it; stale results are refused."""
    batch = [_for_good(connection, ended) for ended in batch]
    finals = [ended for ended in batch if ended.settled.outcome is not None]
    kept = _finish(connection, finals)
    again: list[Fire] = []
    fires: list[Fire] = []
    revoked: list[int] = []
    lines = [(ended.fire.run_id, ended.lines) for ended in batch if ended.lines is not None]
    write_rows(connection, "INSERT OR REPLACE INTO run_log VALUES {rows}", lines)
    refused = [] if kept == len(finals) else _refused(connection, finals)
    gone = {ended.fire.token for ended in refused}
    for ended in batch:
        if ended.settled.outcome is None:
            following = _again(connection, ended, now)
            if following is None:
                refused.append(ended)
            else:
                again.append(following)
        elif ended.fire.token not in gone:
            if ended.settled.callbacks:
                fires.extend(_called_back(connection, ended, now, node))
            if ended.fire.job.pause_after_failures is not None:
                revoked.extend(_count_failures(connection, ended, now, begun))
    return Settlement(refused, again, fires, revoked)


def _for_good(connection: Connection, ended: Ended) -> Ended:
    """There is no next attempt for a job that was deleted."""
    if ended.settled.outcome is not None or not ended.fire.job_id:
        return ended
    alive = "SELECT 1 FROM timer WHERE job_id = ?"
    if one(connection, alive, (ended.fire.job_id,)) is not None:
        return ended
    return msgspec.structs.replace(ended, settled=Settled(ended.outcome))


def _finish(connection: Connection, finals: Sequence[Ended]) -> int:
    rows = [
        (
            ended.fire.run_id,
            ended.fire.token,
            ended.settled.outcome,
            ended.fire.started_at or None,
            ended.finished_at,
            ended.error,
            ended.result,
        )
        for ended in finals
    ]
    return write_rows(
        connection,
        "WITH v (id, token, outcome, started_at, finished_at, error, result) AS (VALUES {rows})"
        " UPDATE run SET outcome = v.outcome, started_at = v.started_at, state = 'done',"
        " finished_at = v.finished_at, error = v.error, result = v.result"
        " FROM v WHERE run.id = v.id AND run.token = v.token AND run.outcome IS NULL",
        rows,
    )


def _refused(connection: Connection, finals: Sequence[Ended]) -> list[Ended]:
    """Those whose run has another token or another end by now."""
    refused = []
    for ended in finals:
        found = one(
            connection,
            "SELECT 1 FROM run WHERE id = ? AND token = ? AND outcome = ? AND finished_at = ?",
            (ended.fire.run_id, ended.fire.token, ended.settled.outcome, ended.finished_at),
        )
        if found is None:
            refused.append(ended)
    return refused


def _again(connection: Connection, ended: Ended, now: Instant) -> Fire | None:
    """The next attempt, or None when this one is not the latest any more."""
    fire = ended.fire
    token = advance(connection, "token", 1)[0]
    changed = execute(
        connection,
        "UPDATE run SET state = 'waiting', retry_at = ?, token = ?, attempt = ?, started_at = ?,"
        " error = ? WHERE id = ? AND token = ? AND outcome IS NULL",
        (
            ended.settled.retry_at,
            token,
            fire.attempt + 1,
            fire.started_at or None,
            ended.error,
            fire.run_id,
            fire.token,
        ),
    )
    if not changed:
        return None
    _keep_attempt(connection, ended)
    return msgspec.structs.replace(
        fire,
        token=token,
        attempt=fire.attempt + 1,
        at=ended.settled.retry_at or now,
        started_at=0,
        queued=False,
        waited=True,
    )


def _keep_attempt(connection: Connection, ended: Ended) -> None:
    fire = ended.fire
    execute(
        connection,
        "INSERT OR REPLACE INTO attempt VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            fire.run_id,
            fire.attempt,
            fire.token,
            fire.started_at or None,
            ended.finished_at,
            ended.outcome,
            ended.error,
        ),
    )


def _called_back(connection: Connection, ended: Ended, now: Instant, node: int) -> list[Fire]:
    told = _told(ended)
    found: list[Fire] = []
    for callback in ended.settled.callbacks:
        found.extend(_call_back(connection, callback, told, now, node))
    return found


def _call_back(
    connection: Connection, callback: Callback, told: str, now: Instant, node: int
) -> list[Fire]:
    if callback.kind == "service":
        job = Job(name="", service=callback.name, trigger=OneTime(start=now), extra=told)
        return [start_call(connection, job, now, node, kind="callback")]
    found = one(
        connection,
        "SELECT id FROM job WHERE name = ? AND deleted_at IS NULL AND is_active",
        (callback.name,),
    )
    if found is None:
        return []
    job = jobs.get(connection, found).job
    return start(connection, found, job, now, node, kind="callback")


def _told(ended: Ended) -> str:
    """What a callback service receives, in Zato's words."""
    fire = ended.fire
    started = fire.started_at or ended.finished_at
    told = {
        "job_id": fire.job_id,
        "job_name": fire.job.name,
        "outcome": ended.settled.outcome,
        "duration_ms": (ended.finished_at - started) // 1000,
        "error_traceback": ended.error,
        "current_run": fire.number,
        "audit_event_id": fire.run_id,
    }
    return msgspec.json.encode(told).decode()


def _count_failures(
    connection: Connection, ended: Ended, now: Instant, begun: Begun
) -> Sequence[int]:
    """How many runs failed in a row; the job is paused when that is too many."""
    fire = ended.fire
    if ended.settled.outcome == "ok":
        execute(
            connection,
            "UPDATE timer SET failures = 0 WHERE job_id = ? AND failures > 0",
            (fire.job_id,),
        )
        return ()
    failures = one(connection, "SELECT failures FROM timer WHERE job_id = ?", (fire.job_id,))
    if failures is None:
        return ()
    settled = _as_known(ended, failures, now)
    execute(
        connection,
        "UPDATE timer SET failures = ? WHERE job_id = ?",
        (settled.failures, fire.job_id),
    )
    if settled.pause_note is None:
        return ()
    note = settled.pause_note
    return jobs.edit(
        connection,
        fire.job_id,
        lambda job: msgspec.structs.replace(job, is_active=False, pause_note=note),
        now,
        begun,
    ).revoked


def _as_known(ended: Ended, failures: int, now: Instant) -> Settled:
    fire = ended.fire
    return settle(
        fire.job,
        ended.settled.outcome or "error",
        fire.attempt - fire.crashes,
        fire.crashes,
        failures,
        now,
        job_id=fire.job_id,
        slot=fire.slot,
    )


# Taking over


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
    retry_at: Instant | None
    job: Job
    cid: str
    is_deleted: int


_OPEN = """SELECT json_object('id', r.id, 'job_id', r.job_id, 'number', r.number, 'slot', r.slot,
        'kind', r.kind, 'state', r.state, 'node', r.node, 'token', r.token, 'attempt', r.attempt,
        'crashes', r.crashes, 'retry_at', r.retry_at, 'cid', coalesce(c.cid, ''),
        'is_deleted', j.deleted_at IS NOT NULL,
        'job', json(coalesce(c.definition, j.definition))) AS line
    FROM (SELECT * FROM run INDEXED BY run_open
          WHERE outcome IS NULL AND job_id >= 0
          AND node NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?) r
    LEFT JOIN job j ON j.id = r.job_id LEFT JOIN call c ON c.run_id = r.id"""


class Adopted(NamedTuple):
    """What was taken over: attempts to make, and how many runs were closed for good."""

    fires: Sequence[Fire]
    closed: int
    more: bool


def adopt(
    connection: Connection, alive: Sequence[int], node: int, now: Instant, limit: int = 1000
) -> Adopted:
    """Take over runs of nodes that are not alive, as their jobs say for a crash."""
    found = read_rows(connection, _OPEN, (listed(alive), limit), _Open)
    fires: list[Fire] = []
    closed: list[Ended] = []
    suspects = 0
    for open_run in found:
        fire = _fire_of(open_run, now)
        if open_run.is_deleted:
            words = "the job was deleted"
            closed.append(Ended(fire, Settled("cancelled"), "cancelled", now, words))
            continue
        if open_run.node == 0 or open_run.state != "claimed" or open_run.slot > now:
            fires.append(_moved_to(connection, fire, node))
            continue
        fire.crashes += 1
        settled = settle(fire.job, "lost", fire.attempt, fire.crashes, 0, now, job_id=fire.job_id)
        words = "the process died during the run"
        if settled.is_quarantined:
            words = f"quarantined: {fire.crashes} processes died during this run"
        ended = Ended(fire, settled, "lost", now, words)
        if settled.outcome is None:
            suspects += fire.crashes >= SUSPECT
            fires.append(_after_crash(connection, ended, node, now + suspects * APART))
        else:
            closed.append(ended)
    for ended in closed:
        execute(
            connection,
            "UPDATE run SET crashes = ? WHERE id = ?",
            (ended.fire.crashes, ended.fire.run_id),
        )
    fires.extend(settle_all(connection, closed, now, node).fires)
    return Adopted(fires, len(closed), len(found) == limit)


def _fire_of(run: _Open, now: Instant) -> Fire:
    return Fire(
        run_id=run.id,
        job_id=run.job_id,
        number=run.number,
        slot=run.slot,
        at=max(now, run.slot) if run.state == "claimed" else run.retry_at or now,
        token=run.token,
        job=run.job,
        attempt=run.attempt,
        crashes=run.crashes,
        kind=run.kind,
        queued=run.state == "queued",
        waited=run.state != "claimed",
        cid=run.cid,
    )


def _moved_to(connection: Connection, fire: Fire, node: int) -> Fire:
    """The same attempt on another node, with a token of its own: it was never begun."""
    token = advance(connection, "token", 1)[0]
    execute(
        connection,
        "UPDATE run SET node = ?, token = ? WHERE id = ?",
        (node, token, fire.run_id),
    )
    fire.token = token
    return fire


def _after_crash(connection: Connection, ended: Ended, node: int, now: Instant) -> Fire:
    """The next attempt; that of a suspect has its own moment, so that it takes no other along."""
    fire = ended.fire
    is_suspect = fire.crashes >= SUSPECT
    token = advance(connection, "token", 1)[0]
    _keep_attempt(connection, ended)
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


def begin_again(
    connection: Connection, fire: Fire, *, alone: bool
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


def give_up(connection: Connection, fires: Sequence[Fire], begun: Begun) -> None:
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


# Standing still


def global_pause(connection: Connection) -> Pause | None:
    """The pause of the whole scheduler, if there is one."""
    text = one(connection, "SELECT value FROM setting WHERE name = ?", (GLOBAL_PAUSE,))
    return None if text is None else msgspec.json.decode(text, type=Pause)


def pause_all(connection: Connection, pause: Pause, begun: Begun) -> tuple[Pause, list[int]]:
    """Stand still, unless it does already; and the runs that are not to start."""
    if (there := global_pause(connection)) is not None:
        return there, []
    execute(
        connection,
        "INSERT INTO setting VALUES (?, ?)",
        (GLOBAL_PAUSE, msgspec.json.encode(pause).decode()),
    )
    early = ids_of(
        connection,
        "SELECT DISTINCT job_id AS id FROM run WHERE outcome IS NULL AND state = 'claimed'"
        " AND kind = 'scheduled' AND node = ? AND job_id IN (SELECT job_id FROM timer)",
        (begun.node,),
    )
    revoked = [run_id for job_id in early for run_id in jobs.revoke(connection, job_id, begun)]
    return pause, revoked


def resume_all(connection: Connection, now: Instant) -> None:
    """Go on; what was due meanwhile is in the ledger as paused."""
    pause = global_pause(connection)
    if pause is None:
        return
    execute(connection, "DELETE FROM setting WHERE name = ?", (GLOBAL_PAUSE,))
    words = "the scheduler was paused" + (f": {pause.note}" if pause.note else "")
    due = ids_of(connection, "SELECT job_id AS id FROM timer WHERE next_at <= ?", (now,))
    known = jobs.calendars(connection)
    for job_id in due:
        row = jobs.get(connection, job_id)
        if not row.job.is_active:
            continue
        over = resumed(jobs.state_of(row), now, known, words)
        lines: list[tuple[int, int, Entry]] = [(job_id, row.number, e) for e in over.entries]
        ledger.write(connection, lines)
        execute(
            connection,
            "UPDATE timer SET cursor = ?, next_at = ? WHERE job_id = ?",
            (over.cursor, over.next_at, job_id),
        )


# Nodes


def number(connection: Connection) -> int:
    """A number for a process that is to run jobs."""
    return advance(connection, "node", 1)[0]


def enter(connection: Connection, node: int, name: str, pid: int, now: Instant) -> None:
    """A process begins to run jobs."""
    execute(connection, "INSERT INTO node VALUES (?, ?, ?, ?, ?)", (node, name, pid, now, now))


def leave(connection: Connection, node: int, now: Instant) -> None:
    """A process runs no more jobs."""
    execute(connection, "DELETE FROM node WHERE id = ?", (node,))
    execute(connection, "INSERT OR REPLACE INTO setting VALUES (?, ?)", (LEFT_AT, str(now)))


def last_seen(connection: Connection) -> Instant | None:
    """The last moment at which any process is known to have run jobs; None: there was none."""
    found = one(
        connection,
        "SELECT max(at) FROM (SELECT CAST(value AS INTEGER) AS at FROM setting WHERE name = ?"
        " UNION ALL SELECT seen_at FROM node"
        " UNION ALL SELECT max(claimed_at, coalesce(finished_at, 0)) FROM"
        " (SELECT * FROM run ORDER BY id DESC LIMIT 100))",
        (LEFT_AT,),
    )
    return None if found is None else int(found)


def seen(connection: Connection, node: int, now: Instant) -> None:
    """The process is there."""
    execute(connection, "UPDATE node SET seen_at = ? WHERE id = ?", (now, node))


def bury(connection: Connection, nodes: Sequence[int]) -> None:
    """Processes were found dead."""
    for node in nodes:
        execute(connection, "DELETE FROM node WHERE id = ?", (node,))


def nodes(connection: Connection) -> list[NodeRow]:
    """The processes that run jobs, or did when they died."""
    return read_rows(
        connection,
        "SELECT json_object('id', id, 'name', name, 'pid', pid, 'started_at', started_at,"
        " 'seen_at', seen_at) AS line FROM node ORDER BY id",
        (),
        NodeRow,
    )
