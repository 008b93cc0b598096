import msgspec
import pytest

from zato_lite.store.accounts import Accounts, Credential
from zato_lite.store.ports import Database
from zato_lite.store.sessions import (
    PasswordCodes,
    Session,
    SessionLimits,
    Sessions,
    hash_token,
)

HOUR = 3600 * 1_000_000
NOW = 1_000 * HOUR
ANN = Credential("user", "ann", "hash-1", frozenset({"editor"}))


def session(token: str, user: str = "ann", created_at: int = NOW) -> Session:
    return Session(hash_token(token), user, created_at, created_at, "::1", "a browser")


@pytest.fixture
def sessions(database: Database) -> Sessions:
    return Sessions(database)


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database)


async def test_a_session_is_found_by_its_hash_and_its_id(sessions: Sessions) -> None:
    await sessions.add(session("one"))

    assert await sessions.find(hash_token("one"), NOW) == session("one")
    assert await sessions.find_by_id(session("one").id, NOW) == session("one")
    assert await sessions.find(hash_token("other"), NOW) is None


@pytest.mark.parametrize("session_id", ["", "%", "g" * 16, "0" * 16, "A" * 16, hash_token("one")])
async def test_a_wrong_id_finds_no_session(sessions: Sessions, session_id: str) -> None:
    await sessions.add(session("one"))

    assert await sessions.find_by_id(session_id, NOW) is None


async def test_a_session_ends_without_use_and_at_its_lifetime(sessions: Sessions) -> None:
    await sessions.add(session("one"))
    hashed = hash_token("one")

    assert await sessions.find(hashed, NOW + 2 * HOUR - 1) is not None
    assert await sessions.find(hashed, NOW + 2 * HOUR) is None
    for hour in range(1, 12):
        found = await sessions.find(hashed, NOW + hour * HOUR)
        assert found is not None
        await sessions.record_use(found, NOW + hour * HOUR)
    assert await sessions.find(hashed, NOW + 12 * HOUR - 1) is not None
    assert await sessions.find(hashed, NOW + 12 * HOUR) is None


async def test_use_is_recorded_seldom(sessions: Sessions) -> None:
    await sessions.add(session("one"))

    await sessions.record_use(session("one"), NOW + HOUR // 60)
    early = await sessions.find(hash_token("one"), NOW)
    await sessions.record_use(session("one"), NOW + HOUR // 30)
    later = await sessions.find(hash_token("one"), NOW)

    assert early is not None
    assert later is not None
    assert (early.used_at, later.used_at) == (NOW, NOW + HOUR // 30)


async def test_limits_are_settings(database: Database) -> None:
    sessions = Sessions(database, SessionLimits(idle=10, lifetime=25))
    await sessions.add(session("one"))

    assert session("one").ends_at(sessions.limits) == NOW + 10
    assert await sessions.find(hash_token("one"), NOW + 9) is not None
    assert await sessions.find(hash_token("one"), NOW + 10) is None


async def test_sessions_are_listed_and_ended_by_user(sessions: Sessions) -> None:
    for token, user in (("1", "ann"), ("2", "ann"), ("3", "bob"), ("4", "cy")):
        await sessions.add(session(token, user, NOW + int(token)))

    assert [found.user for found in await sessions.list(NOW)] == ["cy", "bob", "ann", "ann"]
    assert [found.created_at - NOW for found in await sessions.list(NOW, "ann")] == [2, 1]
    await sessions.delete([hash_token("4"), hash_token("none")])
    assert set(await sessions.delete_of("ann")) == {hash_token("1"), hash_token("2")}
    assert [found.user for found in await sessions.list(NOW)] == ["bob"]
    assert await sessions.delete_of(None) == [hash_token("3")]
    assert await sessions.list(NOW) == []


async def test_ended_sessions_are_deleted_and_a_user_has_at_most_a_hundred(
    sessions: Sessions,
) -> None:
    for number in range(110):
        await sessions.add(session(f"{number}", created_at=NOW + number))

    assert len(await sessions.list(NOW)) == 100
    assert await sessions.find(hash_token("0"), NOW) is None
    await sessions.add(session("new", "bob", NOW + 3 * HOUR))
    assert [found.user for found in await sessions.list(NOW)] == ["bob"]


@pytest.mark.parametrize(
    ("change", "is_over"),
    [
        ({"hash": "hash-2"}, True),
        ({"is_active": False}, True),
        ({"roles": frozenset({"viewer"})}, False),
        ({"patterns": ("crm.*",)}, False),
    ],
)
async def test_a_new_password_or_deactivation_ends_sessions(
    sessions: Sessions, accounts: Accounts, change: dict[str, object], is_over: bool
) -> None:
    await accounts.save(ANN)
    await sessions.add(session("one"))
    await sessions.add(session("two", "bob"))

    await accounts.save(msgspec.structs.replace(ANN, **change))

    assert (await sessions.find(hash_token("one"), NOW) is None) is is_over
    assert await sessions.find(hash_token("two"), NOW) is not None


async def test_a_deleted_user_has_no_sessions(sessions: Sessions, accounts: Accounts) -> None:
    await accounts.save(ANN)
    await sessions.add(session("one"))

    await accounts.delete("key", "ann")
    assert await sessions.list(NOW) != []
    await accounts.delete("user", "ann")

    assert await sessions.list(NOW) == []


async def test_another_hash_of_the_same_password_ends_no_session(
    sessions: Sessions, accounts: Accounts
) -> None:
    await accounts.save(ANN)
    await sessions.add(session("one"))

    await accounts.replace_hash("ann", "hash-0", "hash-9")
    unchanged = await accounts.find("user", "ann")
    await accounts.replace_hash("ann", "hash-1", "hash-2")
    changed = await accounts.find("user", "ann")

    assert unchanged == ANN
    assert changed == msgspec.structs.replace(ANN, hash="hash-2")
    assert await sessions.find(hash_token("one"), NOW) is not None


async def test_a_code_sets_a_password_once(database: Database, accounts: Accounts) -> None:
    codes = PasswordCodes(database)
    await codes.save("old", "ann", NOW + 15)
    await codes.save("code", "ann", NOW + 15)

    assert await codes.user_of("code", NOW) == "ann"
    for code, at in (("old", NOW), ("no", NOW), ("code", NOW + 15), (hash_token("code"), NOW)):
        assert await codes.user_of(code, at) is None
        assert not await codes.redeem(code, ANN, at)
    assert not await codes.redeem("code", msgspec.structs.replace(ANN, name="bob"), NOW)
    assert await accounts.list("user") == []
    assert await codes.redeem("code", ANN, NOW)
    assert await accounts.find("user", "ann") == ANN
    assert not await codes.redeem("code", ANN, NOW)


async def test_a_password_set_otherwise_makes_the_code_invalid(
    database: Database, accounts: Accounts
) -> None:
    codes = PasswordCodes(database)
    await codes.save("code", "ann", NOW + 15)

    await accounts.save(ANN)

    assert not await codes.redeem("code", msgspec.structs.replace(ANN, hash="x"), NOW)
    assert not await accounts.add(msgspec.structs.replace(ANN, hash="x"))
    assert await accounts.find("user", "ann") == ANN
