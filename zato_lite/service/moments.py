"""Services that the server invokes itself: at its start and at its stop."""

from collections.abc import Iterable
from typing import Any, TypeVar

from zato_lite.service.base import Service
from zato_lite.service.entry import Entry

ServiceClass = TypeVar("ServiceClass", bound=type[Service[Any, Any]])

_START, _STOP = "_is_on_start", "_is_on_stop"


def on_start(cls: ServiceClass) -> ServiceClass:
    """Have the server invoke a service once it has deployed all files, before its first request.

    An error is reported, and the server starts all the same. Each worker process does this. A
    service that is deployed later is invoked then; a new version of it is not.
    """
    setattr(cls, _START, True)
    return cls


def on_stop(cls: ServiceClass) -> ServiceClass:
    """Have the server invoke a service at its stop, after its last request and run.

    Resources are still open. Each worker process does this.
    """
    setattr(cls, _STOP, True)
    return cls


def started(entries: Iterable[Entry]) -> list[Entry]:
    """Return the services for the start."""
    return [entry for entry in entries if _START in vars(entry.cls)]


def stopped(entries: Iterable[Entry]) -> list[Entry]:
    """Return the services for the stop."""
    return [entry for entry in entries if _STOP in vars(entry.cls)]
