"""Schema migrations: older stores are migrated with their data, newer ones refused."""

import json
from pathlib import Path

import apsw
import pytest
from argon2 import PasswordHasher

from zato_lite.clock import SystemClock
from zato_lite.errors import StoreError
from zato_lite.http.auth import Authenticator
from zato_lite.http.passwords import Passwords, hash_key
from zato_lite.service.message import Caller
from zato_lite.store import history, wishes
from zato_lite.store.accounts import Accounts, Credential
from zato_lite.store.audit import AuditLog
from zato_lite.store.calendars import jobs_using
from zato_lite.store.jobs import encode_job
from zato_lite.store.migrate import migrations
from zato_lite.store.recovery import recover_runs
from zato_lite.store.rows import EarlierLines
from zato_lite.store.run_cid import claim_cids
from zato_lite.store.sessions import Sessions
from zato_lite.store.sql import execute
from zato_lite.store.sqlite import open_store
from zato_lite.timetable.job import Job, OneTime

ANN = Credential("user", "ann", "hash-1", frozenset({"editor", "viewer"}), ("crm.*", "erp.*"))
BOB = Credential("user", "bob", "hash-2", frozenset({"admin"}), (), is_active=False)
KEY = Credential("key", "ann", "hash-3", frozenset({"operator"}), ())


def make_store_of_schema(path: Path, newest: int) -> apsw.Connection:
    """Make a store with the migrations up to ``newest`` only."""
    connection = apsw.Connection(str(path))
    connection.execute(
        "CREATE TABLE migration (number INTEGER PRIMARY KEY, name, checksum, taken_at)"
    )
    for step in migrations()[:newest]:
        connection.execute(step.sql)
        connection.execute(
            "INSERT INTO migration VALUES (?, ?, ?, 0)", (step.number, step.name, step.checksum)
        )
    return connection


async def test_users_and_keys_of_an_older_store_become_credentials(tmp_path: Path) -> None:
    old = make_store_of_schema(tmp_path / "z.db", newest=3)
    for table, credential in (("user", ANN), ("user", BOB), ("api_key", KEY)):
        old.execute(
            f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)",
            (
                credential.name,
                credential.hash,
                json.dumps(sorted(credential.roles)),
                json.dumps(credential.patterns),
                credential.is_active,
            ),
        )
    old.close()

    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        accounts = Accounts(store)
        users, keys = await accounts.list("user"), await accounts.list("key")

    assert users == [ANN, BOB]
    assert keys == [KEY]
    check = apsw.Connection(str(tmp_path / "z.db"))
    tables = {name for (name,) in check.execute("SELECT name FROM sqlite_master")}
    check.close()
    assert "credential" in tables
    assert not tables & {"user", "api_key"}


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        await store.write(lambda c: execute(c, "INSERT INTO migration VALUES (9999, 'x', 'x', 0)"))

    with pytest.raises(StoreError, match="schema 9999"):
        async with open_store(tmp_path / "z.db", SystemClock()):
            pass


async def test_a_schema_with_another_checksum_is_refused(tmp_path: Path) -> None:
    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        await store.write(lambda c: execute(c, "UPDATE migration SET checksum = 'x'"))

    with pytest.raises(StoreError, match="was made with a different"):
        async with open_store(tmp_path / "z.db", SystemClock()):
            pass


async def test_attempts_of_the_first_schema_survive_its_migration(
    tmp_path: Path,
) -> None:
    first = migrations()[0]
    old = apsw.Connection(str(tmp_path / "z.db"))
    old.execute("CREATE TABLE migration (number INTEGER PRIMARY KEY, name, checksum, taken_at)")
    old.execute("INSERT INTO migration VALUES (1, ?, ?, 0)", (first.name, first.checksum))
    old.execute(first.sql)
    old.execute("INSERT INTO attempt VALUES (7, 1, 7, 10, 20, 'error', 'no')")
    old.close()

    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        earlier = await store.read(lambda c: history.earlier_lines(c, [7]))

    assert earlier == {7: [EarlierLines(7, 1, 10, 20, "error", ())]}


async def test_open_runs_of_an_older_store_are_recovered(tmp_path: Path) -> None:
    old = make_store_of_schema(tmp_path / "z.db", newest=4)
    old.execute(
        "INSERT INTO run (id, job_id, number, slot, kind, state, node, token, attempt, crashes,"
        " claimed_at) VALUES (7, 0, 7, 5, 'async', 'waiting', 3, 7, 3, 2, 5)"
    )
    job = Job(name="", service="s", trigger=OneTime(start=5))
    old.execute("INSERT INTO call VALUES (7, ?, '')", (encode_job(job),))
    old.close()

    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        recovered = await store.write(lambda c: recover_runs(c, 4, now=9))

    assert [(a.crashes, a.alone, a.path, a.is_suspect) for a in recovered.attempts] == [
        (2, 0, (), True)
    ]


async def test_the_key_that_signed_sessions_is_deleted(tmp_path: Path) -> None:
    old = make_store_of_schema(tmp_path / "z.db", newest=4)
    old.execute("INSERT INTO setting VALUES ('http.session-key', 'secret'), ('other', 'kept')")
    old.execute("INSERT INTO credential VALUES ('user', 'ann', 'h', '[\"admin\"]', '[]', 1)")
    old.close()

    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        settings = await store.read(lambda c: list(c.execute("SELECT name, value FROM setting")))
        users = await Accounts(store).list("user")

    assert settings == [("other", "kept")]
    assert users == [Credential("user", "ann", "h", frozenset({"admin"}))]


async def test_open_runs_of_an_older_store_can_be_asked_for(tmp_path: Path) -> None:
    old = make_store_of_schema(tmp_path / "z.db", newest=10)
    old.execute("INSERT INTO node (id, name, pid, started_at, seen_at) VALUES (3, 'a', 1, 5, 5)")
    old.execute(
        "INSERT INTO run (id, job_id, number, slot, kind, state, node, token, attempt, crashes,"
        " claimed_at) VALUES (7, 1, 1, 9, 'scheduled', 'claimed', 3, 7, 1, 0, 8)"
    )
    old.close()

    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        asked = await store.write(lambda c: wishes.ask_owners(c, [1], 4, 10))
        found = await store.read(lambda c: wishes.list_wishes(c, 3))

    assert asked == wishes.Asked(frozenset({3}))
    assert found == [wishes.Wish(7, 1, "revoke")]


async def test_jobs_of_an_older_store_are_found_by_their_calendars(tmp_path: Path) -> None:
    old = make_store_of_schema(tmp_path / "z.db", newest=14)
    for number, calendar in enumerate(["PL", None, "DE", "PL"], 1):
        job = Job(name=f"j{number}", service="s", trigger=OneTime(start=5), calendar=calendar)
        old.execute(
            "INSERT INTO job (id, name, service, is_active, definition, version, created_at)"
            " VALUES (?, ?, 's', 1, ?, 1, 0)",
            (number, job.name, encode_job(job)),
        )
    old.close()

    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        found, count = await store.read(lambda c: jobs_using(c, "PL", 1, None))

    assert (found, count) == ([(1, "j1")], 2)


async def test_keys_of_an_older_store_work_without_a_name(tmp_path: Path) -> None:
    old = make_store_of_schema(tmp_path / "z.db", newest=18)
    for kind, name, hashed in (("key", "a1b2", hash_key("secret")), ("user", "ann", "hash-1")):
        values = (kind, name, hashed, '["operator"]', '["crm.*"]', True)
        old.execute("INSERT INTO credential VALUES (?, ?, ?, ?, ?, ?)", values)
    old.close()

    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        accounts, log = Accounts(store), AuditLog(store)
        passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=32))
        known = Authenticator(accounts, log, passwords, SystemClock(), Sessions(store))
        uses = await accounts.uses()  # the check adds one, in the background
        admitted = await known.check(b"Bearer zl_a1b2_secret", "127.0.0.1")
        (key,) = await accounts.list("key")
        (user,) = await accounts.list("user")
        passwords.close()

    caller = Caller("a1b2", frozenset({"operator"}), ("crm.*",), "key")
    assert admitted.caller == caller
    assert (caller.shown, key.shown, key.created_at, key.expires_at) == (
        "a1b2",
        "a1b2",
        None,
        None,
    )
    assert (user.hash, user.patterns, uses) == ("hash-1", ("crm.*",), {})


async def test_runs_of_an_older_store_have_no_correlation_id(tmp_path: Path) -> None:
    old = make_store_of_schema(tmp_path / "z.db", newest=17)
    old.execute(
        "INSERT INTO run (id, job_id, number, slot, kind, state, node, token, attempt, crashes,"
        " claimed_at, outcome) VALUES (7, 1, 1, 9, 'scheduled', 'done', 3, 7, 1, 0, 8, 'ok')"
    )
    old.close()

    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        before = await store.read(lambda c: history.relations(c, 7))
        cids = await store.write(claim_cids)
        again = await store.write(claim_cids)
        related = await store.read(lambda c: history.relations(c, 7))

    assert (before.cid_of(7), before.cid_of(8)) == (None, None)
    assert cids == again == related.cids
    assert (related.cid_of(7), related.cid_of(8)) == (None, f"{cids.prefix}8")
    assert (related.cause, related.callbacks) == (None, [])
