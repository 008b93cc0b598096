"""Crashes in tests: at a point of a run, and of each run's first attempt."""

import asyncio
from typing import Any

import pytest

from zato_lite import Service, every
from zato_lite.testing import Run, sandbox


class Charge(Service):
    """A service whose effect happens again in each attempt."""

    name = "kit.charge"
    schedule = every(hours=1)
    done: list[tuple[int, int]] = []  # noqa: RUF012 - of one test

    async def handle(self) -> int:
        assert self.job is not None
        self.done.append((self.job.run, self.job.attempt))
        return len(self.done)


class Waiting(Charge):
    name = "kit.charge"
    schedule = every(hours=1)

    async def handle(self) -> int:
        await asyncio.sleep(0)
        return await super().handle()


class Blocking(Charge):
    name = "kit.charge"
    schedule = every(hours=1)

    def handle(self) -> int:  # type: ignore[override]
        assert self.job is not None
        self.done.append((self.job.run, self.job.attempt))
        return len(self.done)


class Work(Service):
    name = "kit.work"
    done: list[str] = []  # noqa: RUF012 - of one test

    async def handle(self) -> None:
        self.done.append("work")


class Ask(Service):
    name = "kit.ask"

    async def handle(self) -> None:
        await self.invoke_async(Work)


@pytest.fixture(autouse=True)
def done() -> list[tuple[int, int]]:
    Charge.done.clear()
    Work.done.clear()
    return Charge.done


def outcomes(run: Run) -> list[str]:
    return [attempt.outcome for attempt in run.attempts]


kinds = pytest.mark.parametrize("cls", [Charge, Waiting, Blocking])


@kinds
async def test_a_crash_before_the_service_begins_repeats_nothing(
    cls: type[Charge], done: list[Any]
) -> None:
    async with sandbox(cls) as it:
        it.crash(at="before_begin")
        await it.advance("2h")

        runs = await it.runs("kit.charge")
    assert done == [(1, 1), (2, 1)]
    assert [(outcomes(run), run.crashes) for run in runs] == [(["ok"], 0), (["ok"], 0)]


@kinds
async def test_a_crash_after_the_service_repeats_it_and_counts(
    cls: type[Charge], done: list[Any]
) -> None:
    async with sandbox(cls) as it:
        await it.advance("1h")
        it.crash(at="after_handle")
        await it.advance("2h")

        runs = await it.runs("kit.charge")
    assert done == [(1, 1), (2, 1), (2, 2), (3, 1)]
    assert [outcomes(run) for run in runs] == [["ok"], ["lost", "ok"], ["ok"]]
    assert [run.crashes for run in runs] == [0, 1, 0]
    assert runs[1].result == 3


@kinds
async def test_a_crash_before_the_result_is_saved_repeats_the_service(
    cls: type[Charge], done: list[Any]
) -> None:
    async with sandbox(cls) as it:
        it.crash(at="before_save")
        await it.advance("1h")

        [run] = await it.runs("kit.charge")
    assert done == [(1, 1), (1, 2)]
    assert outcomes(run) == ["lost", "ok"]
    assert run.crashes == 0  # the process did not die during the service


async def test_a_crash_waits_for_the_run_of_its_job(done: list[Any]) -> None:
    class Other(Service):
        name = "kit.other"
        schedule = every(minutes=1)

        async def handle(self) -> None:
            pass

    async with sandbox(Charge, Other) as it:
        it.crash(at="after_handle", job="kit.charge")
        await it.advance("1h")

        assert all(outcomes(run) == ["ok"] for run in await it.runs("kit.other"))
        assert len(await it.runs("kit.other")) == 60
    assert done == [(1, 1), (1, 2)]


async def test_runs_beside_a_crash_are_made_again(done: list[Any]) -> None:
    gate, again = asyncio.Event(), asyncio.Event()

    class Long(Service):
        name = "kit.long"
        schedule = every(hours=1)

        async def handle(self) -> None:
            done.append("long")
            if done.count("long") == 2:
                again.set()
            await gate.wait()

    async with sandbox(Long, Waiting) as it:
        it.crash(at="after_handle", job="kit.charge")
        advancing = asyncio.create_task(it.advance("1h"))
        await again.wait()
        gate.set()
        await advancing

        [run] = await it.runs("kit.long")
    assert outcomes(run) == ["lost", "ok"]


async def test_a_run_that_must_not_be_repeated_is_lost(done: list[Any]) -> None:
    class Once(Charge):
        name = "kit.once"
        schedule = every(hours=1, on_crash="fail")

    async with sandbox(Once) as it:
        it.crash(at="after_handle")
        await it.advance("1h")

        [run] = await it.runs("kit.once")
    assert done == [(1, 1)]
    assert (run.outcome, outcomes(run)) == ("lost", ["lost"])


async def test_calls_in_the_background_survive_a_crash() -> None:
    async with sandbox(Ask, Work) as it:
        it.crash(at="after_handle")
        await it.invoke(Ask)

        [run] = await it.runs()
    assert Work.done == ["work", "work"]
    assert run.outcome == "ok"


@pytest.mark.parametrize(
    "point", ["before_begin", "after_handle", "before_save"], ids=lambda point: point
)
async def test_a_crash_that_has_not_happened_fails_the_test(point: Any) -> None:
    with pytest.raises(AssertionError, match=f"no run has reached the crash at '{point}'"):
        async with sandbox(Charge) as it:
            it.crash(at=point)


async def test_an_unknown_point_is_refused() -> None:
    async with sandbox(Charge) as it:
        with pytest.raises(ValueError, match="unknown point of a crash: 'noon'; use before"):
            it.crash(at="noon")  # type: ignore[arg-type]


async def test_a_sandbox_closes_while_its_scheduler_is_dead() -> None:
    async with sandbox(Charge) as it:
        it.crash(at="before_begin")
        it.clock.advance(hours=1)
        await it.app.scheduler.tick()


@kinds
async def test_each_run_is_made_twice(cls: type[Charge], done: list[Any]) -> None:
    async with sandbox(cls, every_run_twice=True) as it:
        await it.advance("2h")

        runs = await it.runs("kit.charge")
    assert done == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert [outcomes(run) for run in runs] == [["lost", "ok"]] * 2
    assert (runs[0].attempts[0].error or "").startswith("every_run_twice: ")


async def test_the_second_attempt_of_a_failing_run_counts(done: list[Any]) -> None:
    class Failing(Charge):
        name = "kit.failing"
        schedule = every(hours=1, max_retries=1, retry_delay_ms=1000)

        async def handle(self) -> int:
            raise ValueError(await super().handle())

    async with sandbox(Failing, every_run_twice=True) as it:
        await it.advance("1h 1min")

        [run] = await it.runs("kit.failing")
    assert outcomes(run) == ["lost", "error", "error"]  # one attempt more, and one retry


@pytest.mark.parametrize("options", [{"on_crash": "fail"}, {"max_crashes": 1}])
async def test_runs_that_a_crash_ends_are_made_once(
    options: dict[str, Any], done: list[Any]
) -> None:
    class Once(Charge):
        name = "kit.once"
        schedule = every(hours=1, **options)

    async with sandbox(Once, every_run_twice=True) as it:
        await it.advance("1h")

        [run] = await it.runs("kit.once")
    assert (done, outcomes(run)) == ([(1, 1)], ["ok"])


async def test_background_calls_are_made_twice() -> None:
    async with sandbox(Ask, Work, every_run_twice=True) as it:
        await it.invoke(Ask)
        await it.settle()
    assert Work.done == ["work", "work"]
