"""Spans of time in the inputs of services: from ``start`` to ``until``."""

from collections.abc import Mapping
from typing import Annotated, Any

from zato_lite.builtin.input import ParsedBy, parse_instant, wrong
from zato_lite.builtin.output import iso
from zato_lite.errors import FieldError
from zato_lite.timetable.job import DAY, Instant

Until = Annotated[
    int,
    ParsedBy(
        parse_instant,
        {"type": "string", "format": "date-time", "example": "2030-02-01T12:00:00+00:00"},
    ),
]
"""The end of a span; naive dates are in UTC. Its example is after that of a start."""


def check_span(values: Mapping[str, Any], errors: list[FieldError], longest: Instant) -> None:
    """Add an error if ``until`` is not after ``start``, or too long after it."""
    start, until = values.get("start"), values.get("until")
    if start is None or until is None or start < until <= start + longest:
        return
    allowed = f"it is after start, by at most {longest // DAY} days"
    errors.append(wrong("until", iso(until), allowed))
