import pytest

from zato_lite.errors import TooManyRequestsError
from zato_lite.http.throttle import Throttle


def seconds_blocked(throttle: Throttle, subject: str, now: float) -> float:
    """Return how long the subject has to wait, to the half second."""
    waited = 0.0
    while True:
        try:
            throttle.check(subject, now + waited)
        except TooManyRequestsError:
            waited += 0.5
        else:
            return waited


def test_the_wait_doubles_with_each_failure_beyond_the_allowed_ones() -> None:
    throttle = Throttle()

    waits = []
    for _ in range(12):
        throttle.record_failure("::1", allowed=2, now=0.0)
        waits.append(seconds_blocked(throttle, "::1", 0.0))

    assert waits == [0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


@pytest.mark.parametrize(("pause", "wait"), [(901.0, 0.0), (899.0, 2.0)])
def test_failures_are_forgotten_after_a_quiet_quarter_of_an_hour(
    pause: float, wait: float
) -> None:
    throttle = Throttle()
    throttle.record_failure("::1", allowed=1, now=0.0)

    throttle.record_failure("::1", allowed=1, now=pause)

    assert seconds_blocked(throttle, "::1", pause) == wait


def test_a_success_ends_the_count_of_its_subject_only() -> None:
    throttle = Throttle()
    for subject in ("ann", "bob"):
        throttle.record_failure(subject, allowed=0, now=0.0)

    throttle.record_success("ann")

    assert seconds_blocked(throttle, "ann", 0.0) == 0
    assert seconds_blocked(throttle, "bob", 0.0) == 2
