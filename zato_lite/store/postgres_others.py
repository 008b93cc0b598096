"""The nodes on a PostgreSQL store: who lives, by the serials that each commit adds to.

No clocks are compared. A node whose serial has stood still for ``EXPIRY_S``, by the clock of the
node that watches it, is buried: its record is deleted, and with it the right to commit. It knows
from its own commits that this may have happened, and begins nothing then.
"""

from collections.abc import Callable, Iterable, Sequence
from threading import Lock

from zato_lite.store.bell import Bell
from zato_lite.store.journal import Journal, StartJournal
from zato_lite.store.nodes import NodeLocks
from zato_lite.store.others import ALL_NODES, NEW_RIGHTS, NEW_RUNS
from zato_lite.store.postgres_session import Mark, Session
from zato_lite.store.rows import NodeRow

EXPIRY_S = 5.0
"""Seconds for which a node trusts itself after the start of a commit that was kept."""

GRACE_S = 0.5
"""Seconds for which a serial stands still, beyond ``EXPIRY_S``, before its node is buried."""

LOOK_S = 3.0
"""Seconds between two looks after which all watches begin again: the database was away."""


class NodeSerials:
    """``Others`` over the records of nodes in PostgreSQL.

    Args:
        session: of the lane whose commits are this node's; they stamp its record from ``take`` on.
        changes: of the lane whose commits need the record to exist.
        bell: wakes other nodes.
        monotonic: this machine's time in seconds.

    Attributes:
        on_buried: called, in the lane's thread, when another node has deleted this one's record.
    """

    needs_stamps = True
    """Each node commits twice a second, so that others see that it lives."""

    def __init__(
        self, session: Session, changes: Session, bell: Bell, monotonic: Callable[[], float]
    ) -> None:
        self._session, self._changes = session, changes
        self._bell, self._monotonic = bell, monotonic
        self._node, self._is_buried = 0, False
        self._trusted_until = 0.0
        self._lock = Lock()
        self._journals: dict[int, StartJournal] = {}
        self._in_memory = NodeLocks(":memory:")
        self._watched: dict[int, tuple[int, float]] = {}
        self._looked_at = float("-inf")
        self.on_buried: Callable[[], None] = lambda: None
        session.on_begin = monotonic
        session.on_kept = self._trust
        session.on_no_mark = changes.on_no_mark = self._lose

    @property
    def trusts_itself(self) -> bool:
        """True for ``EXPIRY_S`` from the start of the latest commit that was kept."""
        return self._monotonic() < self._trusted_until

    def alone(self) -> NodeLocks:
        """Return locks in memory that know only their own nodes, as those of a file do."""
        return self._in_memory.alone()

    def take(self, node: int) -> StartJournal:
        """Return an empty journal; the record to stamp is made after this."""
        self._journals[node] = journal = StartJournal()
        return journal

    def enter(self, node: int) -> None:
        """Stamp the node's record with each commit from now on."""
        self._node, self._trusted_until = node, self._monotonic() + EXPIRY_S
        self._session.mark = self._changes.guard = lambda: Mark("node", node)

    def release(self, node: int) -> None:
        """Stamp the node's record no longer."""
        self.abandon(node)

    def abandon(self, node: int) -> None:
        if node == self._node:
            self._node, self._is_buried, self._trusted_until = 0, False, 0.0
            self._session.mark = self._changes.guard = lambda: None

    def alive(self, known: Sequence[NodeRow]) -> list[int]:
        """Return the nodes whose serials have grown lately; all, if this one may be dead.

        A process that is not a node (yet) only looks, and is right without a serial.
        """
        now = self._monotonic()
        is_afresh = now - self._looked_at > LOOK_S
        self._looked_at = now
        watched = {}
        for row in known:
            serial, since = self._watched.get(row.id, (row.serial, now))
            watched[row.id] = row.serial, now if is_afresh or serial != row.serial else since
        self._watched = watched
        if self._node and not self.trusts_itself:
            return [row.id for row in known]
        limit = now - EXPIRY_S - GRACE_S
        return [row.id for row in known if row.id == self._node or watched[row.id][1] > limit]

    def journal_of(self, node: int) -> Journal | None:
        """Return what the journal of an earlier node of this process says; of others, nothing."""
        return self._journals[node].read() if node in self._journals else None

    def forget(self, nodes: Iterable[int]) -> None:
        """Forget the journals of nodes that this process was."""
        for node in nodes:
            self._journals.pop(node, None)

    def ring(self, node: int, text: str = "") -> None:
        """Wake another node."""
        self._bell.ring(f"{node} {text}")

    def listen(self, node: int, listener: Callable[[str], None]) -> None:
        """Have ``listener`` called with what is rung at this node.

        When rings may have been missed, it is called with each text that one of them may have had.
        """

        def hear(rung: str) -> None:
            number, _, text = rung.partition(" ")
            if not number:  # rings may have been missed
                for missed in ("", NEW_RUNS, NEW_RIGHTS):
                    listener(missed)
            elif number in {str(ALL_NODES), str(node)}:
                listener(text)

        self._bell.listen(hear)

    def _trust(self, began: float) -> None:
        with self._lock:
            if self._node and not self._is_buried:
                self._trusted_until = max(self._trusted_until, began + EXPIRY_S)

    def _lose(self, mark: Mark) -> None:
        """Learn that this node was buried; all commits are refused until it is abandoned."""
        with self._lock:
            is_news = mark == Mark("node", self._node) and not self._is_buried
            if is_news:
                self._is_buried, self._trusted_until = True, 0.0
        if is_news:
            self.on_buried()
