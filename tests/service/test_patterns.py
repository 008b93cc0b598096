import asyncio
from typing import Any

import pytest

from tests.service.running import (
    Double,
    run_async,
    run_blocking,
)
from zato_lite.errors import ServiceMissingError
from zato_lite.service.base import Service
from zato_lite.service.blocking import BlockingService


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

    answers = await run_async(
        lambda self: self.patterns.parallel([("counts", n) for n in range(9)], limit=3), Counts
    )

    assert answers == [*range(9)]
    assert most == 3


async def test_answers_are_sent_to_other_services() -> None:
    got: list[Any] = []

    class Final(Service):
        name = "final"

        async def handle(self) -> None:
            got.append(self.request.payload)

    both = {"double": 2, Double: 3}
    answers = await run_async(
        lambda self: self.patterns.parallel(both, on_target=Final, on_final=["final"]),
        Double,
        Final,
    )

    assert answers == {"double": 4, Double: 6}
    assert got == [4, 6, {"double": 4, Double: 6}]
    assert await run_async(lambda self: self.patterns.fanout({"double": 1}), Double) == {
        "double": 2
    }


async def test_an_error_cancels_the_parallel_invocations_and_is_raised() -> None:
    class Stays(Service):
        name = "stays"

        async def handle(self) -> None:
            await asyncio.Event().wait()

    with pytest.raises(ServiceMissingError):
        await run_async(lambda self: self.patterns.parallel({"stays": 1, "nowhere": 2}), Stays)


@pytest.mark.parametrize(("failures", "is_ok"), [(0, True), (3, True), (4, False)])
async def test_a_service_is_retried_until_it_succeeds(failures: int, is_ok: bool) -> None:
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
        assert await run_async(body, Flaky) == "ok"
    else:
        with pytest.raises(OSError, match="not yet"):
            await run_blocking(body, Flaky)
    assert calls == min(failures + 1, 4)


async def test_a_blocking_service_receives_answers_instead_of_coroutines() -> None:
    def body(self: BlockingService) -> list[Any]:
        self.sleep(0)
        with self.lock("a") as lock:
            return [self.patterns.fanout({"double": 4}), lock.name]

    assert await run_blocking(body, Double) == [{"double": 8}, "a"]
