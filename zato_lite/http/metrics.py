"""Latency recorder: counters of invocations over HTTP, cheap enough for the hot path."""

from bisect import bisect_left
from collections.abc import Iterator

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper edges of the latency histogram in seconds."""

QUICK_S = BUCKETS_S[0]
"""Seconds up to which ``LatencyRecorder.quick`` counts an invocation: the first bucket."""

_MAX_STATUS = 600
_OK = 200


class LatencyRecorder:
    """Counters of invocations over HTTP by duration and response status.

    Attributes:
        quick: invocations of up to ``QUICK_S`` answered 200. Most are: the caller increments this
            and ``seconds`` without a function call.
        seconds: total duration of all invocations.
    """

    __slots__ = ("_counts", "_statuses", "quick", "seconds")

    def __init__(self) -> None:
        self.quick = 0
        self.seconds = 0.0
        self._counts = [0] * (len(BUCKETS_S) + 1)
        self._statuses = [0] * _MAX_STATUS

    def add(self, status: int, seconds: float) -> None:
        """Record an invocation that was not counted as quick."""
        self.seconds += seconds
        self._statuses[status] += 1
        self._counts[bisect_left(BUCKETS_S, seconds)] += 1

    def counts(self) -> list[int]:
        """Return the invocations per bucket, not cumulated; the last bucket has no upper edge."""
        return [self._counts[0] + self.quick, *self._counts[1:]]

    def statuses(self) -> Iterator[tuple[int, int]]:
        """Yield each response status and its invocations."""
        for status, count in enumerate(self._statuses):
            if total := count + self.quick * (status == _OK):
                yield status, total
