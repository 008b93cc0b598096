"""Session: a connection to PostgreSQL that is made again when it was lost.

Each transaction of a writer begins with a stamp: its row of ``lane`` or ``node`` gets the next
serial. If the answer to a commit is lost, the next stamp says whether it was kept.
"""

from collections.abc import Callable
from threading import Event
from typing import Literal, NamedTuple

from zato_lite.errors import StoreError, UnavailableError
from zato_lite.store.postgres_connection import PostgresConnection, PostgresError, Use, connect
from zato_lite.store.postgres_url import Location

DEADLINE_S = 10.0
"""Seconds without a connection after which operations are refused."""

BACKOFF_S, MAX_BACKOFF_S = 0.05, 1.0
"""Seconds between the first two attempts to connect, and at most."""

KEEP_LANES_US = 86_400_000_000
"""Microseconds after which the row of a writer that has not left is deleted."""

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
"""Statement that begins a transaction that writes: it reads, after it has locked a row, what was
committed before that, whatever the database's default is."""

DATABASE_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
"""The database's time, in microseconds since 1970."""

_TAKE_LANE = f"""INSERT INTO lane (id, serial, seen_at)
    VALUES (nextval('sequence_lane'), 0, {DATABASE_NOW}) RETURNING id"""
_FORGET_LANES = f"DELETE FROM lane WHERE seen_at < {DATABASE_NOW} - {KEEP_LANES_US}"


class Mark(NamedTuple):
    """The row that a writer's transactions stamp."""

    table: Literal["lane", "node"]
    id: int


class Stamp(NamedTuple):
    """The serial of a transaction, and the database's time at its beginning.

    Attributes:
        began: by ``Session.on_begin``, before the transaction did.
    """

    mark: Mark
    serial: int
    now: int
    began: float = 0.0


class NoMarkError(StoreError):
    """The row that a transaction must stamp does not exist any more.

    Attributes:
        is_own: it was the session's own, which it makes again; otherwise this node was buried.
    """

    def __init__(self, mark: Mark, is_own: bool) -> None:
        super().__init__(f"the row of {mark.table} {mark.id} is gone")
        self.is_own = is_own


class Session:
    """A connection and what is needed to make it again; used by one thread.

    Attributes:
        trouble: why the server cannot be reached; empty while it can.
        mark: returns the row to stamp, if it is not this session's own.
        guard: returns a row that must exist besides: a commit without it is refused.
        on_stamp: called with the database's time.
        on_begin: returns the time to remember as a transaction's beginning.
        on_kept: called with that time when the transaction was kept.
        on_no_mark: called when the row that ``mark`` or ``guard`` names was deleted.
    """

    def __init__(
        self,
        location: Location,
        monotonic: Callable[[], float],
        stopping: Event,
        use: Use = "write",
    ) -> None:
        self.trouble = ""
        self.mark: Callable[[], Mark | None] = lambda: None
        self.guard: Callable[[], Mark | None] = lambda: None
        self.on_stamp: Callable[[int], None] = lambda now: None
        self.on_begin: Callable[[], float] = float
        self.on_kept: Callable[[float], None] = lambda began: None
        self.on_no_mark: Callable[[Mark], None] = lambda mark: None
        self._location, self._monotonic, self._stopping = location, monotonic, stopping
        self._use: Use = use
        self._connection: PostgresConnection | None = None
        self._lane: Mark | None = None
        self._lost_at: float | None = None

    @property
    def deadline(self) -> float:
        """Return until when operations may wait for a connection."""
        begun = self._monotonic() if self._lost_at is None else self._lost_at
        return begun + DEADLINE_S

    @property
    def is_lost(self) -> bool:
        return self._connection is None or self._connection.is_broken

    def connected(self) -> PostgresConnection:
        """Return the connection, made again if it was lost.

        Raises:
            UnavailableError: that has failed until the deadline.
            StoreError: the server refuses this client.
        """
        if self._connection is not None and not self._connection.is_broken:
            return self._connection
        self.drop()
        delay = BACKOFF_S
        while True:
            try:
                self._connection = connect(self._location, self._use)
            except (UnavailableError, StoreError) as error:
                self.note_loss(str(error))
                if self._monotonic() + delay > self.deadline or self._stopping.wait(delay):
                    raise
                delay = min(2 * delay, MAX_BACKOFF_S)
            else:
                self._note_reached()
                return self._connection

    def begin(self) -> Stamp:
        """Begin a transaction and stamp it, in one round trip.

        Raises:
            NoMarkError: this node's row was deleted.
        """
        connection, began = self.connected(), self.on_begin()
        mark = self.mark() or self._lane or self._take_lane(connection)
        guard = self.guard()
        script = f"""{BEGIN}; UPDATE {mark.table} SET serial = serial + 1, seen_at = {DATABASE_NOW}
            WHERE id = {mark.id} RETURNING serial, seen_at"""
        if guard is not None:
            # Only the deletion of the row waits for this transaction, not its stamps.
            script += f"; SELECT 1 FROM {guard.table} WHERE id = {guard.id} FOR KEY SHARE"
        _, found, *guarded = connection.script(script)
        if not found:
            raise self._without(connection, mark)
        if guard is not None and not guarded[0]:
            raise self._without(connection, guard)
        serial, now = found[0]
        self._note_reached()
        self.on_stamp(now)
        return Stamp(mark, serial, now, began)

    def give_up(self, mark: Mark) -> None:
        """Be this node no longer, as its record says nothing certain about a commit."""
        node = mark if mark.table == "node" else self.guard()
        if node is not None:
            self.on_no_mark(node)

    def _without(self, connection: PostgresConnection, mark: Mark) -> NoMarkError:
        """Roll back, as a row is gone, and return the error that says so."""
        connection.script("ROLLBACK")
        is_own = mark == self._lane
        self._lane = None if is_own else self._lane
        if not is_own:
            self.on_no_mark(mark)
        return NoMarkError(mark, is_own)

    def _take_lane(self, connection: PostgresConnection) -> Mark:
        ((number,),) = connection.execute(_TAKE_LANE)
        connection.execute(_FORGET_LANES)
        self._lane = Mark("lane", number)
        return self._lane

    def roll_back(self) -> None:
        """End the transaction without its changes; drop a connection that cannot."""
        if self._connection is None:
            return
        try:
            if self._connection.in_transaction:
                self._connection.script("ROLLBACK")
        except PostgresError:
            self.drop()

    def drop(self) -> None:
        """Close the connection; the next operation makes another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Close the connection for good."""
        lane = self._lane
        try:
            if lane is not None and not self.is_lost and self._connection is not None:
                self._connection.script(f"DELETE FROM lane WHERE id = {lane.id}")
        except PostgresError:
            pass  # another one deletes the row in a day
        self.drop()

    def now(self) -> float:
        """Return the monotonic time of ``deadline``."""
        return self._monotonic()

    def note_loss(self, why: str) -> None:
        """Remember why and since when the server cannot be reached."""
        self.trouble = why
        if self._lost_at is None:
            self._lost_at = self._monotonic()

    def _note_reached(self) -> None:
        self.trouble, self._lost_at = "", None
