"""The timetable in motion: claims what is due, runs it at its instant, settles what came of it."""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from zato_lite.clock import Clock
from zato_lite.service.message import Invocation, Outcome
from zato_lite.store.ports import Database

Run = Callable[[Invocation], Awaitable[Outcome]]
"""The one door of services; raises nothing that a service raises."""


class Scheduler:
    """Runs jobs at their slots, from ``async with`` on until it is left or drained.

    Args:
        database: where jobs and runs are kept.
        run: invokes a service.
        capacity: so many runs at once at most.
        node_name: what this process is called among others on the same database.
        grace: seconds that runs in flight are given to end when the scheduler stops.
    """

    def __init__(
        self,
        database: Database,
        run: Run,
        clock: Clock,
        *,
        capacity: int = 10_000,
        node_name: str = "zato-lite",
        grace: float = 30.0,
    ) -> None:
        self._database, self._run, self._clock = database, run, clock
        self._capacity, self._node_name, self._grace = capacity, node_name, grace

    async def __aenter__(self) -> Self:
        raise NotImplementedError

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        raise NotImplementedError

    def changed(self) -> None:
        """Look again what is due: something was put into the database."""
        raise NotImplementedError

    async def tick(self) -> None:
        """Claim what is due once, and start what it is time for."""
        raise NotImplementedError

    async def drain(self, grace: float | None = None) -> None:
        """Claim no more, let runs in flight end within ``grace`` seconds, hand the rest back."""
        raise NotImplementedError
