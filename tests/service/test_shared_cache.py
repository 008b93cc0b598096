"""``self.cache.default``, in the store on both engines, and in a real Redis."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.outgoing.redis_server import MISSING, PROGRAM, running
from zato_lite.config import Server, Settings, Store
from zato_lite.errors import ConfigError, OutgoingError, UnavailableError, UnknownConnectionError
from zato_lite.outgoing.connections import Connections
from zato_lite.outgoing_config import Cache, Outgoing
from zato_lite.service.base import Service
from zato_lite.service.blocking import BlockingService
from zato_lite.service.invoker import Invoker
from zato_lite.service.registry import Registry
from zato_lite.testing.app import Sandbox, sandbox
from zato_lite.zato.service import Service as ZatoService

VALUES = [
    None,
    1,
    "text",
    "b:text",
    [1, {"a": "é"}],
    {"a": None},
    b"\x00\xff",
    "nul \0 and 'quote",
]


class Person(msgspec.Struct):
    name: str


class Use(Service[Any, Any]):
    name = "use"

    async def handle(self) -> Any:
        cache = self.cache.default
        kept = []
        for number, value in enumerate(VALUES):
            await cache.set(f"v:{number}", value)
            kept.append(await cache.get(f"v:{number}", "none") == value)
        await cache.set("w:%_*[a]?\\", Person("Ann"), expiry=100)
        other = self.cache.get_cache("builtin", "other")
        await other.set("v:0", "other")
        answer = [
            all(kept),
            await cache.get("w:%_*[a]?\\"),
            await cache.get("nothing", 7),
            len(await cache.get_by_prefix("v:")),
            await cache.get_by_prefix("w:%_*[a]?\\"),
            await cache.get_by_prefix("w:%_*[b"),
            await cache.keys("w:"),
            await cache.expire("v:0", 50),
            await cache.expire("nothing", 50),
            await cache.delete("v:1"),
            await cache.delete("v:1"),
            await cache.expire_by_prefix("v:", 50),
            await cache.delete_by_prefix("v:"),
            await cache.keys(),
            await other.get("v:0"),
        ]
        await cache.clear()
        return [*answer, await cache.keys()]


class UseBlocking(BlockingService[Any, Any]):
    name = "use.blocking"

    def handle(self) -> Any:
        cache = self.cache.default
        kept = []
        for number, value in enumerate(VALUES):
            cache.set(f"v:{number}", value)
            kept.append(cache.get(f"v:{number}", "none") == value)
        cache.set("w:%_*[a]?\\", Person("Ann"), ex=100)
        other = self.cache.get_cache("other")
        other.set("v:0", "other")
        answer = [
            all(kept),
            cache.get("w:%_*[a]?\\"),
            cache.get("nothing", 7),
            len(cache.get_by_prefix("v:")),
            cache.get_by_prefix("w:%_*[a]?\\"),
            cache.get_by_prefix("w:%_*[b"),
            cache.keys("w:"),
            cache.expire("v:0", 50),
            cache.expire("nothing", 50),
            cache.delete("v:1"),
            cache.delete("v:1"),
            cache.expire_by_prefix("v:", 50),
            cache.delete_by_prefix("v:"),
            cache.keys(),
            other.get("v:0"),
        ]
        cache.clear()
        return [*answer, cache.keys()]


class UseAsZato(ZatoService):
    name = "use.zato"

    def handle(self) -> None:
        self.cache.default.set("crm", {"a": 1}, expiry=60.0)
        self.response.payload = {
            "found": self.cache.default.get("crm"),
            "by_prefix": self.cache.get_cache("builtin", "default").get_by_prefix("c"),
        }


class Do(Service[Any, Any]):
    name = "do"

    async def handle(self) -> Any:
        method, *arguments = self.request.payload
        return await getattr(self.cache.default, method)(*arguments)


class UseRedis(Service[Any, Any]):
    name = "redis"

    async def handle(self) -> Any:
        await self.kvdb.conn.set("own", "1")
        return await self.kvdb.conn.get("own")


class UseRedisBlocking(ZatoService):
    name = "redis.zato"

    def handle(self) -> Any:
        self.kvdb.conn.incr("own")
        return self.kvdb.conn.get("own")


SERVICES = (Use, UseBlocking, UseAsZato, Do, UseRedis, UseRedisBlocking)
WITH_REDIS = [pytest.mark.e2e, pytest.mark.skipif(PROGRAM is None, reason=MISSING)]


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("redis", marks=WITH_REDIS),
    ]
)
async def it(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Sandbox]:
    url = "sqlite:///:memory:"
    cache = Cache(max_value=2_000)
    if request.param == "redis":
        cache = Cache(url=request.getfixturevalue("redis_url"), max_value=2_000)
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    settings = Settings(store=Store(url), server=Server(grace=0.0), cache=cache)
    async with sandbox(*SERVICES, settings=settings) as found:
        yield found


@pytest.fixture
def redis_url(tmp_path: Path) -> Any:
    with running(tmp_path) as url:
        yield url


@pytest.mark.parametrize("name", ["use", "use.blocking"])
async def test_values_are_shared_by_name_prefix_and_time(it: Sandbox, name: str) -> None:
    key = "w:%_*[a]?\\"
    assert await it.invoke(name) == [
        True, {"name": "Ann"}, 7, len(VALUES), {key: {"name": "Ann"}}, {}, [key],
        True, False, True, False, len(VALUES) - 1, len(VALUES) - 1, [key], "other", [],
    ]  # fmt: skip


async def test_services_of_zato_use_its_spelling(it: Sandbox) -> None:
    assert await it.invoke("use.zato") == {"found": {"a": 1}, "by_prefix": {"crm": {"a": 1}}}


async def test_a_value_of_the_store_ends_with_its_time() -> None:
    async with sandbox(Do) as it:
        await it.invoke("do", ["set", "a", 1, 10])
        await it.invoke("do", ["set", "b", 1])
        await it.invoke("do", ["set", "c", 1])
        await it.invoke("do", ["expire", "c", 5])
        it.clock.advance(seconds=6)
        assert await it.invoke("do", ["keys"]) == ["a", "b"]
        it.clock.advance(seconds=6)

        assert await it.invoke("do", ["get", "a"]) is None
        assert await it.invoke("do", ["delete", "a"]) is False
        assert await it.invoke("do", ["expire", "a", 5]) is False
        assert await it.invoke("do", ["keys"]) == ["b"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["set", "", 1], "key '' is not valid"),
        (["set", "k" * 1_001, 1], "is not valid; use 1 to 1000 characters"),
        (["set", 7, 1], "key 7 is not valid"),
        (["get", "a\0b"], "is not valid"),
        (["set", "k", "x" * 2_000], r"has 2002 bytes; \[cache\] max_value allows 2000"),
        (["set", "k", "é" * 1_000], "has 2002 bytes"),
        (["set", "k", b"x" * 2_001], "has 2001 bytes"),
        (["set", "k", 1, -1], "expiry -1 of 'k' is negative"),
        (["expire", "k", -1], "expiry -1 of 'k' is negative"),
        (["expire_by_prefix", "k", -1], "expiry -1 of 'k' is negative"),
        (["set", "k", 1, float("nan")], "expiry nan of 'k' is not a number of seconds"),
        (["expire", "k", float("inf")], "expiry inf of 'k' is not a number of seconds"),
    ],
)
async def test_keys_and_values_have_limits(
    it: Sandbox, arguments: list[Any], expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        await it.invoke("do", arguments)


async def test_an_expiry_that_is_not_a_number_is_refused(it: Sandbox) -> None:
    with pytest.raises(TypeError, match="expiry of 'k' is a str; use a number of seconds"):
        await it.invoke("do", ["set", "k", 1, "60"])


async def test_a_value_of_bytes_may_have_all_of_the_maximum(it: Sandbox) -> None:
    value = b"x" * 2_000

    assert (
        await it.invoke("do", ["set", "k", value]) == await it.invoke("do", ["get", "k"]) == value
    )


async def test_thousands_of_values_expire_and_are_deleted_together(it: Sandbox) -> None:
    store = it.app.invoker.shared_cache
    assert store is not None
    for number in range(2_100):
        await store.set("default", f"m:{number:04}", "1", 0)

    assert len(await it.invoke("do", ["keys", "m:"])) == 2_100
    assert await it.invoke("do", ["expire_by_prefix", "m:", 100]) == 2_100
    assert await it.invoke("do", ["expire_by_prefix", "m:", 0]) == 2_100
    assert await it.invoke("do", ["delete_by_prefix", "m:"]) == 2_100


async def test_a_value_without_a_json_form_is_refused() -> None:
    async with sandbox(Do) as it:
        with pytest.raises(TypeError, match="the value of 'k' has no JSON form"):
            await it.invoke("do", ["set", "k", object()])


async def test_a_shared_cache_needs_a_store() -> None:
    registry = Registry()
    invoker = Invoker(registry)
    registry.add(Do)

    with pytest.raises(UnavailableError, match="the shared cache needs a store"):
        await invoker.invoke("do", ["get", "k"])


@pytest.mark.e2e
@pytest.mark.skipif(PROGRAM is None, reason=MISSING)
async def test_the_client_of_redis_is_kvdb(redis_url: str) -> None:
    settings = Settings(store=Store("sqlite:///:memory:"), cache=Cache(url=redis_url))
    async with sandbox(*SERVICES, settings=settings) as it:
        assert await it.invoke("redis") == b"1"
        assert await it.invoke("redis.zato") == "2"  # texts, as in Zato
        await it.invoke("do", ["set", "k", 1, 0.05])
        figures = it.app.invoker.connections.figures["redis", "cache"]

    assert figures.results == {"ok": 1}


async def test_without_redis_kvdb_names_the_setting() -> None:
    async with sandbox(*SERVICES) as it:
        with pytest.raises(UnknownConnectionError, match=r"set \[cache\] url"):
            await it.invoke("redis")


async def test_a_redis_that_is_away_is_an_outgoing_error() -> None:
    cache = Cache(url="redis://127.0.0.1:1", password="hush-hush")  # noqa: S106
    settings = Settings(store=Store("sqlite:///:memory:"), cache=cache)
    async with sandbox(*SERVICES, settings=settings) as it:
        for arguments in (["get", "k"], ["expire_by_prefix", "k", 5], ["keys"]):
            with pytest.raises(OutgoingError, match=r"\[cache\] .*onnect") as caught:
                await it.invoke("do", arguments)
            assert "hush-hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        (Cache(url="http://x"), r"\[cache\] url is not valid"),
        (Cache(url="redis://x", password_file="gone"), r"\[cache\] password_file: .*gone"),  # noqa: S106
    ],
)
def test_settings_with_mistakes_are_named(cache: Cache, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        Connections().replace(Outgoing(), cache)
