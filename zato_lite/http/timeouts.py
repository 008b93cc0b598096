"""Timeouts: decides from a connection's state whether its client has taken too long. Pure."""

from enum import Enum

import msgspec

from zato_lite.http.head import RefusedError
from zato_lite.http.parser import Limits, State

LINGER_S = 2.0
"""Seconds for which bytes are discarded after the last answer, so that the client can read it."""


class Action(Enum):
    """An action on a connection."""

    RESTART = "count the time from now"
    CLOSE = "close after the last answer"
    ABORT = "close now"
    RESET = "close now and drop the bytes that the kernel holds for the client"


class ConnectionState(msgspec.Struct, gc=False):
    """The state of a connection that its timeouts depend on; times are monotonic seconds.

    Attributes:
        state: the part of a request that is being received.
        since: when that part began.
        received: bytes of the body so far.
        is_new: no request has begun yet.
        is_ended: no further requests are accepted.
        is_busy: a request waits for its answer.
        is_paused: the server does not read, so the client cannot send.
        lingering_since: when the last answer was sent; None if more may come.
        stalled_since: when the client stopped reading; None if it reads.
        sent: bytes that it has read since then.
    """

    state: State
    since: float
    received: int = 0
    is_new: bool = False
    is_ended: bool = False
    is_busy: bool = False
    is_paused: bool = False
    lingering_since: float | None = None
    stalled_since: float | None = None
    sent: int = 0


def check(state: ConnectionState, limits: Limits, now: float) -> Action | RefusedError | None:
    """Return the action that is due, or a refusal to send; None if the client has time left."""
    if state.stalled_since is not None:
        return _check_reader(state.sent, now - state.stalled_since, limits)
    if state.lingering_since is not None:
        return Action.ABORT if now - state.lingering_since > LINGER_S else None
    if state.is_paused:
        return Action.RESTART
    return None if state.is_ended else _check_sender(state, limits, now - state.since)


def _check_sender(
    state: ConnectionState, limits: Limits, waited: float
) -> Action | RefusedError | None:
    """Check a client that sends a request, or sends none."""
    if state.state == "idle":
        limit = limits.header_seconds if state.is_new else limits.keep_alive_seconds
        return Action.CLOSE if waited > limit and not state.is_busy else None
    if state.state == "head":
        is_late = waited > limits.header_seconds
        return RefusedError(408, "header block took too long") if is_late else None
    is_late = state.received <= limits.body_rate * (waited - limits.body_grace_seconds)
    return RefusedError(408, "body took too long") if is_late else None


def _check_reader(sent: int, waited: float, limits: Limits) -> Action | None:
    """Check a client that reads slowly; each stretch at the minimum rate gives it more time."""
    if sent > limits.body_rate * waited:
        return Action.RESTART
    return Action.RESET if waited > limits.body_grace_seconds else None
