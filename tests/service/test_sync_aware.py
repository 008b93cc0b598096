"""What a user's editor and type checker know: mypy and pyright both read this file."""

from typing import Any, Protocol, assert_type

import msgspec

from zato_lite import BlockingService, Service, cron, every, needs
from zato_lite.service.invoker import Invoker
from zato_lite.service.job_answers import HistoryPage, JobDetail, JobItem, ListedJob, NewRuns
from zato_lite.service.job_types import JobState
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
        self.schedule.pause("daily")  # type: ignore[unused-coroutine]
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
        assert_type(await self.schedule.onetime(Sum, name="once"), int)
        assert_type(await self.schedule.interval(Sum, name="often", every="5 min"), int)
        assert_type(await self.schedule.cron("sum", "@daily", name="daily", tags=["a"]), int)
        assert_type(await self.schedule.list(state="paused"), list[ListedJob])
        assert_type(await self.schedule.pause("daily", until="2027-01-01"), JobItem)
        assert_type(await self.schedule.run("daily"), int)
        assert_type((await self.schedule.why(7, "2027-01-01"))["sentence"], str)
        assert_type(await self.schedule.history("daily", outcomes=["error"]), HistoryPage)
        assert_type(await self.schedule.backfill("daily", "2026-12-01", "2026-12-02"), NewRuns)
        await self.schedule.edit("daily", name="nightly", on_error_service=Sum, calendar=None)
        await self.schedule.delete("nightly")
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
        assert_type(self.schedule.onetime(Sum, after_minutes=5), int)
        assert_type(self.schedule.get("daily"), JobDetail)
        assert_type(self.schedule.get("daily")["state"], JobState)
        assert_type(self.schedule.resume("daily"), JobItem)
        assert_type(self.schedule.skip_next("daily", 2)["version"], int)
        self.schedule.delete("daily")
        self.patterns.invoke_retry(Sum, repeat=5)  # type: ignore[call-arg]
        with self.lock("a") as lock:
            assert_type(lock.renew(), bool)


class Mistaken(Service):
    """Never run. A checker that does not see a mistake finds a useless comment instead."""

    name = "mistaken"

    async def handle(self) -> None:
        await self.schedule.interval(self, "sum", minutes=5)  # type: ignore[call-overload]
        await self.schedule.interval(Sum, name="often", minute=5)  # type: ignore[call-overload]
        await self.schedule.interval(Sum, minutes=5)  # type: ignore[call-overload]
        await self.schedule.interval(Sum, "a", minutes=5, every="x")  # type: ignore[call-overload]
        await self.schedule.cron(self, "sum", "@daily")  # type: ignore[call-overload]
        await self.schedule.cron(Sum, "@daily")  # type: ignore[call-overload]
        await self.schedule.cron(Sum, "@daily", name="a", dst_gap="no")  # type: ignore[call-overload]
        await self.schedule.onetime(5)  # type: ignore[call-overload]
        await self.schedule.pause(None)  # type: ignore[arg-type]
        await self.schedule.edit("daily", max_retry=3)  # type: ignore[call-arg]
        await self.schedule.history("daily", outcomes=["failed"])  # type: ignore[list-item]
        (await self.schedule.get("daily"))["next_run"]  # type: ignore[typeddict-item]


class MistakenBlocking(BlockingService):
    """Never run, as the one above."""

    name = "mistaken-blocking"

    def handle(self) -> None:
        self.schedule.interval(self, "sum", minutes=5)  # type: ignore[call-overload]
        self.schedule.onetime(Sum, after_minute=5)  # type: ignore[call-overload]
        self.schedule.run(Sum)  # type: ignore[arg-type]
        self.schedule.list(status="paused")  # type: ignore[call-arg]


class MistakenDeclarations(Service):
    name = "mistaken-declarations"
    often = every(minute=5)  # type: ignore[call-arg]
    daily = cron("@daily", time_zone="UTC")  # type: ignore[call-arg]


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
