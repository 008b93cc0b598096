"""Named locks."""

from zato_lite.service.locks import MAX_NAME
from zato_lite.store.locks import Locks
from zato_lite.store.ports import Database
from zato_lite.testing.clock import ManualClock


async def test_a_lock_has_one_owner_until_it_expires_or_is_released(database: Database) -> None:
    clock = ManualClock()
    locks = Locks(database, clock)

    first = await locks.acquire("crm", "a", 10)
    assert first is not None
    assert await locks.acquire("crm", "b", 10) is None
    clock.advance(seconds=9)
    assert await locks.renew("crm", first, 10)
    clock.advance(seconds=11)
    second = await locks.acquire("crm", "b", 10)

    assert second is not None
    assert second > first
    assert not await locks.renew("crm", first, 10)
    await locks.release("crm", first)
    assert await locks.acquire("crm", "c", 10) is None
    await locks.release("crm", second)
    assert await locks.acquire("crm", "c", 10) is not None


async def test_the_longest_name_can_be_held(database: Database) -> None:
    locks = Locks(database, ManualClock())

    assert await locks.acquire("\U0001f418" * MAX_NAME, "a", 10) is not None
