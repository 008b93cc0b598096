import asyncio
from base64 import b64encode
from pathlib import Path

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from tests.http.conftest import MovedClock
from zato_lite.errors import ConfigError, TooManyRequestsError, UnauthorizedError
from zato_lite.http.auth import Authenticator
from zato_lite.http.passwords import Passwords, first_admin, new_key, stand_in
from zato_lite.store.accounts import ADMIN, Accounts, Credential
from zato_lite.store.audit import AuditLog


def basic(name: str, password: str) -> bytes:
    return b"Basic " + b64encode(f"{name}:{password}".encode())


async def hash_of_admin(users: Accounts) -> str:
    admin = await users.find("user", ADMIN)
    assert admin is not None
    return admin.hash


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(PasswordHasher(time_cost=1, memory_cost=32))


@pytest.fixture
async def authenticator(
    users: Accounts, audit_log: AuditLog, passwords: Passwords, clock: MovedClock
) -> Authenticator:
    await first_admin(users, passwords, {"ZATO_LITE_ADMIN_PASSWORD": "right"})
    return Authenticator(users, audit_log, passwords, clock, session_key=b"s" * 32)


async def test_the_first_admin_gets_a_random_password_once(
    users: Accounts, passwords: Passwords
) -> None:
    made = await first_admin(users, passwords, {})
    again = await first_admin(users, passwords, {})

    assert made is not None
    assert again is None
    kept = await hash_of_admin(users)
    assert made not in kept
    assert await passwords.matches(kept, made)


async def test_the_environment_sets_the_admin_s_password_at_each_start(
    users: Accounts, passwords: Passwords, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("from the file\n")

    assert await first_admin(users, passwords, {"ZATO_LITE_ADMIN_PASSWORD": "one"}) is None
    first = await hash_of_admin(users)
    await first_admin(users, passwords, {"ZATO_LITE_ADMIN_PASSWORD": "one"})
    assert await hash_of_admin(users) == first

    await first_admin(
        users, passwords, {"ZATO_LITE_ADMIN_PASSWORD_FILE": str(tmp_path / "password")}
    )
    assert await passwords.matches(await hash_of_admin(users), "from the file")


@pytest.mark.parametrize("content", [None, ""])
async def test_an_empty_password_file_is_an_error(
    users: Accounts, passwords: Passwords, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ConfigError, match="ZATO_LITE_ADMIN_PASSWORD_FILE"):
        await first_admin(users, passwords, {"ZATO_LITE_ADMIN_PASSWORD_FILE": str(path)})


async def test_the_right_password_is_admitted_and_remembered(authenticator: Authenticator) -> None:
    header = basic(ADMIN, "right")

    assert authenticator.remembered(header) is None
    admitted = await authenticator.check(header, "127.0.0.1")

    assert admitted.caller.name == ADMIN
    assert admitted.caller.roles == {"admin"}
    assert authenticator.remembered(header) is admitted


async def test_a_remembered_caller_is_forgotten_after_a_minute_and_on_a_change(
    authenticator: Authenticator, clock: MovedClock
) -> None:
    header = basic(ADMIN, "right")

    await authenticator.check(header, "")
    clock.seconds += 61
    assert authenticator.remembered(header) is None

    await authenticator.check(header, "")
    authenticator.forget()
    assert authenticator.remembered(header) is None


@pytest.mark.parametrize(
    "header",
    [
        basic(ADMIN, "wrong"),
        basic("nobody", "right"),
        basic(ADMIN, ""),
        basic("", ""),
        b"",
        b"Basic",
        b"Basic ",
        b"Basic ====",
        b"Basic !!!",
        b"Basic " + b64encode(b"no colon"),
        b"Basic " + b64encode(b"\xff:\xff"),
        b"Digest username=admin.invoke",
        b"Bearer",
        b"Bearer \xff",
        b"Bearer zl_nobody_secret",
        b"Bearer nonsense",
    ],
)
async def test_wrong_credentials_are_unauthorized(
    authenticator: Authenticator, header: bytes
) -> None:
    with pytest.raises(UnauthorizedError):
        await authenticator.check(header, "127.0.0.1")

    assert authenticator.remembered(header) is None


async def test_an_inactive_user_is_unauthorized(
    authenticator: Authenticator, users: Accounts, passwords: Passwords
) -> None:
    await users.save(
        Credential("user", "ann", await passwords.hash("hers"), frozenset({"viewer"}), (), False)
    )

    with pytest.raises(UnauthorizedError):
        await authenticator.check(basic("ann", "hers"), "")


async def test_after_too_many_failures_no_password_is_checked(
    authenticator: Authenticator, clock: MovedClock
) -> None:
    for _ in range(6):
        with pytest.raises(UnauthorizedError):
            await authenticator.check(basic(ADMIN, "wrong"), "10.0.0.1")

    with pytest.raises(TooManyRequestsError):
        await authenticator.check(basic(ADMIN, "right"), "10.0.0.1")
    assert (await authenticator.check(basic(ADMIN, "right"), "10.0.0.2")).caller.name == ADMIN

    clock.seconds += 300
    authenticator.forget()
    assert (await authenticator.check(basic(ADMIN, "right"), "10.0.0.1")).caller.name == ADMIN


async def test_failures_are_forgotten_after_a_quiet_time(
    authenticator: Authenticator, clock: MovedClock
) -> None:
    for _ in range(12):
        with pytest.raises(UnauthorizedError):
            await authenticator.check(basic(ADMIN, "wrong"), "10.0.0.1")
        clock.seconds += 1000


async def test_an_address_is_throttled_across_user_names(
    authenticator: Authenticator,
) -> None:
    for number in range(51):
        with pytest.raises(UnauthorizedError):
            await authenticator.check(basic(f"user{number}", "wrong"), "10.0.0.1")

    with pytest.raises(TooManyRequestsError):
        await authenticator.check(basic("another", "wrong"), "10.0.0.1")
    assert (await authenticator.check(basic(ADMIN, "right"), "10.0.0.2")).caller.name == ADMIN


async def test_the_number_of_passwords_in_check_is_limited(
    authenticator: Authenticator,
) -> None:
    tries = (authenticator.check(basic(f"user{n}", "wrong"), f"10.0.0.{n}") for n in range(200))

    found = await asyncio.gather(*tries, return_exceptions=True)

    kinds = [type(error) for error in found]
    assert kinds.count(UnauthorizedError) == 64
    assert kinds.count(TooManyRequestsError) == 136


async def test_concurrent_requests_share_one_check(
    authenticator: Authenticator,
) -> None:
    header = basic(ADMIN, "right")

    admitted = await asyncio.gather(*(authenticator.check(header, "") for _ in range(50)))

    assert {rights.caller.name for rights in admitted} == {ADMIN}


async def test_an_api_key_is_admitted_with_its_roles(
    authenticator: Authenticator, users: Accounts
) -> None:
    key = new_key()
    await users.save(
        Credential("key", key.name, key.hash, frozenset({"operator"}), ("crm.*",), True)
    )

    caller = (await authenticator.check(b"Bearer " + key.text.encode(), "")).caller

    assert caller.roles == {"operator"}
    assert caller.patterns == ("crm.*",)
    with pytest.raises(UnauthorizedError):
        await authenticator.check(b"Bearer " + key.text.encode() + b"x", "")


async def test_a_session_lasts_until_its_end_or_a_new_password(
    authenticator: Authenticator, users: Accounts, passwords: Passwords, clock: MovedClock
) -> None:
    token = await authenticator.log_in(ADMIN, "right", "")
    assert (await authenticator.session(token)).name == ADMIN

    clock.seconds += 13 * 3600
    with pytest.raises(UnauthorizedError):
        await authenticator.session(token)

    clock.seconds = 0
    await users.save(
        Credential("user", ADMIN, await passwords.hash("new"), frozenset({"admin"}), (), True)
    )
    with pytest.raises(UnauthorizedError):
        await authenticator.session(token)


@pytest.mark.parametrize("token", ["", ".", "a.b", "\xff.x", "MTAwIG5vYm9keQ==.00", "é"])
async def test_a_forged_session_is_unauthorized(authenticator: Authenticator, token: str) -> None:
    with pytest.raises(UnauthorizedError):
        await authenticator.session(token)


@pytest.mark.parametrize(
    "hasher",
    [PasswordHasher(), PasswordHasher(time_cost=2, memory_cost=64, parallelism=1, salt_len=24)],
)
def test_an_unknown_user_costs_as_much_as_a_known_one(hasher: PasswordHasher) -> None:
    written, computed = stand_in(hasher), hasher.hash("x")

    assert extract_parameters(written) == extract_parameters(computed)
    assert len(written) == len(computed)
    with pytest.raises(VerifyMismatchError):  # it was read, computed and compared
        hasher.verify(written, "x")


async def test_all_rights_of_a_caller_end_when_it_is_forgotten(
    authenticator: Authenticator, clock: MovedClock
) -> None:
    header = basic(ADMIN, "right")

    both = await asyncio.gather(*(authenticator.check(header, "") for _ in range(2)))
    authenticator.forget()

    assert [admitted.until > clock.monotonic() for admitted in both] == [False, False]


class SlowPasswords(Passwords):
    """Accounts that answer when they are allowed to."""

    def __init__(self) -> None:
        super().__init__(PasswordHasher(time_cost=1, memory_cost=32))
        self.was_asked, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def matches(self, hashed: str | None, password: str) -> bool:
        self.was_asked.set()
        await self.may_go_on.wait()
        return await super().matches(hashed, password)


async def test_a_user_removed_during_its_check_is_not_admitted(
    authenticator: Authenticator, users: Accounts, audit_log: AuditLog, clock: MovedClock
) -> None:
    slow = SlowPasswords()
    authenticator = Authenticator(users, audit_log, slow, clock, session_key=b"s" * 32)

    checking = asyncio.create_task(authenticator.check(basic(ADMIN, "right"), ""))
    await slow.was_asked.wait()
    await users.delete("user", ADMIN)
    authenticator.forget()
    slow.may_go_on.set()

    with pytest.raises(UnauthorizedError):
        await checking
