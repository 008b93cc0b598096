"""Move of a store to the other engine: all rows, verified, or nothing.

The source's transaction ends first. It records where the store has moved, and from then on no
server starts on it; then the target's ends. If the process dies between the two, the same move
finds the target complete or is made again: at no moment do servers start on both.
"""

import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

import msgspec

from zato_lite.errors import BadInputError, StoreError
from zato_lite.store import nodes
from zato_lite.store.journal import Journal
from zato_lite.store.migrate import MOVED_TO, MoveMark, find_move
from zato_lite.store.ports import Connection, Row
from zato_lite.store.recovery import Deaths, recover_runs
from zato_lite.store.rows import NodeRow
from zato_lite.store.sql import execute, fetch_value, save_setting
from zato_lite.timetable.job import Instant

MOVED_FROM = "store.moved_from"
"""Setting of a target: the place of its source, and the number of the move."""

REPORT_EVERY = 1_000
"""Rows between two reports of progress."""

LEFT = frozenset({"migration", "node", "lane", "sequence"})
"""Tables whose rows stay: each store has its own."""

_LARGEST = {
    "job": "SELECT max(id) FROM job",
    "token": "SELECT max(token) FROM run",
    "node": "SELECT max(node) FROM run",
}
"""The greatest numbers in use of sequences, beside what the sequences say."""

Step = Literal["found", "copied", "verified", "marked", "moved"]
Report = Callable[[Step, int], None]
"""Is called with each step, and the number of rows that it concerns."""

Tables = Mapping[str, Sequence[str]]
"""Columns by table."""


class Side(Protocol):
    """A store at one end of a move, within its transaction.

    Attributes:
        shown: the URL, without a password.
    """

    shown: str

    @property
    def connection(self) -> Connection:
        """Connection in the transaction."""
        ...

    def read(self, table: str, columns: Sequence[str]) -> Iterator[Row]:
        """Return all rows as numbers, texts and nulls, in any order."""
        ...

    def commit(self) -> None:
        """Make the changes permanent."""
        ...


class Source(Side, Protocol):
    """The store to move, which no other process uses."""

    def moved(self) -> MoveMark | None:
        """Return where the store was moved before, or was about to be; None if it was not."""
        ...

    def undo(self) -> None:
        """Make a moved store usable again."""
        ...

    def begin(self, now: Instant, tables: Iterable[str]) -> Instant:
        """Begin the transaction of a move, with the schema of this program; return its time.

        Raises:
            StoreError: a node uses the store.
        """
        ...

    def journal_of(self, node: int) -> Journal | None:
        """Return what the journal of a dead node says; None if it says nothing."""
        ...

    def forget(self, dead: Sequence[int]) -> None:
        """Delete the journals of dead nodes."""
        ...

    def fence(self, tables: Iterable[str]) -> None:
        """Let no program write to these tables, not even one that runs already."""
        ...


class Target(Side, Protocol):
    """An empty store with the schema of this program."""

    def write(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Insert rows."""
        ...

    def set_sequence(self, name: str, value: int) -> None:
        """Continue a sequence after a value."""
        ...

    def finish(self, tables: Iterable[str]) -> None:
        """Prepare the tables for their use, once all rows are there."""
        ...


class Moved(NamedTuple):
    """A finished move: the number of rows by table; nothing if it had been made before."""

    rows: Mapping[str, int]
    was_moved_before: bool = False


class _Tally:
    """Number and checksum of rows; the checksum does not depend on their order."""

    def __init__(self, step: Step, report: Report) -> None:
        self.count = self.checksum = 0
        self.latest: Row = ()
        self._step: Step = step
        self._report = report
        self._encode = msgspec.json.Encoder().encode

    def over(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows, and count them."""
        unreported = 0
        for row in rows:
            self.latest = row
            yield row
            self.count += 1
            self.checksum = (self.checksum + hash(self._encode(row))) % 2**64
            unreported += 1
            if unreported == REPORT_EVERY:
                self._report(self._step, unreported)
                unreported = 0
        self._report(self._step, unreported)


def move(
    source: Source, target: Target, tables: Tables, now: Instant, report: Report
) -> tuple[Moved, MoveMark]:
    """Copy all rows to the target, verify them, and end the source's transaction.

    The target's is to be committed next.

    Raises:
        StoreError: the rows cannot be copied, or are not the same. Nothing was changed.
    """
    dead = _settle(source, now)
    rows = {table: _count(source.connection, table) for table in tables}
    report("found", sum(rows.values()))
    _copy(source, target, tables, report)
    _set_sequences(source.connection, target)
    number = secrets.token_hex(8)
    _mark(target.connection, MOVED_FROM, MoveMark(source.shown, number))
    target.finish(tables)
    mark = MoveMark(target.shown, number)
    _mark(source.connection, MOVED_TO, mark)
    source.fence([*tables, "node"])
    source.commit()
    source.forget(dead)
    report("marked", 0)
    return Moved(rows), mark


def is_moved_here(connection: Connection, move: MoveMark) -> bool:
    """Return True if this store is the target of a move that was committed."""
    found = find_move(connection, MOVED_FROM)
    return found is not None and found.number == move.number


def select(table: str, columns: Iterable[str]) -> str:
    """Return the statement that reads expressions of all rows."""
    return f'SELECT {", ".join(columns)} FROM "{table}"'


def _settle(source: Source, now: Instant) -> list[int]:
    """Decide about the runs of dead nodes, as the next node would, and leave them to any node.

    The target has neither their records nor their journals.
    """
    connection = source.connection
    last_seen, dead = nodes.last_seen(connection), nodes.list_nodes(connection)
    execute(connection, "DELETE FROM node")
    own = NodeRow(nodes.new_node_id(connection), "db migrate-to", os.getpid(), now, now)
    nodes.register_node(connection, own, "")
    deaths = Deaths(source.journal_of)
    while recover_runs(connection, own.id, now, deaths=deaths).has_more:
        pass
    execute(connection, "DELETE FROM node")
    execute(connection, "UPDATE run SET node = 0, wish = NULL WHERE outcome IS NULL")
    if last_seen is not None:
        nodes.record_last_seen(connection, last_seen)
    return [row.id for row in dead]


def _copy(source: Source, target: Target, tables: Tables, report: Report) -> None:
    written = {table: _Tally("copied", report) for table in tables}
    for table, columns in tables.items():
        tally = written[table]
        try:
            target.write(table, columns, tally.over(source.read(table, columns)))
        except (BadInputError, StoreError) as error:
            row = f", {columns[0]} {tally.latest[0]!r}," if tally.latest else ""
            raise StoreError(f"table {table}{row} cannot be copied: {error}") from error
    for table, columns in tables.items():
        found, given = _Tally("verified", report), written[table]
        for _ in found.over(target.read(table, columns)):
            pass
        if (found.count, found.checksum) != (given.count, given.checksum):
            raise StoreError(
                f"table {table} differs after the copy: {found.count} rows of {given.count},"
                f" checksum {found.checksum} of {given.checksum}; nothing was changed"
            )


def _set_sequences(source: Connection, target: Target) -> None:
    """Let the target give out no number that the source has given out."""
    for name, largest in _LARGEST.items():
        used = fetch_value(source, largest) or 0
        target.set_sequence(name, max(used, last_of_sequence(source, name)))
    for name, value in list(source.execute("SELECT name, value FROM sequence")):
        if name not in _LARGEST:  # grows with each change, so that nodes read what has changed
            statement = "UPDATE sequence SET value = ? WHERE name = ?"
            execute(target.connection, statement, (value + 1, name))


def last_of_sequence(connection: Connection, name: str) -> int:
    """Return the last number that a sequence has given out."""
    if connection.dialect == "postgres":
        value = fetch_value(connection, f"SELECT last_value FROM sequence_{name}")
    else:
        value = fetch_value(connection, "SELECT value FROM sequence WHERE name = ?", (name,))
    return int(value)


def _count(connection: Connection, table: str) -> int:
    return int(fetch_value(connection, f'SELECT count(*) FROM "{table}"'))


def _mark(connection: Connection, name: str, mark: MoveMark) -> None:
    save_setting(connection, name, msgspec.json.encode(mark).decode())


def unmark(connection: Connection) -> None:
    """Forget that a store was moved."""
    execute(connection, "DELETE FROM setting WHERE name = ?", (MOVED_TO,))


def refuse_used(connection: Connection, tables: Iterable[str], shown: str) -> None:
    """Check that a target has no rows.

    Raises:
        StoreError: names a table with rows, and the move that they are from.
    """
    for table in (*tables, "node"):
        if count := _count(connection, table):
            words = f"table {table} has {count} rows"
            if (earlier := find_move(connection, MOVED_FROM)) is not None:
                words += f" of an earlier move from {earlier.url}"
            raise StoreError(f"{shown} is not empty: {words}; name an empty database or schema")
