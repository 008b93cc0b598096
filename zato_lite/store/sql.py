"""SQL helpers: bulk writes and bulk reads in few statement steps.

Each step of a statement releases the GIL and then waits to get it back, which under load costs
more than the step itself. Bulk writes therefore bind hundreds of rows in one statement, and bulk
reads return one JSON text. The number of different statement texts stays small, so that each is
prepared once and then found in the statement cache.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, TypeVar

import msgspec

from zato_lite.store.ports import Connection, Row

Value = TypeVar("Value")

_BATCH_SIZES = (256, 32, 4, 1)
"""Numbers of rows that one statement binds: few sizes, to keep the statement cache effective."""


def write_rows(connection: Connection, statement: str, rows: Sequence[Row]) -> int:
    """Execute ``statement`` with ``rows`` in place of ``{rows}``; return the rows changed."""
    changed = position = 0
    while position < len(rows):
        remaining = len(rows) - position
        size = next(size for size in _BATCH_SIZES if size <= remaining)
        batch = rows[position : position + size]
        values = list(chain.from_iterable(batch))
        for _ in connection.execute(_with_rows(statement, size, len(batch[0])), values):
            pass
        changed += connection.changes()
        position += size
    return changed


def rehearse(connection: Connection, work: Callable[[], Value]) -> Value:
    """Return the result of ``work``, or raise its error, and undo all that it has written."""
    execute(connection, "SAVEPOINT rehearsal")
    try:
        return work()
    finally:
        execute(connection, "ROLLBACK TO rehearsal")
        execute(connection, "RELEASE rehearsal")


@lru_cache(maxsize=200)
def _with_rows(statement: str, size: int, width: int) -> str:
    row = "(" + ",".join("?" * width) + ")"
    return statement.replace("{rows}", ",".join([row] * size))


def fetch_all(
    connection: Connection, statement: str, values: Sequence[Any], kind: type[Value]
) -> list[Value]:
    """Decode all rows of a statement whose one column, ``line``, is JSON."""
    text = fetch_value(
        connection, f"SELECT json_group_array(json(line)) FROM ({statement})", values
    )
    list_type: Any = list.__class_getitem__(kind)
    rows: list[Value] = msgspec.json.decode(text, type=list_type)
    return rows


def fetch_value(connection: Connection, statement: str, values: Sequence[Any] = ()) -> Any:
    """Return the first column of the only row, or None without a row."""
    value = None
    for row in connection.execute(statement, values):
        value = row[0]
    return value


def fetch_row(connection: Connection, statement: str, values: Sequence[Any] = ()) -> Sequence[Any]:
    """Return the only row."""
    (row,) = connection.execute(statement, values)
    return row


def fetch_ids(connection: Connection, statement: str, values: Sequence[Any] = ()) -> list[int]:
    """Return the whole numbers of a statement's one column, ``id``."""
    text = fetch_value(connection, f"SELECT json_group_array(id) FROM ({statement})", values)
    return msgspec.json.decode(text, type=list[int])


def next_numbers(connection: Connection, sequence: str, count: int) -> range:
    """Take ``count`` unused numbers from a sequence."""
    last: int = fetch_value(
        connection,
        "UPDATE sequence SET value = value + ? WHERE name = ? RETURNING value",
        (count, sequence),
    )
    return range(last - count + 1, last + 1)


def execute(connection: Connection, statement: str, values: Sequence[Any] = ()) -> int:
    """Execute a statement that returns no rows; return the number of rows changed."""
    for _ in connection.execute(statement, values):
        pass
    return connection.changes()


def json_list(items: Iterable[int | str]) -> str:
    """Encode numbers or texts as the JSON list that ``json_each`` reads."""
    return msgspec.json.encode(list(items)).decode()


def batches(values: Sequence[Value], size: int) -> Iterator[Sequence[Value]]:
    """Iterate over slices of at most ``size`` values."""
    for position in range(0, len(values), size):
        yield values[position : position + size]
