import asyncio
import dataclasses
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import msgspec
import pytest

from zato_lite.clock import SystemClock
from zato_lite.config import Server, Settings, Store
from zato_lite.http.app import HttpApp
from zato_lite.http.endpoints import events
from zato_lite.http.events import Event, EventLog
from zato_lite.http.message import Request, Response
from zato_lite.http.passwords import new_key
from zato_lite.log import RunCapture
from zato_lite.server import open_edge
from zato_lite.service.base import Service
from zato_lite.store.accounts import Accounts, Credential
from zato_lite.testing.app import Sandbox, sandbox

JOB = "zato.scheduler.job"


class Talk(Service[Any, Any]):
    """Logs a line, waits for permission, and logs another one."""

    name = "crm.talk"
    may_go_on: asyncio.Event

    async def handle(self) -> None:
        self.logger.info("first")
        await Talk.may_go_on.wait()
        self.logger.warning("last")


async def first_events(log: EventLog, since: int | None, count: int) -> list[tuple[int, str]]:
    """Return the first events of a subscription, without heartbeats."""
    found = []
    async with aclosing(log.subscribe(since)) as stream:
        async for event in stream:
            if event is not None:
                found.append((event.number, event.kind))
            if len(found) == count:
                break
    return found


# What is kept


async def test_events_of_a_later_process_follow_a_gap() -> None:
    before = EventLog(heartbeat=0.01, now=lambda: 1_000)
    before.publish("a", {})
    before.publish("b", {})
    assert await first_events(before, 999, 2) == [(1_000, "a"), (1_001, "b")]

    after = EventLog(heartbeat=0.01, now=lambda: 5_000)
    async with aclosing(after.subscribe(1_001)) as stream:
        gap = await anext(stream)
        after.publish("c", {})
        following = await anext(stream)

    assert gap == Event(5_000, "gap", b"{}")
    assert following is not None
    assert (following.number, following.kind) == (5_001, "c")
    assert await first_events(after, 5_000, 1) == [(5_001, "c")]


async def test_a_listener_that_returns_too_late_gets_a_gap() -> None:
    log = EventLog(heartbeat=0.01)
    async with aclosing(log.subscribe(None)) as stream:
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        for number in range(1, 2_101):
            log.publish("run", number)
        await first

    found = await first_events(log, 50, 3)
    assert found == [(1_100, "gap"), (1_101, "run"), (1_102, "run")]
    assert await first_events(log, 2_000, 1) == [(2_001, "run")]


async def test_a_listener_that_is_too_slow_gets_a_gap() -> None:
    log = EventLog(heartbeat=0.01)
    async with aclosing(log.subscribe(None)) as stream:
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        log.publish("run", 1)
        await waiting
        for number in range(2, 1_503):
            log.publish("run", number)

        gap, event = await anext(stream), await anext(stream)

    assert gap == Event(502, "gap", b"{}")
    assert event is not None
    assert event.number == 503


# Over HTTP


class World:
    """A whole app with its open streams."""

    def __init__(self, harness: Sandbox, http: HttpApp) -> None:
        self.harness, self.http = harness, http
        self.streams: list[Any] = []

    async def key(self, *patterns: str) -> str:
        """Create a viewer's key that is confined to the patterns."""
        key = new_key()
        people = self.harness.app.accounts
        await people.save(
            Credential("key", key.name, key.hash, frozenset({"viewer"}), patterns, is_active=True)
        )
        return key.text

    async def open(self, key: str, path: str, last: int | None = None) -> Response:
        """Open a stream."""
        headers = {b"host": b"localhost", b"x-api-key": key.encode()}
        if last is not None:
            headers[b"last-event-id"] = b"%d" % last
        plain, _, query = path.partition("?")
        response = await self.http(
            Request("GET", plain, query.encode(), headers, b"", "127.0.0.1", plain)
        )
        if response.stream is not None:
            self.streams.append(response.stream)
        return response

    async def pieces(self, response: Response, count: int) -> list[str]:
        """Return the next events of a stream, without heartbeats and its start."""
        assert response.stream is not None
        found: list[str] = []
        async with asyncio.timeout(10):
            async for piece in response.stream:
                if not piece.startswith((b":", b"retry")):
                    found += re.findall(r".*?\n\n", piece.decode(), re.DOTALL)
                if len(found) == count:
                    break
        return found


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Capture the log lines of runs as a server does."""
    capture, root = RunCapture(), logging.getLogger()
    root.addHandler(capture)
    caplog.set_level(logging.INFO)
    yield
    root.removeHandler(capture)


@pytest.fixture
async def world(log: None) -> AsyncIterator[World]:
    Talk.may_go_on = asyncio.Event()
    settings = Settings(store=Store("sqlite:///:memory:"), server=Server(grace=0.0, port=0))
    async with sandbox(Talk, settings=settings) as harness:
        app = dataclasses.replace(
            harness.app, clock=SystemClock(), events=EventLog(heartbeat=0.01)
        )
        async with open_edge(app, {"ZATO_LITE_ADMIN_PASSWORD": "secret"}) as http:
            harness.app = app
            world = World(harness, http)
            yield world
            Talk.may_go_on.set()
            for stream in world.streams:
                await stream.aclose()


async def test_a_confined_listener_gets_the_events_of_its_services(world: World) -> None:
    confined = await world.open(await world.key("crm.*"), "/zato/events")
    other = await world.open(await world.key(), "/zato/events")
    waiting = [
        asyncio.ensure_future(world.pieces(one, n)) for one, n in ((confined, 2), (other, 3))
    ]
    while world.harness.app.events.listeners < 2:  # noqa: ASYNC110
        await asyncio.sleep(0)

    for service in ("billing.pay", "crm.talk"):
        world.harness.app.events.publish("run-started", {"service": service})
    world.harness.app.events.publish("deployment", {})

    assert await waiting[0] == [
        'id: 2\nevent: run-started\ndata: {"service":"crm.talk"}\n\n',
        "id: 3\nevent: deployment\ndata: {}\n\n",
    ]
    assert [piece.split()[1] for piece in await waiting[1]] == ["1", "2", "3"]


async def test_a_confined_listener_gets_nothing_of_what_others_changed(world: World) -> None:
    confined = await world.open(await world.key("crm.*", "zato.*"), "/zato/events")
    waiting = asyncio.ensure_future(world.pieces(confined, 3))
    while not world.harness.app.events.listeners:  # noqa: ASYNC110
        await asyncio.sleep(0)

    publish = world.harness.app.events.publish
    publish("run-ended", {"run": 1})
    publish("unknown", {"who": "ann"})
    publish("change", {"who": "ann", "service": "zato.security.user.create", "status": "200"})
    publish("jobs-changed", {"what": "deleted", "count": 7, "who": "ann"})
    publish("figures", {"in_flight": 7})
    publish("job-changed", {"job_id": 3, "service": "crm.talk"})

    assert await waiting == [
        "id: 3\nevent: change\ndata: {}\n\n",
        "id: 4\nevent: jobs-changed\ndata: {}\n\n",
        'id: 6\nevent: job-changed\ndata: {"job_id":3,"service":"crm.talk"}\n\n',
    ]


async def test_a_stream_ends_when_its_caller_loses_admission(world: World) -> None:
    key = await world.key()
    stream = (await world.open(key, "/zato/events")).stream
    assert stream is not None
    await anext(stream)

    await world.harness.invoke("zato.security.key.delete", {"name": key.split("_")[1]})

    async with asyncio.timeout(10):
        left = [piece async for piece in stream]
    assert set(left) <= {b": nothing new\n\n"}
    assert (await world.open(key, "/zato/events")).status == 401


NARROWED: dict[str, dict[str, Any]] = {
    "deactivated": {"is_active": False},
    "another role": {"roles": frozenset({"operator"})},
    "no role": {"roles": frozenset()},
    "other patterns": {"patterns": ("billing.*",)},
    "narrower patterns": {"patterns": ("crm.talk",)},
}


@pytest.mark.parametrize("path", ["/zato/events", "/zato/events/log?job_id=1&current_run=1"])
@pytest.mark.parametrize("change", NARROWED.values(), ids=NARROWED)
async def test_a_stream_ends_when_another_process_changes_its_callers_rights(
    world: World, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], path: str
) -> None:
    monkeypatch.setattr(events, "_POLL_S", 0.01)
    await started(world)
    key = await world.key("crm.*")
    stream = (await world.open(key, path)).stream
    assert stream is not None
    await anext(stream)
    accounts = world.harness.app.accounts
    found = await accounts.find("key", key.split("_")[1])
    assert found is not None

    elsewhere = Accounts(accounts._database)
    await elsewhere.save(msgspec.structs.replace(found, **change))
    await world.harness.app.scheduler.load_rights()
    world.harness.app.events.publish("run-started", {"service": "crm.talk"})
    Talk.may_go_on.set()

    async with asyncio.timeout(10):
        left = b"".join([piece async for piece in stream])
    assert b"run-started" not in left
    assert b"last" not in left


async def test_a_stream_ends_with_its_session(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = b'{"username": "admin.invoke", "password": "secret"}'
    headers = {b"host": b"localhost", b"content-type": b"application/json"}
    path = "/zato/session"
    answer = await world.http(Request("POST", path, b"", headers, login, "127.0.0.1", path))
    cookie = dict(answer.headers)["Set-Cookie"].partition(";")[0].encode()
    headers = {b"host": b"localhost", b"cookie": cookie}
    opened = await world.http(
        Request("GET", "/zato/events", b"", headers, b"", "127.0.0.1", "/zato/events")
    )
    assert opened.stream is not None
    world.streams.append(opened.stream)
    await anext(opened.stream)

    await world.http(Request("DELETE", path, b"", headers, b"", "127.0.0.1", path))
    world.harness.app.events.publish("run-started", {"service": "crm.talk"})

    async with asyncio.timeout(10):
        assert b"run-started" not in b"".join([piece async for piece in opened.stream])


async def test_a_stream_continues_while_others_are_changed(world: World) -> None:
    response = await world.open(await world.key("crm.*"), "/zato/events")
    waiting = asyncio.ensure_future(world.pieces(response, 1))
    while not world.harness.app.events.listeners:  # noqa: ASYNC110
        await asyncio.sleep(0)

    await world.key("billing.*")
    world.harness.app.events.publish("run-started", {"service": "crm.talk"})

    assert len(await waiting) == 1


async def started(world: World) -> int:
    """Return the id of a job whose first run is in flight and has logged a line."""
    job = {
        "name": "talks",
        "service": "crm.talk",
        "job_type": "one_time",
        "start_date": "2020-01-01",
    }
    job_id: int = (await world.harness.invoke(f"{JOB}.create", job))["id"]
    await world.harness.app.scheduler.tick()
    asked = {"job_id": job_id, "current_run": 1}
    async with asyncio.timeout(10):
        while "first" not in str(  # noqa: ASYNC110
            await world.harness.invoke(f"{JOB}.get-log-entries", asked)
        ):
            await asyncio.sleep(0)
    return job_id


async def test_the_log_of_a_run_is_followed_to_its_end_and_can_be_resumed(
    world: World,
) -> None:
    key = await world.key()
    path = f"/zato/events/log?job_id={await started(world)}&current_run=1"
    response = await world.open(key, path)
    begun = await world.pieces(response, 2)
    Talk.may_go_on.set()
    rest = await world.pieces(response, 9)

    assert response.content_type == "text/event-stream"
    assert begun[1].startswith("id: 2\nevent: line\ndata: {")
    assert '"message":"first"' in begun[1]
    assert '"level":"WARNING","message":"last"' in rest[0]
    assert rest[-1] == "event: end\ndata: {}\n\n"
    whole = await world.pieces(await world.open(key, path), 9)
    assert whole == [*begun, *rest]
    assert await world.pieces(await world.open(key, path, last=2), 9) == rest
    lines = len(whole) - 1
    assert (await world.open(key, path, last=lines)).status == 204


async def test_the_log_of_a_run_needs_a_pattern_of_its_service(world: World) -> None:
    path = f"/zato/events/log?job_id={await started(world)}&current_run=1"

    for patterns in (("billing.*",), (f"{JOB}.get-run-detail", f"{JOB}.get-log-entries")):
        assert (await world.open(await world.key(*patterns), path)).status == 403
    assert (await world.open(await world.key("crm.*"), path)).status == 200


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("?job_id=x&current_run=1", 400),
        ("?job_id=1", 400),
        ("?job_id=1&job_id=2&current_run=1", 400),
        ("?job_id=%FF&current_run=1", 400),
        ("?job_id=999&current_run=1", 404),
    ],
)
async def test_the_log_of_an_unknown_run_is_not_found(
    world: World, query: str, status: int
) -> None:
    assert (await world.open(await world.key(), f"/zato/events/log{query}")).status == status
