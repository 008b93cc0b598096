"""Visibility: which jobs, runs and ledger rows a caller with patterns may see, as conditions."""

from collections.abc import Callable
from typing import Any, NamedTuple

from zato_lite.errors import ForbiddenError
from zato_lite.store.dialect import AMONG_TEXTS
from zato_lite.store.ports import Connection
from zato_lite.store.sql import read_rows

Permits = Callable[[str], bool]
"""Returns True for the services that a caller may see."""


class Visible(NamedTuple):
    """A condition on rows and its values; empty if all rows are visible."""

    condition: str = ""
    values: tuple[Any, ...] = ()


ALL_VISIBLE = Visible()


def visible_jobs(connection: Connection, permits: Permits | None) -> Visible:
    """Return the condition on rows of ``job`` whose services are permitted."""
    if permits is None:
        return ALL_VISIBLE
    return Visible(f" AND service {AMONG_TEXTS}", (_services(connection, permits),))


def visible_runs(connection: Connection, permits: Permits | None) -> Visible:
    """Return the condition on rows with the ``job_id`` of a job whose service is permitted.

    Runs without a job are not visible.
    """
    if permits is None:
        return Visible()
    jobs = f"SELECT id FROM job WHERE service {AMONG_TEXTS}"
    return Visible(f" AND job_id IN ({jobs})", (_services(connection, permits),))


def require_permitted(job_id: int, service: str, permits: Permits | None) -> None:
    """Refuse a job whose service is not permitted, without a word about the service.

    Raises:
        ForbiddenError: names the job.
    """
    if permits is not None and not permits(service):
        raise ForbiddenError(f"not allowed to change or run job {job_id}")


def _services(connection: Connection, permits: Permits) -> Any:
    names = read_rows(connection, "SELECT DISTINCT service FROM job", (), str)
    return connection.many([name for name in names if permits(name)])
