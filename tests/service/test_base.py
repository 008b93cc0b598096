import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.service.running import (
    NOON,
    Double,
    SteppedClock,
    run_async,
    run_blocking,
)
from zato_lite.errors import BadInputError, ServiceMissingError, UnavailableError
from zato_lite.service.base import Service
from zato_lite.service.needs import AsyncInvocations
from zato_lite.service.payload import payload_of
from zato_lite.timetable.job import Job


class SavedInvocations:
    """Store of asynchronous invocations that tests can read."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Job, str]] = []

    async def invoke_async(self, job: Job, cid: str = "") -> int:
        self.jobs.append((job, cid))
        return 17


@pytest.mark.parametrize("run", [run_async, run_blocking])
async def test_an_asynchronous_invocation_is_saved(run: Callable[..., Awaitable[Any]]) -> None:
    kept = SavedInvocations()

    def body(self: Service) -> Any:
        return self.invoke_async(
            Double, a=1, delay=2, retries=3, retry_delay=0.5, timeout=9, callback=Double
        )

    assert await run(body, Double, resources={AsyncInvocations: kept}, clock=SteppedClock()) == 17
    job, cid = kept.jobs[0]
    assert (job.service, job.trigger.start, cid) == ("double", NOON + 2_000_000, "c1")
    assert payload_of(job.extra) == {"a": 1}
    assert (job.max_retries, job.retry_delay_ms, job.max_execution_time_ms) == (3, 500, 9000)
    assert (job.on_success_service, job.on_error_service) == ("double", "double")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("service", None),
        ("payload", object()),
        ("delay", float("nan")),
        ("delay", 1e300),
        ("retries", "three"),
        ("retries", -1),
        ("retry_delay", float("inf")),
        ("retry_backoff", float("nan")),
        ("timeout", "soon"),
        ("callback", 7),
    ],
)
async def test_an_asynchronous_invocation_that_no_node_could_read_is_refused(
    field: str, value: Any
) -> None:
    kept = SavedInvocations()
    given = {"service": "double", "payload": 1, field: value}

    with pytest.raises(BadInputError, match=f"{field}: "):
        await run_async(
            lambda self: self.invoke_async(**given), Double, resources={AsyncInvocations: kept}
        )
    assert kept.jobs == []


async def test_an_asynchronous_invocation_needs_a_service_and_a_store() -> None:
    with pytest.raises(ServiceMissingError):
        await run_async(lambda self: self.invoke_async("nowhere"))
    with pytest.raises(UnavailableError):
        await run_async(lambda self: self.invoke_async("double"), Double)


async def test_the_callback_of_an_asynchronous_invocation_must_be_deployed() -> None:
    kept = SavedInvocations()

    with pytest.raises(ServiceMissingError, match=r"Service `eco` does not exist; did you mean"):
        await run_async(
            lambda self: self.invoke_async("echo", callback="eco"),
            Echo,
            resources={AsyncInvocations: kept},
        )
    assert kept.jobs == []


class Echo(Service):
    name = "echo"

    async def handle(self) -> Any:
        return self.request.payload


@pytest.mark.parametrize("run", [run_async, run_blocking])
async def test_keyword_arguments_of_any_name_are_the_payload(
    run: Callable[..., Awaitable[Any]],
) -> None:
    sent = {"channel": "sms", "data_format": "x", "as_bunch": True, "to": 1}

    assert await run(lambda self: self.invoke("echo", **sent), Echo) == sent
    assert await run(lambda self: self.server.invoke("echo", "", **sent), Echo) == sent
    with pytest.raises(TypeError, match="not both allowed: channel"):
        await run(lambda self: self.invoke("echo", {"a": 1}, channel="sms", to=1), Echo)
    with pytest.raises(TypeError, match="not both allowed: channel"):
        await run(lambda self: self.invoke_async("echo", {"a": 1}, channels="sms"), Echo)


async def test_errors_are_also_those_of_the_standard_library() -> None:
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
    assert await run_async(too_late, Sleeps) == late
    assert await run_async(unknown, Sleeps) == missing
