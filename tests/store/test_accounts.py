import pytest

from zato_lite.store.accounts import Accounts, AuditRow, User
from zato_lite.store.locks import Locks
from zato_lite.store.ports import Database
from zato_lite.testing.clock import ManualClock

ANN = User("ann", "hash-1", frozenset({"editor", "viewer"}), ("crm.*",), is_active=True)


@pytest.fixture
def people(database: Database) -> Accounts:
    return Accounts(database)


async def test_a_user_is_kept_replaced_and_forgotten(people: Accounts) -> None:
    await people.save_user(ANN.name, ANN.hash, ANN.roles, ANN.patterns, ANN.is_active)
    first = await people.find_user("ann")
    await people.save_user("ann", "hash-2", frozenset(), (), active=False)
    second = await people.find_user("ann")

    assert first == ANN
    assert second == User("ann", "hash-2", frozenset(), (), is_active=False)
    assert [user.name for user in await people.list_users()] == ["ann"]
    assert await people.remove_user("ann")
    assert not await people.remove_user("ann")
    assert await people.find_user("ann") is None


async def test_keys_are_apart_from_users(people: Accounts) -> None:
    await people.save_key(ANN.name, ANN.hash, ANN.roles, ANN.patterns, ANN.is_active)

    assert await people.find_user("ann") is None
    assert await people.find_key("ann") == ANN
    assert await people.list_keys() == [ANN]
    assert await people.remove_key("ann")


async def test_a_setting_is_what_came_first(people: Accounts) -> None:
    assert await people.claim_setting("key", "one") == "one"
    assert await people.claim_setting("key", "two") == "one"


async def test_deeds_are_told_newest_first(people: Accounts) -> None:
    for at, action in ((1, "create"), (2, "delete")):
        await people.record_audit(
            at=at,
            who="ann",
            action=action,
            subject="job 1",
            outcome="ok",
            cid="c",
            remote_address="::1",
        )

    assert await people.list_audit(limit=1) == [
        AuditRow(2, "ann", "delete", "job 1", "ok", "c", "::1")
    ]


async def test_a_lock_is_held_by_one_until_it_lapses_or_is_given_back(database: Database) -> None:
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
