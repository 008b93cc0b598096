"""Words for pauses in the ledger: who has paused what, and why."""

from typing import Literal, NamedTuple

JOB_PAUSED = "paused"
SCHEDULER_PAUSED = "the scheduler was paused"

_SYSTEM = "system"

Paused = Literal["job", "scheduler"]


class PastPause(NamedTuple):
    """The pause of a job or of the scheduler: its author, if known, and its note."""

    of: Paused
    by: str
    note: str


def with_author(words: str, by: str, note: str) -> str:
    """Return the words for a pause with its author, if a caller has made it, and its note."""
    author = f" by {by}" if by not in {"", _SYSTEM} else ""
    return f"{words}{author}" + (f": {note}" if note else "")


def pause_of(reason: str) -> PastPause:
    """Return the pause that the reason of a ledger entry describes."""
    of: Paused = "scheduler" if reason.startswith(SCHEDULER_PAUSED) else "job"
    rest = reason.removeprefix(SCHEDULER_PAUSED).removeprefix(JOB_PAUSED)
    if not rest.startswith(" by "):
        return PastPause(of, "", rest.removeprefix(": "))
    by, _, note = rest.removeprefix(" by ").partition(": ")
    return PastPause(of, by, note)
