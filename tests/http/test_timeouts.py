import pytest
from msgspec.structs import replace

from zato_lite.http.head import RefusedError
from zato_lite.http.parser import Limits
from zato_lite.http.timeouts import LINGER_S, Action, ConnectionState, check

LIMITS = Limits(
    header_seconds=10.0, keep_alive_seconds=75.0, body_rate=100.0, body_grace_seconds=10.0
)
IDLE = ConnectionState("idle", since=0.0)
NEW = replace(IDLE, is_new=True)
HEAD = ConnectionState("head", since=0.0)
BODY = ConnectionState("body", since=0.0)
STALLED = replace(BODY, stalled_since=0.0)
LINGERING = replace(BODY, lingering_since=0.0, is_ended=True)


@pytest.mark.parametrize(
    ("state", "now", "due"),
    [
        (NEW, 10.0, None),
        (NEW, 10.1, Action.CLOSE),
        (IDLE, 75.0, None),
        (IDLE, 75.1, Action.CLOSE),
        (replace(IDLE, is_busy=True), 1e6, None),
        (replace(IDLE, is_ended=True), 1e6, None),
        (HEAD, 10.0, None),
        (replace(HEAD, is_ended=True), 1e6, None),
        (BODY, 9.9, None),
        (replace(BODY, received=101), 11.0, None),
        (replace(HEAD, is_paused=True), 1e6, Action.RESTART),
        (STALLED, 10.0, None),
        (STALLED, 10.1, Action.RESET),
        (replace(STALLED, sent=1001), 10.0, Action.RESTART),
        (replace(STALLED, sent=1000, is_paused=True), 10.1, Action.RESET),
        (LINGERING, LINGER_S, None),
        (LINGERING, LINGER_S + 0.1, Action.ABORT),
        (replace(LINGERING, stalled_since=0.0), 5.0, None),
    ],
)
def test_a_client_has_its_time_and_no_more(
    state: ConnectionState, now: float, due: Action | None
) -> None:
    assert check(state, LIMITS, now) == due


@pytest.mark.parametrize(
    ("state", "now", "details"),
    [
        (HEAD, 10.1, "header block took too long"),
        (replace(HEAD, is_busy=True), 10.1, "header block took too long"),
        (BODY, 10.1, "body took too long"),
        (replace(BODY, received=100), 11.0, "body took too long"),
    ],
)
def test_a_slow_request_is_refused(state: ConnectionState, now: float, details: str) -> None:
    refused = check(state, LIMITS, now)

    assert isinstance(refused, RefusedError)
    assert (refused.status, refused.details) == (408, details)
