"""What was found out about a head holds for the next one like it, until something has changed."""

from collections.abc import AsyncIterator

import pytest

from tests.http.conftest import BASIC, Client, Running, running
from zato_lite.http.app import HttpApp
from zato_lite.http.auth import Authenticator
from zato_lite.http.passwords import new_key
from zato_lite.service.base import Service
from zato_lite.service.invoker import Invoker
from zato_lite.service.registry import Registry
from zato_lite.store.accounts import Accounts, Credential

OPERATOR = frozenset({"operator"})


class Says(Service):
    name = "says"
    rest = "GET /says"

    async def handle(self) -> str:
        return "as before"


class SaysAnother(Service):
    name = "says"
    rest = "GET /said"

    async def handle(self) -> str:
        return "as after"


class It:
    """A server, and a client whose requests are all of one head."""

    def __init__(self, run: Running, app: HttpApp, registry: Registry) -> None:
        self.run, self.app, self.registry = run, app, registry
        self.client: Client | None = None

    async def asks(self, target: str, authorization: bytes = BASIC) -> tuple[int, bytes]:
        """Ask; status and body."""
        if self.client is None:
            self.client = await self.run.connect()
        self.client.send(
            b"GET %b HTTP/1.1\r\nHost: localhost\r\nAuthorization: %b\r\n\r\n"
            % (target.encode(), authorization)
        )
        status, _, body = await self.client.answer()
        return status, body


@pytest.fixture
async def it(authenticator: Authenticator) -> AsyncIterator[It]:
    registry = Registry()
    registry.add(Says)
    app = HttpApp(Invoker(registry).begin, registry, authenticator)
    async with running(app.begin) as run:
        yield It(run, app, registry)


AS_BEFORE = (200, b"as before")


@pytest.mark.parametrize("change", ["removed", "inactive", "viewer", "confined"])
async def test_a_key_that_is_changed_is_looked_at_again(
    it: It, change: str, users: Accounts, authenticator: Authenticator
) -> None:
    key = new_key()
    await users.save(Credential("key", key.name, key.hash, OPERATOR, (), True))
    bearer = b"Bearer " + key.text.encode()
    assert [await it.asks("/says", bearer) for _ in range(3)] == [AS_BEFORE] * 3

    match change:
        case "removed":
            await users.delete("key", key.name)
        case "inactive":
            await users.save(Credential("key", key.name, key.hash, OPERATOR, (), False))
        case "viewer":
            await users.save(
                Credential("key", key.name, key.hash, frozenset({"viewer"}), (), True)
            )
        case _:
            await users.save(Credential("key", key.name, key.hash, OPERATOR, ("other.*",), True))
    authenticator.forget()

    wanted = 401 if change in {"removed", "inactive"} else 403
    assert [(await it.asks("/says", bearer))[0] for _ in range(3)] == [wanted] * 3


async def test_a_service_that_is_made_inactive_removed_or_deployed_anew_is_looked_at_again(
    it: It,
) -> None:
    target = "/zato/api/invoke/says"
    assert [await it.asks(target) for _ in range(3)] == [AS_BEFORE] * 3

    entry = it.registry.get("says")
    entry.is_active = False
    assert [(await it.asks(target))[0] for _ in range(2)] == [503] * 2
    entry.is_active = True
    assert await it.asks(target) == AS_BEFORE
    it.registry.remove("says")
    assert [(await it.asks(target))[0] for _ in range(2)] == [404] * 2
    it.registry.add(SaysAnother)
    assert [await it.asks(target) for _ in range(2)] == [(200, b"as after")] * 2


async def test_a_channel_that_leads_elsewhere_is_looked_at_again(it: It) -> None:
    assert [await it.asks("/says") for _ in range(3)] == [AS_BEFORE] * 3

    it.registry.remove("says")
    it.registry.add(SaysAnother)
    it.app.reload()

    assert [(await it.asks("/says"))[0] for _ in range(2)] == [404] * 2
