"""Nodes: ids and locks."""

from pathlib import Path

from zato_lite.clock import SystemClock
from zato_lite.store import nodes
from zato_lite.store.ports import Database
from zato_lite.store.rows import NodeRow
from zato_lite.store.sqlite import open_store


async def test_a_live_node_holds_its_lock(tmp_path: Path) -> None:
    async with (
        open_store(tmp_path / "z.db", SystemClock()) as one_store,
        open_store(tmp_path / "z.db", SystemClock()) as other,
    ):
        known = [NodeRow(1, "a", 10, 0, 0), NodeRow(2, "b", 11, 0, 0)]
        one_store.locks.take(1)
        before = other.locks.alive(known)
        one_store.locks.release(1)

        assert before == [1]
        assert other.locks.alive(known) == []


async def test_node_ids_are_never_reused(database: Database) -> None:
    numbers = [await database.write(nodes.new_node_id) for _ in range(3)]

    assert numbers == [1, 2, 3]
