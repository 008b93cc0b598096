import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import pytest

from zato_lite.builtin import demo, ping
from zato_lite.errors import (
    ConfigError,
    DeadlineError,
    InvocationError,
    ServiceExistsError,
    ServiceInactiveError,
    ServiceMissingError,
)
from zato_lite.log import invocation_context
from zato_lite.service.base import Service
from zato_lite.service.blocking import BlockingService
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import Caller, HttpContext, Invocation, JobContext
from zato_lite.service.needs import needs
from zato_lite.service.registry import Registry
from zato_lite.testing.clock import ManualClock


def invoker_of(*services: type[Service], **options: Any) -> Invoker:
    registry = Registry()
    for service in services:
        registry.add(service)
    return Invoker(registry, **options)


def answering(answer: Callable[[Any], Any], service_name: str = "it") -> type[Service]:
    """A service whose ``handle`` is the function given, awaited if need be."""

    class Answering(Service):
        name = service_name

        async def handle(self) -> Any:
            result = answer(self)
            return await result if asyncio.iscoroutine(result) else result

    return Answering


class Echo(Service):
    name = "echo"

    async def handle(self) -> None:
        self.response.payload = self.request.payload


async def test_a_service_answers_its_response_s_payload() -> None:
    outcome = await invoker_of(Echo).run(Invocation("echo", {"a": 1}))

    assert outcome.payload == {"a": 1}
    assert outcome.error is None
    assert outcome.seconds >= 0


async def test_the_result_of_handle_is_the_answer_if_none_was_set() -> None:
    assert await invoker_of(answering(lambda self: 5)).invoke("it") == 5


async def test_a_service_invokes_another_by_name_and_by_class() -> None:
    async def both(self: Service) -> list[Any]:
        return [
            await self.invoke("echo", 1),
            await self.invoke(Echo, 2),
            await self.invoke("echo", a=3),
            await self.server.invoke("echo", 4),
        ]

    assert await invoker_of(Echo, answering(both)).invoke("it") == [1, 2, {"a": 3}, 4]


async def test_inner_invocations_share_the_cid() -> None:
    cids = answering(lambda self: [self.cid], "cids")

    async def nested(self: Service) -> Any:
        return [self.cid, *await self.invoke("cids")]

    outcome = await invoker_of(cids, answering(nested)).run(Invocation("it", cid="my-cid"))

    assert outcome.cid == "my-cid"
    assert outcome.payload == ["my-cid", "my-cid"]


async def test_each_invocation_has_a_different_cid() -> None:
    invoker = invoker_of(Echo)

    cids = [(await invoker.run(Invocation("echo"))).cid for _ in range(3)]

    assert len({*cids}) == 3
    assert all(cids)


async def test_an_unknown_service_is_an_error_with_the_nearest_names() -> None:
    outcome = await invoker_of(Echo).run(Invocation("ecco"))

    assert isinstance(outcome.error, ServiceMissingError)
    assert outcome.error.__context__ is None
    assert str(outcome.error).startswith("Service `ecco` does not exist")
    assert "`echo`" in str(outcome.error)


async def test_an_unknown_service_is_an_error_that_services_can_handle() -> None:
    async def careful(self: Service) -> str:
        try:
            await self.invoke("nowhere")
        except ServiceMissingError:
            return "handled"
        return "?"

    assert await invoker_of(answering(careful)).invoke("it") == "handled"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), OSError()])
async def test_an_exception_of_a_service_is_an_outcome(error: BaseException) -> None:
    def fail(self: Service) -> None:
        raise error

    outcome = await invoker_of(answering(fail)).run(Invocation("it"))

    assert outcome.error is not None
    assert isinstance(outcome.error, Exception)
    assert outcome.payload is None
    assert not outcome.is_cancelled


async def test_an_invoked_service_that_exits_is_an_error_of_the_caller_s_call() -> None:
    def leave(self: Service) -> None:
        raise SystemExit(1)

    async def careful(self: Service) -> str:
        try:
            await self.invoke("leaves")
        except InvocationError as error:
            return str(error)
        return "?"

    invoker = invoker_of(answering(leave, "leaves"), answering(careful))

    assert await invoker.invoke("it") == "Service `leaves` raised SystemExit(1)"


async def test_endless_recursion_is_an_error_of_the_service() -> None:
    def dig(self: Any) -> Any:
        return dig(self)

    outcome = await invoker_of(answering(dig)).run(Invocation("it"))

    assert isinstance(outcome.error, RecursionError)


async def test_a_cancelled_error_that_a_service_raises_is_an_outcome() -> None:
    def cancel(self: Service) -> None:
        raise asyncio.CancelledError

    outcome = await invoker_of(answering(cancel)).run(Invocation("it"))

    assert outcome.is_cancelled


async def test_a_cancellation_by_the_owner_reaches_the_owner() -> None:
    started = asyncio.Event()

    async def stay(self: Service) -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(invoker_of(answering(stay)).run(Invocation("it")))
    await started.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_service_that_takes_too_long_is_cancelled() -> None:
    async def stay(self: Service) -> None:
        await asyncio.Event().wait()

    outcome = await invoker_of(answering(stay)).run(Invocation("it", timeout=0.01))

    assert outcome.is_timeout
    assert isinstance(outcome.error, DeadlineError)
    assert str(outcome.error) == "Service `it` took longer than 0.01 s"


async def test_a_result_after_the_deadline_does_not_count() -> None:
    async def stubborn(self: Service) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "too late"
        return "?"

    outcome = await invoker_of(answering(stubborn)).run(Invocation("it", timeout=0.01))

    assert outcome.is_timeout
    assert outcome.payload is None
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_late_result_of_a_service_that_never_waits_does_not_count() -> None:
    def block(self: Service) -> str:
        time.sleep(0.02)
        return "too late"

    async def busy(self: Service) -> str:
        return block(self)

    outcome = await invoker_of(answering(busy)).run(Invocation("it", timeout=0.01))

    assert (outcome.is_timeout, outcome.payload) == (True, None)


async def test_begin_returns_a_result_or_an_awaitable_if_the_service_waits() -> None:
    async def wait(self: Service) -> str:
        await asyncio.sleep(0)
        assert invocation_context.get() is not None
        return "later"

    async def now(self: Service) -> str:
        return "now"

    invoker = invoker_of(answering(now), answering(wait, "waits"))

    at_once = invoker.begin(Invocation("it"), 0.0)
    later = invoker.begin(Invocation("waits"), 0.0)

    assert isinstance(at_once, tuple)
    assert at_once[0] == "now"
    assert isinstance(later, Coroutine)
    assert invoker.registry.get("waits").in_flight == 1
    assert (await later).payload == "later"
    assert invoker.registry.get("waits").in_flight == 0


async def test_a_suspended_service_is_cancelled_where_it_waits() -> None:
    seen: list[str] = []

    async def wait(self: Service) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("let go")

    task = asyncio.create_task(invoker_of(answering(wait)).run(Invocation("it")))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["let go"]


async def test_a_deadline_also_holds_for_inner_invocations() -> None:
    async def stay(self: Service) -> None:
        await asyncio.Event().wait()

    async def patient(self: Service) -> None:
        await self.invoke("stays", timeout=60)

    invoker = invoker_of(answering(stay, "stays"), answering(patient))

    assert (await invoker.run(Invocation("it", timeout=0.01))).is_timeout


async def test_a_nearer_deadline_of_an_inner_call_can_be_handled() -> None:
    async def stay(self: Service) -> None:
        await asyncio.Event().wait()

    async def impatient(self: Service) -> str:
        try:
            await self.invoke("stays", timeout=0.01)
        except DeadlineError:
            return "went on"
        return "?"

    invoker = invoker_of(answering(stay, "stays"), answering(impatient))

    assert (await invoker.run(Invocation("it", timeout=60))).payload == "went on"


async def test_an_unknown_kind_of_service_is_named_in_a_sentence() -> None:
    wrong: Any = 5
    outcome = await invoker_of(answering(lambda self: self.invoke(wrong))).run(Invocation("it"))

    assert isinstance(outcome.error, TypeError)
    assert str(outcome.error) == "service 5 is not known; use a service's name or class"


async def test_a_service_cannot_invoke_itself() -> None:
    outcome = await invoker_of(answering(lambda self: self.invoke("it"))).run(Invocation("it"))

    assert isinstance(outcome.error, InvocationError)
    assert str(outcome.error) == "A service cannot invoke itself, name:[it]"


async def test_services_that_invoke_each_other_in_a_circle_are_refused_with_the_path() -> None:
    there = answering(lambda self: self.invoke("back"), "there")
    back = answering(lambda self: self.invoke("there"), "back")

    outcome = await invoker_of(there, back).run(Invocation("there"))

    assert isinstance(outcome.error, InvocationError)
    assert "nested more than 64 deep: there → back → there" in str(outcome.error)


async def test_an_inactive_service_is_not_invoked() -> None:
    invoker = invoker_of(Echo)
    invoker.registry.get("echo").is_active = False

    outcome = await invoker.run(Invocation("echo"))

    assert isinstance(outcome.error, ServiceInactiveError)
    assert str(outcome.error) == "`echo` is inactive"


async def test_log_lines_carry_their_invocation() -> None:
    records: list[logging.LogRecord] = []

    def known(self: Service) -> tuple[str, object] | None:
        found = invocation_context.get()
        return (found.cid, found.sink) if found is not None else None

    async def around(self: Service) -> list[Any]:
        before = known(self)
        await asyncio.sleep(0)
        return [before, await self.invoke("inner"), known(self)]

    invoker = invoker_of(answering(known, "inner"), answering(around))
    outcome = await invoker.run(Invocation("it", cid="c1", sink=records.append))

    assert outcome.payload == [("c1", records.append)] * 3
    assert invocation_context.get() is None


async def test_a_service_sees_its_caller_and_its_channel() -> None:
    seen: list[Any] = []

    def look(self: Service) -> None:
        seen.extend([self.caller.name, self.channel.type, self.chan.name, self.channel.sec.name])
        seen.extend([self.server.cluster_id, self.server.name, self.http and self.http.method])

    http = HttpContext("GET", "/x", {}, {}, {})
    await invoker_of(answering(look), server_name="s").run(
        Invocation("it", channel="http", caller=Caller("ann"), http=http)
    )

    assert seen == ["ann", "http", "/x", "ann", 1, "s", "GET"]


async def test_only_the_service_that_a_job_invokes_sees_the_job(job: JobContext) -> None:
    def job_name(self: Service) -> Any:
        return self.job.name if self.job else (None, self.channel.type)

    async def outer(self: Service) -> list[Any]:
        return [job_name(self), self.job_type, self.channel.name, await self.invoke("inner")]

    invoker = invoker_of(answering(job_name, "inner"), answering(outer))
    outcome = await invoker.run(Invocation("it", job=job, channel="scheduler"))

    assert outcome.payload == [job.name, job.job_type, job.name, (None, "invoke")]


async def test_headers_and_status_reach_the_outcome() -> None:
    def answer(self: Service) -> None:
        self.response.status_code = 201
        self.response.content_type = "text/plain"
        self.response.headers["X-A"] = "1"

    outcome = await invoker_of(answering(answer)).run(Invocation("it"))

    manner = outcome.overrides
    assert manner is not None
    assert (manner.status_code, manner.content_type) == (201, "text/plain")
    assert manner.sent_headers == {"X-A": "1"}


async def test_calls_and_errors_are_counted() -> None:
    def fail(self: Service) -> None:
        raise ValueError

    invoker = invoker_of(answering(fail))
    await invoker.run(Invocation("it"))
    await invoker.run(Invocation("it"))
    entry = invoker.registry.get("it")

    assert (entry.calls, entry.errors, entry.in_flight) == (2, 2, 0)


class Numbers(Protocol):
    def next(self) -> int: ...


class Seven:
    def next(self) -> int:
        return 7


class Counting(Service):
    name = "counting"
    numbers = needs(Numbers)

    async def handle(self) -> int:
        return self.numbers.next()


async def test_a_service_receives_the_resource_that_it_needs() -> None:
    invoker = invoker_of(Counting, resources={Numbers: Seven()})

    assert await invoker.invoke("counting") == 7


async def test_a_need_without_a_resource_is_refused_at_registration() -> None:
    with pytest.raises(ConfigError, match=r"counting\.numbers needs Numbers"):
        invoker_of(Counting)

    invoker = invoker_of()
    with pytest.raises(ConfigError):
        invoker.registry.add(Counting)


class Blocking(BlockingService):
    name = "blocking"

    def handle(self) -> Any:
        answer: Any = self.invoke("echo", threading.current_thread().name)
        return [answer, self.cid]


async def test_a_plain_handle_runs_in_a_thread_and_its_invoke_blocks() -> None:
    outcome = await invoker_of(Echo, Blocking).run(Invocation("blocking", cid="c"))

    assert outcome.payload == ["zato-lite-worker", "c"]


async def test_errors_of_a_plain_handle_are_outcomes() -> None:
    class Exits(Service):
        name = "exits"

        def handle(self) -> None:
            raise SystemExit

    class Stops(Service):
        name = "stops"

        def handle(self) -> None:
            raise StopIteration

    invoker = invoker_of(Exits, Stops)

    assert isinstance((await invoker.run(Invocation("exits"))).error, InvocationError)
    assert isinstance((await invoker.run(Invocation("stops"))).error, RuntimeError)


async def test_blocking_services_beyond_the_number_of_threads_are_queued() -> None:
    invoker = invoker_of(Echo, Blocking, max_threads=2)

    outcomes = await asyncio.gather(*(invoker.run(Invocation("blocking")) for _ in range(20)))

    assert all(outcome.error is None for outcome in outcomes)
    assert (invoker.pool.busy, invoker.pool.waiting) == (0, 0)
    invoker.pool.close()


async def test_a_blocking_service_past_its_deadline_is_abandoned() -> None:
    release, over = threading.Event(), threading.Event()
    errors: list[Exception] = []

    class Stuck(BlockingService):
        name = "stuck"

        def handle(self) -> None:
            release.wait()
            try:
                self.invoke("echo")
            except DeadlineError as error:
                errors.append(error)
            over.set()

    invoker = invoker_of(Echo, Blocking, Stuck, max_threads=1)
    outcome = await invoker.run(Invocation("stuck", timeout=0.02))
    assert outcome.is_timeout
    assert (invoker.pool.busy, invoker.pool.abandoned) == (0, 1)

    assert (await invoker.run(Invocation("blocking"))).error is None
    release.set()
    await asyncio.to_thread(over.wait)

    assert len(errors) == 1


async def test_a_blocking_service_past_its_deadline_stops_waiting_for_the_loop() -> None:
    async def stay(self: Service) -> None:
        await asyncio.Event().wait()

    over = threading.Event()

    class Waits(BlockingService):
        name = "waits"

        def handle(self) -> None:
            try:
                self.invoke("stays")
            finally:
                over.set()

    invoker = invoker_of(answering(stay, "stays"), Waits)

    assert (await invoker.run(Invocation("waits", timeout=0.02))).is_timeout
    await asyncio.to_thread(over.wait)


async def test_a_queued_call_can_be_given_up() -> None:
    release = threading.Event()

    class Holds(Service):
        name = "holds"

        def handle(self) -> None:
            release.wait()

    invoker = invoker_of(Holds, Echo, Blocking, max_threads=1)
    holding = asyncio.create_task(invoker.run(Invocation("holds")))
    await asyncio.wait([holding], timeout=0)
    outcome = await invoker.run(Invocation("blocking", timeout=0.02))
    release.set()
    await holding

    assert outcome.is_timeout
    assert invoker.pool.waiting == 0


class Deep(BlockingService):
    name = "deep"

    def handle(self) -> Any:
        depth = self.request.payload
        other = "deeper" if self.get_name() == "deep" else "deep"
        return self.invoke(other, depth - 1) + 1 if depth else 0


class Deeper(Deep):
    name = "deeper"


class Wide(BlockingService):
    name = "wide"

    def handle(self) -> Any:
        return self.patterns.parallel([("deep", 3) for _ in range(8)])


async def test_blocking_services_that_invoke_blocking_ones_never_wait_for_each_other() -> None:
    invoker = invoker_of(Deep, Deeper, Wide, max_threads=2)

    outcomes = await asyncio.gather(*(invoker.run(Invocation("deep", 6)) for _ in range(12)))
    wide = await asyncio.gather(*(invoker.run(Invocation("wide")) for _ in range(4)))

    assert [outcome.payload for outcome in outcomes] == [6] * 12
    assert [outcome.payload for outcome in wide] == [[3] * 8] * 4
    assert (invoker.pool.busy, invoker.pool.waiting) == (0, 0)
    invoker.close()


async def test_no_more_threads_are_abandoned_than_the_limit() -> None:
    release = threading.Event()

    class Holds(Service):
        name = "holds"

        def handle(self) -> None:
            release.wait()

    invoker = invoker_of(Holds, Echo, Blocking, max_threads=1)
    for _ in range(4):
        assert (await invoker.run(Invocation("holds", timeout=0.01))).is_timeout
    assert (invoker.pool.abandoned, invoker.pool.busy) == (2, 1)

    release.set()
    assert (await invoker.run(Invocation("blocking"))).error is None
    assert (invoker.pool.busy, invoker.pool.waiting) == (0, 0)


async def test_only_a_worker_thread_may_wait_for_the_loop() -> None:
    invoker = invoker_of(Echo)
    answer = invoker.invoke("echo", 1)

    with pytest.raises(RuntimeError, match="thread of a blocking service"):
        invoker.wait(answer)
    assert await answer == 1


async def test_work_whose_deadline_has_already_passed_is_not_started() -> None:
    ran: list[int] = []
    outcome = await invoker_of(answering(lambda self: ran.append(1))).run(
        Invocation("it", timeout=0)
    )

    assert outcome.is_timeout or ran == [1]


async def test_built_in_services_answer() -> None:
    invoker = invoker_of(ping.Ping, ping.Ping2, demo.Ping, demo.Echo, demo.Sleep, demo.Raise)

    assert await invoker.invoke("zato.ping") == {"pong": "zato"}
    assert await invoker.invoke("zato.ping2") == {"pong": "zato"}
    assert await invoker.invoke("demo.ping", cid="c") == {"is_ok": True, "cid": "c"}
    assert await invoker.invoke("demo.echo", [1]) == [1]
    slept = await invoker.invoke("demo.sleep", {"seconds": 0, "jitter": 0})
    assert slept == {"message": "OK, slept for 0.10 s"}
    with pytest.raises(RuntimeError, match="Test exception"):
        await invoker.invoke("test.raise")


def test_two_files_cannot_have_services_of_one_name() -> None:
    registry = Registry()
    registry.add(Echo, source="a.py")

    with pytest.raises(ServiceExistsError, match=r"Service `echo` already exists, in a\.py"):
        registry.add(Echo, source="b.py")


def test_a_service_can_be_replaced_and_removed() -> None:
    registry = Registry()
    registry.add(Echo, source="a.py")
    registry.add(Echo, source="a.py")
    registry.add(Counting)
    assert registry.names() == ["counting", "echo"]
    assert [entry.name for entry in registry] == ["counting", "echo"]
    assert "echo" in registry
    assert len(registry) == 2

    registry.remove("echo")

    with pytest.raises(ServiceMissingError):
        registry.get("echo")


async def test_a_service_without_handle_fails_with_an_explanation() -> None:
    class Nothing(Service):
        name = "nothing"

    outcome = await invoker_of(Nothing).run(Invocation("nothing"))

    assert isinstance(outcome.error, NotImplementedError)


async def test_a_service_knows_the_time_until_its_deadline() -> None:
    clock, left = ManualClock(), []

    async def look(self: Service[Any, Any]) -> None:
        left.append(self.time_left)
        clock.advance(seconds=2)
        left.append(self.time_left)

    async def hand_on(self: Service[Any, Any]) -> None:
        await self.invoke("looks", timeout=self.request.payload)

    invoker = invoker_of(answering(look, "looks"), answering(hand_on), clock=clock)
    await invoker.run(Invocation("looks"))
    await invoker.run(Invocation("it", 60, timeout=5))
    await invoker.run(Invocation("it", 3, timeout=5))
    await invoker.run(Invocation("looks", until=clock.now() + 4_000_000))
    await invoker.run(Invocation("looks", timeout=3, until=clock.now() + 4_000_000))

    assert left == [None, None, 5, 3, 3, 1, 4, 2, 3, 1]
