"""``self.patterns`` of services written for Zato: objects, whose work is in the background."""

import asyncio
from typing import Any, ClassVar

import pytest

from zato_lite.errors import ZatoLiteError
from zato_lite.service.base import Service as AsyncService
from zato_lite.testing.app import Sandbox, sandbox
from zato_lite.zato.exceptions import ZatoException
from zato_lite.zato.service import Service

CID = "K-fan-out"


class Target1(Service):
    name = "service1"

    def handle(self) -> None:
        self.response.payload = {"got": self.request.payload, "channel": self.channel.type}


class Target2(Service):
    name = "service2"

    def handle(self) -> None:
        raise ValueError("no")


class Told(AsyncService[Any, Any]):
    """Keeps what callbacks receive; ``arrived`` is set when there are as many as are wanted."""

    name = "told"
    received: ClassVar[list[Any]] = []
    wanted = 1
    arrived = asyncio.Event()

    async def handle(self) -> None:
        self.received.append({**self.request.payload, "by": self.cid})
        if len(self.received) == type(self).wanted:
            self.arrived.set()


class Again(Told):
    name = "again"


async def after(it: Sandbox, service: type[Service], wanted: int) -> Any:
    Told.received, Told.wanted, Told.arrived = [], wanted, asyncio.Event()
    answer = await it.invoke(service)
    async with asyncio.timeout(10):
        await Told.arrived.wait()
    return answer


TARGETS = {"service1": {"hello": 1}, Target2: {"hello": 2}}


async def test_fan_out_answers_a_cid_and_calls_back_after_all_and_after_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Source(Service):
        name = "source"

        def handle(self) -> None:
            self.response.payload = self.patterns.fanout.invoke(TARGETS, ["told"], Again, cid=CID)

    async with sandbox(Target1, Target2, Told, Again, Source) as it:
        cid = await after(it, Source, 3)

    final = Told.received[-1]
    by_target = {each["target"]: each for each in Told.received[:2]}
    assert cid == CID
    assert final["source"] == "source"
    assert final["by"] == CID
    assert (final["on_final"], final["on_target"]) == (["told"], ["again"])
    assert {name: {**each, "by": CID} for name, each in final["data"].items()} == by_target
    good, bad = by_target["service1"], by_target["service2"]
    assert good["ok"] is True
    assert good["response"] == {"got": {"hello": 1}, "channel": "async"}
    assert good["exception"] is None
    assert good["cid"] == CID
    assert good["req_ts_utc"] <= good["resp_ts_utc"]
    assert (bad["ok"], bad["response"]) == (False, None)
    assert "ValueError: no" in bad["exception"]
    assert "service failed in the background" in caplog.messages


async def test_parallel_calls_back_after_each() -> None:
    class Source(Service):
        name = "source"

        def handle(self) -> None:
            self.response.payload = self.patterns.parallel.invoke(TARGETS, "told")

    async with sandbox(Target1, Target2, Told, Source) as it:
        cid = await after(it, Source, 2)

    assert {each["target"] for each in Told.received} == {"service1", "service2"}
    assert {each["by"] for each in Told.received} == {cid}


async def test_an_async_service_awaits_the_cid() -> None:
    class Source(Service):
        name = "source"

        async def handle(self) -> None:
            invoked: Any = self.patterns.parallel.invoke({"service1": 1}, "told", cid=CID)
            self.response.payload = await invoked

    async with sandbox(Target1, Told, Source) as it:
        assert await after(it, Source, 1) == CID


async def test_the_patterns_may_be_called_for_answers() -> None:
    class Source(Service):
        name = "source"

        def handle(self) -> None:
            self.response.payload = [
                self.patterns.parallel({"service1": 1})["service1"]["got"],
                self.patterns.fanout({"service1": 2})["service1"]["got"],
                self.patterns.invoke_retry("service1", 3, repeats=0)["got"],
            ]

    async with sandbox(Target1, Source) as it:
        assert await it.invoke(Source) == [1, 2, 3]


class Shaky(Service):
    """Fails some times."""

    name = "shaky"
    failures = 0

    def handle(self) -> None:
        if type(self).failures:
            type(self).failures -= 1
            raise ValueError("not yet")
        self.response.payload = "at last"


async def test_invoke_retry_blocks_until_the_service_succeeds() -> None:
    class Source(Service):
        name = "source"

        def handle(self) -> None:
            invoke = self.patterns.invoke_retry.invoke
            self.response.payload = invoke("shaky", repeats=2, seconds=0.001)

    async with sandbox(Shaky, Source) as it:
        Shaky.failures = 2
        assert await it.invoke(Source) == "at last"
        Shaky.failures = 3
        with pytest.raises(ZatoException, match="shaky failed 3 times: not yet"):
            await it.invoke(Source)


@pytest.mark.parametrize(("failures", "is_ok"), [(2, True), (9, False)])
async def test_invoke_retry_continues_in_the_background(failures: int, is_ok: bool) -> None:
    class Source(Service):
        name = "source"

        def handle(self) -> None:
            self.response.payload = self.patterns.invoke_retry.invoke(
                Shaky, {"a": 1}, repeats=2, seconds=0.001, async_fallback=True,
                callback="told", context={"hi": "there"}, cid=CID,
            )  # fmt: skip

    async with sandbox(Shaky, Told, Source) as it:
        Shaky.failures = failures
        assert await after(it, Source, 1) == CID
        cid = Told.received[0]["orig_cid"]

    (told,) = Told.received
    at = told.pop("req_ts_utc")
    assert at
    assert told == {
        "ok": is_ok,
        "source": "source",
        "target": "shaky",
        "retry_repeats": 2,
        "retry_seconds": 0.001,
        "call_cid": CID,
        "orig_cid": cid,
        "context": {"hi": "there"},
        "by": CID,
    }


async def test_invoke_retry_can_be_in_the_background_from_the_start() -> None:
    class Source(Service):
        name = "source"

        def handle(self) -> None:
            retry = self.patterns.invoke_retry
            with pytest.raises(ValueError, match="seconds and minutes given"):
                retry.invoke_async("shaky", seconds=1, minutes=1)
            self.response.payload = retry.invoke_async("shaky", repeats=0, callback="told")

    async with sandbox(Shaky, Told, Source) as it:
        Shaky.failures = 0
        cid = await after(it, Source, 1)

    assert Told.received[0]["ok"] is True
    assert Told.received[0]["call_cid"] == cid


async def test_a_pause_between_two_invocations_occupies_no_thread() -> None:
    class Source(Service):
        name = "source"

        def handle(self) -> None:
            self.patterns.invoke_retry.invoke_async("shaky", repeats=1, seconds=60)

    async with sandbox(Shaky, Source) as it:
        pool = it.app.invoker.pool
        Shaky.failures = 1
        await it.invoke(Source)
        async with asyncio.timeout(10):
            while Shaky.failures or pool.busy:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
    assert Shaky.failures == pool.busy == 0


async def test_a_pause_of_zero_is_none(without_collector: None) -> None:
    class Source(Service):
        name = "source"

        def handle(self) -> None:
            self.response.payload = self.patterns.invoke_retry.invoke("shaky", seconds=0)

    async with sandbox(Shaky, Source) as it, asyncio.timeout(0.9):
        Shaky.failures = 1
        assert await it.invoke(Source) == "at last"


@pytest.mark.parametrize(
    ("pattern", "arguments", "options", "words"),
    [
        ("fanout", (["service1"],), {"on_final": "told"}, "targets is of type list"),
        ("parallel", ({7: None},), {}, "service 7 is not known"),
        ("parallel", ({"service1": None},), {"on_target": [None]}, "service None is not known"),
        ("invoke_retry", ("service1",), {"repeats": -1}, "repeats is -1"),
        ("invoke_retry", ("service1",), {"repeats": "x"}, "repeats is 'x'"),
        ("invoke_retry", ("service1",), {"seconds": "y"}, "'y' is not a time"),
        ("invoke_retry", ("service1",), {"seconds": -1}, "-1 is not a time"),
        ("invoke_retry", ("service1",), {"callback": 5}, "service 5 is not known"),
    ],
)
async def test_a_mistake_in_a_call_is_an_error_before_the_background(
    pattern: str, arguments: tuple[Any, ...], options: dict[str, Any], words: str
) -> None:
    class Source(Service):
        name = "source"

        def handle(self) -> None:
            with pytest.raises((TypeError, ValueError), match=words):
                getattr(self.patterns, pattern).invoke(*arguments, **options)
            self.response.payload = "refused"

    async with sandbox(Target1, Told, Source) as it:
        assert await it.invoke(Source) == "refused"


async def test_what_invokes_itself_in_the_background_ends() -> None:
    class Deep(Service):
        name = "deep"
        most = 0

        def handle(self) -> None:
            Deep.most = max(Deep.most, len(self.path))
            self.patterns.parallel.invoke({"deep": None}, "told")

    async with sandbox(Deep, Told) as it:
        with pytest.raises(ZatoLiteError, match="does not exist"):
            await it.invoke("deeper")
        await after(it, Deep, 64)
    assert Deep.most >= 60
