"""Node: this process, as one of those that run jobs on the same store."""

import os
from collections.abc import Sequence

from zato_lite.clock import Clock
from zato_lite.store import nodes
from zato_lite.store.journal import Journal, StartJournal
from zato_lite.store.nodes import NodeLocks
from zato_lite.store.ports import Database
from zato_lite.timetable.job import SECOND
from zato_lite.timetable.job_plan import Downtime

CHECK_EVERY = 1 * SECOND
"""Interval between two checks for dead nodes, while there are other nodes."""

CHECK_EVERY_ALONE = 10 * SECOND
"""Interval between two checks for other nodes, while none is known."""


class Node:
    """A process that runs jobs.

    Attributes:
        id: the node's number; 0 before it is registered and after it has left.
        is_running: True while the node claims and starts runs.
        journal: the attempts that run here, for the nodes after this one.
        is_exclusive: True while this is the only node that is known to be alive on the store; only
            then it may claim ahead and delay saving results.
    """

    def __init__(self, database: Database, clock: Clock, name: str, locks: NodeLocks) -> None:
        self._database, self._clock, self._name = database, clock, name
        self._locks = locks
        self.id = 0
        self.is_running = False
        self.is_exclusive = True
        self.journal = StartJournal()
        self._dead: set[int] = set()

    @property
    def check_every(self) -> int:
        """Microseconds until the next check of the other nodes."""
        return CHECK_EVERY_ALONE if self.is_exclusive else CHECK_EVERY

    async def enter(self) -> Downtime | None:
        """Register this node; return the time during which no node ran, if any ever did."""
        name, pid = self._name, os.getpid()
        self.id = await self._database.write(nodes.new_node_id)
        self.journal = self._locks.acquire(self.id)
        now = self._clock.now()
        last_seen = await self._database.read(nodes.last_seen)
        await self._database.write(lambda c: nodes.register_node(c, self.id, name, pid, now))
        self.is_running = True
        return None if last_seen is None else Downtime(last_seen, now)

    async def find_alive(self) -> Sequence[int]:
        """Return the ids of the nodes that are alive, and delete the records of dead ones."""
        known = await self._database.read(nodes.list_nodes)
        alive = self._locks.alive([node.id for node in known])
        self.is_exclusive = all(node == self.id for node in alive)
        dead = [node.id for node in known if node.id not in alive]
        self._dead.update(dead)
        if dead:
            await self._database.write(lambda c: nodes.delete_nodes(c, dead))
        return alive

    def journal_of(self, node: int) -> Journal | None:
        """Return what the journal of a dead node says; None if it says nothing."""
        self._dead.add(node)
        return self._locks.journal_of(node)

    def forget_dead(self) -> None:
        """Delete the files of dead nodes, once their runs have been recovered."""
        dead, self._dead = self._dead, set()
        self._locks.forget(dead)

    async def leave(self) -> None:
        """Unregister this node; its lock is released even if the store fails."""
        node, now = self.id, self._clock.now()
        try:
            await self._database.write(lambda c: nodes.unregister_node(c, node, now))
        finally:
            self._locks.release(node)
            self.crash()

    def crash(self) -> None:
        """Release the lock without unregistering, as the kernel does for a killed process."""
        self.is_running = False
        self._locks.abandon(self.id)
        self.id = 0
