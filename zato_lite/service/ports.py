"""What services want kept for them, in their own words; the scheduler and the store keep it."""

from typing import Protocol

from zato_lite.timetable.job import Job


class AsyncInvocations(Protocol):
    """Keeps invocations until they have been made, by whichever node is free."""

    async def invoke_async(self, job: Job, cid: str = "") -> int:
        """Run a service once, by a definition that is no job; the run's id.

        Once this returns, it survives a crash.
        """
        ...


class Locks(Protocol):
    """Locks that all nodes see, each held for a while at most."""

    async def acquire(self, name: str, owner: str, ttl: float) -> int | None:
        """Take a lock for ``ttl`` seconds: a token greater than any before, or None if held."""
        ...

    async def renew(self, name: str, token: int, ttl: float) -> bool:
        """Hold it for ``ttl`` seconds from now; False if it has lapsed."""
        ...

    async def release(self, name: str, token: int) -> None:
        """Give it back; nothing happens if it has lapsed."""
        ...
