"""Events of jobs and runs: what is published, and what each listener gets."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from zato_lite.clock import SystemClock
from zato_lite.config import Server, Settings, Store
from zato_lite.http.app import HttpApp
from zato_lite.http.events import Event, EventLog
from zato_lite.http.message import Request
from zato_lite.http.passwords import new_key
from zato_lite.server import open_edge
from zato_lite.service.base import Service
from zato_lite.service.message import Caller
from zato_lite.store.accounts import Credential
from zato_lite.testing.app import Sandbox, sandbox
from zato_lite.testing.clock import ManualClock
from zato_lite.timetable.zone import parse_moment

JOB = "zato.scheduler.job"
START = parse_moment("2027-01-15 08:00:01", None)
EVERY = {"job_type": "interval_based", "start_date": "2027-01-15T07:00:00", "minutes": 5}


class Work(Service):
    name = "crm.work"

    async def handle(self) -> None:
        pass


class Fail(Service):
    name = "crm.fail"

    async def handle(self) -> None:
        raise ValueError("no rows")


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with sandbox(Work, Fail, clock=ManualClock(START)) as opened:
        yield opened


class Listener:
    """Collects the events of a stream."""

    def __init__(self, events: EventLog) -> None:
        self._stream = events.subscribe(None)
        self._next: asyncio.Future[Event | None] = asyncio.ensure_future(anext(self._stream))

    async def until(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the events up to the first of a kind."""
        found: list[tuple[str, dict[str, Any]]] = []
        async with asyncio.timeout(5):
            while not found or found[-1][0] != kind:
                event = await self._next
                self._next = asyncio.ensure_future(anext(self._stream))
                if event is not None:
                    found.append((event.kind, json.loads(event.data)))
        return found

    async def close(self) -> None:
        self._next.cancel()
        await asyncio.gather(self._next, return_exceptions=True)
        await self._stream.aclose()


@asynccontextmanager
async def listening(box: Sandbox) -> AsyncIterator[Listener]:
    listener = Listener(box.app.events)
    await asyncio.sleep(0)
    yield listener
    await listener.close()


async def create(box: Sandbox, **fields: Any) -> int:
    definition = {"name": "often", "service": "crm.work", **EVERY, **fields}
    return int((await box.invoke(f"{JOB}.create", definition))["id"])


async def test_each_change_of_a_job_is_published_with_its_author(box: Sandbox) -> None:
    ann = Caller("ann", frozenset({"editor"}), (), "user")

    async def ask(name: str, /, **sent: Any) -> None:
        await box.app.invoker.invoke(f"{JOB}.{name}", sent, caller=ann)

    async with listening(box) as listener:
        await ask("create", name="often", service="crm.work", **EVERY)
        await ask("edit", id=1, minutes=6)
        await ask("pause", id=1)
        await ask("resume-many", ids=[1])
        await ask("delete", id=1)
        await ask("create-many", jobs=[
            {"name": f"j{number}", "service": "crm.work", **EVERY} for number in range(101)
        ])  # fmt: skip
        found = await listener.until("jobs-changed")

    assert [(data["what"], data.get("version"), data["who"]) for _, data in found] == [
        ("created", 1, "user:ann"),
        ("edited", 2, "user:ann"),
        ("paused", 3, "user:ann"),
        ("resumed", 4, "user:ann"),
        ("deleted", 4, "user:ann"),
        ("created", None, "user:ann"),
    ]
    assert found[1][1] == {
        "job_id": 1, "job_name": "often", "service": "crm.work", "version": 2, "what": "edited",
        "who": "user:ann", "next_utc": "2027-01-15T08:06:00+00:00",
    }  # fmt: skip
    assert found[-1][1]["count"] == 101


async def test_a_pause_after_failures_is_published_with_its_reason(box: Sandbox) -> None:
    job_id = await create(box, service="crm.fail", pause_after_failures=2)

    async with listening(box) as listener:
        await box.advance(minutes=11)
        changed = (await listener.until("job-changed"))[-1][1]

    assert changed == {
        "job_id": job_id, "job_name": "often", "service": "crm.fail", "version": 2,
        "what": "paused", "who": "system", "next_utc": None,
        "why": "paused automatically after 2 failed runs in a row",
    }  # fmt: skip


async def test_the_end_of_a_pause_is_published(box: Sandbox) -> None:
    job_id = await create(box)
    until = "2027-01-15T08:12:00+00:00"
    await box.invoke(f"{JOB}.pause", {"id": job_id, "note": "moving", "until": until})

    async with listening(box) as listener:
        await box.advance(minutes=16)
        changed = (await listener.until("job-changed"))[-1][1]

    assert (changed["job_id"], changed["what"], changed["version"]) == (job_id, "resumed", 3)
    assert (changed["who"], changed["why"]) == ("system", "its pause ended at pause_until")
    assert changed["next_utc"] == "2027-01-15T08:15:00+00:00"
    shown = await box.invoke(f"{JOB}.get-by-id", {"id": job_id})
    assert shown["version"] == 3


async def test_the_adoption_of_jobs_is_published(box: Sandbox) -> None:
    ids = [await create(box, name=f"j{number}") for number in range(2)]
    ann = Caller("ann", frozenset({"admin"}), (), "user")

    async with listening(box) as listener:
        await box.app.invoker.invoke(f"{JOB}.adopt", {"ids": ids}, caller=ann)
        found = [(await listener.until("job-changed"))[-1][1] for _ in ids]

    assert [(each["job_id"], each["what"], each["version"], each["who"]) for each in found] == [
        (ids[0], "adopted", 2, "user:ann"),
        (ids[1], "adopted", 2, "user:ann"),
    ]


async def test_a_pause_by_a_caller_is_published_with_its_note(box: Sandbox) -> None:
    job_id = await create(box)

    async with listening(box) as listener:
        await box.invoke(f"{JOB}.pause", {"id": job_id, "note": "moving"})
        changed = (await listener.until("job-changed"))[-1][1]

    assert (changed["what"], changed["why"]) == ("paused", "moving")


async def test_the_end_of_an_attempt_says_whether_another_follows(box: Sandbox) -> None:
    await create(box, service="crm.fail", max_retries=1, retry_delay_ms=1_000)

    async with listening(box) as listener:
        await box.advance(minutes=6)
        first = (await listener.until("run-ended"))[-1][1]
        second = (await listener.until("run-ended"))[-1][1]

    assert (first["state"], second["state"]) == ("waiting", "done")
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert first["started_iso"] == first["ended_iso"] == "2027-01-15T08:05:00+00:00"
    assert (first["kind"], first["outcome"], first["duration_ms"]) == ("scheduled", "error", 0)
    assert first["node"] == second["node"] != ""


async def test_slots_without_a_run_are_published(box: Sandbox) -> None:
    job_id = await create(box, on_missed="skip")

    async with listening(box) as listener:
        box.clock.advance(minutes=17)
        await box.settle()
        decided = (await listener.until("slot-decided"))[-1][1]

    assert decided["job_id"] == job_id
    assert (decided["outcome"], decided["count"]) == ("missed", 3)
    assert decided["first_iso"] == "2027-01-15T08:05:00+00:00"


async def test_the_next_slot_of_a_claimed_job_is_published_on_request(box: Sandbox) -> None:
    await create(box)

    async with listening(box) as listener:
        with box.app.events.asking({"next"}):
            await box.advance(minutes=5)
        found = await listener.until("next")

    assert found[-1][1]["next_utc"] == "2027-01-15T08:10:00+00:00"


async def test_figures_count_what_has_ended_since_the_last_ones(box: Sandbox) -> None:
    await create(box)
    events = box.app.events

    async with listening(box):
        events.figures()
        await box.advance(minutes=11)
        first, second = events.figures(), events.figures()

    assert (first["ended"], first["in_flight"]) == ({"ok": 2}, 0)
    assert second["ended"] == {}


async def test_figures_are_published_while_a_listener_has_asked_for_them() -> None:
    log = EventLog()
    log.figures = lambda: {"in_flight": 3}

    async with asyncio.timeout(5), aclosing(log.subscribe(None)) as stream:
        with log.asking({"figures"}):
            event = await anext(stream)

    assert event is not None
    assert (event.kind, json.loads(event.data)) == ("figures", {"in_flight": 3})


# Over HTTP


class World:
    """Application with keys for callers."""

    def __init__(self, box: Sandbox, http: HttpApp) -> None:
        self.box, self.http = box, http

    async def key(self, *patterns: str) -> str:
        key = new_key()
        roles = frozenset({"viewer"})
        await self.box.app.accounts.save(Credential("key", key.name, key.hash, roles, patterns))
        return key.text

    async def open(self, key: str, query: str) -> Any:
        headers = {b"host": b"localhost", b"x-api-key": key.encode()}
        path = "/zato/events"
        return await self.http(
            Request("GET", path, query.encode(), headers, b"", "127.0.0.1", path)
        )

    async def kinds(self, key: str, query: str, count: int) -> list[str]:
        """Return the kinds of the first events of a stream after some were published."""
        stream = (await self.open(key, query)).stream
        found: list[str] = []
        async with asyncio.timeout(5):
            await anext(stream)
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            self.publish()
            while len(found) < count:
                text = (await waiting).decode()
                found += [line[7:] for line in text.split("\n") if line.startswith("event:")]
                waiting = asyncio.ensure_future(anext(stream))
            waiting.cancel()
        return found

    def publish(self) -> None:
        events = self.box.app.events
        for job_id, service in ((1, "crm.work"), (2, "billing.pay")):
            events.publish("run-ended", {"job_id": job_id, "service": service})
            events.publish("next", {"job_id": job_id, "service": service})
        events.publish("figures", {"in_flight": 1})
        events.publish("jobs-changed", {"count": 101})
        events.publish("deployment", {})


@pytest.fixture
async def world() -> AsyncIterator[World]:
    settings = Settings(store=Store("sqlite:///:memory:"), server=Server(grace=0.0, port=0))
    async with sandbox(Work, settings=settings) as box:
        app = dataclasses.replace(box.app, clock=SystemClock(), events=EventLog())
        async with open_edge(app, {"ZATO_LITE_ADMIN_PASSWORD": "secret"}) as http:
            box.app = app
            yield World(box, http)


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("", ["run-ended", "run-ended", "jobs-changed", "deployment"]),
        ("ids=2", ["run-ended", "jobs-changed", "deployment"]),
        ("ids=1,2&kinds=next", ["next", "next"]),
        ("kinds=figures", ["figures"]),
        ("kinds=next&kinds=figures&ids=7", ["figures"]),
    ],
)
async def test_a_listener_gets_the_kinds_and_jobs_that_it_has_asked_for(
    world: World, query: str, kinds: list[str]
) -> None:
    assert await world.kinds(await world.key(), query, len(kinds)) == kinds


async def test_a_confined_listener_gets_no_figures_of_others(world: World) -> None:
    key = await world.key("crm.*")

    found = await world.kinds(key, "kinds=figures,jobs-changed,run-ended,next,deployment", 4)

    assert found == ["run-ended", "next", "jobs-changed", "deployment"]


@pytest.mark.parametrize(
    "ids", ["x", "1,-2", "1.5", "9" * 30, ",".join(["1"] * 501), "%EF%BC%91", "1%00"]
)
async def test_wrong_ids_are_refused(world: World, ids: str) -> None:
    response = await world.open(await world.key(), f"ids={ids}")

    assert (response.status, b"ids" in response.body) == (400, True)
