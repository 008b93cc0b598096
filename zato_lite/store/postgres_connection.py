"""PostgreSQL connections: open one, execute SQL on it, classify its errors.

Only this module and ``postgres_run`` import psycopg, an optional dependency. Its errors become
``StoreError`` or ``UnavailableError``, without the password.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal

import psycopg
from psycopg import errors as pg
from psycopg.adapt import AdaptersMap, Loader
from psycopg.pq import TransactionStatus
from psycopg.types.bool import BoolDumper
from psycopg.types.numeric import Int8Dumper

from zato_lite.errors import (
    BadInputError,
    StoreError,
    StoreLockedError,
    UnavailableError,
    ZatoLiteError,
)
from zato_lite.store.dialect import Dialect, postgres_text
from zato_lite.store.postgres_url import Location

PostgresError = psycopg.Error

CONNECT_S = 3
"""Seconds that a connection may take to be made."""

LOCK_MS, STATEMENT_MS, IDLE_MS = 2_000, 30_000, 5_000
"""Milliseconds that a statement waits for a row, that it takes, and that a transaction rests."""

IDLE_SCHEDULER_MS = 2_000
"""Milliseconds that a transaction of the scheduler rests: others wait for its claimed jobs."""

PREPARED = 500
"""Statements that a connection keeps prepared: more than there are different ones."""

_INDEXES_ONLY = "jit=off enable_seqscan=off enable_hashjoin=off enable_mergejoin=off"
"""Planner settings of a writer. Its statements go by an index each; a plan that was made while a
table was empty would read all of it later."""

_UNAVAILABLE = (
    pg.LockNotAvailable,
    pg.QueryCanceled,
    pg.ReadOnlySqlTransaction,
    pg.InsufficientResources,  # disk full, too many connections, out of memory
    pg.SystemError,  # I/O error
    pg.OperatorIntervention,  # shutdown, crash, starting up
    pg.IdleInTransactionSessionTimeout,
)

_RETRYABLE = (pg.DeadlockDetected, pg.SerializationFailure)

Use = Literal["write", "schedule", "read", "listen", "run", "move"]


class _TextLoader(Loader):
    def load(self, data: Any) -> str:
        return bytes(data).decode()


class _NumberLoader(Loader):
    """Load ``numeric``, the type of sums, as a number of Python."""

    def load(self, data: Any) -> int | float:
        text = bytes(data)
        return int(text) if text.lstrip(b"-").isdigit() else float(text)


class _BigintDumper(Int8Dumper):
    """Bind each whole number as ``bigint``: one plan for small and large ones."""

    def dump(self, obj: int) -> Any:
        if not -(2**63) <= obj < 2**63:
            raise OverflowError(f"{obj} is not a number of 64 bits")
        return super().dump(obj)


class PostgresConnection:
    """``Connection`` over PostgreSQL."""

    dialect: Dialect = "postgres"

    def __init__(self, raw: "psycopg.Connection[Any]") -> None:
        self._raw = raw
        self._cursor = psycopg.RawCursor(raw)
        self._changed = self._written = 0

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        cursor = self._cursor
        cursor.execute(query_of(sql), values or None)
        self._changed = cursor.rowcount
        if not (cursor.statusmessage or "").startswith("SELECT"):
            self._written += 1
        return iter(cursor.fetchall() if cursor.description is not None else ())

    def changes(self) -> int:
        return self._changed

    def writes(self) -> int:
        return self._written

    def array(self, texts: Sequence[str]) -> str:
        return array_text(texts)

    def many(self, values: Iterable[Any]) -> str:
        """Return the values as the text of an array: one statement for any number of them."""
        return array_text(values)

    def script(self, sql: str) -> list[list[tuple[Any, ...]]]:
        """Execute several statements in one round trip, and return the rows of each."""
        cursor = self._cursor
        cursor.execute(sql.encode(), prepare=False)
        found = []
        while True:
            found.append(cursor.fetchall() if cursor.description is not None else [])
            if not cursor.nextset():
                return found

    def copy_in(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Write rows by a ``COPY … FROM STDIN``."""
        with self._cursor.copy(statement.encode()) as copy:
            for row in rows:
                copy.write_row(row)

    def copy_out(self, statement: str, types: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a ``COPY … TO STDOUT``, whose columns have these types."""
        with self._cursor.copy(statement.encode()) as copy:
            copy.set_types(types)
            yield from copy.rows()

    def commit(self) -> None:
        """Commit the transaction.

        Raises:
            StoreError: a statement had failed, so that the transaction was rolled back.
        """
        self._cursor.execute("COMMIT", prepare=False)
        if self._cursor.statusmessage != "COMMIT":
            raise StoreError("a statement had failed: the transaction was rolled back")

    @property
    def in_transaction(self) -> bool:
        return self._raw.info.transaction_status != TransactionStatus.IDLE

    @property
    def is_broken(self) -> bool:
        return self._raw.closed

    @property
    def version(self) -> str:
        return self._raw.info.parameter_status("server_version") or ""

    def listen(self, channel: str) -> None:
        """Receive the notifications of a channel."""
        self.script(f'LISTEN "{channel}"')

    def heard(self) -> list[str]:
        """Return the payloads that have arrived."""
        return [each.payload for each in self._raw.notifies(timeout=0)]

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        self._raw.close()


def connect(location: Location, use: Use = "write") -> PostgresConnection:
    """Open a connection.

    Raises:
        UnavailableError: the server cannot be reached.
        StoreError: it refuses the connection, or a parameter is not valid.
    """
    parameters, options = parameters_of(location, use)
    try:
        raw = psycopg.Connection.connect(
            location.url,
            options=options,
            **parameters,
            autocommit=True,
        )
        ((process,),) = raw.execute(b"SELECT pg_backend_pid()").fetchall()
    except psycopg.Error as error:
        found = connect_error(location, error)  # without the text, which may have the password
        raise StoreError(str(found)) if use == "move" and is_refusal(error) else found from None
    raw.prepare_threshold = threshold_of(location, raw.info.backend_pid, process)
    raw.prepared_max = PREPARED
    adapt(raw.adapters)
    return PostgresConnection(raw)


def threshold_of(location: Location, told: int, process: int) -> int | None:
    """Return the executions after which a connection prepares a statement; None for never.

    A pooler gives the number of another process than the one that answers. Each transaction may
    get a different one, and prepared statements belong to one process.
    """
    if told != process and "prepare_threshold" not in location.given:
        return None
    return location.prepare_threshold


def parameters_of(location: Location, use: Use) -> tuple[dict[str, Any], str]:
    """Return the parameters of a connection beside its URL, and its options."""
    defaults = {k: v for k, v in _defaults(use).items() if k not in location.given}
    parameters = {**defaults, **location.parameters}
    return parameters, f"{_options(use)} {parameters.pop('options', '')}".strip()


def _defaults(use: Use) -> dict[str, Any]:
    return {
        "connect_timeout": CONNECT_S,
        "application_name": f"zato-lite {use}",
        "keepalives": 1,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
        "client_encoding": "utf8",
    }


def _options(use: Use) -> str:
    if use == "run":  # what a service does is its own affair
        return "-c timezone=UTC"
    if use == "move":  # takes as long as there are rows, whatever the role's defaults are
        settings = f"lock_timeout={LOCK_MS} statement_timeout=0 timezone=UTC"
        settings += " idle_in_transaction_session_timeout=0"
        return " ".join(f"-c {each}" for each in settings.split())
    settings = f"lock_timeout={LOCK_MS} statement_timeout={STATEMENT_MS} timezone=UTC"
    idle_ms = IDLE_SCHEDULER_MS if use == "schedule" else IDLE_MS
    settings += f" idle_in_transaction_session_timeout={idle_ms}"
    if use in {"write", "schedule"}:
        settings = f"{settings} {_INDEXES_ONLY}"
    return " ".join(f"-c {each}" for each in settings.split())


def adapt(adapters: AdaptersMap) -> None:
    adapters.register_dumper(int, _BigintDumper)
    adapters.register_dumper(bool, BoolDumper)
    for name in ("json", "jsonb"):
        adapters.register_loader(name, _TextLoader)
    adapters.register_loader("numeric", _NumberLoader)


# Values


@lru_cache(maxsize=1_000)
def query_of(sql: str) -> bytes:
    return postgres_text(sql).encode()


_QUOTED = str.maketrans({"\\": "\\\\", '"': '\\"'})


def array_text(values: Iterable[Any]) -> str:
    """Return numbers, texts and booleans as the text of an array of PostgreSQL."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return f'"{value.translate(_QUOTED)}"'
    if isinstance(value, bool):
        return "t" if value else "f"
    return str(value)


# Errors


def is_unavailable(error: BaseException) -> bool:
    """Return True if an operation may succeed later, as it is."""
    if isinstance(error, _UNAVAILABLE):
        return True
    # A connection that is lost, or was never made, has no code or one of class 08.
    lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return lost and (getattr(error, "sqlstate", None) or "08").startswith("08")


def is_locked(error: BaseException) -> bool:
    """Return True if another transaction has held for too long what a statement waits for."""
    return isinstance(error, pg.LockNotAvailable)


def is_retryable(error: BaseException) -> bool:
    """Return True if an operation must be repeated because of another transaction."""
    return isinstance(error, _RETRYABLE)


def is_duplicate(error: BaseException) -> bool:
    """Return True if another transaction may have inserted a key first: run again, it is seen."""
    return isinstance(error, pg.UniqueViolation)


def is_stale_plan(error: BaseException) -> bool:
    """Return True if a prepared statement is of before a migration, or of another server."""
    return isinstance(error, pg.InvalidSqlStatementName | pg.FeatureNotSupported)


def to_public_error(error: BaseException) -> BaseException:
    """Return the error that the caller of an operation gets: PostgreSQL's are wrapped."""
    if isinstance(error, ZatoLiteError) or not isinstance(error, psycopg.Error):
        return error
    if isinstance(error, psycopg.DataError) and "NUL" in str(error):
        return BadInputError("a text has a null character, which cannot be stored")
    if is_locked(error):
        return StoreLockedError(f"store operation failed: {first_line(error)}")
    if is_unavailable(error) or is_retryable(error):
        return UnavailableError(f"store operation failed: {first_line(error)}")
    return StoreError(f"store operation failed: {first_line(error)}")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text; the others repeat the statement."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


_ADVICE = (
    (re.compile(r'database "[^"]*" does not exist'), "create it (createdb), or name another one"),
    (re.compile(r'role "[^"]*" does not exist'), "create it (createuser), or name another one"),
    (
        re.compile("no password supplied|password authentication failed"),
        "set ZATO_LITE_STORE__PASSWORD, [store] password_file or PGPASSWORD",
    ),
    (re.compile(r"no pg_hba\.conf entry"), "allow it in the server's pg_hba.conf"),
    (re.compile("is not permitted to log in|permission denied for database"), "grant it"),
)
"""Words by which a server refuses a connection, and advice. They come without a code."""

_ADVICE_BY_KIND = (
    (
        pg.ReadOnlySqlTransaction,
        "use the server that writes (?target_session_attrs=read-write), and let the role write",
    ),
    (
        pg.InsufficientPrivilege,
        "grant the role USAGE and CREATE, or name its own schema (?options=-csearch_path%3DNAME)",
    ),
    (
        pg.DuplicateTable,
        "another program uses the schema; name an empty one (?options=-csearch_path%3DNAME)",
    ),
)
"""Errors of a migration, and advice."""


def with_advice(text: str, error: BaseException) -> str:
    """Return the text of an error of a migration, and what to do."""
    advice = [f"; {words}" for kind, words in _ADVICE_BY_KIND if isinstance(error, kind)]
    return f"{text}{''.join(advice)}"


def is_refusal(error: Exception) -> bool:
    """Return True if a server answers, and refuses all such connections."""
    return any(words.search(str(error)) for words, _ in _ADVICE)


def connect_error(location: Location, error: Exception) -> ZatoLiteError:
    words = " ".join(location.without_secrets(str(error)).split())
    advice = [f"; {what}" for said, what in _ADVICE if said.search(words)]
    message = f"{location.shown} cannot be used: {words}{''.join(advice)}"
    is_refused = isinstance(
        error, pg.InvalidAuthorizationSpecification | pg.InvalidPassword | pg.InvalidCatalogName
    )
    code = getattr(error, "sqlstate", None)
    if is_refused or isinstance(error, psycopg.ProgrammingError):
        return StoreError(message)
    return (
        UnavailableError(message) if code is None or is_unavailable(error) else StoreError(message)
    )
