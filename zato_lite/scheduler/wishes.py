"""Wishes between nodes: this node answers those about its runs, and waits for others' answers.

A wish is in the store and outlives its bell; the store is looked at with each ring, and each
second while there are other nodes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from zato_lite.clock import Clock
from zato_lite.errors import UnavailableError
from zato_lite.scheduler.executor import Executor
from zato_lite.scheduler.node import Node
from zato_lite.store import wishes
from zato_lite.store.attempts import StartedRuns
from zato_lite.store.ports import Connection, Database
from zato_lite.store.wishes import Asked

Result = TypeVar("Result")

ChangeRuns = Callable[
    [Collection[int], Callable[[Connection, StartedRuns], Collection[int]]],
    Awaitable[Collection[int]],
]
"""Writes a change of jobs, during which none of their runs starts here."""

ANSWER_S = 0.1
"""Seconds after which an owner that was asked is asked again, unless it rings before."""

TIMEOUT_S = 7.0
"""Seconds after which a change is refused: an owner that is dead has been replaced by then."""


class Wishes:
    """Wishes about the runs of this node, and those of this node about the runs of others.

    Args:
        change: writes a change while the runs of its jobs are kept from starting.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        node: Node,
        executor: Executor,
        change: ChangeRuns,
    ) -> None:
        self._database, self._clock, self._node = database, clock, node
        self._executor, self._change = executor, change
        self._heard = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_again = False

    def hear(self) -> None:
        """Look for wishes, and for the ends of runs that others here wait for."""
        self._heard.set()
        self._executor.check_waiting()
        if self._task is not None and not self._task.done():
            self._is_again = True
        elif self._node.is_running:
            self._task = asyncio.ensure_future(self._answer_all())

    async def _answer_all(self) -> None:
        try:
            await self.answer()
            while self._is_again and self._node.is_running:
                self._is_again = False
                await self.answer()
        except UnavailableError:
            pass  # they are looked at again within a second

    async def answer(self) -> None:
        """Cancel, or give back, the runs of this node that others ask for."""
        node = self._node.id
        found = await self._database.read(lambda c: wishes.list_wishes(c, node))
        for wish in found:
            if wish.wish == "cancel":
                self._executor.cancel(wish.run_id)
        job_ids = sorted({wish.job_id for wish in found if wish.wish == "revoke"})
        if job_ids:
            await self._change(job_ids, lambda c, started: wishes.give_back(c, job_ids, started))
            self._node.ring(self._node.others)

    async def insist(self, attempt: Callable[[], Awaitable[Result | Asked]]) -> Result:
        """Make a change again and again until no owner has to be asked first.

        Raises:
            UnavailableError: an owner has not answered in time.
        """
        until = self._clock.monotonic() + TIMEOUT_S
        while True:
            self._heard.clear()
            result = await attempt()
            if not isinstance(result, Asked):
                return result
            if self._clock.monotonic() > until:
                nodes = ", ".join(str(node) for node in sorted(result.nodes))
                raise UnavailableError(
                    f"runs of the job are on node {nodes}, which does not answer"
                )
            self._node.ring(result.nodes)
            try:
                async with asyncio.timeout(ANSWER_S):
                    await self._heard.wait()
            except TimeoutError:
                await self._node.remove_dead()

    async def stop(self) -> None:
        """Wait until the present answer is written."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def crash(self) -> None:
        """Answer no more, as a killed process does."""
        if self._task is not None:
            self._task.cancel()
