"""API keys: names, owners, expiry, last use and rotation."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.builtin.conftest import ENGINES, START, Work, open_box
from zato_lite.errors import (
    BadInputError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    StoreError,
)
from zato_lite.http import key_use
from zato_lite.http.app import HttpApp
from zato_lite.http.key_use import KeyUses
from zato_lite.http.message import Request
from zato_lite.server import open_edge
from zato_lite.service.message import Caller
from zato_lite.store.accounts import Accounts
from zato_lite.testing.app import Sandbox

KEY = "zato.security.key"
ANN = Caller("ann", frozenset({"admin"}))


class World(NamedTuple):
    """An app with its HTTP edge."""

    box: Sandbox
    http: HttpApp

    async def make(self, **fields: Any) -> dict[str, Any]:
        made: dict[str, Any] = await self.box.app.invoker.invoke(
            f"{KEY}.create", fields, caller=ANN
        )
        return made

    async def ask(self, key: str, service: str = "crm.work") -> tuple[int, str]:
        headers = {b"host": b"localhost", b"x-api-key": key.encode()}
        path = f"/zato/api/invoke/{service}"
        response = await self.http(Request("POST", path, b"", headers, b"{}", "127.0.0.1", path))
        return response.status, bytes(response.body).decode()

    async def key(self, name: str) -> dict[str, Any]:
        found = await self.box.invoke(f"{KEY}.get-list")
        (key,) = [each for each in found if each["name"] == name]
        return dict(key)

    async def audit(self) -> list[dict[str, Any]]:
        await self.http.audit.flush()
        return list(await self.box.invoke("zato.audit.get-list"))


@asynccontextmanager
async def open_world(box: Sandbox) -> AsyncIterator[World]:
    environ = {"ZATO_LITE_ADMIN_PASSWORD": "secret secret"}
    async with open_edge(box.app, environ) as http:
        yield World(box, http)


@pytest.fixture(params=ENGINES)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with open_box(request, Work) as box, open_world(box) as made:
        yield made


async def test_a_key_has_a_name_an_owner_and_an_end(world: World) -> None:
    made = await world.make(name="crm sync", days=30)

    shown = await world.key("crm sync")
    assert made == {
        "name": "crm sync",
        "prefix": shown["prefix"],
        "key": made["key"],
        "expires": "2027-02-14T08:00:01+00:00",
    }
    assert made["key"].startswith(f"zl_{shown['prefix']}_")
    assert shown == {
        "prefix": made["prefix"],
        "name": "crm sync",
        "owner": "ann",
        "roles": ["operator"],
        "patterns": [],
        "is_active": True,
        "created": "2027-01-15T08:00:01+00:00",
        "expires": "2027-02-14T08:00:01+00:00",
        "used": None,
        "old_secret_until": None,
    }


async def test_the_owner_of_a_key_that_a_key_has_made_is_the_owner_of_that_key(
    world: World,
) -> None:
    made = await world.make(name="first", roles=["admin"], owner="billing team")
    caller = Caller(made["prefix"], frozenset({"admin"}), kind="key")

    await world.box.app.invoker.invoke(f"{KEY}.create", {"name": "second"}, caller=caller)
    gone = Caller("gone", frozenset({"admin"}), kind="key")
    await world.box.app.invoker.invoke(f"{KEY}.create", {"name": "third"}, caller=gone)

    owners = [(await world.key(name))["owner"] for name in ("first", "second", "third")]
    assert owners == ["billing team", "billing team", ""]


@pytest.mark.parametrize("by", ["name", "prefix"])
async def test_a_key_is_edited_and_deleted_by_its_name_or_its_prefix(
    world: World, by: str
) -> None:
    made = await world.make(name="old", days=1, roles=["viewer"])
    ref = {"name": made[by]}

    edited = await world.box.invoke(
        f"{KEY}.edit",
        {**ref, "new_name": "new", "owner": "bob", "days": 0, "patterns": ["crm.*"]},
    )

    assert edited == {"name": "new", "prefix": made["prefix"]}
    key = await world.key("new")
    assert (key["owner"], key["expires"], key["patterns"]) == ("bob", None, ["crm.*"])
    assert key["roles"] == ["viewer"]
    await world.box.invoke(f"{KEY}.edit", {"name": "new", "expires_at": "2027-03-01"})
    assert (await world.key("new"))["expires"] == "2027-03-01T00:00:00+00:00"
    await world.box.invoke(f"{KEY}.delete", {"name": "new" if by == "name" else made["prefix"]})
    for service in ("edit", "rotate", "delete"):
        with pytest.raises(NotFoundError, match="Key `new` not found"):
            await world.box.invoke(f"{KEY}.{service}", {"name": "new"})


@pytest.mark.parametrize(
    ("sent", "field", "message"),
    [
        ({"name": "a" * 201}, "name", "1 to 200 characters"),
        ({"name": "a1b2c3d4e5f6"}, "name", "'a1b2c3d4e5f6' looks like the prefix of a key"),
        ({"name": "0" * 24}, "name", "looks like the prefix of a key; use another name"),
        ({"owner": "a\nb"}, "owner", "without control"),
        ({"days": -1}, "days", "a number from 0 to 36500"),
        ({"days": "soon"}, "days", "'soon' is not allowed; a number"),
        ({"days": 1, "expires_at": "2027-03-01"}, "days", "exclude each other"),
        ({"expires_at": "soon"}, "expires_at", "soon"),
        ({"expires_at": "2027-01-15T08:00:01"}, "expires_at",
         "2027-01-15 08:00:01 UTC has passed; use a later time"),
        ({"label": "x"}, "label", "is not a known field"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("world", ["memory"], indirect=True)
async def test_wrong_fields_of_a_key_are_named(
    world: World, sent: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        await world.make(**sent)

    assert [error.field for error in caught.value.errors] == [field]
    assert await world.box.invoke(f"{KEY}.get-list") == []


async def test_an_empty_name_or_owner_is_removed(world: World) -> None:
    made = await world.make(name="crm sync", owner="bob")
    ref = {"name": made["prefix"]}

    await world.box.invoke(f"{KEY}.edit", {**ref, "new_name": None, "owner": None})
    kept = await world.key("crm sync")
    await world.box.invoke(f"{KEY}.edit", {**ref, "owner": ""})
    without_owner = await world.key("crm sync")
    await world.box.invoke(f"{KEY}.edit", {**ref, "new_name": ""})
    key = await world.key(made["prefix"])

    assert (kept["owner"], without_owner["owner"]) == ("bob", "")
    assert (key["name"], key["owner"]) == (made["prefix"], "")
    other = await world.make(name="crm sync")
    assert other["prefix"] != made["prefix"]


async def test_a_new_name_cannot_look_like_a_prefix(world: World) -> None:
    made = await world.make(name="a")

    with pytest.raises(BadInputError, match="new_name: 'a1b2c3d4e5f6' looks like"):
        await world.box.invoke(f"{KEY}.edit", {"name": "a", "new_name": "a1b2c3d4e5f6"})

    await world.box.invoke(f"{KEY}.edit", {"name": made["prefix"], "owner": "bob"})


async def test_two_keys_cannot_have_one_name(world: World) -> None:
    first = await world.make(name="crm")
    await world.make(name="other")

    with pytest.raises(ConflictError, match=rf"Key `crm \({first['prefix']}\)` already exists"):
        await world.make(name="crm")
    with pytest.raises(ConflictError, match="already exists"):
        await world.box.invoke(f"{KEY}.edit", {"name": "other", "new_name": "crm"})

    await world.box.invoke(f"{KEY}.edit", {"name": "crm", "new_name": "crm", "owner": "bob"})


async def test_of_two_keys_with_a_name_from_files_the_prefix_is_needed(world: World) -> None:
    accounts = world.box.app.accounts
    made = await world.make(name="crm")
    (key,) = await accounts.keys_named("crm")
    other = type(key)("key", "f" * 24, key.hash, key.roles, label="crm")
    await accounts.save(other)

    with pytest.raises(ConflictError, match=f"2 keys have the name `crm`; .*{made['prefix']}"):
        await world.box.invoke(f"{KEY}.rotate", {"name": "crm"})


async def test_an_expired_key_is_refused_with_a_sentence_that_names_it(world: World) -> None:
    made = await world.make(name="crm sync", days=1)
    shown = f"crm sync ({made['prefix']})"
    assert (await world.ask(made["key"]))[0] == 200

    world.box.clock.advance(hours=23, minutes=59, seconds=30)
    assert (await world.ask(made["key"]))[0] == 200
    world.box.clock.advance(seconds=30)
    status, body = await world.ask(made["key"])

    sentence = f"API key {shown} expired at 2027-01-16T08:00:01+00:00"
    assert (status, sentence in body) == (401, True)
    record = (await world.audit())[0]
    assert (record["who"], record["action"]) == (shown, "refused")
    assert record["outcome"] == f"401: {sentence}"
    assert (await world.ask(made["key"][:-1] + "!"))[1].startswith('{"result":"Error"') is True
    assert sentence not in (await world.ask(made["key"][:-1] + "!"))[1]


async def test_a_rotated_key_has_a_new_secret_and_the_old_one_for_a_time(world: World) -> None:
    old = await world.make(name="crm", roles=["viewer"], patterns=["crm.*"])
    assert (await world.ask(old["key"]))[0] == 403

    await world.box.invoke(f"{KEY}.edit", {"name": "crm", "roles": ["operator"]})
    new = await world.box.invoke(f"{KEY}.rotate", {"name": "crm", "grace_hours": 2})

    assert new["key"].startswith(f"zl_{old['prefix']}_") is (new["key"] != old["key"])
    end = "2027-01-15T10:00:01+00:00"
    assert new["old_secret_until"] == end
    assert (await world.key("crm"))["old_secret_until"] == new["old_secret_until"]
    assert [(await world.ask(each["key"]))[0] for each in (old, new)] == [200, 200]
    world.box.clock.advance(hours=1, minutes=59, seconds=50)
    assert [(await world.ask(each["key"]))[0] for each in (old, new)] == [200, 200]
    world.box.clock.advance(seconds=10)
    assert [(await world.ask(each["key"]))[0] for each in (old, new)] == [401, 200]
    assert (await world.key("crm"))["old_secret_until"] is None


async def test_without_grace_the_old_secret_is_dead_with_the_rotation(world: World) -> None:
    old = await world.make(name="crm")
    assert (await world.ask(old["key"]))[0] == 200

    invoke, rotate = world.box.app.invoker.invoke, f"{KEY}.rotate"
    new = await invoke(rotate, {"name": "crm", "grace_hours": 0}, caller=ANN)
    later = await invoke(rotate, {"name": "crm"}, caller=ANN)

    assert new["old_secret_until"] is None
    end = "2027-01-16T08:00:01+00:00"
    assert later["old_secret_until"] == end
    assert [(await world.ask(each["key"]))[0] for each in (old, new, later)] == [401, 200, 200]
    record, *_ = [each for each in await world.audit() if each["action"] == rotate]
    assert (record["who"], record["subject"]) == ("ann", f"crm ({old['prefix']})")
    assert record["after"] == {"secret": "changed", "old_secret_until": end}
    recorded = str(await world.audit())
    assert not any(made["key"].split("_", 2)[2] in recorded for made in (old, new, later))


async def test_an_expired_key_is_not_rotated(world: World) -> None:
    await world.make(name="crm", days=1)
    world.box.clock.advance(days=1)

    with pytest.raises(ConflictError, match=r"has expired; set a later expires_at before"):
        await world.box.invoke(f"{KEY}.rotate", {"name": "crm"})


async def test_a_rotation_that_another_change_has_overtaken_is_refused(world: World) -> None:
    await world.make(name="crm")
    accounts = world.box.app.accounts
    (before,) = await accounts.keys_named("crm")
    await world.box.invoke(f"{KEY}.rotate", {"name": "crm"})

    with pytest.raises(ConflictError, match="was changed meanwhile; try again"):
        await accounts.change(before, before)


async def test_a_rotation_does_not_undo_a_change_of_the_rights_meanwhile(world: World) -> None:
    made = await world.make(name="crm")
    accounts = world.box.app.accounts
    (before,) = await accounts.keys_named("crm")
    await world.box.invoke(f"{KEY}.edit", {"name": "crm", "is_active": False})

    with pytest.raises(ConflictError, match="was changed meanwhile; try again"):
        await accounts.change(msgspec.structs.replace(before, hash="other"), before)

    assert not (await world.key("crm"))["is_active"]
    assert (await world.ask(made["key"]))[0] == 401


async def test_errors_and_records_have_the_name_of_a_key_beside_its_prefix(world: World) -> None:
    made = await world.make(name="crm sync", roles=["admin"], patterns=["zato.security.*"])
    shown = f"crm sync ({made['prefix']})"

    status, body = await world.ask(made["key"], "crm.work")
    caller = Caller(
        made["prefix"], frozenset({"admin"}), ("zato.security.*",), "key", label="crm sync"
    )
    with pytest.raises(ForbiddenError, match=f"key 'crm sync .{made['prefix']}.' is not allowed"):
        await world.box.app.invoker.invoke(f"{KEY}.create", {}, caller=caller)

    assert (status, f"key '{shown}' is not allowed to invoke service 'crm.work'" in body) == (
        403,
        True,
    )
    records = [(each["who"], each["action"], each["subject"]) for each in await world.audit()]
    assert ("ann", f"{KEY}.create", shown) in records
    assert (shown, f"{KEY}.create", "") in records
    assert (shown, "refused", "/zato/api/invoke/crm.work") in records


async def test_a_run_on_behalf_of_an_expired_key_is_denied(world: World) -> None:
    made = await world.make(name="crm", days=1, roles=["editor"])
    caller = Caller(made["prefix"], frozenset({"editor"}), kind="key", label="crm")
    definition = {
        "name": "j", "service": "crm.work", "job_type": "interval_based", "hours": 12,
        "start_date": "2027-01-15T09:00:00",
    }  # fmt: skip
    job = await world.box.app.invoker.invoke(
        "zato.scheduler.job.create", definition, caller=caller
    )

    await world.box.advance(hours=26)

    ran = await world.box.invoke("zato.scheduler.job.get-history", {"id": job["id"]})
    outcomes = [(each["outcome"], each["error"]) for each in ran["rows"]]
    assert [outcome for outcome, _ in outcomes] == ["denied", "ok", "ok"]
    assert f"key 'crm ({made['prefix']})' expired at 2027-01-16 08:00:01 UTC" in outcomes[0][1]


async def test_the_last_use_is_written_once_for_many_requests(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, other = await world.make(name="crm"), await world.make(name="other")
    writes: list[dict[str, int]] = []
    written = asyncio.Event()
    record = Accounts.record_uses

    async def recorded(accounts: Accounts, uses: Any) -> None:
        await record(accounts, uses)
        writes.append(dict(uses))
        written.set()

    monkeypatch.setattr(Accounts, "record_uses", recorded)
    for _ in range(50):
        assert (await world.ask(made["key"]))[0] == 200
    assert (await world.ask(other["key"]))[0] == 200
    async with asyncio.timeout(10):
        await written.wait()

    assert len(writes) == 1
    assert writes[0][made["prefix"]] == START
    assert (await world.key("crm"))["used"] == "2027-01-15T08:00:01+00:00"


@pytest.fixture
async def accounts(world: World) -> Accounts:
    return world.box.app.accounts


async def test_uses_are_written_at_most_once_a_minute_and_at_the_end(
    world: World, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await world.make(name="crm")
    uses = KeyUses(accounts, world.box.clock)
    uses.add(made["prefix"])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert uses._writing is not None
    await uses._writing

    world.box.clock.advance(seconds=30)
    uses.add(made["prefix"])
    uses.add("gone")
    between = await accounts.uses()
    timer = uses._timer
    assert timer is not None
    assert timer.when() - asyncio.get_running_loop().time() > key_use.WRITE_EVERY_S - 10
    await uses.close()

    assert between == {made["prefix"]: START}
    assert await accounts.uses() == {made["prefix"]: START + 30_000_000}
    await world.box.invoke(f"{KEY}.delete", {"name": "crm"})
    assert await accounts.uses() == {}


async def test_uses_that_cannot_be_written_are_kept(
    world: World,
    accounts: Accounts,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = await world.make(name="crm")

    async def full(*_: object) -> None:
        raise StoreError("database or disk is full")

    uses = KeyUses(accounts, world.box.clock)
    uses.add(made["prefix"])
    with monkeypatch.context() as context, caplog.at_level(logging.WARNING):
        context.setattr(Accounts, "record_uses", full)
        await uses.close()
    await uses.close()

    assert "uses of keys not recorded" in caplog.text
    assert await accounts.uses() == {made["prefix"]: START}
