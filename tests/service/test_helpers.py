"""The helpers in ``self``: lock, cache, time, patterns, config, invoke_async."""

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from zato_lite.errors import ServiceMissingError, UnavailableError
from zato_lite.service.attribute_dict import Config, MissingSettingError
from zato_lite.service.base import Service
from zato_lite.service.blocking import BlockingService
from zato_lite.service.cache import Cache
from zato_lite.service.invoker import Invoker
from zato_lite.service.locks import LocalLocks, LockTakenError
from zato_lite.service.message import Invocation
from zato_lite.service.needs import AsyncInvocations, Locks
from zato_lite.service.payload import payload_of
from zato_lite.service.registry import Registry
from zato_lite.timetable.job import Job

NOON = 1_796_126_400_000_000  # 2026-12-01T12:00:00Z


class HandClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> int:
        return NOON + int(self.passed * 1e6)

    def monotonic(self) -> float:
        return self.passed

    def call_at(self, instant: int, wake: Any) -> Any:
        raise NotImplementedError


class Double(Service):
    name = "double"

    async def handle(self) -> Any:
        return self.request.payload * 2


Body = Callable[[Any], Any]


async def inside(body: Body, *more: type[Service[Any, Any]], **options: Any) -> Any:
    """What the body comes to inside of an async service."""

    class Outer(Service):
        name = "outer"

        async def handle(self) -> Any:
            result = body(self)
            return await result if asyncio.iscoroutine(result) else result

    return await _run(Outer, *more, **options)


async def in_thread(body: Body, *more: type[Service[Any, Any]], **options: Any) -> Any:
    """What the body comes to inside of a blocking service."""

    class Outer(BlockingService):
        name = "outer"

        def handle(self) -> Any:
            return body(self)

    return await _run(Outer, *more, **options)


async def _run(*services: type[Service[Any, Any]], **options: Any) -> Any:
    registry = Registry()
    for service in services:
        registry.add(service)
    outcome = await Invoker(registry, **options).run(Invocation("outer", cid="c1"))
    if outcome.error is not None:
        raise outcome.error
    return outcome.payload


def test_a_cache_forgets_what_has_expired() -> None:
    clock = HandClock()
    cache = Cache(clock)
    cache.set("a", 1, expiry=10)
    cache.set("b", 2)

    clock.passed = 10

    assert (cache.get("a"), cache.get("a", 7), cache.get("b")) == (None, 7, 2)
    assert "b" in cache
    assert "a" not in cache


def test_a_full_cache_forgets_what_was_not_used_for_longest() -> None:
    cache = Cache(HandClock(), limit=2)
    cache.set("a", 1)
    cache.set("b", 2)
    cache.get("a")
    cache.default.set("c", 3)

    assert [key for key in "abc" if key in cache] == ["a", "c"]
    assert len(cache) == 2
    cache.delete("a")
    cache.delete("a")
    cache.clear()
    assert len(cache) == 0


async def test_services_share_the_cache() -> None:
    class Remembers(Service):
        name = "remembers"

        async def handle(self) -> None:
            self.cache.set("seen", self.cid)

    async def look(self: Service) -> Any:
        await self.invoke("remembers")
        return self.cache.get("seen")

    assert await inside(look, Remembers) == "c1"


async def test_time_is_text_or_a_datetime() -> None:
    def times(self: Service) -> list[Any]:
        time = self.time
        return [
            time.utcnow(),
            time.now(tz="Europe/Warsaw", format="DD.MM.YY HH:mm"),
            time.today(),
            time.yesterday(),
            time.tomorrow("YYYYMMDD"),
            time.datetime("Asia/Tokyo").isoformat(),
        ]

    assert await inside(times, clock=HandClock()) == [
        "2026-12-01 12:00:00",
        "01.12.26 13:00",
        "2026-12-01",
        "2026-11-30",
        "20261202",
        "2026-12-01T21:00:00+09:00",
    ]


async def test_config_is_the_user_s_own() -> None:
    def look(self: Service) -> list[Any]:
        return [self.config.crm.url, self.user_config.crm.url]

    assert await inside(look, config={"crm": {"url": "http://crm"}}) == ["http://crm"] * 2


async def test_services_are_invoked_in_parallel() -> None:
    running, most = 0, 0

    class Counts(Service):
        name = "counts"

        async def handle(self) -> Any:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            return self.request.payload

    answers = await inside(
        lambda self: self.patterns.parallel([("counts", n) for n in range(9)], limit=3), Counts
    )

    assert answers == [*range(9)]
    assert most == 3


async def test_answers_are_passed_on() -> None:
    got: list[Any] = []

    class Final(Service):
        name = "final"

        async def handle(self) -> None:
            got.append(self.request.payload)

    both = {"double": 2, Double: 3}
    answers = await inside(
        lambda self: self.patterns.parallel(both, on_target=Final, on_final=["final"]),
        Double,
        Final,
    )

    assert answers == {"double": 4, Double: 6}
    assert got == [4, 6, {"double": 4, Double: 6}]
    assert await inside(lambda self: self.patterns.fanout({"double": 1}), Double) == {"double": 2}


async def test_one_that_fails_ends_the_others_and_is_told() -> None:
    class Stays(Service):
        name = "stays"

        async def handle(self) -> None:
            await asyncio.Event().wait()

    with pytest.raises(ServiceMissingError):
        await inside(lambda self: self.patterns.parallel({"stays": 1, "nowhere": 2}), Stays)


@pytest.mark.parametrize(("failures", "is_ok"), [(0, True), (3, True), (4, False)])
async def test_a_service_is_invoked_until_it_works(failures: int, is_ok: bool) -> None:
    calls = 0

    class Flaky(Service):
        name = "flaky"

        async def handle(self) -> str:
            nonlocal calls
            calls += 1
            if calls <= failures:
                raise OSError("not yet")
            return "ok"

    def body(self: Service) -> Any:
        return self.patterns.invoke_retry("flaky", repeats=3, seconds=0)

    if is_ok:
        assert await inside(body, Flaky) == "ok"
    else:
        with pytest.raises(OSError, match="not yet"):
            await in_thread(body, Flaky)
    assert calls == min(failures + 1, 4)


async def test_a_blocking_service_gets_answers_instead_of_awaitables() -> None:
    def body(self: BlockingService) -> list[Any]:
        self.sleep(0)
        with self.lock("a") as lock:
            return [self.patterns.fanout({"double": 4}), lock.name]

    assert await in_thread(body, Double) == [{"double": 8}, "a"]


async def test_a_lock_is_held_by_one_at_a_time() -> None:
    inside_now, most = 0, 0

    class Locks(Service):
        name = "locks"

        async def handle(self) -> int:
            nonlocal inside_now, most
            async with self.lock("the-one") as lock:
                inside_now += 1
                most = max(most, inside_now)
                await asyncio.sleep(0)
                inside_now -= 1
                return lock.token

    tokens = await inside(
        lambda self: self.patterns.parallel([("locks", None) for _ in range(3)]), Locks
    )

    assert most == 1
    assert len({*tokens}) == 3


async def test_a_lock_that_stays_taken_is_an_error() -> None:
    async def body(self: Service) -> None:
        async with self.lock():
            with pytest.raises(LockTakenError, match="Lock `outer` is held by another owner"):
                async with self.lock(block=0):
                    pass

    await inside(body)


async def test_a_lock_can_be_renewed_until_it_has_lapsed() -> None:
    clock = HandClock()

    async def body(self: Service) -> list[bool]:
        async with self.lock("a", ttl=10) as lock:
            clock.passed = 9
            renewed = [await lock.renew()]
            clock.passed = 18
            renewed.append(await lock.renew())
            clock.passed = 40
            renewed.append(await lock.renew())
            return renewed

    assert await inside(body, clock=clock) == [True, True, False]


async def test_a_lapsed_lock_goes_to_the_next_with_a_greater_token() -> None:
    clock = HandClock()
    locks = LocalLocks(clock)
    first = await locks.acquire("a", "x", 10)
    assert await locks.acquire("a", "y", 10) is None

    clock.passed = 10
    second = await locks.acquire("a", "y", 10)
    assert first is not None
    await locks.release("a", first)

    assert second is not None
    assert second > first
    assert await locks.acquire("a", "x", 10) is None


class Kept:
    """Keeps asynchronous invocations where tests can look at them."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Job, str]] = []

    async def invoke_async(self, job: Job, cid: str = "") -> int:
        self.jobs.append((job, cid))
        return 17


@pytest.mark.parametrize("run", [inside, in_thread])
async def test_an_invocation_for_later_is_kept(run: Callable[..., Awaitable[Any]]) -> None:
    kept = Kept()

    def body(self: Service) -> Any:
        return self.invoke_async(
            Double, a=1, delay=2, retries=3, retry_delay=0.5, timeout=9, callback=Double
        )

    assert await run(body, Double, resources={AsyncInvocations: kept}, clock=HandClock()) == 17
    job, cid = kept.jobs[0]
    assert (job.service, job.trigger.start, cid) == ("double", NOON + 2_000_000, "c1")
    assert payload_of(job.extra) == {"a": 1}
    assert (job.max_retries, job.retry_delay_ms, job.max_execution_time_ms) == (3, 500, 9000)
    assert (job.on_success_service, job.on_error_service) == ("double", "double")


async def test_an_invocation_for_later_needs_a_service_and_someone_to_keep_it() -> None:
    with pytest.raises(ServiceMissingError):
        await inside(lambda self: self.invoke_async("nowhere"))
    with pytest.raises(UnavailableError):
        await inside(lambda self: self.invoke_async("double"), Double)


async def test_idle_threads_are_let_go_at_the_end() -> None:
    registry = Registry()
    registry.add(Double)
    invoker = Invoker(registry)
    thread = await invoker.pool.run(threading.current_thread)

    invoker.close()

    await asyncio.to_thread(thread.join, 5)
    assert not thread.is_alive()


async def test_threads_may_use_the_cache_all_at_once() -> None:
    cache = Cache(HandClock(), limit=2)
    before = sys.getswitchinterval()
    raised: list[BaseException] = []

    def use(action: Callable[[str], Any]) -> None:
        try:
            for n in range(20_000):
                action("abc"[n % 3])
        except BaseException as error:  # noqa: BLE001 - told below
            raised.append(error)

    actions: list[Callable[[str], Any]] = [
        cache.get,
        lambda key: cache.set(key, 1),
        cache.delete,
        lambda _: cache.clear(),
    ]
    sys.setswitchinterval(1e-6)
    try:
        await asyncio.gather(*(asyncio.to_thread(use, action) for action in actions))
    finally:
        sys.setswitchinterval(before)

    assert raised == []


async def test_a_setting_that_is_not_there_is_the_server_s_error() -> None:
    with pytest.raises(MissingSettingError) as caught:
        await inside(lambda self: self.config.crm.nope, config={"crm": {"url": "http://crm"}})

    assert str(caught.value) == "[user.crm] nope is not set; available: url"
    assert caught.value.status == 500
    assert not hasattr(Config({}), "nope")


class SlowLocks(LocalLocks):
    """Locks that are had, and given back, when a test says so."""

    def __init__(self) -> None:
        super().__init__(HandClock())
        self.may_go_on = asyncio.Event()
        self.asked = asyncio.Event()

    async def acquire(self, name: str, owner: str, ttl: float) -> int | None:
        self.asked.set()
        token = await super().acquire(name, owner, ttl)
        await self.may_go_on.wait()
        return token

    @property
    def held(self) -> list[str]:
        return [*self._held]


@pytest.mark.parametrize("is_blocking", [False, True])
async def test_a_lock_that_comes_too_late_is_given_back(is_blocking: bool) -> None:
    class Async(Service):
        name = "locks"

        async def handle(self) -> None:
            async with self.lock("a", ttl=60):
                pass

    class Blocking(BlockingService):
        name = "locks"

        def handle(self) -> None:
            with self.lock("a", ttl=60):
                pass

    registry, locks = Registry(), SlowLocks()
    registry.add(Blocking if is_blocking else Async)
    invoker = Invoker(registry, resources={Locks: locks})

    running = asyncio.create_task(invoker.run(Invocation("locks")))
    await locks.asked.wait()
    running.cancel()
    await asyncio.wait([running])
    locks.may_go_on.set()

    await until(lambda: not locks.held)
    assert locks.held == []


async def test_a_thread_that_runs_out_of_time_gives_its_lock_back_when_it_leaves() -> None:
    may_leave, has_left = threading.Event(), threading.Event()

    class Holds(BlockingService):
        name = "holds"

        def handle(self) -> None:
            with self.lock("a", ttl=30):
                may_leave.wait()
            has_left.set()

    registry, locks = Registry(), LocalLocks(HandClock())
    registry.add(Holds)
    invoker = Invoker(registry, resources={Locks: locks})

    outcome = await invoker.run(Invocation("holds", timeout=0.01))
    assert outcome.is_timeout
    assert await locks.acquire("a", "x", 1) is None
    may_leave.set()
    await asyncio.to_thread(has_left.wait, 5)

    await until(lambda: not locks._held)
    assert await locks.acquire("a", "x", 1) is not None


async def test_a_lock_is_given_back_by_a_service_that_is_cancelled_while_giving_it_back() -> None:
    class SlowRelease(LocalLocks):
        asked, may_go_on = asyncio.Event(), asyncio.Event()

        async def release(self, name: str, token: int) -> None:
            self.asked.set()
            await self.may_go_on.wait()
            await super().release(name, token)

    class Holds(Service):
        name = "holds"

        async def handle(self) -> None:
            async with self.lock("a"):
                pass

    registry, locks = Registry(), SlowRelease(HandClock())
    registry.add(Holds)
    running = asyncio.create_task(
        Invoker(registry, resources={Locks: locks}).run(Invocation("holds"))
    )
    await locks.asked.wait()
    running.cancel()
    await asyncio.wait([running])
    locks.may_go_on.set()

    await until(lambda: not locks._held)


async def test_a_blocking_service_renews_its_lock() -> None:
    clock = HandClock()

    def body(self: BlockingService) -> list[bool]:
        with self.lock("a", ttl=10) as lock:
            clock.passed = 9
            renewed = [lock.renew()]
            clock.passed = 40
            return [*renewed, lock.renew(), lock.token > 0]

    assert await in_thread(body, clock=clock) == [True, False, True]


async def until(is_so: Callable[[], bool]) -> None:
    """Let others have their turn until it is so, at most for a while."""
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0)


class Echo(Service):
    name = "echo"

    async def handle(self) -> Any:
        return self.request.payload


@pytest.mark.parametrize("run", [inside, in_thread])
async def test_keyword_arguments_are_the_payload_whatever_their_names(
    run: Callable[..., Awaitable[Any]],
) -> None:
    sent = {"channel": "sms", "data_format": "x", "as_bunch": True, "to": 1}

    assert await run(lambda self: self.invoke("echo", **sent), Echo) == sent
    assert await run(lambda self: self.server.invoke("echo", "", **sent), Echo) == sent
    with pytest.raises(TypeError, match="not both allowed: channel"):
        await run(lambda self: self.invoke("echo", {"a": 1}, channel="sms", to=1), Echo)
    with pytest.raises(TypeError, match="not both allowed: channel"):
        await run(lambda self: self.invoke_async("echo", {"a": 1}, channels="sms"), Echo)


async def test_an_invocation_for_later_needs_a_callback_that_is_deployed() -> None:
    kept = Kept()

    with pytest.raises(ServiceMissingError, match=r"Service `eco` does not exist; did you mean"):
        await inside(
            lambda self: self.invoke_async("echo", callback="eco"),
            Echo,
            resources={AsyncInvocations: kept},
        )
    assert kept.jobs == []


async def test_errors_are_what_they_are_elsewhere_too() -> None:
    class Sleeps(Service):
        name = "sleeps"

        async def handle(self) -> None:
            await asyncio.Event().wait()

    async def too_late(self: Service) -> str:
        try:
            await self.invoke("sleeps", timeout=0.001)
        except TimeoutError as error:
            return f"{type(error).__mro__[1].__name__}: {error}"
        return "in time"

    async def unknown(self: Service) -> str:
        try:
            await self.invoke("slep")
        except KeyError as error:
            return str(error)
        return "known"

    late = "DeadlineError: Service `sleeps` took longer than 0.001 s"
    missing = "Service `slep` does not exist; did you mean `sleeps`?"
    assert await inside(too_late, Sleeps) == late
    assert await inside(unknown, Sleeps) == missing
