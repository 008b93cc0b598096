"""A cached head holds for the next equal one, until a key, service or channel changes."""

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


class Harness:
    """A server, and a client that repeats its requests."""

    def __init__(self, run: Running, app: HttpApp, registry: Registry) -> None:
        self.run, self.app, self.registry = run, app, registry
        self.client: Client | None = None

    async def ask(self, target: str, authorization: bytes = BASIC) -> tuple[int, bytes]:
        """Send a request; return the status and body."""
        if self.client is None:
            self.client = await self.run.connect()
        self.client.send(
            b"GET %b HTTP/1.1\r\nHost: localhost\r\nAuthorization: %b\r\n\r\n"
            % (target.encode(), authorization)
        )
        status, _, body = await self.client.answer()
        return status, body


@pytest.fixture
async def harness(authenticator: Authenticator) -> AsyncIterator[Harness]:
    registry = Registry()
    registry.add(Says)
    app = HttpApp(Invoker(registry).begin, registry, authenticator)
    async with running(app.begin) as run:
        yield Harness(run, app, registry)


AS_BEFORE = (200, b"as before")


@pytest.mark.parametrize("change", ["removed", "inactive", "viewer", "confined"])
async def test_a_changed_key_is_checked_again(
    harness: Harness, change: str, users: Accounts, authenticator: Authenticator
) -> None:
    key = new_key()
    await users.save(Credential("key", key.name, key.hash, OPERATOR, (), True))
    bearer = b"Bearer " + key.text.encode()
    assert [await harness.ask("/says", bearer) for _ in range(3)] == [AS_BEFORE] * 3

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
    assert [(await harness.ask("/says", bearer))[0] for _ in range(3)] == [wanted] * 3


async def test_a_cached_head_notices_a_changed_service(
    harness: Harness,
) -> None:
    target = "/zato/api/invoke/says"
    assert [await harness.ask(target) for _ in range(3)] == [AS_BEFORE] * 3

    entry = harness.registry.get("says")
    entry.is_active = False
    assert [(await harness.ask(target))[0] for _ in range(2)] == [503] * 2
    entry.is_active = True
    assert await harness.ask(target) == AS_BEFORE
    harness.registry.remove("says")
    assert [(await harness.ask(target))[0] for _ in range(2)] == [404] * 2
    harness.registry.add(SaysAnother)
    assert [await harness.ask(target) for _ in range(2)] == [(200, b"as after")] * 2


async def test_a_cached_head_notices_a_changed_channel(harness: Harness) -> None:
    assert [await harness.ask("/says") for _ in range(3)] == [AS_BEFORE] * 3

    harness.registry.remove("says")
    harness.registry.add(SaysAnother)
    harness.app.reload()

    assert [(await harness.ask("/says"))[0] for _ in range(2)] == [404] * 2
