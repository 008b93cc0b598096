"""SQL helpers: bulk writes and bulk reads in few statement steps.

Each step of a statement releases the GIL and then waits to get it back, which under load costs
more than the step itself. Bulk writes therefore bind hundreds of rows in one statement, and bulk
reads return one JSON text. The number of different statement texts stays small, so that each is
prepared once and then found in the statement cache.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, TypeVar

import msgspec

from zato_lite.store.dialect import AMONG_NUMBERS, json_text
from zato_lite.store.ports import Connection, Row

Value = TypeVar("Value")

_BATCH_SIZES = (256, 32, 4, 1)
"""Numbers of rows that one statement binds: few sizes, to keep the statement cache effective."""


def write_rows(connection: Connection, statement: str, columns: str, rows: Sequence[Row]) -> int:
    """Execute ``statement`` with ``rows`` in place of ``{rows}``; return the rows changed.

    Args:
        connection: the connection.
        statement: may also contain ``{columns}``, for the columns' names.
        columns: names and types (bigint, text, boolean, json): ``id bigint, outcome text``.
        rows: the values in this order.
    """
    if not rows:
        return 0
    if connection.dialect == "postgres":
        arrays = [connection.many(column) for column in zip(*rows, strict=True)]
        return execute(connection, _with_arrays(statement, columns), arrays)
    changed = position = 0
    while position < len(rows):
        remaining = len(rows) - position
        size = next(size for size in _BATCH_SIZES if size <= remaining)
        values = list(chain.from_iterable(rows[position : position + size]))
        for _ in connection.execute(_with_rows(statement, columns, size), values):
            pass
        changed += connection.changes()
        position += size
    return changed


def write_and_tell(
    connection: Connection, statement: str, returning: str, columns: str, rows: Sequence[Row]
) -> set[int]:
    """Execute as ``write_rows`` does; return the first values of the rows that had an effect.

    Args:
        connection: the connection.
        statement: changes one row for each of ``rows``, or none.
        returning: the column of the changed row that has its first value.
        columns: as for ``write_rows``.
        rows: their first values differ.
    """
    if connection.dialect == "postgres" and rows:
        arrays = [connection.many(column) for column in zip(*rows, strict=True)]
        text = _with_arrays(f"{statement} RETURNING {returning}", columns)
        return {row[0] for row in connection.execute(text, arrays)}
    # SQLite would take the GIL for each row that it returns. The number of changed rows says
    # enough: nearly always, all had an effect.
    if len(rows) <= 1:
        return {row[0] for row in rows if write_rows(connection, statement, columns, rows)}
    execute(connection, "SAVEPOINT at_once")
    is_all = write_rows(connection, statement, columns, rows) == len(rows)
    if not is_all:
        execute(connection, "ROLLBACK TO at_once")
    execute(connection, "RELEASE at_once")
    if is_all:
        return set(map(itemgetter(0), rows))
    return {row[0] for row in rows if write_rows(connection, statement, columns, [row])}


def rehearse(connection: Connection, work: Callable[[], Value]) -> Value:
    """Return the result of ``work``, or raise its error, and undo all that it has written."""
    execute(connection, "SAVEPOINT rehearsal")
    try:
        return work()
    finally:
        execute(connection, "ROLLBACK TO rehearsal")
        execute(connection, "RELEASE rehearsal")


@lru_cache(maxsize=200)
def _with_rows(statement: str, columns: str, size: int) -> str:
    names = _names(columns)
    row = "(" + ",".join("?" * len(names)) + ")"
    with_columns = statement.replace("{columns}", ", ".join(names))
    return with_columns.replace("{rows}", "VALUES " + ",".join([row] * size))


@lru_cache(maxsize=200)
def _with_arrays(statement: str, columns: str) -> str:
    """Return the statement with one array for each column, for any number of rows."""
    names = ", ".join(_names(columns))
    arrays = ", ".join(f"CAST(? AS {column.split()[1]}[])" for column in columns.split(","))
    rows = f"SELECT * FROM unnest({arrays}) AS given ({names})"
    return statement.replace("{columns}", names).replace("{rows}", rows)


def _names(columns: str) -> list[str]:
    return [column.split()[0] for column in columns.split(",")]


def read_rows(
    connection: Connection, statement: str, values: Sequence[Any], kind: type[Value]
) -> list[Value]:
    """Return all rows of a plain SELECT, as one JSON text that the database makes of them.

    The columns have the names of a struct's fields, all of them; those of a tuple are in its
    order; a text or whole number is the only column. Fields other than scalars are JSON.
    """
    row_type: Any = kind
    text = fetch_value(connection, json_text(connection.dialect, statement, row_type), values)
    list_type: Any = list.__class_getitem__(kind)
    rows: list[Value] = msgspec.json.decode(text or "[]", type=list_type)
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
    """Return the whole numbers of a statement's one column."""
    return read_rows(connection, statement, values, int)


def advance(connection: Connection, sequence: str, count: int) -> list[int]:
    """Take ``count`` unused numbers from a sequence; they grow, and may have gaps."""
    if connection.dialect == "postgres":
        take = "SELECT array_agg(nextval(?)) FROM generate_series(1, ?)"
        numbers: list[int] = fetch_value(connection, take, (f"sequence_{sequence}", count))
        return numbers
    last: int = fetch_value(
        connection,
        "UPDATE sequence SET value = value + ? WHERE name = ? RETURNING value",
        (count, sequence),
    )
    return list(range(last - count + 1, last + 1))


NO_LIMIT = 2**62
"""More rows than there are, for a LIMIT."""

REPLACE_SETTING = "ON CONFLICT (name) DO UPDATE SET value = excluded.value"


_LOCK_JOBS = f"SELECT job_id FROM timer WHERE job_id {AMONG_NUMBERS} ORDER BY job_id FOR UPDATE"


def lock_jobs(connection: Connection, job_ids: Collection[int]) -> None:
    """Let no other transaction decide about these jobs until the end of this one.

    Read after this all that the decision needs. SQLite has one writer at a time, and needs no
    lock.
    """
    if connection.dialect == "postgres" and job_ids:
        fetch_ids(connection, _LOCK_JOBS, (connection.many(job_ids),))


# Whoever locks timers queues behind a lock of their table that waits: it waits for moments only,
# and lets the others pass between two of them.
_LOCK_ALL_JOBS = """DO $$
    DECLARE usual text := current_setting('lock_timeout');
    BEGIN
        FOR attempt IN 1..8 LOOP
            BEGIN
                PERFORM set_config('lock_timeout', '150ms', true);
                LOCK TABLE timer IN EXCLUSIVE MODE;
                PERFORM set_config('lock_timeout', usual, true);
                RETURN;
            EXCEPTION WHEN lock_not_available THEN
                IF attempt = 8 THEN RAISE; END IF;
            END;
            PERFORM pg_sleep(0.1);
        END LOOP;
    END $$"""


def lock_all_jobs(connection: Connection) -> None:
    """Let no other transaction decide about any job until the end of this one."""
    if connection.dialect == "postgres":
        execute(connection, _LOCK_ALL_JOBS)


def save_setting(connection: Connection, name: str, value: str) -> None:
    """Insert a setting, or replace its value."""
    statement = f"INSERT INTO setting (name, value) VALUES (?, ?) {REPLACE_SETTING}"
    execute(connection, statement, (name, value))


def claim_setting(connection: Connection, name: str, value: str) -> str:
    """Save the value unless the setting has one already; return the value in effect."""
    select = "SELECT value FROM setting WHERE name = ?"
    if (found := fetch_value(connection, select, (name,))) is None:
        insert = "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING"
        execute(connection, insert, (name, value))
        found = fetch_value(connection, select, (name,))
    return str(found)


def execute(connection: Connection, statement: str, values: Sequence[Any] = ()) -> int:
    """Execute a statement that returns no rows; return the number of rows changed."""
    for _ in connection.execute(statement, values):
        pass
    return connection.changes()


def batches(values: Sequence[Value], size: int) -> Iterator[Sequence[Value]]:
    """Iterate over slices of at most ``size`` values."""
    for position in range(0, len(values), size):
        yield values[position : position + size]
