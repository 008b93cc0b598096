"""What was logged during a run: the lines of all its attempts, and the scheduler's own between."""

from collections.abc import Iterator, Sequence

from zato_lite.store.rows import EarlierLines, LogLine, RunRow
from zato_lite.timetable.describe import duration
from zato_lite.timetable.job import Instant


def lines_of(
    row: RunRow, earlier: Sequence[EarlierLines], latest: Sequence[LogLine]
) -> list[LogLine]:
    """All lines of a run, oldest first.

    Args:
        row: the run with its latest attempt.
        earlier: of the attempts before it, in order.
        latest: of the latest attempt.
    """
    told: list[LogLine] = []
    for each in earlier:
        told += _begun(each.attempt, each.started_at, row.slot)
        told += each.lines
        told += _attempt_ended(each)
    if _has_begun(row, earlier):
        told += _begun(row.attempt, row.started_at, row.slot)
    told += latest
    told += _ended(row)
    return told


def _has_begun(row: RunRow, earlier: Sequence[EarlierLines]) -> bool:
    """Whether the latest attempt has; until then the row says when the one before did."""
    if row.started_at is None or row.state == "waiting":
        return False
    return not earlier or row.started_at >= (earlier[-1].finished_at or 0)


def _begun(attempt: int, at: Instant | None, slot: Instant) -> Iterator[LogLine]:
    if at is not None:
        words = f"Attempt {attempt} started"
        if attempt == 1:
            words = f"Job started, delay: {duration((at - slot) // 1000)}"
        yield (at, "system", words)


def _attempt_ended(each: EarlierLines) -> Iterator[LogLine]:
    if each.finished_at is not None:
        words = f"Attempt {each.attempt} ended, outcome: {each.outcome}"
        if each.started_at is not None:
            words += f", duration: {duration((each.finished_at - each.started_at) // 1000)}"
        yield (each.finished_at, "system", words)


def _ended(row: RunRow) -> Iterator[LogLine]:
    if row.finished_at is not None:
        took = duration((row.duration_us or 0) // 1000)
        words = f"Job completed, outcome: {row.outcome}, duration: {took}"
        if row.outcome == "timeout":
            words = f"Job timed out after {took}"
        yield (row.finished_at, "system", words)
