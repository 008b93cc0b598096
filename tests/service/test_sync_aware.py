"""What a user's editor and type checker know: mypy and pyright both read this file."""

from typing import Any, Protocol, assert_type

import msgspec

from zato_lite import BlockingService, Service, every, needs
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import Invocation, JobContext
from zato_lite.service.registry import Registry
from zato_lite.service.schedule import BlockingSchedule, Schedule


class Order(msgspec.Struct):
    name: str
    count: int = 1


class Total(msgspec.Struct):
    total: int


class Prices(Protocol):
    def of(self, name: str) -> int: ...


class Fixed:
    def of(self, name: str) -> int:
        return 7


class Sum(Service[Order, Total]):
    name = "sum"
    prices = needs(Prices)

    async def handle(self) -> None:
        assert_type(self.request.input, Order)
        assert_type(self.request.input.name, str)
        assert_type(self.prices, Prices)
        assert_type(self.job, JobContext | None)
        assert_type(self.cid, str)
        assert_type(await self.invoke("untyped", 1), Any)
        price = self.prices.of(self.request.input.name)
        self.response.payload = Total(price * self.request.input.count)


class Untyped(Service):
    name = "untyped"

    async def handle(self) -> None:
        assert_type(self.request.input, Any)
        self.response.payload = {"anything": [1]}


class Blocking(BlockingService[Order, Total]):
    name = "blocking"

    def handle(self) -> None:
        assert_type(self.request.input, Order)
        self.response.payload = self.invoke(Sum, self.request.input)


class Forgets(Service):
    """Never run. A checker that does not see a forgotten await finds a useless comment instead."""

    name = "forgets"

    async def handle(self) -> None:
        self.invoke("untyped")  # type: ignore[unused-coroutine]
        self.invoke(Sum)  # type: ignore[unused-coroutine]
        self.invoke_async(Sum)  # type: ignore[unused-coroutine]
        self.sleep(1)  # type: ignore[unused-coroutine]
        self.server.invoke(Sum)  # type: ignore[unused-coroutine]
        self.schedule.onetime(self, Sum)  # type: ignore[unused-coroutine]
        self.schedule.interval(Sum, "often", minutes=5)  # type: ignore[unused-coroutine]
        self.schedule.cron(Sum, "daily", "@daily")  # type: ignore[unused-coroutine]
        self.schedule.cancel(1)  # type: ignore[unused-coroutine]
        self.patterns.parallel({Sum: 1})  # type: ignore[unused-coroutine]
        self.patterns.fanout({Sum: 1})  # type: ignore[unused-coroutine]
        self.patterns.invoke_retry(Sum)  # type: ignore[unused-coroutine]


class Awaits(Service):
    name = "awaits"
    schedule = every(minutes=5)

    async def handle(self) -> None:
        assert_type(await self.invoke(Sum), Total)
        assert_type(await self.server.invoke(Sum), Total)
        assert_type(await self.invoke(Untyped), Any)
        assert_type(await self.invoke_async(Sum), int)
        assert_type(self.schedule, Schedule)
        assert_type(await self.schedule.onetime(self, Sum), int)
        assert_type(await self.schedule.list(), list[dict[str, Any]])
        async with self.lock("a") as lock:
            assert_type(await lock.renew(), bool)


class Waits(BlockingService):
    name = "waits"
    schedule = every(minutes=5)

    def handle(self) -> None:
        assert_type(self.invoke(Sum), Total)
        assert_type(self.server.invoke(Sum), Total)
        assert_type(self.invoke("untyped"), Any)
        assert_type(self.invoke_async(Sum, delay=5), int)
        assert_type(self.schedule, BlockingSchedule)
        assert_type(self.schedule.onetime(self, Sum), int)
        assert_type(self.schedule.get("daily"), dict[str, Any])
        self.patterns.invoke_retry(Sum, repeat=5)  # type: ignore[call-arg]
        with self.lock("a") as lock:
            assert_type(lock.renew(), bool)


async def test_values_have_the_types_that_are_declared() -> None:
    registry = Registry()
    for cls in (Sum, Untyped, Blocking):
        registry.add(cls)
    invoker = Invoker(registry, resources={Prices: Fixed()})

    outcome = await invoker.run(Invocation("blocking", {"name": "pen", "count": 2}))

    assert outcome.payload == Total(14)


class Often(Service):
    name = "often"
    schedule = every(minutes=5)

    async def handle(self) -> bool:
        return isinstance(self.schedule, Schedule)


async def test_a_declared_schedule_does_not_hide_self_schedule() -> None:
    registry = Registry()
    registry.add(Often)

    assert await Invoker(registry).invoke("often") is True
