"""This process, as one of those that run jobs on the same database."""

import os
from collections.abc import Sequence

from zato_lite.clock import Clock
from zato_lite.store import nodes
from zato_lite.store.nodes import NodeLocks
from zato_lite.store.ports import Database
from zato_lite.timetable.job import SECOND
from zato_lite.timetable.job_plan import Downtime

NODES_EVERY = 1 * SECOND
"""Other processes on the same database are looked at so often, when there are any."""

NODES_SELDOM = 10 * SECOND
"""The same when there are none, so far as is known."""


class Node:
    """A process that runs jobs.

    Attributes:
        id: its number; 0 before and after.
        is_running: it claims and starts runs.
        others: how many other processes are known to live.
    """

    def __init__(self, database: Database, clock: Clock, name: str, locks: NodeLocks) -> None:
        self._database, self._clock, self._name = database, clock, name
        self._locks = locks
        self.id = 0
        self.is_running = False
        self.others = 0

    async def enter(self) -> Downtime | None:
        """Begin; since when no process has run jobs, if any ever did."""
        name, pid = self._name, os.getpid()
        self.id = await self._database.write(nodes.new_node_id)
        self._locks.acquire(self.id)
        now = self._clock.now()
        last_seen = await self._database.read(nodes.last_seen)
        await self._database.write(lambda c: nodes.register_node(c, self.id, name, pid, now))
        self.is_running = True
        return None if last_seen is None else Downtime(last_seen, now)

    async def look_around(self) -> Sequence[int]:
        """The processes that live; those that were found dead are struck off."""
        known = await self._database.read(nodes.list_nodes)
        alive = self._locks.alive([node.id for node in known])
        self.others = len([node for node in alive if node != self.id])
        dead = [node.id for node in known if node.id not in alive]
        if dead:
            await self._database.write(lambda c: nodes.delete_nodes(c, dead))
        return alive

    async def leave(self) -> None:
        """End; whatever the store says, the process is not taken to be alive any more."""
        node, now = self.id, self._clock.now()
        try:
            await self._database.write(lambda c: nodes.unregister_node(c, node, now))
        finally:
            self._locks.release(node)
            self.id = 0
