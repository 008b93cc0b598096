"""Others: the port to the other nodes of a store, which are asked for runs and taken over."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from zato_lite.store.journal import Journal, StartJournal
from zato_lite.store.rows import NodeRow

ALL_NODES = 0
"""Number of a node that each node answers to."""

NEW_RUNS = "new-runs"
"""Text of a ring about runs that no node has claimed, of a program outside the cluster."""

NEW_RIGHTS = "new-rights"
"""Text of a ring about users and keys that have changed."""


class Others(Protocol):
    """The nodes of a store, as one of them sees them.

    Attributes:
        needs_stamps: others know that a node lives from its commits: two a second.
        on_buried: called, from any thread, when others have taken this node for dead.
    """

    needs_stamps: bool
    on_buried: Callable[[], None]

    @property
    def trusts_itself(self) -> bool:
        """True while no other node may take over the runs of this one."""
        ...

    def take(self, node: int) -> StartJournal:
        """Make this process a living node until it leaves or ends; return its journal."""
        ...

    def enter(self, node: int) -> None:
        """Learn that the node has a record in the store."""
        ...

    def release(self, node: int) -> None:
        """End a node in order."""
        ...

    def abandon(self, node: int) -> None:
        """End a node as the death of its process does."""
        ...

    def alive(self, known: Sequence[NodeRow]) -> list[int]:
        """Return the nodes that live, of those with a record; others' runs are taken over."""
        ...

    def journal_of(self, node: int) -> Journal | None:
        """Return what the journal of a dead node says; None if it says nothing."""
        ...

    def forget(self, nodes: Iterable[int]) -> None:
        """Delete what dead nodes have left, once their runs have been recovered."""
        ...

    def ring(self, node: int, text: str = "") -> None:
        """Wake another node; a ring may be lost. An empty text says that there may be work."""
        ...

    def listen(self, node: int, listener: Callable[[str], None]) -> None:
        """Have ``listener`` called in the running loop with each text rung at this node.

        It may be called with other texts, too: rings may have been missed.
        """
        ...
