import msgspec
import pytest

from zato_lite.store.accounts import Accounts, Credential
from zato_lite.store.ports import Database

ANN = Credential("user", "ann", "hash-1", frozenset({"editor", "viewer"}), ("crm.*",))


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database)


async def test_a_user_is_saved_replaced_and_deleted(accounts: Accounts) -> None:
    changed = Credential("user", "ann", "hash-2", frozenset(), (), is_active=False)

    await accounts.save(ANN)
    first = await accounts.find("user", "ann")
    await accounts.save(changed)
    second = await accounts.find("user", "ann")

    assert first == ANN
    assert second == changed
    assert [user.name for user in await accounts.list("user")] == ["ann"]
    assert await accounts.delete("user", "ann")
    assert not await accounts.delete("user", "ann")
    assert await accounts.find("user", "ann") is None


async def test_a_name_with_a_null_character_is_nobodys(accounts: Accounts) -> None:
    assert await accounts.find("user", "ann\0") is None


async def test_keys_are_apart_from_users(accounts: Accounts) -> None:
    key = msgspec.structs.replace(ANN, kind="key")

    await accounts.save(key)

    assert await accounts.find("user", "ann") is None
    assert await accounts.list("user") == []
    assert await accounts.find("key", "ann") == key
    assert await accounts.list("key") == [key]
    assert not await accounts.delete("user", "ann")
    assert await accounts.delete("key", "ann")


async def test_a_setting_keeps_its_first_value(accounts: Accounts) -> None:
    assert await accounts.claim_setting("key", "one") == "one"
    assert await accounts.claim_setting("key", "two") == "one"
