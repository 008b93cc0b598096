"""Outputs that several built-in services share, and the form of times in all outputs.

They are typed dictionaries: callers within the process receive plain dictionaries. Keys that may
be missing are ``NotRequired``; keys that may be null allow None.
"""

from typing import Any, TypedDict, TypeVar, cast

from zato_lite.clock import to_datetime
from zato_lite.store.job_figures import LatestRun
from zato_lite.store.rows import RunRow
from zato_lite.timetable.job import (
    Instant,
)


class Empty(TypedDict):
    """An empty object."""


class Named(TypedDict):
    """The name of what was created or changed."""

    name: str


Output = TypeVar("Output")


def build(output: type[Output], row: Any, **values: Any) -> Output:
    """Return an output: each declared key from ``values``, or else from the row's attributes."""
    keys = output.__annotations__  # in the order of their declaration, inherited ones first
    return cast(
        "Output", {key: values[key] if key in values else getattr(row, key) for key in keys}
    )


def iso(instant: Instant) -> str:
    """Return the instant as ISO 8601 in UTC, with the offset."""
    return to_datetime(instant).isoformat()


def naive_iso(instant: Instant) -> str:
    """Return the instant as ISO 8601 in UTC without an offset, as Zato writes it."""
    return to_datetime(instant).replace(tzinfo=None).isoformat()


def iso_or_none(instant: Instant | None) -> str | None:
    """Return the instant as ``iso`` does; None for none."""
    return iso(instant) if instant is not None else None


def duration_ms(run: RunRow | LatestRun | None) -> float | None:
    """Return the duration of a run; None if it has not ended or there is none."""
    if run is None or run.duration_us is None:
        return None
    return run.duration_us / 1000
