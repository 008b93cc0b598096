"""A connection to an SQLite file: opened, checked, copied; the only module that knows apsw.

What goes wrong is told in words that say what to do.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import apsw

from zato_lite.errors import StoreError, UnavailableError, ZatoLiteError
from zato_lite.store.atomic import new_file
from zato_lite.store.ports import Connection

Result = TypeVar("Result")

SqliteError = apsw.Error
InterruptedCheckError = apsw.InterruptError

BUSY_MS = 10_000

CHECK_STEPS = 10_000
"""Of SQLite's, between two looks whether a check is to go on: each look takes Python's lock."""

_HEADING = "*** in database main ***"


class SqliteConnection(apsw.Connection):
    """A ``Connection``: apsw's, and its way to hand over many texts at once."""

    def array(self, texts: Sequence[str]) -> Any:
        return apsw.carray(tuple(texts))

    def pages_written(self) -> int:
        """How many pages it wrote since it was asked last."""
        written, _ = self.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE, True)
        return int(written)

    def checkpoint(self) -> None:
        """Bring the log into the file, as far as nobody reads it."""
        self.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)


def connect(path: str) -> SqliteConnection:
    """A connection for a store, to a file that is made if there is none, or in memory.

    Raises:
        StoreError: it cannot be opened.
    """
    try:
        connection = SqliteConnection(path, statementcachesize=200)
        connection.set_busy_timeout(BUSY_MS)
        # One plan for all values: a bound LIMIT would have its statement prepared each time.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        if path != ":memory:":
            _pragma(connection, "journal_mode = wal")
        _pragma(connection, "synchronous = full")
        _pragma(connection, "cache_size = -16000")
        _pragma(connection, "wal_autocheckpoint = 0")  # the store sees to that
        _pragma(connection, "temp_store = memory")
    except apsw.Error as error:
        raise _store_error(path, error) from error
    return connection


def in_one_transaction(
    path: str, connection: Connection, operation: Callable[[Connection], Result]
) -> Result:
    """What the operation gives, once it is committed.

    Raises:
        StoreError: it is not.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        result = operation(connection)
        connection.execute("COMMIT")
    except apsw.Error as error:
        raise _store_error(path, error) from error
    return result


def _pragma(connection: apsw.Connection, setting: str) -> None:
    connection.execute(f"PRAGMA {setting}").fetchall()


def copy(source: SqliteConnection, target: Path) -> None:
    """Write what a database holds to a new file, in one read, which no commit makes begin again.

    Raises:
        StoreError: the file is there already, or cannot be written.
    """
    with new_file(target) as part, in_our_words(str(target)):
        source.execute("VACUUM INTO ?", (str(part),))
        with open_file(part) as made:
            if found := problems(made):
                raise StoreError(f"{target} is damaged: {found[0]}")


def let_go(path: Path) -> bool:
    """See that no other program has a file, and put into it what its log holds; whether it is.

    Raises:
        StoreError: another program has it open.
    """
    with suppress(apsw.CorruptError, apsw.NotADBError):  # it stays as it is
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            _pragma(connection, "locking_mode = exclusive")
            connection.execute("BEGIN EXCLUSIVE; COMMIT")
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            return True  # noqa: TRY300 - the only way to the end
        except (apsw.BusyError, apsw.LockedError) as error:
            raise StoreError(f"{path} is open in another program: end it first") from error
        finally:
            connection.close(force=True)
    return False


@contextmanager
def open_file(path: str | Path, *, to_read: bool = False) -> Iterator[SqliteConnection]:
    """A connection to a file that is there, and that is left as it is.

    Raises:
        StoreError: it cannot be opened.
    """
    flags = apsw.SQLITE_OPEN_READONLY if to_read else apsw.SQLITE_OPEN_READWRITE
    with in_our_words(str(path)):
        connection = SqliteConnection(str(path), flags=flags)
        connection.set_busy_timeout(BUSY_MS)
    try:
        yield connection
    finally:
        connection.close(force=True)


def problems(connection: Connection, *, is_full: bool = False) -> list[str]:
    """What is wrong with a database; a full check compares indexes with their tables too."""
    check = "integrity_check" if is_full else "quick_check"
    try:
        rows = connection.execute(f"PRAGMA {check}(10)")
        found = [line for row in rows for line in str(row[0]).splitlines() if line != _HEADING]
    except (apsw.CorruptError, apsw.NotADBError) as error:
        return [str(error)]
    return [] if found == ["ok"] else found


@contextmanager
def in_our_words(path: str) -> Iterator[None]:
    """What goes wrong with a file is a ``StoreError`` that names it."""
    try:
        yield
    except apsw.Error as error:
        raise _store_error(path, error) from error


@contextmanager
def stoppable(connection: apsw.Connection, is_enough: Callable[[], bool]) -> Iterator[None]:
    """What is executed ends with ``InterruptError`` when it is enough."""
    connection.set_progress_handler(is_enough, CHECK_STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None)


def is_damage(error: BaseException) -> bool:
    """Whether an operation came upon something in the file that cannot be."""
    return isinstance(error, apsw.CorruptError | apsw.NotADBError)


def may_pass(error: BaseException) -> bool:
    """Whether the file is as it was: there is no room, or it is another's turn."""
    return isinstance(error, apsw.FullError | apsw.BusyError)


def damage(path: str, problem: str) -> str:
    """What is said of a file that is damaged."""
    return f"{path} is damaged: {problem}; restore a backup: zato-lite db restore"


def translated(error: Exception) -> Exception:
    """What an operation raised, as its asker is told it."""
    if isinstance(error, ZatoLiteError) or not isinstance(error, apsw.Error):
        return error
    return UnavailableError(f"the store cannot do it: {error}")


def _store_error(path: str, error: Exception) -> StoreError:
    match error:
        case apsw.NotADBError() | apsw.CorruptError():
            words = "is damaged, or no zato-lite store at all: restore a backup"
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
