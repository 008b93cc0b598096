import asyncio
from typing import Any

import msgspec
import pytest

from zato_lite.errors import ConfigError, TooManyRequestsError
from zato_lite.service.base import Service
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import Caller, HttpContext, Invocation, Outcome
from zato_lite.service.middleware import Call
from zato_lite.service.rate_limit import RateLimit
from zato_lite.service.registry import Registry
from zato_lite.testing.app import sandbox
from zato_lite.testing.clock import ManualClock

LOG: list[str] = []


class Mark:
    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, call: Call) -> Any:
        LOG.append(f"{self.name} {call.service} {call.channel} {call.caller.name}")
        answer = await call.next()
        LOG.append(f"{self.name} {answer}")
        return answer


async def upper(call: Call) -> Any:
    return str(await call.next()).upper()


class Wrapped(Service):
    name = "wrapped"
    middleware = (Mark("a"), Mark("b"), upper)

    async def handle(self) -> str:
        LOG.append("handle")
        return "done"


class Blocking(Service):
    name = "blocking"
    middleware = (Mark("a"),)

    def handle(self) -> str:
        return "blocked"


class Outer(Service):
    name = "outer"

    async def handle(self) -> str:
        return str(await self.invoke(Wrapped))


def invoker_of(*services: type[Service[Any, Any]]) -> Invoker:
    registry = Registry()
    for cls in services:
        registry.add(cls)
    return Invoker(registry)


@pytest.fixture(autouse=True)
def empty_log() -> None:
    LOG.clear()


async def test_middleware_surrounds_a_service_in_the_order_of_its_list() -> None:
    assert await invoker_of(Wrapped).invoke(Wrapped) == "DONE"
    lines = ["a wrapped invoke system", "b wrapped invoke system", "handle", "b DONE", "a DONE"]
    assert lines == LOG


async def test_middleware_surrounds_blocking_services_and_inner_invocations() -> None:
    invoker = invoker_of(Wrapped, Blocking, Outer)

    assert await invoker.invoke(Blocking) == "blocked"
    assert await invoker.invoke(Outer) == "DONE"
    assert LOG[:3] == ["a blocking invoke system", "a blocked", "a wrapped invoke system"]


async def test_an_error_of_middleware_is_the_invocations_and_of_no_other() -> None:
    async def broken(call: Call) -> Any:
        raise SystemExit

    class Broken(Service):
        name = "broken"
        middleware = (broken,)

        async def handle(self) -> str:
            return "never"

    invoker = invoker_of(Broken, Wrapped)
    outcome = await invoker.run(Invocation("broken"))

    assert "SystemExit" in str(outcome.error)
    assert invoker.registry.get("broken").errors == 1
    assert await invoker.invoke(Wrapped) == "DONE"


async def test_middleware_sees_an_error_and_may_try_again() -> None:
    class Order(msgspec.Struct):
        count: int

    class Flaky(Service[Order, Any]):
        name = "flaky"
        calls = 0

        async def handle(self) -> Any:
            type(self).calls += 1
            if self.calls < 3:
                raise OSError("lost")
            return [self.request.input.count, self.calls]

    async def retry(call: Call) -> Any:
        while True:
            try:
                return await call.next()
            except OSError:
                continue

    Flaky.middleware = (retry,)

    assert await invoker_of(Flaky).invoke(Flaky, {"count": 7}) == [7, 3]


async def test_a_deadline_includes_the_middleware() -> None:
    async def slow(call: Call) -> Any:
        assert call.time_left is not None
        await asyncio.sleep(60)

    class Slow(Service):
        name = "slow"
        middleware = (slow,)

        async def handle(self) -> None: ...

    outcome = await invoker_of(Slow).run(Invocation("slow", timeout=0.02))

    assert outcome.is_timeout


async def test_middleware_sets_headers_of_the_response() -> None:
    async def stamp(call: Call) -> Any:
        answer = await call.next()
        call.response.headers["X-Stamp"] = call.cid
        return answer

    class Stamped(Service):
        name = "stamped"
        middleware = (stamp,)

        async def handle(self) -> str:
            return "x"

    outcome = await invoker_of(Stamped).run(Invocation("stamped", cid="c1"))

    assert outcome.overrides is not None
    assert outcome.overrides.sent_headers == {"X-Stamp": "c1"}


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        (5, "middleware is not a list: 5"),
        ([5], "middleware 5 has no `async def __call__"),
        ([Mark], r"use Mark\(\)"),
        ([lambda call: call.next()], "has no `async def __call__"),
    ],
)
def test_middleware_that_cannot_be_called_is_refused(declared: Any, problem: str) -> None:
    class Wrong(Service):
        name = "wrong"
        middleware = declared

        async def handle(self) -> None: ...

    with pytest.raises(ConfigError, match=f"wrong: .*{problem}"):
        Registry().add(Wrong)


def over_http(service: str, caller: str = "ann", **headers: str) -> Invocation:
    context = HttpContext("POST", "/x", {}, {}, headers)
    return Invocation(service, channel="http", caller=Caller(caller), http=context, cid="c")


def limited(limit: RateLimit, clock: ManualClock) -> Invoker:
    class Limited(Service):
        name = "limited"
        middleware = (limit,)

        async def handle(self) -> str:
            return "ok"

    class Other(Limited):
        name = "other"

    class Inner(Service):
        name = "inner"

        async def handle(self) -> Any:
            return [await self.invoke("limited") for _ in range(5)]

    registry = Registry()
    for cls in (Limited, Other, Inner):
        registry.add(cls)
    return Invoker(registry, clock=clock)


def status(outcome: Outcome) -> Any:
    error = outcome.error
    return (error.status, error.retry_after) if isinstance(error, TooManyRequestsError) else "ok"


async def test_a_rate_limit_refuses_what_comes_too_fast() -> None:
    clock = ManualClock()
    invoker = limited(RateLimit(3, 6), clock)

    async def ask(caller: str = "ann", service: str = "limited") -> Any:
        return status(await invoker.run(over_http(service, caller)))

    assert [await ask() for _ in range(4)] == ["ok", "ok", "ok", (429, 2)]
    assert await ask("bob") == "ok"
    assert await ask("ann", "other") == (429, 2)
    clock.advance(seconds=2)
    assert [await ask(), await ask()] == ["ok", (429, 2)]
    clock.advance(seconds=60)
    assert [await ask() for _ in range(4)] == ["ok", "ok", "ok", (429, 2)]


async def test_a_rate_limit_by_service_counts_all_callers() -> None:
    invoker = limited(RateLimit(1, 60, by="service"), ManualClock())

    asked = [("limited", "ann"), ("limited", "bob"), ("other", "ann")]
    found = [status(await invoker.run(over_http(service, caller))) for service, caller in asked]

    assert found == ["ok", (429, 60), "ok"]


async def test_a_rate_limit_by_a_function_and_of_all_channels() -> None:
    limit = RateLimit(2, by=lambda call: call.cid, channels=("http", "invoke"))
    invoker = limited(limit, ManualClock())

    assert status(await invoker.run(Invocation("inner", cid="1"))) == (429, 30)
    assert status(await invoker.run(over_http("limited"))) == "ok"


async def test_a_rate_limit_leaves_inner_invocations_and_runs_alone() -> None:
    invoker = limited(RateLimit(1), ManualClock())

    assert await invoker.invoke("inner") == ["ok"] * 5
    run = Invocation("limited", channel="scheduler")
    assert [status(await invoker.run(run)) for _ in range(3)] == ["ok"] * 3


async def test_a_rate_limit_counts_what_a_request_names_by_a_built_in_service() -> None:
    limit, clock = RateLimit(2, 600), ManualClock()

    class Limited(Service):
        name = "limited"
        middleware = (limit,)

        async def handle(self) -> str:
            return "ok"

    class Code(Service):
        name = "code"

        async def handle(self) -> Any:
            return await self.invoke("zato.service.invoke", {"name": "limited"})

    async with sandbox(Limited, Code, clock=clock) as it:

        async def ask(service: str, payload: Any = None) -> Any:
            asked = msgspec.structs.replace(
                over_http(service), payload=payload, caller=Caller("ann", frozenset({"operator"}))
            )
            outcome = await it.app.invoker.run(asked)
            return outcome.payload if outcome.error is None else status(outcome)

        found = [await ask("zato.service.invoke", {"name": "limited"}) for _ in range(3)]
        assert found == ["ok", "ok", (429, 300)]
        assert await ask("limited") == (429, 300)
        assert await ask("code") == "ok"


async def test_a_rate_limit_forgets_callers_that_have_paused() -> None:
    clock = ManualClock()
    limit = RateLimit(1, 1, by=lambda call: call.caller.name)
    invoker = limited(limit, clock)
    for number in range(10_001):
        clock.advance(milliseconds=1)
        await invoker.run(over_http("limited", f"u{number}"))

    assert len(vars(limit)["_next"]) < 1_100


async def test_many_callers_at_a_time_do_not_slow_each_request_down() -> None:
    limit = RateLimit(1, 3600, by=lambda call: call.caller.name)
    invoker = limited(limit, ManualClock())
    tables = [vars(limit)["_next"]]
    for number in range(10_010):
        await invoker.run(over_http("limited", f"u{number}"))
        if vars(limit)["_next"] is not tables[-1]:
            tables.append(vars(limit)["_next"])

    assert len(tables) == 2  # of the first 10,000, and the one copied from it


@pytest.mark.parametrize("arguments", [(0,), (1, 0), (1, 1, "address")])
def test_a_rate_limit_that_is_not_valid_is_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigError):
        RateLimit(*arguments[:2], **({"by": arguments[2]} if len(arguments) > 2 else {}))


def test_a_service_without_middleware_has_the_strategy_that_it_had() -> None:
    entry = Registry().add(Outer)

    assert type(entry.strategy).__name__ == "Plain"
    assert entry.middleware == ()
