"""Few big steps instead of many small ones: each step gives the GIL away and waits for it.

So what is written in bulk is bound as hundreds of rows at once, and what is read in bulk comes
back as one JSON text. Texts of statements are few, so that each is prepared once.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, TypeVar

import msgspec

from zato_lite.store.ports import Connection, Row

Value = TypeVar("Value")
SIZES = (256, 32, 4, 1)


def write_rows(connection: Connection, statement: str, rows: Sequence[Row]) -> int:
    """Execute ``statement``, whose ``{rows}`` stands for many; how many rows it changed."""
    changed = position = 0
    while position < len(rows):
        left = len(rows) - position
        size = next(size for size in SIZES if size <= left)
        some = rows[position : position + size]
        values = list(chain.from_iterable(some))
        for _ in connection.execute(_with_rows(statement, size, len(some[0])), values):
            pass
        changed += connection.changes()
        position += size
    return changed


@lru_cache(maxsize=200)
def _with_rows(statement: str, size: int, width: int) -> str:
    row = "(" + ",".join("?" * width) + ")"
    return statement.replace("{rows}", ",".join([row] * size))


def fetch_all(
    connection: Connection, statement: str, values: Sequence[Any], kind: type[Value]
) -> list[Value]:
    """What the statement yields, whose one column is JSON, as values of ``kind``."""
    text = fetch_value(
        connection, f"SELECT json_group_array(json(line)) FROM ({statement})", values
    )
    many: Any = list.__class_getitem__(kind)
    found: list[Value] = msgspec.json.decode(text, type=many)
    return found


def fetch_value(connection: Connection, statement: str, values: Sequence[Any] = ()) -> Any:
    """The first column of the one row that there is, or None."""
    found = None
    for row in connection.execute(statement, values):
        found = row[0]
    return found


def fetch_row(connection: Connection, statement: str, values: Sequence[Any] = ()) -> Sequence[Any]:
    """The one row that there is."""
    (found,) = connection.execute(statement, values)
    return found


def fetch_ids(connection: Connection, statement: str, values: Sequence[Any] = ()) -> list[int]:
    """The statement's one column, which is whole numbers, in one step."""
    text = fetch_value(connection, f"SELECT json_group_array(id) FROM ({statement})", values)
    return msgspec.json.decode(text, type=list[int])


def next_numbers(connection: Connection, sequence: str, count: int) -> range:
    """So many numbers that nobody had before."""
    last: int = fetch_value(
        connection,
        "UPDATE sequence SET value = value + ? WHERE name = ? RETURNING value",
        (count, sequence),
    )
    return range(last - count + 1, last + 1)


def execute(connection: Connection, statement: str, values: Sequence[Any] = ()) -> int:
    """Execute a statement that yields nothing; how many rows it changed."""
    for _ in connection.execute(statement, values):
        pass
    return connection.changes()


def json_list(numbers: Iterable[int]) -> str:
    """Whole numbers as the JSON list that ``json_each`` reads."""
    return msgspec.json.encode(list(numbers)).decode()


def batches(values: Sequence[Value], size: int) -> Iterator[Sequence[Value]]:
    """One after another, at most ``size`` of them."""
    for position in range(0, len(values), size):
        yield values[position : position + size]
