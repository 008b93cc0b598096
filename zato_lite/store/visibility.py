"""Visibility: which jobs, runs and ledger rows a caller with patterns may see, as conditions."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from zato_lite.store.ports import Connection
from zato_lite.store.sql import fetch_value, json_list

Permits = Callable[[str], bool]
"""Returns True for the services that a caller may see."""


class Visible(NamedTuple):
    """A condition on rows and its values; empty if all rows are visible."""

    condition: str = ""
    values: tuple[str, ...] = ()


def visible_jobs(connection: Connection, permits: Permits | None) -> Visible:
    """Return the condition on rows of ``job`` whose services are permitted."""
    if permits is None:
        return Visible()
    return Visible(
        " AND service IN (SELECT value FROM json_each(?))", (_services(connection, permits),)
    )


def visible_runs(connection: Connection, permits: Permits | None) -> Visible:
    """Return the condition on rows with the ``job_id`` of a job whose service is permitted.

    Runs without a job are not visible.
    """
    if permits is None:
        return Visible()
    jobs = "SELECT id FROM job WHERE service IN (SELECT value FROM json_each(?))"
    return Visible(f" AND job_id IN ({jobs})", (_services(connection, permits),))


def _services(connection: Connection, permits: Permits) -> str:
    text = fetch_value(connection, "SELECT json_group_array(DISTINCT service) FROM job")
    return json_list([name for name in msgspec.json.decode(text, type=list[str]) if permits(name)])
