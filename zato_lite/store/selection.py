"""Selection: the jobs that a bulk command changes."""

from collections.abc import Collection
from typing import NamedTuple

import msgspec

from zato_lite.store.dialect import AMONG_NUMBERS, AMONG_TEXTS
from zato_lite.store.jobs import matching
from zato_lite.store.ports import Connection
from zato_lite.store.sql import read_rows


class Selection(NamedTuple):
    """Jobs to change: by ids and names, or by a list's query.

    Attributes:
        expected: the number of jobs that must be selected; None for any.
    """

    ids: Collection[int] = ()
    names: Collection[str] = ()
    query: str | None = None
    service: str = ""
    expected: int | None = None


class Selected(msgspec.Struct, frozen=True, array_like=True):
    """A selected job."""

    id: int
    name: str
    service: str


def select(connection: Connection, selection: Selection) -> list[Selected]:
    """Return the selected jobs that exist, in order of their names."""
    if selection.query is None:
        where = f"deleted_at IS NULL AND (id {AMONG_NUMBERS} OR name {AMONG_TEXTS})"
        values = [connection.many(selection.ids), connection.many(selection.names)]
    else:
        where, values = matching(selection.query, selection.service)
    statement = f"SELECT id, name, service FROM job j WHERE {where} ORDER BY name"
    return read_rows(connection, statement, values, Selected)
