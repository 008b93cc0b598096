from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zato_lite.outgoing.retries import is_repeatable, pause, seconds_of
from zato_lite.outgoing_config import Rest

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
REST = Rest("http://crm", retries=3, retry_delay=0.5, max_retry_delay=4.0)


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("GET", {}, True),
        ("PUT", {}, True),
        ("DELETE", {}, True),
        ("POST", {}, False),
        ("PATCH", {"X": "y"}, False),
        ("POST", {"Idempotency-Key": "7"}, True),
    ],
)
def test_a_request_is_repeated_if_that_is_safe(
    method: str, headers: dict[str, str], expected: bool
) -> None:
    assert is_repeatable(method, headers) is expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("7", 7.0),
        ("Tue, 01 Dec 2026 12:00:30 GMT", 30.0),
        ("Tue, 01 Dec 2026 11:00:00 GMT", 0.0),
        ("Tue, 01 Dec 2026 12:00:30 -0000", 30.0),
        ("soon", None),
        ("-1", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, expected: float | None) -> None:
    assert seconds_of(header, NOON) == expected


def test_pauses_grow_up_to_the_longest() -> None:
    rest = Rest("http://crm", retries=6, retry_delay=0.5, max_retry_delay=4.0)

    assert [pause(n, rest, 99, None, 1.0) for n in range(1, 8)] == [0.5, 1, 2, 4, 4, 4, None]
    assert pause(1, rest, 99, None, 0.0) == 0.25


def test_a_server_may_ask_for_a_longer_pause_up_to_the_longest() -> None:
    assert pause(1, REST, 99, 3.0, 1.0) == 3.0
    assert pause(1, REST, 99, 4.5, 1.0) is None


@given(st.integers(1, 9), st.floats(0, 60), st.none() | st.floats(0, 60), st.floats(0, 1))
def test_a_retry_is_within_the_deadline_and_not_before_the_server_wants_it(
    tries: int, left: float, asked: float | None, share: float
) -> None:
    delay = pause(tries, REST, left, asked, share)

    if delay is not None:
        assert asked is None or delay >= asked
        assert 0 < delay < left
        assert delay <= REST.max_retry_delay
        assert tries <= REST.retries
