"""Services that misbehave: each harms its own run, and nothing else."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.scheduler.conftest import Harness
from zato_lite.log import RunCapture
from zato_lite.scheduler import attempt, executor
from zato_lite.scheduler.commands import JobCommands
from zato_lite.scheduler.history import RunHistory
from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.service.base import Service
from zato_lite.service.invoker import Invoker
from zato_lite.service.registry import Registry
from zato_lite.store.opening import OpenStore
from zato_lite.testing.clock import ManualClock


class Raises(Service):
    async def handle(self) -> None:
        raise ValueError("no")


class Base(Service):
    async def handle(self) -> None:
        raise BaseException("base")  # noqa: TRY002 - that is the point


class Exits(Service):
    async def handle(self) -> None:
        sys.exit(3)


class Interrupts(Service):
    async def handle(self) -> None:
        raise KeyboardInterrupt


class Cancels(Service):
    async def handle(self) -> None:
        raise asyncio.CancelledError


class Recurses(Service):
    async def handle(self) -> None:
        def again() -> None:
            again()

        again()


class Odd(Service):
    async def handle(self) -> None:
        self.response.payload = {"a": object()}


class Huge(Service):
    async def handle(self) -> None:
        self.response.payload = "x" * 2_000_000


class Unspeakable(Service):
    async def handle(self) -> None:
        class MuteError(Exception):
            def __str__(self) -> str:
                raise RuntimeError("I do not speak")

        raise MuteError


class Half(Service):
    async def handle(self) -> None:
        self.logger.info("no such file: %s", "name\udce9.csv")
        raise ValueError("name\udce9.csv")


class Null(Service):
    async def handle(self) -> None:
        self.logger.info("sent: %s", "a\0b")
        raise ValueError("a\0b")


class Loud(Service):
    async def handle(self) -> None:
        for number in range(3_000):
            self.logger.info("line %s", number)


class Wrong(Service):
    async def handle(self) -> None:
        self.logger.info("%d apples", "three")


class Forever(Service):
    async def handle(self) -> None:
        await asyncio.Event().wait()


class Stubborn(Service):
    is_let_go = False

    async def handle(self) -> str:
        while not Stubborn.is_let_go:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if self.request.input == "yields":
                    return "late"
        return "at last"


class Fine(Service):
    async def handle(self) -> str:
        return "fine"


ALL: list[type[Service]] = [
    Raises, Base, Exits, Interrupts, Cancels, Recurses, Odd, Huge, Unspeakable, Half, Null, Loud,
    Wrong, Forever, Stubborn, Fine,
]  # fmt: skip


class InvokerHarness(Harness):
    """A harness with real services behind a real invoker."""

    def __init__(self, store: OpenStore, clock: ManualClock) -> None:
        super().__init__(store, clock, grace=0.0)
        registry = Registry()
        for each in ALL:
            each.name = each.__name__.lower()
            registry.add(each)
        invoker = Invoker(registry, clock=clock)
        self.scheduler = Scheduler(store, invoker.run, clock, grace=0.0)
        self.jobs = JobCommands(store, self.scheduler, clock)
        self.history = RunHistory(store, self.scheduler, clock)


@pytest.fixture
async def real(store: OpenStore, clock: ManualClock) -> AsyncIterator[InvokerHarness]:
    harness = InvokerHarness(store, clock)
    async with harness.scheduler:
        yield harness


async def run_of(harness: Harness, service: str, **fields: Any) -> Any:
    """Run a misbehaving service beside a healthy job, which must succeed; return its run."""
    job_id = await harness.create(service=service, trigger=harness.once(1), **fields)
    fine = await harness.create(name="fine", service="fine", trigger=harness.once(1))
    await harness.advance(1)
    await harness.scheduler.wait_until_idle()
    assert await harness.outcomes(fine) == ["ok"]
    return (await harness.runs(job_id))[0]


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ("raises", "ValueError: no"),
        ("base", "base"),
        ("exits", "SystemExit(3)"),
        ("interrupts", "KeyboardInterrupt"),
        ("recurses", "RecursionError"),
        ("odd", "result cannot be written as JSON"),
        ("huge", "at most 1048576 are stored"),
        ("unspeakable", "Mute"),
        ("half", "name\\udce9.csv"),
        ("null", "a\\x00b"),
        ("cancels", "CancelledError"),
    ],
)
async def test_an_exception_of_a_service_is_the_error_of_its_run(
    real: InvokerHarness, service: str, words: str
) -> None:
    run = await run_of(real, service)

    assert run.outcome == "error"
    assert words in run.error


@pytest.fixture
def capture() -> Iterator[None]:
    handler = RunCapture()
    logging.getLogger().addHandler(handler)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.INFO)
    yield
    logging.getLogger().removeHandler(handler)
    logging.getLogger().setLevel(level)


async def test_log_lines_beyond_the_limit_are_counted(real: InvokerHarness, capture: None) -> None:
    run = await run_of(real, "loud")

    lines = await real.history.log_entries(run.job_id, run.number)
    assert run.outcome == "ok"
    assert len(lines) == 1_003
    assert lines[-2][2] == "2000 more lines were left out"


async def test_half_a_character_in_a_line_is_kept_as_its_code(
    real: InvokerHarness, capture: None
) -> None:
    run = await run_of(real, "half")

    lines = await real.history.log_entries(run.job_id, run.number)
    assert lines[1][2] == "no such file: name\\udce9.csv"


async def test_a_null_character_in_a_line_is_kept_as_its_code(
    real: InvokerHarness, capture: None
) -> None:
    run = await run_of(real, "null")

    lines = await real.history.log_entries(run.job_id, run.number)
    assert lines[1][2] == "sent: a\\x00b"


async def test_an_outcome_that_cannot_be_saved_delays_no_other(
    real: InvokerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "_traceback", lambda _: "\udce9")

    run = await run_of(real, "half")

    assert (run.outcome, run.error) == ("error", "the outcome could not be saved")


async def test_a_line_with_the_wrong_arguments_is_kept_as_it_is(
    real: InvokerHarness, capture: None, caplog: pytest.LogCaptureFixture
) -> None:
    logging.raiseExceptions = False
    caplog.handler.setLevel(logging.CRITICAL)  # it would fail the test
    try:
        run = await run_of(real, "wrong")
    finally:
        logging.raiseExceptions = True
        caplog.handler.setLevel(logging.NOTSET)

    lines = await real.history.log_entries(run.job_id, run.number)
    assert lines[1][2] == "%d apples"


async def test_a_service_that_takes_too_long_is_cancelled(real: InvokerHarness) -> None:
    run = await run_of(real, "forever", max_execution_time_ms=20)

    assert (run.outcome, run.error) == ("timeout", "exceeded max_execution_time_ms=20")


async def test_a_result_after_the_deadline_does_not_undo_the_timeout(
    real: InvokerHarness,
) -> None:
    run = await run_of(real, "stubborn", max_execution_time_ms=20, extra="yields")

    assert (run.outcome, run.result) == ("timeout", None)


async def test_a_service_that_ignores_its_cancellation_is_abandoned(
    real: InvokerHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(executor, "ABANDON_S", 0.05)
    Stubborn.is_let_go = False

    run = await run_of(real, "stubborn", max_execution_time_ms=20)

    assert run.outcome == "timeout"
    record = next(
        r for r in caplog.records if r.message == "service abandoned: cancellation ignored"
    )
    assert getattr(record, "service", "") == "stubborn"
    Stubborn.is_let_go = True  # the loop cancels what is left when it is closed
