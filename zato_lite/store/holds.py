"""Holds: runs that have not started wait in the store while their job or the scheduler is paused.

A held run belongs to no node, and recovery leaves it alone until the pause ends. Held are runs of
slots and callbacks with their retries; what a caller asked for runs all the same.
"""

from collections.abc import Sequence

from zato_lite.store.attempts import ClaimedAttempt, StartedRuns
from zato_lite.store.dialect import AMONG_NUMBERS
from zato_lite.store.ports import Connection
from zato_lite.store.sql import (
    advance,
    execute,
    fetch_ids,
    fetch_value,
    write_rows,
)

HELD_KINDS = frozenset({"scheduled", "callback"})
PAUSE_SETTING = "scheduler.pause"

IS_PAUSED = f"EXISTS (SELECT 1 FROM setting WHERE name = '{PAUSE_SETTING}')"

IS_HELD = f"""(r.kind IN ('scheduled', 'callback') AND ({IS_PAUSED} OR EXISTS (
    SELECT 1 FROM job WHERE id = r.job_id AND NOT is_active AND deleted_at IS NULL)))"""
"""Condition: while this holds, the run ``r`` does not start."""

# Open runs that have not started: they wait, or node ? has claimed them; ? lists started ones.
_UNSTARTED = f"""SELECT id FROM run WHERE outcome IS NULL AND kind IN ('scheduled', 'callback')
    AND (state IN ('queued', 'waiting') OR node = ?)
    AND id NOT {AMONG_NUMBERS}"""

# Give runs to no node, under a new token, so that no node that still has them starts them.
_HOLD = """WITH v ({columns}) AS ({rows}) UPDATE run SET node = 0, token = v.token,
    retry_at = CASE state WHEN 'claimed' THEN slot ELSE retry_at END,
    state = CASE state WHEN 'claimed' THEN 'waiting' ELSE state END,
    wish = CASE wish WHEN 'cancel' THEN wish END
    FROM v WHERE run.id = v.id"""


def hold_runs(connection: Connection, job_id: int | None, started: StartedRuns) -> list[int]:
    """Hold the runs of a job, or of all, that have not started; return their ids."""
    values = (started.node or -1, connection.many(started.run_ids))
    if job_id is None:
        run_ids = fetch_ids(connection, _UNSTARTED, values)
    else:
        run_ids = fetch_ids(connection, f"{_UNSTARTED} AND job_id = ?", (*values, job_id))
    hold_these(connection, run_ids)
    return run_ids


def hold_these(connection: Connection, run_ids: Sequence[int]) -> None:
    """Hold runs that have not started."""
    if run_ids:
        tokens = advance(connection, "token", len(run_ids))
        write_rows(
            connection,
            _HOLD,
            "id bigint, token bigint",
            list(zip(run_ids, tokens, strict=True)),
        )


def hold_if_paused(connection: Connection, attempt: ClaimedAttempt) -> bool:
    """Hold a run's next attempt if its job or the scheduler is paused; return True if so."""
    if attempt.kind not in HELD_KINDS:
        return False
    held = f"SELECT {IS_HELD} FROM run r WHERE id = ?"
    if not fetch_value(connection, held, (attempt.run_id,)):
        return False
    execute(connection, "UPDATE run SET node = 0 WHERE id = ?", (attempt.run_id,))
    return True


def is_paused(connection: Connection) -> bool:
    """Return True if the whole scheduler is paused."""
    return bool(fetch_value(connection, f"SELECT {IS_PAUSED}"))
