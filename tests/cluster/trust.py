"""Model of trust: a node that is buried does not trust itself any longer.

One node stamps its row and trusts itself for ``EXPIRY`` from the start of its latest kept stamp;
another one looks at the row, and deletes it when the serial has stood still for longer by its own
clock. Clocks advance together and are never compared. ``runs`` takes the result for granted.

``left_out`` may have: compare (the row is deleted whatever its serial is by then), watch (the
serial may stand still for as short as one tick), start (trust counts from the stamp's answer),
wrap (serials begin again after two), afresh (an outage of the database does not end the watch).
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.cluster.explore import Violation

EXPIRY = 2
LAST_TICK = 8


class Trust(NamedTuple):
    """A state of the two nodes and the row.

    Attributes:
        serial: of the row; -1 once it is deleted.
        trusted_until: the last instant at which the watched node trusts itself.
        sent_at: when the stamp under way was started; -1 for none.
        kept: 1 if the stamp under way was committed, and its answer is still to come.
        seen: the serial that the watching node saw, since ``seen_since``.
        is_away: 1 while the database does not answer.
        outages: how often it may still go away.
        is_prompt: 1 if the watched node never stops: it has stamped in each tick with a database.
        stamped_at: of the latest commit.
    """

    now: int = 0
    serial: int = 0
    trusted_until: int = EXPIRY
    sent_at: int = -1
    kept: int = 0
    seen: int = 0
    seen_since: int = 0
    looked_at: int = 0
    is_away: int = 0
    outages: int = 1
    is_prompt: int = 0
    stamped_at: int = 0


def start(*, is_prompt: bool = False) -> Trust:
    """Return the first state."""
    return Trust(is_prompt=int(is_prompt))


def steps(left_out: frozenset[str], state: Trust) -> Iterator[tuple[str, Trust]]:
    """Yield the steps that are possible."""
    yield from _time(state)
    if state.outages or state.is_away:
        leaves = state.outages - (not state.is_away)
        yield "outage", state._replace(is_away=1 - state.is_away, outages=leaves)
    yield from _stamps(left_out, state)
    if state.serial >= 0 and not state.is_away:
        yield from _looks(left_out, state)


def _time(state: Trust) -> Iterator[tuple[str, Trust]]:
    must_stamp = state.is_prompt and not state.is_away and state.stamped_at < state.now
    must_look = not state.is_away and state.looked_at < state.now
    if state.now < LAST_TICK and not must_stamp and not must_look:
        yield "tick", state._replace(now=state.now + 1)


def _stamps(left_out: frozenset[str], state: Trust) -> Iterator[tuple[str, Trust]]:
    if state.sent_at < 0 and state.serial >= 0 and state.stamped_at < state.now:
        yield "send", state._replace(sent_at=state.now, kept=0)
    elif state.sent_at >= 0 and not state.kept and not state.is_away:
        if state.serial < 0:
            yield "refused", state._replace(sent_at=-1)
        else:
            following = (state.serial + 1) % (2 if "wrap" in left_out else 1_000)
            yield "commit", state._replace(serial=following, kept=1, stamped_at=state.now)
    elif state.kept:
        counted = state.now if "start" in left_out else state.sent_at
        until = max(state.trusted_until, counted + EXPIRY)
        if state.serial < 0 and until >= state.now:
            raise Violation("I2: a node trusts itself after it was buried")
        yield "answer", state._replace(sent_at=-1, kept=0, trusted_until=until)


def _looks(left_out: frozenset[str], state: Trust) -> Iterator[tuple[str, Trust]]:
    now, has_missed = state.now, state.now - state.looked_at > 1
    if state.looked_at < now:
        since = state.seen_since
        if state.serial != state.seen or (has_missed and "afresh" not in left_out):
            since = now
        yield "look", state._replace(seen=state.serial, seen_since=since, looked_at=now)
        return
    needed = 1 if "watch" in left_out else EXPIRY + 1
    is_same = state.serial == state.seen or "compare" in left_out
    if now - state.seen_since >= needed and is_same:
        if now <= state.trusted_until or (state.kept and now <= state.sent_at + EXPIRY):
            raise Violation("I2: a node is buried that trusts itself")
        if state.is_prompt:
            raise Violation("a node is buried for an outage of the database")
        yield "bury", state._replace(serial=-1)
