"""Fakes of services: in place of a project's, of classes, and of built-in ones."""

import asyncio
import textwrap
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from zato_lite import BlockingService, NotFoundError, Service, every
from zato_lite.errors import BadInputError, InvocationError
from zato_lite.testing import Sandbox, fails, sandbox, slow


class Id(msgspec.Struct):
    id: int


class Name(msgspec.Struct):
    name: str


class Get(Service[Id, Name]):
    name = "kit.get"
    rest = "GET /names/{id}"

    async def handle(self) -> Name:
        return Name("real")


class Greet(Service):
    name = "kit.greet"
    schedule = every(hours=1)

    async def handle(self) -> str:
        found = await self.invoke(Get, id=7)
        return f"Hello, {found.name}"


def named(asked: Id) -> Name:
    return Name(f"no. {asked.id}")


async def named_later(asked: Id) -> dict[str, str]:
    await asyncio.sleep(0)
    return {"name": f"no. {asked.id}"}


class FakeGet(Service[Id, Name]):
    async def handle(self) -> Name:
        return Name(f"no. {self.request.input.id}")


@pytest.mark.parametrize("fake", [named, named_later, FakeGet, {"name": "no. 7"}, Name("no. 7")])
async def test_a_service_has_a_fake(fake: Any) -> None:
    async with sandbox(Get, Greet, services={"kit.get": fake}) as it:
        assert await it.invoke(Greet) == "Hello, no. 7"
        assert await it.invoke(Get, id=7) == Name("no. 7")
        assert (await it.http.get("/names/7")).json() == {"name": "no. 7"}
        with pytest.raises(BadInputError):
            await it.invoke("kit.get", {"id": "x"})
    async with sandbox(Get, Greet) as it:
        assert await it.invoke(Greet) == "Hello, real"


async def test_a_fake_is_known_by_its_class_and_may_replace_nothing() -> None:
    async with sandbox(Greet, services={Get: Name("x"), "kit.none": [1]}) as it:
        assert await it.invoke(Greet) == "Hello, x"
        found = await it.invoke("kit.none")
        found.append(2)
        assert await it.invoke("kit.none") == [1]


async def test_an_answer_of_another_type_is_the_fakes_mistake() -> None:
    async with sandbox(Get, services={"kit.get": {"title": "x"}}) as it:
        with pytest.raises(InvocationError, match="does not match the declared output"):
            await it.invoke(Get, id=7)


@pytest.mark.parametrize("error", [NotFoundError("no such id"), NotFoundError])
async def test_a_fake_raises(error: Any) -> None:
    async with sandbox(Get, services={"kit.get": error}) as it:
        with pytest.raises(NotFoundError):
            await it.invoke(Get, id=7)
        assert (await it.http.get("/names/7")).status == 404


async def test_a_service_of_a_project_and_a_built_in_one_have_fakes(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    text = """
        from zato_lite import Service, every, needs

        class Pool: pass

        class Load(Service):
            pool = needs(Pool)
            rest = "GET /load"
            schedule = every(hours=1)
            async def handle(self): return 1
    """
    (tmp_path / "services/kit_load.py").write_text(textwrap.dedent(text))
    fakes = {"kit-load.load": 2, "zato.ping": {"pong": "fake"}}

    async with sandbox(project=tmp_path, services=fakes) as it:
        await it.advance("1h")

        assert await it.invoke("kit-load.load") == 2  # and nothing lacks a pool
        assert (await it.http.get("/zato/ping")).json() == {"pong": "fake"}
        assert (await it.http.get("/load")).json() == 2
        assert [run.result for run in await it.runs("kit-load.load")] == [2]


class Block(BlockingService):
    name = "kit.get"

    def handle(self) -> Any:
        return {"name": "real"}


class Verbs(Service):
    name = "kit.get"

    async def handle_GET(self) -> Any:  # noqa: N802 - of HTTP
        return {"name": "real"}

    async def handle(self) -> Any:
        return {"name": "real"}


class Stream(Service[Any, AsyncIterator[str]]):
    name = "kit.get"

    async def handle(self) -> AsyncIterator[str]:
        yield "real"


@pytest.mark.parametrize("cls", [Get, Block, Verbs, Stream])
async def test_a_service_fails_and_then_works(cls: type[Service[Any, Any]]) -> None:
    fake = fails(2, ConnectionError("down"))
    async with sandbox(cls, services={"kit.get": fake}) as it:
        for _ in range(2):
            assert (await it.http.post("/zato/api/invoke/kit.get", {"id": 1})).status == 500
        answer = await it.http.post("/zato/api/invoke/kit.get", {"id": 1})
    assert (answer.status, "real" in answer.text) == (200, True)


async def test_a_failing_fake_may_have_another_answer_then() -> None:
    async with sandbox(Greet, services={Get: fails(then=FakeGet)}) as it:
        with pytest.raises(RuntimeError, match="the first 1 invocations fail"):
            await it.invoke(Greet)
        assert await it.invoke(Greet) == "Hello, no. 7"


async def wait_for(it: Sandbox, invoking: "asyncio.Task[Any]", duration: str) -> bool:
    await asyncio.sleep(0)
    await it.advance(duration)
    return invoking.done()


async def test_a_slow_service_waits_for_the_clock() -> None:
    async with sandbox(Greet, services={Get: slow("90 s", then=named)}) as it:
        greeting = asyncio.create_task(it.invoke(Greet))

        assert not await wait_for(it, greeting, "89 s")
        assert await wait_for(it, greeting, "1 s")
        assert await greeting == "Hello, no. 7"


async def test_a_slow_run_ends_when_the_clock_has_advanced() -> None:
    class Patient(Greet):
        name = "kit.patient"
        schedule = every(hours=1, max_execution_time_ms=7_200_000)

    async with sandbox(Get, Patient, services={Get: slow(timedelta(minutes=90))}) as it:
        await it.advance("1h")
        assert [run.outcome for run in await it.runs()] == ["running"]

        await it.advance("3h")
        runs = await it.runs()
    # The second slot is skipped, for the first run is still under way.
    assert [(run.slot.hour, run.outcome) for run in runs] == [(9, "ok"), (11, "running")]


async def test_a_slow_run_times_out_by_the_clock() -> None:
    class Limited(Greet):
        name = "kit.limited"
        schedule = every(hours=1, max_execution_time_ms=60_000)

    async with sandbox(Get, Limited, services={Get: slow("5 min")}) as it:
        await it.advance("1h 2min")

        [run] = await it.runs("kit.limited")
    assert run.outcome == "timeout"
    assert run.finished_at is not None
    assert run.started_at is not None
    assert run.finished_at - run.started_at == timedelta(minutes=1)


async def test_runs_beside_a_slow_one_end() -> None:
    class Quick(Service):
        name = "kit.quick"
        schedule = every(hours=1)

        async def handle(self) -> None:
            await asyncio.sleep(0.01)

    async with sandbox(Get, Greet, Quick, services={Get: slow("10 min")}) as it:
        await it.advance("1h")

        assert [run.outcome for run in await it.runs("kit.quick")] == ["ok"]
        assert [run.outcome for run in await it.runs("kit.greet")] == ["running"]


async def test_runs_beside_a_slow_call_of_the_test_end() -> None:
    class Quick(Service):
        name = "kit.quick"
        schedule = every(hours=1)

        async def handle(self) -> None:
            await asyncio.sleep(0.01)

    async with sandbox(Get, Quick, services={Get: slow("90 min")}) as it:
        getting = asyncio.create_task(it.invoke(Get, id=7))

        assert not await wait_for(it, getting, "1h")
        assert [run.outcome for run in await it.runs("kit.quick")] == ["ok"]
        assert await wait_for(it, getting, "30min")


async def test_a_run_and_a_call_of_the_test_sleep_at_the_same_time() -> None:
    async with sandbox(Get, Greet, services={Get: slow("30 min")}) as it:
        await it.advance("50 min")
        getting = asyncio.create_task(it.invoke(Get, id=7))

        async with asyncio.timeout(10):
            assert await wait_for(it, getting, "30 min")
        assert [run.outcome for run in await it.runs("kit.greet")] == ["running"]
        await it.advance("10 min")
        assert [run.outcome for run in await it.runs("kit.greet")] == ["ok"]


async def test_a_run_that_sleeps_is_lost_in_a_crash() -> None:
    class Quick(Service):
        name = "kit.quick"
        schedule = every(minutes=61)

        async def handle(self) -> None:
            pass

    async with sandbox(Get, Greet, Quick, services={Get: slow("10 min")}) as it:
        it.crash(at="after_handle", job="kit.quick")
        await it.advance("1h 20min")

        [run] = await it.runs("kit.greet")
    assert [attempt.outcome for attempt in run.attempts] == ["lost", "ok"]


def test_a_wrong_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="not a valid duration: 'a while'"):
        slow("a while")
