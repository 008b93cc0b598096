import asyncio
import sys
import threading
from collections.abc import Callable

import pytest

from zato_lite.errors import TooManyRequestsError
from zato_lite.log import invocation_context
from zato_lite.service.message import Caller, Invocation
from zato_lite.service.offload import SWITCH_INTERVAL_S, FairThreads, offload, offload_long


class Work:
    """Calls that wait until they may end, and the order in which they began."""

    def __init__(self, threads: FairThreads) -> None:
        self.threads = threads
        self.begun: list[str] = []
        self._begins: dict[str, threading.Event] = {}
        self._ends: dict[str, threading.Event] = {}

    def start(self, owner: str, name: str) -> "asyncio.Task[str]":
        self._begins[name], self._ends[name] = threading.Event(), threading.Event()
        return asyncio.create_task(self.threads.run(owner, self._call(name)))

    def end(self, name: str) -> None:
        self._ends[name].set()

    async def until_begun(self, *names: str) -> None:
        for name in names:
            assert await asyncio.to_thread(self._begins[name].wait, 10)

    def _call(self, name: str) -> Callable[[], str]:
        def call() -> str:
            self.begun.append(name)
            self._begins[name].set()
            assert self._ends[name].wait(10)
            return name

        return call


async def test_an_owner_has_one_thread_at_a_time() -> None:
    work = Work(FairThreads(2))

    first, second, other = [work.start(*each) for each in (("a", "1"), ("a", "2"), ("b", "3"))]
    await work.until_begun("1", "3")

    assert set(work.begun) == {"1", "3"}
    for name in "123":
        work.end(name)
    assert [await first, await second, await other] == ["1", "2", "3"]


async def test_owners_take_turns_whatever_each_asks_for() -> None:
    work = Work(FairThreads(1))

    calls = [work.start("a", f"a{number}") for number in range(4)]
    calls += [work.start("b", "b0"), work.start("c", "c0"), work.start("b", "b1")]
    for call in list(work._ends):
        work.end(call)
    await asyncio.gather(*calls)

    assert work.begun == ["a0", "a1", "b0", "c0", "a2", "b1", "a3"]


async def test_an_owner_with_too_many_calls_is_refused_and_no_other() -> None:
    work = Work(FairThreads(1, max_waiting=2))

    calls = [work.start("a", f"a{number}") for number in range(4)]
    calls.append(work.start("b", "b0"))
    for call in list(work._ends):
        work.end(call)
    found = await asyncio.gather(*calls, return_exceptions=True)

    assert isinstance(found[3], TooManyRequestsError)
    assert found[3].retry_after == 5
    assert found[:3] + found[4:] == ["a0", "a1", "a2", "b0"]


async def test_a_call_keeps_its_thread_after_its_caller_has_given_up() -> None:
    work = Work(FairThreads(1))
    first, second = work.start("a", "1"), work.start("b", "2")
    await work.until_begun("1")

    first.cancel()
    await asyncio.sleep(0.01)

    assert first.cancelled()
    assert work.begun == ["1"]
    work.end("1")
    work.end("2")
    assert await second == "2"


async def test_a_caller_that_gives_up_while_it_waits_is_left_out() -> None:
    work = Work(FairThreads(1))
    calls = [work.start(owner, owner + "1") for owner in "abc"]
    await work.until_begun("a1")

    calls[1].cancel()
    for name in ("a1", "b1", "c1"):
        work.end(name)
    await asyncio.gather(*calls, return_exceptions=True)

    assert work.begun == ["a1", "c1"]
    async with asyncio.timeout(10):
        assert await work.threads.run("b", lambda: 5) == 5


async def test_an_error_is_the_caller_s_and_frees_the_thread() -> None:
    threads = FairThreads(1)

    with pytest.raises(ZeroDivisionError):
        await threads.run("a", lambda: 1 // 0)

    assert await threads.run("a", lambda: 5) == 5


async def test_the_owner_of_long_work_is_the_invocation_s_caller() -> None:
    may_end, both, begun = threading.Event(), threading.Event(), list[str]()

    def call(name: str) -> str:
        begun.append(name)
        if len(begun) == 2:
            both.set()
        return name if may_end.wait(10) else ""

    async def invoked(caller: str) -> str:
        invocation_context.set(Invocation("x", caller=Caller(caller)))
        return await offload_long(call, caller)

    calls = [asyncio.create_task(invoked(name)) for name in ("ann", "ann", "bob")]
    assert await asyncio.to_thread(both.wait, 10)

    assert sorted(begun) == ["ann", "bob"]
    assert await offload(len, "ab", owner="ann") == 2  # bounded work does not wait for long one
    may_end.set()
    assert await asyncio.gather(*calls) == ["ann", "ann", "bob"]


async def test_threads_switch_sooner_as_long_as_there_is_long_work() -> None:
    before = sys.getswitchinterval()

    async def call() -> tuple[float, float]:
        return await offload_long(sys.getswitchinterval), sys.getswitchinterval()

    async def fail() -> None:
        await offload_long(divmod, 1, 0)

    found = await asyncio.gather(call(), fail(), call(), return_exceptions=True)

    assert [each[0] for each in (found[0], found[2])] == [SWITCH_INTERVAL_S] * 2  # type: ignore[index]
    assert isinstance(found[1], ZeroDivisionError)
    assert sys.getswitchinterval() == before
