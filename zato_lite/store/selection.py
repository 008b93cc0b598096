"""Selection: the jobs that a bulk command changes."""

from collections.abc import Collection
from typing import NamedTuple

import msgspec

from zato_lite.store.jobs import matching
from zato_lite.store.ports import Connection
from zato_lite.store.sql import fetch_value, json_list

_ROWS = "json_group_array(json_array(id, name, service))"


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
        where = (
            "deleted_at IS NULL AND (id IN (SELECT value FROM json_each(?))"
            " OR name IN (SELECT value FROM json_each(?)))"
        )
        values: list[str | int] = [json_list(selection.ids), json_list(selection.names)]
    else:
        where, values = matching(selection.query, selection.service)
    rows = f"SELECT {_ROWS} FROM (SELECT * FROM job j WHERE {where} ORDER BY name)"
    return msgspec.json.decode(fetch_value(connection, rows, values), type=list[Selected])
