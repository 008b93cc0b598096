"""Answers that are sent while a service makes them: bytes, lines of JSON, events; and files."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httptools
import msgspec
import pytest

from tests.documented import documented
from tests.http.conftest import BASIC, Client, Running, running
from zato_lite.errors import NotFoundError
from zato_lite.http.app import HttpApp
from zato_lite.http.auth import Authenticator
from zato_lite.http.files import CHUNK
from zato_lite.http.message import TEXT, Request, Response
from zato_lite.log import invocation_context
from zato_lite.service.answers import Answer
from zato_lite.service.base import Service
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import Invocation
from zato_lite.service.registry import Registry
from zato_lite.service.stream import Event, FileAnswer

ended: list[str] = []
cids: list[str] = []


class Tick(msgspec.Struct):
    number: int


class Lines(Service[None, AsyncIterator[Tick]]):
    name = "lines"

    async def handle(self) -> AsyncIterator[Tick]:
        try:
            for number in range(3):
                yield Tick(number)
                cids.append(getattr(invocation_context.get(), "cid", ""))
        finally:
            ended.append(self.cid)


class Ticks(Service):
    name = "ticks"

    async def handle(self) -> AsyncIterator[Event]:
        yield Event("a\nb", event="one\n", id="7", retry=500)
        yield Event({"x": 1})


class Texts(Service):
    name = "texts"
    answers = {203: Answer("Text", content_type="text/csv")}  # noqa: RUF012 - read only

    async def handle(self) -> None:
        self.response.headers["X-Rows"] = "2"
        self.response.payload = self.rows()

    async def rows(self) -> AsyncIterator[str]:
        await asyncio.sleep(0)
        yield "a,b\n"
        yield "1,2\n"


class TextsBreak(Texts):
    name = "texts-break"

    async def rows(self) -> AsyncIterator[str]:
        yield "a,b\n"
        raise ValueError("broken")


class Later(Service):
    name = "later"

    async def handle(self) -> AsyncIterator[bytes]:
        await asyncio.sleep(0)
        return self.items()

    async def items(self) -> AsyncIterator[bytes]:
        yield b"begin"
        await asyncio.Event().wait()


class Endless(Service):
    name = "endless"

    async def handle(self) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 1000
        finally:
            ended.append("endless")


class Waiting(Service):
    name = "waiting"

    async def handle(self) -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            ended.append("waiting")


class Missing(Service):
    name = "missing"

    async def handle(self) -> AsyncIterator[bytes]:
        raise NotFoundError("no such thing")
        yield b""  # type: ignore[unreachable] # makes it a generator


class Breaking(Service):
    name = "breaking"

    async def handle(self) -> AsyncIterator[bytes]:
        yield b"begin"
        raise ValueError("broken")


class Empty(Service):
    name = "empty"

    async def handle(self) -> AsyncIterator[bytes]:
        return
        yield b""  # type: ignore[unreachable] # makes it a generator


class Report(Service):
    name = "report"
    file = Path()

    async def handle(self) -> FileAnswer:
        return FileAnswer(self.file, name="Bericht 5€.csv" if self.request.payload else "")


class Sleepy(Service):
    name = "sleepy"

    async def handle(self) -> AsyncIterator[bytes]:
        try:
            await asyncio.Event().wait()
            yield b""
        finally:
            ended.append("sleepy")


class Unencodable(Service):
    name = "unencodable"

    async def handle(self) -> AsyncIterator[object]:
        yield object()


class Cancelled(Service):
    name = "cancelled"

    async def handle(self) -> AsyncIterator[bytes]:
        yield b"begin"
        raise asyncio.CancelledError


class Paused(Service):
    name = "paused"
    go_on = asyncio.Event()

    async def handle(self) -> AsyncIterator[bytes]:
        yield b"begin"
        await self.go_on.wait()
        yield b", end"


class PausedEvents(Service):
    name = "paused-events"

    async def handle(self) -> AsyncIterator[Event]:
        yield Event("begin")
        await asyncio.Event().wait()


class Either(Service):
    """A generator for one method only, and a payload for others."""

    name = "either"

    async def handle(self) -> str:
        return "whole"

    async def handle_GET(self) -> AsyncIterator[bytes]:  # noqa: N802 - the method's name
        yield b"part"


class Ping(Service):
    name = "ping"

    async def handle(self) -> None:
        self.response.payload = {"ok": True}


SERVICES = (
    *(Lines, Ticks, Texts, Endless, Waiting, Missing, Breaking, Empty, Report, Ping, Sleepy),
    *(Unencodable, Cancelled, Paused, PausedEvents, Either, TextsBreak, Later),
)


class Got(msgspec.Struct):
    """A response, and whether it was complete."""

    status: int = 0
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""
    chunks: int = 0
    is_complete: bool = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self.body += body
        self.chunks += 1

    def on_message_complete(self) -> None:
        self.is_complete = True


class Harness:
    def __init__(self, run: Running, registry: Registry, invoker: Invoker) -> None:
        self.run, self.registry, self.invoker = run, registry, invoker

    async def send(
        self,
        service: str,
        method: str = "POST",
        body: bytes = b"",
        version: str = "1.1",
        **more: str,
    ) -> Client:
        client = await self.run.connect()
        fields = "".join(f"{n.replace('_', '-')}: {value}\r\n" for n, value in more.items())
        head = f"{method} /zato/api/invoke/{service} HTTP/{version}\r\nHost: localhost\r\n{fields}"
        client.send(head.encode() + b"Authorization: %b\r\n" % BASIC)
        client.send(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        return client

    async def ask(self, service: str, **options: Any) -> Got:
        client = await self.send(service, **options)
        got = Got()
        parser = httptools.HttpResponseParser(got)
        async with asyncio.timeout(10):
            while not got.is_complete and (data := await client.reader.read(65_536)):
                parser.feed_data(data)
                if options.get("method") == "HEAD" and data.endswith(b"\r\n\r\n"):
                    break
        got.status = parser.get_status_code()
        return got


@pytest.fixture
async def harness(authenticator: Authenticator, tmp_path: Path) -> AsyncIterator[Harness]:
    ended.clear()
    cids.clear()
    Paused.go_on = asyncio.Event()
    registry = Registry()
    for cls in SERVICES:
        registry.add(cls)
    Report.file = tmp_path / "report.csv"
    Report.file.write_bytes(bytes(range(256)) * 2000)
    invoker = Invoker(registry)
    app = HttpApp(invoker.begin, registry, authenticator)
    async with running(app.begin) as run:
        yield Harness(run, registry, invoker)


async def until(condition: Any) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("condition not met in time")


async def test_objects_are_lines_of_json(harness: Harness) -> None:
    got = await harness.ask("lines")

    assert (got.status, got.headers["content-type"]) == (200, "application/x-ndjson")
    assert [json.loads(line) for line in got.body.splitlines()] == [
        {"number": n} for n in range(3)
    ]
    assert ended == [got.headers["x-zato-cid"]]
    assert set(cids) == set(ended)  # what the generator logs has the cid


async def test_events_are_server_sent_events(harness: Harness) -> None:
    got = await harness.ask("ticks")

    assert got.headers["content-type"] == "text/event-stream"
    assert got.body == (b'event: one \nid: 7\nretry: 500\ndata: a\ndata: b\n\ndata: {"x":1}\n\n')


async def test_the_payload_may_be_an_iterator_and_the_service_sets_the_rest(
    harness: Harness,
) -> None:
    got = await harness.ask("texts")

    assert (got.status, got.headers["content-type"], got.headers["x-rows"]) == (
        203,
        "text/csv",
        "2",
    )
    assert got.body == b"a,b\n1,2\n"


async def test_an_error_before_the_first_item_is_an_ordinary_error(harness: Harness) -> None:
    got = await harness.ask("missing")

    assert (got.status, json.loads(got.body)["details"]) == (404, "no such thing")
    assert harness.registry.get("missing").errors == 1


async def test_a_later_error_breaks_the_connection_off(harness: Harness) -> None:
    got = await harness.ask("breaking")

    assert (got.body, got.is_complete) == (b"begin", False)
    assert harness.registry.get("breaking").errors == 1


async def test_the_first_item_has_the_time_limit_of_the_request(harness: Harness) -> None:
    got = await harness.ask("sleepy", Request_Timeout="0.05")

    details = "Service `sleepy` took longer than 0.05 s"
    assert (got.status, json.loads(got.body)["details"]) == (504, details)
    assert ended == ["sleepy"]


async def test_a_first_item_that_cannot_be_sent_is_an_ordinary_error(harness: Harness) -> None:
    assert (await harness.ask("unencodable")).status == 500


async def test_a_stream_that_is_cancelled_does_not_look_whole(harness: Harness) -> None:
    got = await harness.ask("cancelled")

    assert (got.body, got.is_complete) == (b"begin", False)


@pytest.mark.parametrize(("grace", "is_complete"), [(10.0, True), (0.05, False)])
async def test_a_server_that_stops_lets_a_stream_end_within_its_grace_period(
    harness: Harness, grace: float, is_complete: bool
) -> None:
    asking = asyncio.ensure_future(harness.ask("paused"))
    await until(lambda: any(c._writer.is_streaming for c in harness.run.server.connections))

    closing = asyncio.ensure_future(harness.run.server.close(grace))
    if is_complete:
        await asyncio.sleep(0)
        Paused.go_on.set()

    assert (await asking).is_complete is is_complete
    await closing


async def test_a_server_that_stops_ends_a_stream_of_events(harness: Harness) -> None:
    asking = asyncio.ensure_future(harness.ask("paused-events"))
    await until(lambda: any(c._writer.is_streaming for c in harness.run.server.connections))

    await harness.run.server.close(10.0)

    got = await asking
    assert (got.body, got.is_complete) == (b"data: begin\n\n", True)


@pytest.mark.parametrize("service", ["lines", "texts", "report"])
async def test_an_envelope_says_that_it_cannot_hold_a_stream(
    harness: Harness, service: str
) -> None:
    client = await harness.run.connect()
    body = json.dumps({"name": service}).encode()
    client.send(b"POST /zato/admin/invoke HTTP/1.1\r\nHost: localhost\r\n")
    client.send(b"Authorization: %b\r\nContent-Length: %d\r\n\r\n" % (BASIC, len(body)) + body)

    status, _, answer = await client.answer()

    told = json.loads(answer)["zato_env"]
    assert (status, told["result"]) == (501, "ZATO_ERROR")
    assert told["details"].endswith(f"use POST /zato/api/invoke/{service}")
    await until(lambda: not harness.registry.get(service).holds)


async def test_a_stream_that_ends_before_its_length_breaks_the_connection_off() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"

    def answer(request: Request) -> Response:
        return Response(200, b"", TEXT, stream=pieces(), length=10)

    async with running(answer) as run:
        client = await run.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")

        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await client.answer()


async def test_a_stream_may_be_empty(harness: Harness) -> None:
    got = await harness.ask("empty")

    assert (got.status, got.body, got.is_complete) == (200, b"", True)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (Tick, "application/x-ndjson"),
        (dict[str, int], "application/x-ndjson"),
        (str, "text/plain; charset=utf-8"),
        (bytes, "application/octet-stream"),
        (Event, "text/event-stream"),
    ],
)
async def test_an_empty_stream_has_the_type_of_its_declared_items(
    harness: Harness, item: Any, expected: str
) -> None:
    class Nothing(Service[None, AsyncIterator[item]]):
        name = "nothing"

        async def handle(self) -> AsyncIterator[Any]:
            return
            yield None  # makes it a generator

    harness.registry.add(Nothing)

    got = await harness.ask("nothing")

    assert (got.status, got.body, got.headers["content-type"]) == (200, b"", expected)


@pytest.mark.parametrize("service", ["endless", "waiting"])
async def test_a_client_that_leaves_ends_the_generator(harness: Harness, service: str) -> None:
    client = await harness.send(service)
    async with asyncio.timeout(10):
        await client.reader.readuntil(b"\r\n\r\n")
    entry = harness.registry.get(service)
    assert entry.holds  # its resources stay open

    client.writer.close()

    await until(lambda: ended == [service])
    await until(lambda: not entry.holds)


async def test_a_stream_that_never_waits_leaves_others_their_turns(harness: Harness) -> None:
    client = await harness.send("endless")

    async def read() -> None:
        while await client.reader.read(65_536):
            pass

    reading = asyncio.ensure_future(read())
    for _ in range(5):
        assert (await harness.ask("ping")).status == 200
    reading.cancel()


async def test_a_stream_that_is_not_read_is_not_made(harness: Harness) -> None:
    client = await harness.send("endless")
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    connection = next(iter(harness.run.server.connections))

    await until(lambda: connection.state().stalled_since is not None)
    await asyncio.sleep(0.1)

    assert connection._transport.get_write_buffer_size() < 1_000_000


async def test_old_clients_and_heads_are_answered_without_chunks(harness: Harness) -> None:
    old = await harness.send("lines", version="1.0")
    answer = await old.rest()
    head = await harness.ask("lines", method="HEAD")

    assert answer.endswith(b'{"number":0}\n{"number":1}\n{"number":2}\n')
    assert b"transfer-encoding" not in answer.lower()
    assert (head.status, head.body) == (200, b"")
    await until(lambda: len(ended) == 2)


async def test_a_run_makes_the_whole_stream_and_a_service_reads_it(harness: Harness) -> None:
    outcome = await harness.invoker.run(Invocation("lines", channel="scheduler"))
    items = [item.number async for item in await harness.invoker.invoke("lines")]

    assert (outcome.error, outcome.payload) == (None, None)
    assert items == [0, 1, 2]
    assert len(ended) == 2


@pytest.mark.parametrize(
    ("service", "payload", "error"),
    [
        ("texts", None, None),
        ("either", "whole", None),
        ("breaking", None, ValueError),
        ("texts-break", None, ValueError),
    ],
)
async def test_a_run_makes_what_is_a_stream_and_only_that(
    harness: Harness, service: str, payload: str | None, error: Any
) -> None:
    outcome = await harness.invoker.run(Invocation(service, channel="scheduler"))

    assert (outcome.payload, outcome.error and type(outcome.error)) == (payload, error)
    entry = harness.registry.get(service)
    assert (entry.calls, entry.ended, entry.holds) == (1, 1, set())
    assert entry.errors == (error is not None)


@pytest.mark.parametrize("channel", ["scheduler", "startup", "shutdown"])
async def test_a_stream_without_a_reader_is_made_within_the_time(
    harness: Harness, channel: Any
) -> None:
    made = await harness.invoker.run(Invocation("lines", channel=channel))
    endless = [
        await harness.invoker.run(Invocation(service, channel=channel, timeout=0.05))
        for service in ("waiting", "later")
    ]

    assert (made.payload, made.error, ended[1:]) == (None, None, ["waiting"])
    assert [outcome.is_timeout for outcome in endless] == [True, True]
    assert [harness.registry.get(service).errors for service in ("waiting", "later")] == [1, 1]


async def test_a_file_is_sent_whole(harness: Harness) -> None:
    got = await harness.ask("report", body=b"{}")
    named = await harness.ask("report", body=b'{"a": 1}')

    assert got.body == Report.file.read_bytes()
    assert len(got.body) > CHUNK
    assert got.headers["content-type"] == "text/csv; charset=utf-8"
    assert got.headers["content-length"] == str(len(got.body))
    assert got.headers["accept-ranges"] == "bytes"
    assert named.headers["content-disposition"] == (
        "attachment; filename=\"Bericht 5_.csv\"; filename*=UTF-8''Bericht%205%E2%82%AC.csv"
    )


@pytest.mark.parametrize(
    ("wanted", "status", "begin", "end"),
    [
        ("bytes=0-9", 206, 0, 10),
        ("bytes=511990-", 206, 511_990, 512_000),
        ("bytes=-10", 206, 511_990, 512_000),
        ("bytes=-999999999", 206, 0, 512_000),
        ("bytes=10-99999999", 206, 10, 512_000),
        ("bytes=512000-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
        ("bytes=9-1", 200, 0, 512_000),
        ("bytes=0-1,5-6", 200, 0, 512_000),
        ("lines=0-1", 200, 0, 512_000),
        ("bytes=-", 200, 0, 512_000),
        ("bytes=" + "9" * 400 + "-", 200, 0, 512_000),
    ],
)
async def test_a_range_of_a_file_is_sent(
    harness: Harness, wanted: str, status: int, begin: int, end: int
) -> None:
    got = await harness.ask("report", method="GET", range=wanted)

    assert (got.status, got.body) == (status, Report.file.read_bytes()[begin:end])
    if status == 206:
        assert got.headers["content-range"] == f"bytes {begin}-{end - 1}/512000"
    if status == 416:
        assert got.headers["content-range"] == "bytes */512000"


async def test_conditions_are_checked(harness: Harness) -> None:
    head = await harness.ask("report", method="HEAD")
    tag, time = head.headers["etag"], head.headers["last-modified"]

    async def status(**fields: str) -> int:
        return (await harness.ask("report", method="GET", **fields)).status

    assert (head.headers["content-length"], head.body) == ("512000", b"")
    assert await status(if_none_match=f'"other", {tag}') == 304
    assert await status(if_none_match='"other"', if_modified_since=time) == 200
    assert await status(if_modified_since=time) == 304
    assert await status(if_modified_since="Thu, 01 Jan 1970 00:00:00 GMT") == 200
    assert await status(if_modified_since="yesterday") == 200
    assert await status(range="bytes=0-1", if_range=tag) == 206
    assert await status(range="bytes=0-1", if_range=time) == 206
    assert await status(range="bytes=0-1", if_range='"other"') == 200


async def test_a_client_that_wants_another_version_of_a_file_gets_none(harness: Harness) -> None:
    head = await harness.ask("report", method="HEAD")
    tag, time = head.headers["etag"], head.headers["last-modified"]

    async def status(**fields: str) -> int:
        got = await harness.ask("report", method="GET", **fields)
        assert got.status == 200 or got.body == b""
        return got.status

    assert await status(if_match='"other"') == 412
    assert await status(if_match=f"W/{tag}") == 412
    assert await status(if_match=f'"other", {tag}', if_unmodified_since="yesterday") == 200
    assert await status(if_match="*") == 200
    assert await status(if_match='"other"', if_none_match=tag) == 412
    assert await status(if_unmodified_since="Thu, 01 Jan 1970 00:00:00 GMT") == 412
    assert await status(if_unmodified_since=time) == 200


async def test_a_file_that_does_not_exist_or_is_a_folder_is_not_found(harness: Harness) -> None:
    Report.file = Report.file.with_name("none")
    none = await harness.ask("report")
    Report.file = Report.file.parent
    folder = await harness.ask("report")
    Report.file = Path("a\0b")
    null = await harness.ask("report")

    assert (none.status, folder.status, null.status) == (404, 404, 404)


async def test_a_page_from_a_file_is_sandboxed(harness: Harness) -> None:
    page = Report.file.with_suffix(".html")
    page.write_text("<script>")
    Report.file = page

    got = await harness.ask("report")

    assert got.headers["content-security-policy"].startswith("sandbox")


async def test_the_examples_of_the_documentation_do_what_it_says(
    authenticator: Authenticator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report.pdf").write_bytes(b"%PDF")
    names = documented("http.md", "## Streams")
    registry = Registry()
    for name in ("Rows", "Ticks", "Table", "Report"):
        registry.add(names[name])
    invoker = Invoker(registry)
    async with running(HttpApp(invoker.begin, registry, authenticator).begin) as run:
        harness = Harness(run, registry, invoker)
        rows, ticks, table, report = [
            await harness.ask(f"documented.{name}")
            for name in ("rows", "ticks", "table", "report")
        ]

    assert rows.body == b'{"number":0}\n{"number":1}\n{"number":2}\n'
    assert ticks.body.startswith(b'event: tick\nid: 0\ndata: {"number":0}\n\n')
    assert (table.headers["content-type"], table.body) == ("text/csv", b"number\n1\n")
    assert (report.headers["content-type"], report.body) == ("application/pdf", b"%PDF")
