"""SQLite connections: open, check and copy a database file. Only module that imports apsw.

Its errors become ``StoreError`` or ``UnavailableError``, with the remedy in the message.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import apsw
import msgspec

from zato_lite.errors import StoreError, UnavailableError, ZatoLiteError
from zato_lite.store.atomic import new_file
from zato_lite.store.dialect import Dialect
from zato_lite.store.ports import Connection

Result = TypeVar("Result")

SqliteError = apsw.Error
InterruptedCheckError = apsw.InterruptError

BUSY_MS = 10_000
"""Milliseconds that a statement waits for another process's lock before it fails."""

CHECK_STEPS = 10_000
"""SQLite instructions between two calls of a check's progress handler, each of which needs the
GIL."""

_UNAVAILABLE = (
    apsw.BusyError, apsw.LockedError, apsw.ProtocolError, apsw.InterruptError,
    apsw.FullError, apsw.IOError, apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError,
    apsw.NoMemError, apsw.CorruptError, apsw.NotADBError,
)  # fmt: skip
"""Errors of the file, its disk or its lock, after which the same operation may succeed later. All
others are of the operation itself."""

_HEADING = "*** in database main ***"


class SqliteConnection(apsw.Connection):
    """``Connection`` over SQLite, with apsw's way to bind many texts as one array."""

    dialect: Dialect = "sqlite"

    def many(self, items: Iterable[int | str | None]) -> str:
        return msgspec.json.encode(tuple(items)).decode()

    def array(self, texts: Sequence[str]) -> Any:
        return apsw.carray(tuple(texts))

    def writes(self) -> int:
        return self.total_changes()

    def script(self, sql: str) -> None:
        self.execute(sql)

    def pages_written(self) -> int:
        """Return the number of pages written since the last call."""
        written, _ = self.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE, True)
        return int(written)

    def checkpoint(self) -> None:
        """Write the log into the file, as far as no reader needs it."""
        self.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)


def connect(path: str) -> SqliteConnection:
    """Open a connection for a store, to a file (created if absent) or in memory.

    Raises:
        StoreError: the file cannot be opened.
    """
    with store_errors(path):
        connection = SqliteConnection(path, statementcachesize=200)
        # Another process may hold the write lock: wait in SQLite, not in a loop of our own.
        connection.set_busy_timeout(BUSY_MS)
        # One query plan for all values: otherwise a bound LIMIT re-prepares its statement.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        if path != ":memory:":
            _use_log(connection)
        # Full: a commit is acknowledged only after its fsync, so that a power cut loses none.
        _pragma(connection, "synchronous = full")
        _pragma(connection, "cache_size = -16000")
        _pragma(connection, "wal_autocheckpoint = 0")  # the store checkpoints between commits
        _pragma(connection, "temp_store = memory")
    return connection


def in_one_transaction(
    path: str, connection: Connection, operation: Callable[[Connection], Result]
) -> Result:
    """Run an operation in a transaction and return its result after the commit.

    Raises:
        StoreError: the transaction failed.
    """
    with store_errors(path):
        connection.execute("BEGIN IMMEDIATE")
        result = operation(connection)
        connection.execute("COMMIT")
    return result


def _use_log(connection: apsw.Connection) -> None:
    """Switch a file to the write-ahead log; wait while another process does.

    SQLite does not wait itself if both have begun.
    """
    deadline = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            _pragma(connection, "journal_mode = wal")
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


def _pragma(connection: apsw.Connection, setting: str) -> None:
    connection.execute(f"PRAGMA {setting}").fetchall()


def copy(source: SqliteConnection, target: Path) -> None:
    """Write the content of a database to a new file, and check the file.

    VACUUM INTO reads in one transaction; SQLite's backup API would restart at each commit.

    Raises:
        StoreError: the file exists, cannot be written or is damaged.
    """
    with new_file(target) as part, store_errors(str(target)):
        source.execute("VACUUM INTO ?", (str(part),))
        with open_file(part) as made:
            if found := find_problems(made):
                raise StoreError(f"{target} is damaged: {found[0]}")


def serialize(connection: Connection) -> bytes:
    """Return a database as the bytes of a file: a copy of one in memory."""
    assert isinstance(connection, apsw.Connection)  # noqa: S101 - the store's own
    return connection.serialize("main")


def write_image(image: bytes, target: Path) -> None:
    """Write the bytes of a database to a new file, and check the file.

    Raises:
        StoreError: the file exists, cannot be written or is damaged.
    """
    with new_file(target) as part, store_errors(str(target)):
        part.write_bytes(image)
        with open_file(part) as made:
            if found := find_problems(made):
                raise StoreError(f"{target} is damaged: {found[0]}")


def checkpoint_alone(path: Path) -> bool:
    """Write a file's log into it while no other program has it open; False if it is damaged.

    Raises:
        StoreError: another program has it open.
    """
    with suppress(apsw.CorruptError, apsw.NotADBError):  # the damaged file stays as it is
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            _pragma(connection, "locking_mode = exclusive")
            connection.execute("BEGIN EXCLUSIVE; COMMIT")
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            return True  # noqa: TRY300 - the only way to the end
        except (apsw.BusyError, apsw.LockedError) as error:
            raise StoreError(f"{path} is open in another program; end it first") from error
        finally:
            connection.close(force=True)
    return False


@contextmanager
def open_file(path: str | Path, *, read_only: bool = False) -> Iterator[SqliteConnection]:
    """Open a connection to an existing file, without any change of its settings.

    Raises:
        StoreError: it cannot be opened.
    """
    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE
    with store_errors(str(path)):
        connection = SqliteConnection(str(path), flags=flags)
        connection.set_busy_timeout(BUSY_MS)
    try:
        yield connection
    finally:
        connection.close(force=True)


def find_problems(connection: Connection, *, is_full: bool = False) -> list[str]:
    """Return a database's problems; a full check also compares indexes with their tables."""
    check = "integrity_check" if is_full else "quick_check"
    try:
        rows = connection.execute(f"PRAGMA {check}(10)")
        found = [line for row in rows for line in str(row[0]).splitlines() if line != _HEADING]
    except (apsw.CorruptError, apsw.NotADBError) as error:
        return [str(error)]
    return [] if found == ["ok"] else found


@contextmanager
def store_errors(path: str) -> Iterator[None]:
    """Turn SQLite's errors into a ``StoreError`` that names the file."""
    try:
        yield
    except apsw.Error as error:
        raise _store_error(path, error) from error


@contextmanager
def interruptible(connection: apsw.Connection, is_over: Callable[[], bool]) -> Iterator[None]:
    """Interrupt statements with ``InterruptedCheckError`` as soon as ``is_over`` is true."""
    connection.set_progress_handler(is_over, CHECK_STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None)


def is_damage(error: BaseException) -> bool:
    """Return True if the error means that the file is damaged."""
    return isinstance(error, apsw.CorruptError | apsw.NotADBError)


def is_transient(error: BaseException) -> bool:
    """Return True if the file is intact: the disk is full, or another process has the lock."""
    return isinstance(error, apsw.FullError | apsw.BusyError)


def damage_message(path: str, problem: str) -> str:
    """Describe a damaged file and the remedy."""
    return f"{path} is damaged: {problem}; restore a backup: zato-lite db restore"


def to_public_error(error: Exception) -> Exception:
    """Return the error that the caller of an operation gets: SQLite's are wrapped."""
    if isinstance(error, ZatoLiteError) or not isinstance(error, apsw.Error):
        return error
    kind = UnavailableError if isinstance(error, _UNAVAILABLE) else StoreError
    return kind(f"store operation failed: {error}")


def _store_error(path: str, error: Exception) -> StoreError:
    match error:
        case apsw.NotADBError() | apsw.CorruptError():
            words = "is damaged or not a zato-lite store; restore a backup"
        case apsw.CantOpenError():
            words = "cannot be opened: does its folder exist, and may this user write there?"
        case apsw.ReadOnlyError() | apsw.PermissionsError():
            words = "is read-only for this user"
        case apsw.BusyError() | apsw.LockedError():
            words = "is locked by another program"
        case apsw.FullError():
            words = "cannot grow: the disk is full"
        case _:
            words = "cannot be used"
    return StoreError(f"{path} {words} ({error})")
