"""Small functions of ``zato.common.util`` that services import."""

from datetime import datetime
from uuid import uuid4

from zato_lite.clock import SystemClock, to_datetime
from zato_lite.zato.elements import Bool

__all__ = ["asbool", "new_cid", "utcnow"]


def new_cid() -> str:
    """Return a new correlation id."""
    return uuid4().hex


def asbool(value: object) -> bool:
    """Return the boolean of a text: ``true``, ``yes``, ``on``, ``1``, or an opposite.

    Raises:
        ValueError: it is none of them.
    """
    return Bool("value").convert(value)


def utcnow() -> datetime:
    """Return the current time, aware."""
    return to_datetime(SystemClock().now())
