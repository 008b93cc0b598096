"""Interference: services that reach for what belongs to the server, counted by service."""

import logging
import time
from collections import Counter
from collections.abc import Callable

from zato_lite.log import LogContext, invocation_context

PAUSED_AT = 3
"""Interferences after which a service is paused."""

_ONE_DEED_S = 0.1
"""Seconds within which an invocation's interferences count as one: it may cancel many tasks."""

_log = logging.getLogger(__name__)


class Interferences:
    """Counts interferences by service, and reports every third one.

    Attributes:
        counts: number of interferences by service.
        culprit: returns the name of the running service, or "" to use the outermost one's.
        on_repeated: called with the service and its deed, in any thread.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.culprit: Callable[[], str] = str
        self.on_repeated: Callable[[str, str], None] | None = None
        self._last: tuple[LogContext | None, float] = (None, 0.0)

    def report(self, invocation: LogContext, deed: str) -> None:
        """Count and log what the service of an invocation has done to the server."""
        now = time.monotonic()
        last, at = self._last
        self._last = (invocation, now)
        if last is invocation and now - at < _ONE_DEED_S:
            return
        service = self.culprit() or str(getattr(invocation, "service", ""))
        self.counts[service] += 1
        count = self.counts[service]
        fields = {"service": service, "deed": deed, "times": count, "paused_at": PAUSED_AT}
        _log.error("interference prevented", extra=fields)
        if count % PAUSED_AT == 0 and self.on_repeated is not None:
            self.on_repeated(service, deed)


interferences = Interferences()
"""The counters of this process."""


def is_interference(deed: str) -> bool:
    """Return True, and report it, if a service is running: then the deed must not be done."""
    invocation = invocation_context.get()
    if invocation is None:
        return False
    interferences.report(invocation, deed)
    return True
