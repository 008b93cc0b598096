import asyncio
import os
from base64 import b64encode
from pathlib import Path

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from tests.http.conftest import MovedClock
from zato_lite.errors import ConfigError, TooManyRequestsError, UnauthorizedError
from zato_lite.http.auth import Authenticator
from zato_lite.http.first_start import apply_environment, generate_admin
from zato_lite.http.passwords import Passwords, new_key, stand_in
from zato_lite.http.throttle import SignIns
from zato_lite.store.accounts import ADMIN, Accounts, Credential
from zato_lite.store.audit import AuditLog
from zato_lite.store.ports import Database
from zato_lite.store.sessions import Sessions

ADDRESS = "127.0.0.1"


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
    users: Accounts,
    audit_log: AuditLog,
    passwords: Passwords,
    clock: MovedClock,
    sessions: Sessions,
) -> Authenticator:
    await apply_environment(users, passwords, {"ZATO_LITE_ADMIN_PASSWORD": "right"})
    return Authenticator(users, audit_log, passwords, clock, sessions)


async def test_the_first_admin_gets_a_random_password_once(
    users: Accounts, passwords: Passwords, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = await generate_admin(users, passwords, tmp_path)
    assert path is not None
    made = path.read_text().strip()

    again = await generate_admin(users, passwords, tmp_path)

    assert again is None
    assert os.listdir(tmp_path) == ["admin-password"]  # noqa: PTH208 - as a list of names
    assert path.read_text().strip() == made
    assert path.stat().st_mode & 0o777 == 0o600
    assert made not in caplog.text
    assert str(path) in {str(vars(record).get("file")) for record in caplog.records}
    kept = await hash_of_admin(users)
    assert made not in kept
    assert await passwords.matches(kept, made)


async def test_without_its_file_no_admin_is_created(
    users: Accounts, passwords: Passwords, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match="cannot be written"):
        await generate_admin(users, passwords, tmp_path / "file")

    assert await users.list("user") == []


async def test_the_environment_sets_the_admin_s_password_at_each_start(
    users: Accounts, passwords: Passwords, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "password").write_text("from the file\n")

    assert await apply_environment(users, passwords, {"ZATO_LITE_ADMIN_PASSWORD": "one"})
    assert "admin password short" in caplog.messages
    first = await hash_of_admin(users)
    await apply_environment(users, passwords, {"ZATO_LITE_ADMIN_PASSWORD": "one"})
    assert await hash_of_admin(users) == first

    await apply_environment(
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
        await apply_environment(users, passwords, {"ZATO_LITE_ADMIN_PASSWORD_FILE": str(path)})


async def test_the_right_password_is_admitted_and_remembered(authenticator: Authenticator) -> None:
    header = basic(ADMIN, "right")

    assert authenticator.remembered(header, ADDRESS) is None
    admitted = await authenticator.check(header, ADDRESS)

    assert admitted.caller.name == ADMIN
    assert admitted.caller.roles == {"admin"}
    assert authenticator.remembered(header, ADDRESS) is admitted


async def test_a_remembered_caller_is_forgotten_after_a_minute_and_on_a_change(
    authenticator: Authenticator, clock: MovedClock
) -> None:
    header = basic(ADMIN, "right")

    await authenticator.check(header, ADDRESS)
    clock.seconds += 61
    assert authenticator.remembered(header, ADDRESS) is None

    await authenticator.check(header, ADDRESS)
    authenticator.forget()
    assert authenticator.remembered(header, ADDRESS) is None


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
        await authenticator.check(header, ADDRESS)

    assert authenticator.remembered(header, ADDRESS) is None


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

    with pytest.raises(TooManyRequestsError) as refused:
        await authenticator.check(basic(ADMIN, "right"), "10.0.0.1")
    assert refused.value.retry_after == 2
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


async def fail(authenticator: Authenticator, count: int, name: str, address: str) -> None:
    """Sign in with a wrong password ``count`` times; ``{n}`` in the name is the number."""
    for n in range(count):
        with pytest.raises((UnauthorizedError, TooManyRequestsError)):
            await authenticator.check(basic(name.format(n=n), f"wrong {n}"), address)


@pytest.mark.parametrize("at_once", [1, 8])
async def test_unknown_names_lock_no_user_out(
    authenticator: Authenticator, users: Accounts, at_once: int
) -> None:
    key = new_key()
    await users.save(Credential("key", key.name, key.hash, frozenset({"operator"})))
    await asyncio.gather(
        *(fail(authenticator, 60, f"made up {n} {{n}}", "10.0.0.1") for n in range(at_once))
    )

    right = await authenticator.check(basic(ADMIN, "right"), "10.0.0.1")
    by_key = await authenticator.check(b"Bearer " + key.text.encode(), "10.0.0.1")
    token = await authenticator.log_in(ADMIN, "right", "10.0.0.1")

    assert (right.caller.name, by_key.caller.name) == (ADMIN, key.name)
    assert (await authenticator.session(token)).name == ADMIN


@pytest.mark.parametrize(
    "credentials",
    [b"Bearer zl_made-up_key", b"Bearer x", b"Session made-up", basic("bob", "wrong")],
    ids=["key", "nonsense", "session", "another user"],
)
async def test_other_wrong_credentials_lock_no_user_out(
    authenticator: Authenticator, users: Accounts, passwords: Passwords, credentials: bytes
) -> None:
    bob = Credential("user", "bob", await passwords.hash("his"), frozenset({"viewer"}))
    await users.save(bob)
    for _ in range(60):
        with pytest.raises((UnauthorizedError, TooManyRequestsError)):
            await authenticator.check(credentials, "10.0.0.1")

    assert (await authenticator.check(basic(ADMIN, "right"), "10.0.0.1")).caller.name == ADMIN


async def test_a_user_who_has_signed_in_from_an_address_passes_after_guesses_from_there(
    authenticator: Authenticator, clock: MovedClock
) -> None:
    await authenticator.log_in(ADMIN, "right", "10.0.0.1")
    await fail(authenticator, 60, ADMIN, "10.0.0.1")

    assert await authenticator.log_in(ADMIN, "right", "10.0.0.1")


@pytest.mark.parametrize(("address", "patience"), [("127.0.0.1", 11), ("", 11), ("::1", 11)])
async def test_the_own_machine_waits_for_seconds_only(
    authenticator: Authenticator, clock: MovedClock, address: str, patience: float
) -> None:
    await fail(authenticator, 10, ADMIN, address)
    for _ in range(20):
        clock.seconds += patience
        await fail(authenticator, 1, ADMIN, address)

    clock.seconds += patience
    assert (await authenticator.check(basic(ADMIN, "right"), address)).caller.name == ADMIN


async def test_one_ipv6_network_is_one_client(authenticator: Authenticator) -> None:
    for number in range(6):
        await fail(authenticator, 1, ADMIN, f"2001:db8::{number:x}")

    with pytest.raises(TooManyRequestsError):
        await authenticator.check(basic(ADMIN, "right"), "2001:db8::ffff")
    other = await authenticator.check(basic(ADMIN, "right"), "2001:db8:0:1::1")
    assert other.caller.name == ADMIN


async def test_a_flood_of_names_resets_no_counter(authenticator: Authenticator) -> None:
    authenticator.sign_ins = SignIns(capacity=20)
    await fail(authenticator, 8, ADMIN, "10.0.0.1")
    await fail(authenticator, 200, "made up {n}", "10.0.0.1")

    with pytest.raises(TooManyRequestsError):
        await authenticator.check(basic(ADMIN, "right"), "10.0.0.1")


async def test_guesses_in_parallel_count_as_guesses_in_turn(
    authenticator: Authenticator,
) -> None:
    tries = (authenticator.check(basic(ADMIN, f"wrong {n}"), "10.0.0.1") for n in range(60))

    found = await asyncio.gather(*tries, return_exceptions=True)

    checked = [type(error) for error in found].count(UnauthorizedError)
    assert 6 <= checked <= 8  # two may be checked when the limit is reached


async def test_what_is_remembered_of_another_client_answers_no_guess(
    authenticator: Authenticator,
) -> None:
    header = basic(ADMIN, "right")
    await authenticator.check(header, "10.0.0.1")

    assert authenticator.remembered(header, "10.0.0.2") is None
    await fail(authenticator, 10, ADMIN, "10.0.0.2")
    with pytest.raises(TooManyRequestsError):
        await authenticator.check(header, "10.0.0.2")


async def test_a_hash_with_other_parameters_is_renewed_at_a_sign_in(
    authenticator: Authenticator, users: Accounts
) -> None:
    older = PasswordHasher(time_cost=2, memory_cost=64, parallelism=2).hash("right")
    await users.save(Credential("user", ADMIN, older, frozenset({"admin"})))
    token = await authenticator.log_in(ADMIN, "right", "10.0.0.1")

    renewed = await hash_of_admin(users)

    assert renewed != older
    assert extract_parameters(renewed).memory_cost == 32
    assert (await authenticator.session(token)).name == ADMIN
    await authenticator.log_in(ADMIN, "right", "10.0.0.1")
    assert await hash_of_admin(users) == renewed
    await fail(authenticator, 1, ADMIN, "10.0.0.1")
    assert await hash_of_admin(users) == renewed


def test_the_parameters_are_those_that_owasp_recommends() -> None:
    hashed = asyncio.run(Passwords().hash("x"))

    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


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

    clock.seconds += 2 * 3600
    with pytest.raises(UnauthorizedError):
        await authenticator.session(token)

    clock.seconds = 0
    await users.save(
        Credential("user", ADMIN, await passwords.hash("new"), frozenset({"admin"}), (), True)
    )
    with pytest.raises(UnauthorizedError):
        await authenticator.session(token)


async def test_a_session_in_use_lasts_for_its_lifetime(
    authenticator: Authenticator, clock: MovedClock
) -> None:
    header = b"Session " + (await authenticator.log_in(ADMIN, "right", "")).encode()

    for _ in range(11):
        clock.seconds += 3600
        await authenticator.check(header, "")
    clock.seconds += 3598
    rights = await authenticator.check(header, "")

    assert rights.until <= clock.monotonic() + 2
    clock.seconds += 2
    with pytest.raises(UnauthorizedError):
        await authenticator.check(header, "")


async def test_a_session_that_was_ended_is_forgotten_immediately(
    authenticator: Authenticator, clock: MovedClock
) -> None:
    tokens = [await authenticator.log_in(ADMIN, "right", "") for _ in range(3)]
    one, two, three = [await authenticator.check(b"Session " + t.encode(), "") for t in tokens]
    by_password = await authenticator.check(basic(ADMIN, "right"), "")

    await authenticator.end_session(tokens[0])
    assert [rights.until > clock.monotonic() for rights in (one, two, three)] == [
        False,
        True,
        True,
    ]
    with pytest.raises(UnauthorizedError):
        await authenticator.check(b"Session " + tokens[0].encode(), "")
    assert await authenticator.end_session(tokens[0]) is None
    assert await authenticator.end_sessions_of(ADMIN) == 2

    assert [rights.until > clock.monotonic() for rights in (two, three)] == [False, False]
    assert by_password.until > clock.monotonic()


async def test_another_process_notices_the_end_of_a_session_within_seconds(
    authenticator: Authenticator, clock: MovedClock
) -> None:
    token = await authenticator.log_in(ADMIN, "right", "")
    await authenticator.check(b"Session " + token.encode(), "")

    await authenticator.sessions.delete_of(ADMIN)
    clock.seconds += 4

    with pytest.raises(UnauthorizedError):
        await authenticator.check(b"Session " + token.encode(), "")


async def test_a_password_changed_during_the_sign_in_gives_no_session(
    authenticator: Authenticator, users: Accounts
) -> None:
    slow = authenticator.passwords = SlowPasswords()

    signing_in = asyncio.create_task(authenticator.log_in(ADMIN, "right", ""))
    await slow.was_asked.wait()
    changed = Credential("user", ADMIN, await slow.hash("new one"), frozenset({"admin"}))
    await users.save(changed)
    slow.may_go_on.set()

    with pytest.raises(UnauthorizedError):
        await signing_in
    assert await authenticator.sessions.list(authenticator.clock.now()) == []


async def test_the_store_holds_no_token(authenticator: Authenticator, store: Database) -> None:
    token = await authenticator.log_in(ADMIN, "right", "", "a browser\x1b[31m")

    [session] = await authenticator.sessions.list(authenticator.clock.now())
    rows = await store.read(lambda c: list(c.execute("SELECT * FROM session")))

    assert token not in repr(rows)
    assert session.user_agent == "a browser[31m"
    for stored in (session.hash, session.id):
        with pytest.raises(UnauthorizedError):
            await authenticator.session(stored)


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
    authenticator: Authenticator, users: Accounts
) -> None:
    slow = authenticator.passwords = SlowPasswords()

    checking = asyncio.create_task(authenticator.check(basic(ADMIN, "right"), ""))
    await slow.was_asked.wait()
    await users.delete("user", ADMIN)
    authenticator.forget()
    slow.may_go_on.set()

    with pytest.raises(UnauthorizedError):
        await checking
