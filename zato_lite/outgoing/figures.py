"""Figures of outgoing connections: calls by result, and their duration."""

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

EDGES_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the buckets of the histogram, in seconds."""


class Figures:
    """Calls of one connection since the start of the process.

    Attributes:
        results: numbers of calls by result: a status of HTTP, ``ok``, ``error``, ``timeout`` or
            ``cancelled``.
        counts: numbers of calls by bucket; the last one is above all edges.
        seconds: total duration.
    """

    __slots__ = ("counts", "results", "seconds")

    def __init__(self) -> None:
        self.results: Counter[int | str] = Counter()
        self.counts = [0] * (len(EDGES_S) + 1)
        self.seconds = 0.0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the call that is made within, by how it ends."""
        began, result = monotonic(), "error"
        try:
            yield
            result = "ok"
        except asyncio.CancelledError:
            result = "cancelled"
            raise
        except TimeoutError:
            result = "timeout"
            raise
        finally:
            self.record(result, monotonic() - began)

    def record(self, result: int | str, seconds: float) -> None:
        """Count a call."""
        self.results[result] += 1
        self.counts[bisect_left(EDGES_S, seconds)] += 1
        self.seconds += seconds
