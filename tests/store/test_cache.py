"""Values of the shared cache in the store."""

from pathlib import Path

import pytest

from tests.store.test_migrate import make_store_of_schema
from zato_lite.clock import SystemClock
from zato_lite.store import cache as cache_module
from zato_lite.store.cache import StoredCache
from zato_lite.store.ports import Database
from zato_lite.store.sql import fetch_value
from zato_lite.store.sqlite import open_store
from zato_lite.testing.clock import ManualClock


async def count(database: Database) -> int:
    found: int = await database.read(lambda c: fetch_value(c, "SELECT count(*) FROM cache_item"))
    return found


async def test_writes_delete_what_has_expired(database: Database) -> None:
    clock = ManualClock()
    cache = StoredCache(database, clock)
    for number in range(5):
        await cache.set("crm", f"k{number}", "1", 10)
    await cache.set("crm", "kept", "1", 0)
    clock.advance(seconds=11)

    await cache.set("crm", "new", "1", 0)

    assert await count(database) == 2


async def test_the_oldest_values_make_room(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_SWEPT", 10)
    clock = ManualClock()
    cache = StoredCache(database, clock, max_items=20)

    for number in range(30):
        clock.advance(seconds=1)
        await cache.set("crm", f"k{number:02}", "1", 0)

    found = [key for key, _ in await cache.by_prefix("crm", "")]
    assert found == [f"k{number:02}" for number in range(12, 30)]


async def test_a_cache_is_added_to_an_older_store(tmp_path: Path) -> None:
    old = make_store_of_schema(tmp_path / "z.db", newest=16)
    old.execute("INSERT INTO lock (name, owner, token, until) VALUES ('a', 'b', 1, 2)")
    old.close()

    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        cache = StoredCache(store, SystemClock())
        await cache.set("crm", "k", "1", 60)

        assert await cache.get("crm", "k") == "1"
        assert await store.read(lambda c: fetch_value(c, "SELECT count(*) FROM lock")) == 1
