"""What a user's editor and type checker know: mypy and pyright both read this file."""

from typing import Any, Protocol, assert_type

import msgspec

from zato_lite import BlockingService, Service, every, needs
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import Invocation, JobContext
from zato_lite.service.registry import Registry
from zato_lite.service.schedule import Schedule


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


async def test_what_the_types_say_is_what_happens() -> None:
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


async def test_what_a_class_declares_does_not_hide_what_services_have() -> None:
    registry = Registry()
    registry.add(Often)

    assert await Invoker(registry).invoke("often") is True
