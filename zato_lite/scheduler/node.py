"""Node: this process, as one of those that run jobs on the same store."""

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence

from zato_lite import __version__
from zato_lite.clock import Clock
from zato_lite.store import nodes
from zato_lite.store.claim import ALL, Share
from zato_lite.store.journal import Journal, StartJournal
from zato_lite.store.migrate import check_usable
from zato_lite.store.others import Others
from zato_lite.store.ports import Connection, Database
from zato_lite.store.rows import NodeRow
from zato_lite.store.run_cid import RunCids, claim_cids
from zato_lite.timetable.job import SECOND
from zato_lite.timetable.job_plan import Downtime

CHECK_EVERY = 1 * SECOND
"""Interval between two checks for dead nodes, while there are other nodes."""

CHECK_EVERY_ALONE = 10 * SECOND
"""Interval between two checks for other nodes, while none is known."""


STAMP_EVERY = SECOND // 2
"""Interval between two checks where nodes know each other by their commits: how soon a dead node
is known to be dead depends on it."""

DISTRUSTED_FOR = SECOND // 20
"""Microseconds after which a node that did not trust itself to start a run tries again."""


class Node:
    """A process that runs jobs.

    Attributes:
        id: the node's number; 0 before it is registered and after it has left.
        is_running: True while the node claims and starts runs.
        journal: the attempts that run here, for the nodes after this one.
        locks: what other nodes know of this one, and it of them.
        is_alone: no other node is known: only then saving results may be delayed.
        is_buried: others have taken this node for dead.
        share: the jobs that this node claims ahead of their slots.
        others: the other nodes that are known to be alive.
        elsewhere: services that these have and this node lacks: their jobs are for them.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        name: str,
        locks: Others,
        services: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._services, self._known_services = services, ""
        self.elsewhere = frozenset[str]()
        self._database, self._clock, self._name = database, clock, name
        self.locks = locks
        self.id = 0
        self.cids = RunCids()
        self.is_running = False
        self.is_alone, self.is_buried = True, False
        self.share, self.others = ALL, frozenset[int]()
        self.journal = StartJournal()
        self._dead: set[int] = set()

    async def wait_for_trust(self) -> None:
        """Wait until a commit shows that no other node has taken over the runs of this one."""
        while not self.locks.trusts_itself:  # noqa: ASYNC110 - time ends the trust
            await asyncio.sleep(DISTRUSTED_FOR / SECOND)

    def ring(self, nodes: Iterable[int]) -> None:
        """Wake other nodes: they look for wishes and for runs that have ended."""
        for node in nodes:
            self.locks.ring(node)

    def listen(self, listener: Callable[[str], None]) -> None:
        """Have ``listener`` called when another node rings."""
        self.locks.listen(self.id, listener)

    @property
    def check_every(self) -> int:
        """Microseconds until the next check of the other nodes."""
        return (
            STAMP_EVERY
            if self.locks.needs_stamps
            else CHECK_EVERY_ALONE
            if self.is_alone
            else CHECK_EVERY
        )

    async def enter(self) -> Downtime | None:
        """Register this node; return the time during which no node ran, if any ever did.

        Raises:
            StoreError: the store was moved, or its schema is newer than this program.
        """
        name, pid = self._name, os.getpid()
        self.id = await self._database.write(nodes.new_node_id)
        self.journal = self.locks.take(self.id)
        now = self._clock.now()
        last_seen = await self._database.read(nodes.last_seen)
        self._known_services = nodes.join_services(self._services())
        row = NodeRow(self.id, name, pid, now, now, services=self._known_services)
        self.cids = await self._database.write(lambda c: _register(c, row))
        self.locks.enter(self.id)
        self.is_running = True
        return None if last_seen is None else Downtime(last_seen, now)

    async def remove_dead(self) -> None:
        """Delete the records of dead nodes, and remember the living ones."""
        known = await self._database.read(nodes.list_nodes)
        alive = self.locks.alive(known)
        self.others = frozenset(alive) - {self.id}
        rank = sorted({*alive, self.id}).index(self.id)
        self.share = Share(rank, len(self.others) + 1) if self.others else ALL
        self.is_alone = not self.others
        await self._compare_services([row for row in known if row.id in self.others])
        dead = [row for row in known if row.id not in alive]
        self._dead.update(row.id for row in dead)
        if dead:
            await self._database.write(lambda c: nodes.delete_nodes(c, dead))

    async def _compare_services(self, others: Sequence[NodeRow]) -> None:
        services, node = nodes.join_services(self._services()), self.id
        if services != self._known_services:
            self._known_services = services
            await self._database.write(lambda c: nodes.record_services(c, node, services))
        self.elsewhere = nodes.services_elsewhere(services, others)

    def journal_of(self, node: int) -> Journal | None:
        """Return what the journal of a dead node says; None if it says nothing."""
        self._dead.add(node)
        return self.locks.journal_of(node)

    def forget_dead(self) -> None:
        """Delete the files of dead nodes, once their runs have been recovered."""
        dead, self._dead = self._dead, set()
        self.locks.forget(dead)

    def on_buried(self, listener: Callable[[], None]) -> None:
        """Have ``listener`` called, from any thread, when others have taken this node for dead."""
        self.locks.on_buried = listener

    async def leave(self) -> None:
        """Unregister this node; its lock is released even if the store fails."""
        node, now = self.id, self._clock.now()
        try:
            if self.is_buried:
                self.locks.abandon(node)
            await self._database.write(lambda c: nodes.unregister_node(c, node, now))
        finally:
            self.locks.release(node)
            self.crash()

    def crash(self) -> None:
        """Release the lock without unregistering, as the kernel does for a killed process."""
        self.is_running = self.is_buried = False
        self.locks.abandon(self.id)
        self.id = 0


def _register(connection: Connection, row: NodeRow) -> RunCids:
    check_usable(connection)  # a buried node may come back after an upgrade
    nodes.register_node(connection, row, __version__)
    return claim_cids(connection)
