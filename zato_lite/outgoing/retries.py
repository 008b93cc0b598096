"""Retries: decides which requests are repeated, and after which pause. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime

from zato_lite.outgoing_config import Rest

_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""Methods whose repetition has the effect of one request (RFC 9110, 9.2.2)."""

BUSY = frozenset({429, 502, 503, 504})
"""Statuses by which a server says that a later request may succeed."""


def is_repeatable(method: str, headers: Mapping[str, str]) -> bool:
    """Return True for a request that may be sent again after it has reached the server."""
    return method in _REPEATABLE or any(name.lower() == "idempotency-key" for name in headers)


def seconds_of(retry_after: str | None, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for: a number, or a date."""
    if not retry_after:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - slow to import, rarely used

    try:
        until = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


def pause(
    tries: int, settings: Rest, left: float, asked: float | None, share: float
) -> float | None:
    """Return the seconds until the next try; None if there is none.

    Args:
        tries: tries so far.
        settings: the connection's.
        left: seconds until the request's deadline.
        asked: seconds that the server asked for.
        share: a random number from 0 to 1, which keeps callers from retrying together.
    """
    if tries > settings.retries:
        return None
    longest = settings.max_retry_delay
    if asked is not None and asked > longest:
        return None
    delay = min(settings.retry_delay * 2 ** min(tries - 1, 30), longest) * (0.5 + share / 2)
    delay = max(delay, asked or 0.0)
    return delay if delay < left else None
