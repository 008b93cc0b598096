"""Throttle: makes clients wait after failed sign-ins, longer each time. Pure."""

from typing import NamedTuple

from zato_lite.errors import TooManyRequestsError

_FORGOTTEN_S = 900.0
_MAX_WAIT_S = 300.0
_MAX_SUBJECTS = 10_000


class _Failures(NamedTuple):
    """Consecutive failures of a subject, and the time before which no attempt is made."""

    failures: int
    blocked_until: float


class Throttle:
    """Counts consecutive failures by subject, such as an address; times are monotonic seconds."""

    def __init__(self) -> None:
        self._failures: dict[str, _Failures] = {}

    def check(self, subject: str, now: float) -> None:
        """Refuse an attempt that comes too early.

        Raises:
            TooManyRequestsError: the subject has to wait.
        """
        failures = self._failures.get(subject)
        if failures is not None and failures.blocked_until > now:
            raise TooManyRequestsError("Too many failed attempts; try again later")

    def record_failure(self, subject: str, allowed: int, now: float) -> None:
        """Record a failure; beyond the allowed ones, the wait doubles with each."""
        last = self._failures.get(subject)
        is_first = last is None or last.blocked_until < now - _FORGOTTEN_S
        count = 1 if last is None or is_first else last.failures + 1
        excess = count - allowed
        wait = min(2.0 ** min(excess, 20), _MAX_WAIT_S) if excess > 0 else 0.0
        if len(self._failures) >= _MAX_SUBJECTS:
            self._failures.clear()
        self._failures[subject] = _Failures(count, now + wait)

    def record_success(self, subject: str) -> None:
        """Forget the failures of a subject."""
        self._failures.pop(subject, None)
