"""Users and keys that one node changes, on the other nodes of the store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from argon2 import PasswordHasher

from zato_lite.config import Scheduler, Server, Settings, Store
from zato_lite.errors import UnavailableError
from zato_lite.http.passwords import Passwords
from zato_lite.scheduler import scheduler as scheduler_module
from zato_lite.store.accounts import Accounts
from zato_lite.testing.app import Sandbox, sandbox

USER, KEY = "zato.security.user", "zato.security.key"
SESSION = "/zato/session"


class Nodes(NamedTuple):
    """Two nodes on one store; a change is made on the first, a client asks the second."""

    first: Sandbox
    second: Sandbox

    async def ask(self, headers: dict[str, str]) -> tuple[int, list[str]]:
        """Return the status and the roles that the second node has for credentials."""
        answer = await self.second.as_("anybody").http.get(SESSION, headers=headers)
        return answer.status, answer.json().get("roles", []) if answer.status == 200 else []

    async def meet(self) -> None:
        """Have the nodes know each other, as they do within ten seconds of a start."""
        for node in self:
            await node.app.scheduler._dispatcher.recover_runs()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    is_file = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/z.db" if is_file else request.getfixturevalue("postgres_url")
    return Settings(store=Store(url), server=Server(grace=0.0))


@pytest.fixture
async def nodes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Nodes]:
    monkeypatch.setattr(scheduler_module, "RIGHTS_EVERY_S", 3_600.0)
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(sandbox(settings=settings)) for _ in range(2)]
        for node in opened:
            node.app.keys._passwords = Passwords(
                PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
            )
        yield Nodes(*opened)


async def until(nodes: Nodes, headers: dict[str, str], status: int) -> None:
    async with asyncio.timeout(60):
        while (await nodes.ask(headers))[0] != status:  # noqa: ASYNC110 - a ring comes
            await asyncio.sleep(0.001)


CHANGES: dict[str, tuple[str, dict[str, Any], tuple[int, list[str]]]] = {
    "a key deleted": (f"{KEY}.delete", {}, (401, [])),
    "a key deactivated": (f"{KEY}.edit", {"is_active": False}, (401, [])),
    "a key rotated": (f"{KEY}.rotate", {"grace_hours": 0}, (401, [])),
    "a key demoted": (f"{KEY}.edit", {"roles": ["viewer"]}, (200, ["viewer"])),
    "a user deleted": (f"{USER}.delete", {}, (401, [])),
    "a user deactivated": (f"{USER}.edit", {"is_active": False}, (401, [])),
    "a password changed": (f"{USER}.edit", {"password": "another one"}, (401, [])),
    "a user demoted": (f"{USER}.edit", {"roles": ["viewer"]}, (200, ["viewer"])),
    "a user promoted": (f"{USER}.edit", {"roles": ["admin"]}, (200, ["admin"])),
}


async def credentials(nodes: Nodes) -> dict[str, dict[str, str]]:
    """Create an editor's key and an editor; return the fields of requests that have them."""
    rights = {"roles": ["editor"]}
    key = await nodes.first.invoke(f"{KEY}.create", {"name": "ann", **rights})
    await nodes.first.invoke(f"{USER}.create", {"name": "ann", "password": "a password", **rights})
    return {
        KEY: {"X-API-Key": key["key"]},
        USER: {"Authorization": "Basic YW5uOmEgcGFzc3dvcmQ="},
    }


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_node_that_looks_has_the_changes_of_others(
    nodes: Nodes, change: tuple[str, dict[str, Any], tuple[int, list[str]]]
) -> None:
    service, fields, expected = change
    headers = (await credentials(nodes))[service.rpartition(".")[0]]
    assert await nodes.ask(headers) == (200, ["editor"])

    await nodes.first.invoke(service, {"name": "ann", **fields})
    before = await nodes.ask(headers)
    await nodes.second.app.scheduler.load_rights()

    assert (before, await nodes.ask(headers)) == ((200, ["editor"]), expected)


async def test_a_node_that_knows_others_rings_at_a_change(nodes: Nodes) -> None:
    headers = await credentials(nodes)
    await nodes.meet()
    assert [(await nodes.ask(each))[0] for each in headers.values()] == [200, 200]

    await nodes.first.invoke(f"{KEY}.delete", {"name": "ann"})
    await until(nodes, headers[KEY], 401)
    await nodes.first.invoke(f"{USER}.delete", {"name": "ann"})
    await until(nodes, headers[USER], 401)


async def test_a_node_looks_every_few_seconds_without_a_ring(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scheduler_module.RIGHTS_EVERY_S <= 3.0
    monkeypatch.setattr(scheduler_module, "RIGHTS_EVERY_S", 0.01)
    settings = Settings(settings.server, store=settings.store, scheduler=Scheduler(enabled=False))
    async with sandbox(settings=settings) as first, sandbox(settings=settings) as second:
        nodes = Nodes(first, second)
        headers = (await credentials(nodes))[KEY]
        assert (await nodes.ask(headers))[0] == 200

        await first.invoke(f"{KEY}.delete", {"name": "ann"})

        await until(nodes, headers, 401)


async def test_a_node_follows_changes_again_after_its_store_was_away(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = (await credentials(nodes))[KEY]
    assert (await nodes.ask(headers))[0] == 200
    scheduler = nodes.second.app.scheduler
    monkeypatch.setattr(scheduler_module, "RIGHTS_EVERY_S", 0.0)
    with monkeypatch.context() as patched:
        patched.setattr(scheduler_module, "changed_rights", _unavailable)
        await scheduler.follow_rights()
    await nodes.first.invoke(f"{KEY}.delete", {"name": "ann"})

    await scheduler.follow_rights()

    assert (await nodes.ask(headers))[0] == 401


def _unavailable(*_: Any) -> None:
    raise UnavailableError("the store is away")


async def test_a_change_by_a_program_beside_the_servers_is_found(nodes: Nodes) -> None:
    headers = (await credentials(nodes))[KEY]
    assert (await nodes.ask(headers))[0] == 200
    accounts = nodes.first.app.accounts
    (key,) = await accounts.list("key")

    await Accounts(accounts._database).delete("key", key.name)  # as the command line does
    await nodes.second.app.scheduler.load_rights()

    assert (await nodes.ask(headers))[0] == 401
    assert (await nodes.first.as_("anybody").http.get(SESSION, headers=headers)).status == 401


async def test_callers_stay_known_while_nothing_changes(nodes: Nodes) -> None:
    headers = (await credentials(nodes))[USER]
    await nodes.second.app.scheduler.load_rights()
    assert (await nodes.ask(headers))[0] == 200
    authenticator = nodes.second.app.keys.authenticator
    assert authenticator is not None
    known = [*authenticator._remembered.values()]

    await nodes.second.app.scheduler.load_rights()

    assert (await nodes.ask(headers))[0] == 200
    assert [*authenticator._remembered.values()] == known


async def test_a_session_that_ends_elsewhere_is_refused_three_seconds_later(
    nodes: Nodes,
) -> None:
    await credentials(nodes)
    words = {"username": "ann", "password": "a password"}
    answer = await nodes.first.as_("anybody").http.post(SESSION, json=words)
    cookie = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
    assert (await nodes.ask(cookie))[0] == 200

    answer = await nodes.first.as_("anybody").http.request("DELETE", SESSION, headers=cookie)
    assert answer.status == 200
    nodes.second.clock.advance(seconds=3)

    assert (await nodes.ask(cookie))[0] == 401
