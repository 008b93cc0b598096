"""Rate limit: middleware that refuses invocations that come too fast."""

import math
from collections.abc import Callable, Collection
from typing import Any, Literal

from zato_lite.errors import ConfigError, TooManyRequestsError
from zato_lite.service.middleware import Call

_MAX_KEYS = 10_000
"""Callers from which on those are forgotten that could send again at full rate."""


class RateLimit:
    """Middleware: at most ``limit`` invocations in ``seconds``; others are refused with 429.

    ``limit`` may come together; then one more is accepted each ``seconds / limit``. Each process
    counts for itself, and begins again when the file with the limit is deployed again.

    Args:
        limit: the number of invocations.
        seconds: the period.
        by: has a limit each: every caller, every service, or what a function of the call returns.
        channels: the channels that are counted; others pass. An invocation that a request asks
            for by ``zato.service.invoke`` counts as the request.
    """

    def __init__(
        self,
        limit: int,
        seconds: float = 60.0,
        *,
        by: Literal["caller", "service"] | Callable[[Call], str] = "caller",
        channels: Collection[str] = ("http",),
    ) -> None:
        if limit < 1 or seconds <= 0:
            text = f"RateLimit({limit!r}, {seconds!r}) is not valid; use numbers above 0"
            raise ConfigError(text)
        if not callable(by) and by not in {"caller", "service"}:
            raise ConfigError(f"RateLimit by {by!r} is unknown; use 'caller' or 'service'")
        self.limit, self.seconds = limit, seconds
        self._by, self._channels = by, frozenset(channels)
        self._interval = seconds / limit
        self._next: dict[str, float] = {}
        self._full = _MAX_KEYS

    async def __call__(self, call: Call) -> Any:
        """Return the service's answer.

        Raises:
            TooManyRequestsError: there were too many invocations.
        """
        if call.origin not in self._channels:
            return await call.next()
        key, now = self._key(call), call.invoker.monotonic()
        after = max(self._next.get(key, now), now) + self._interval
        if (wait := after - now - self.seconds) > 1e-9:  # noqa: PLR2004 - sums of floats differ
            text = f"more than {self.limit} requests in {self.seconds:g} s"
            raise TooManyRequestsError(f"{text}; try again later", math.ceil(wait))
        self._next[key] = after
        if len(self._next) > self._full:
            self._next = {name: due for name, due in self._next.items() if due > now}
            self._full = max(_MAX_KEYS, 2 * len(self._next))  # or each call would look at all
        return await call.next()

    def _key(self, call: Call) -> str:
        if callable(self._by):
            return self._by(call)
        return call.caller.principal if self._by == "caller" else call.service
