import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.http import test_streamed as streamed
from tests.http import test_uploads as uploads
from tests.http.conftest import BASIC, Invoker, Services, running
from zato_lite.http.app import HttpApp
from zato_lite.http.asgi import AsgiApp, Message, Receive, Send, asgi_app
from zato_lite.http.auth import Authenticator
from zato_lite.http.events import EventLog
from zato_lite.http.mount import mount_route
from zato_lite.http.uploads import UploadFolder
from zato_lite.service.invoker import Invoker as RealInvoker
from zato_lite.service.registry import Registry


async def called(app: AsgiApp, **scope: Any) -> tuple[int, dict[bytes, bytes], bytes]:
    """Return the scope that an ASGI server sends."""
    body = scope.pop("body", b"")
    headers = scope.pop("headers", {b"host": b"localhost", b"authorization": BASIC})
    full = {"type": "http", "method": "GET", "query_string": b"", "http_version": "1.1"}
    full |= {"headers": list(headers.items()), "client": ("::1", 1), "scheme": "http", **scope}
    incoming = [
        {"type": "http.request", "body": body[:3], "more_body": True},
        {"type": "http.request", "body": body[3:], "more_body": False},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await app(full, receive, send)
    answered = b"".join(message["body"] for message in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), answered


async def test_the_application_runs_under_another_server(app: HttpApp) -> None:
    asgi = asgi_app(lambda: nullcontext(app), max_body=100)

    status, headers, body = await called(
        asgi, method="POST", path="/zato/api/invoke/echo", body=b'{"a": 1}'
    )

    assert (status, body) == (200, b'{"a":1}')
    assert headers[b"content-length"] == b"7"
    assert headers[b"x-zato-cid"]
    query = await called(asgi, path="/zato/api/invoke/echo", query_string=b"a=%20b")
    assert query[2] == b'{"a":" b"}'
    assert (await called(asgi, method="HEAD", path="/zato/ping"))[::2] == (200, b"")
    assert (await called(asgi, path="/zato/ping", headers={}))[0] == 400
    assert (await called(asgi, path="/zato/ping", body=b"x" * 101))[0] == 413


async def test_the_application_opens_and_closes_with_the_other_server(app: HttpApp) -> None:
    kinds = ["lifespan.shutdown", "lifespan.startup"]
    sent = []

    async def receive() -> Message:
        return {"type": kinds.pop()}

    async def send(message: Message) -> None:
        sent.append(message["type"])

    await asgi_app(lambda: nullcontext(app))({"type": "lifespan"}, receive, send)

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


AUTHORIZED = b"Authorization: " + BASIC + b"\r\n"


async def other(scope: Message, receive: Receive, send: Send) -> None:
    """An application of another framework."""
    body = (await receive())["body"]
    headers = [(b"content-type", b"text/plain"), (b"x-path", scope["path"].encode())]
    if scope["path"] == "/other/broken":
        raise ValueError("broken")
    if scope["path"] == "/other/split":
        headers.append((b"x-split", b"a\r\n\r\nHTTP/1.1 200 OK"))
    status = 100 if scope["path"] == "/other/continue" else 201
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if scope["path"] in {"/other/breaks", "/other/stops"}:
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        if scope["path"] == "/other/breaks":
            raise ValueError("broken")
    elif scope["path"] == "/other/stream":
        for number in range(3):
            await send(
                {"type": "http.response.body", "body": b"%d" % number, "more_body": number < 2}
            )
    elif scope["path"] == "/other/endless":
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await receive()
    else:
        await send({"type": "http.response.body", "body": body[::-1]})


@pytest.fixture
def app(invoker: Invoker, authenticator: Authenticator) -> HttpApp:
    return HttpApp(
        invoker.begin,
        Services(),
        authenticator,
        events=EventLog(),
        routes=[mount_route(other, "/other", role="operator")],
    )


def request(path: bytes, more: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: a.localhost\r\nContent-Length: 3\r\n%b\r\nabc" % (
        path,
        more,
    )


async def test_another_application_runs_below_a_path(app: HttpApp) -> None:
    async with running(app) as run:
        client = await run.connect()

        client.send(request(b"/other/x", AUTHORIZED).replace(b"a.localhost", b"localhost"))
        status, headers, body = await client.answer()
        assert (status, body) == (201, b"cba")
        assert headers[b"x-path"] == b"/other/x"

        client.send(request(b"/other/x").replace(b"a.localhost", b"localhost"))
        assert (await client.answer())[0] == 401

        client.send(request(b"/other/broken", AUTHORIZED).replace(b"a.localhost", b"localhost"))
        assert (await client.answer())[0] == 500

        client.send(request(b"/other/stream", AUTHORIZED).replace(b"a.localhost", b"localhost"))
        await client.reader.readuntil(b"\r\n\r\n")
        assert await client.reader.readuntil(b"0\r\n\r\n") == (
            b"1\r\n0\r\n1\r\n1\r\n1\r\n2\r\n0\r\n\r\n"
        )

        client.send(request(b"/other/endless", AUTHORIZED).replace(b"a.localhost", b"localhost"))
        await client.reader.readuntil(b"1\r\na\r\n")
        client.writer.transport.abort()
        await client.rest()
    while any(task.get_name() == "mounted" for task in asyncio.all_tasks()):  # noqa: ASYNC110
        await asyncio.sleep(0)


@pytest.mark.parametrize("path", [b"/other/split", b"/other/continue"])
async def test_a_response_with_a_line_break_in_a_field_is_not_sent(
    app: HttpApp, path: bytes
) -> None:
    async with running(app) as run:
        client = await run.connect()
        for _ in range(2):
            client.send(request(path, AUTHORIZED).replace(b"a.localhost", b"localhost"))
            assert (await client.answer())[0] == 500


@pytest.mark.parametrize("path", [b"/other/breaks", b"/other/stops"])
async def test_a_response_that_breaks_off_does_not_look_complete(
    app: HttpApp, path: bytes
) -> None:
    async with running(app) as run:
        client = await run.connect()
        client.send(request(path, AUTHORIZED).replace(b"a.localhost", b"localhost"))

        assert (await client.rest()).endswith(b"1\r\na\r\n")


@contextmanager
def served(authenticator: Authenticator, parent: Path, *services: Any) -> Iterator[AsgiApp]:
    """Yield an application with real services; its folder of uploads is empty at the end."""
    registry, folder = Registry(), UploadFolder(parent)
    for cls in services:
        registry.add(cls)
    app = HttpApp(RealInvoker(registry).begin, registry, authenticator, uploads=folder)
    yield asgi_app(lambda: nullcontext(app), max_body=100)
    assert [each for each in parent.rglob("*") if each.name.isdigit()] == []
    folder.close()


async def test_streams_uploads_and_limits_are_the_same_under_another_server(
    authenticator: Authenticator, tmp_path: Path
) -> None:
    services = (uploads.Raw, uploads.Album, uploads.Smaller, streamed.Lines)
    head = {b"host": b"localhost", b"authorization": BASIC}
    kind = {b"content-type": b"multipart/form-data; boundary=" + uploads.EDGE}
    form = uploads.form(uploads.YEAR, uploads.IMAGE)

    with served(authenticator, tmp_path, *services) as asgi:
        raw = await called(asgi, method="POST", path="/raw", body=b"x" * 100_000)
        much = await called(asgi, method="POST", path="/raw", body=b"x" * 4_000_001)
        album = await called(
            asgi, method="POST", path="/albums/t", body=form, headers={**head, **kind}
        )
        small = await called(asgi, method="POST", path="/smaller", body=b"[" + b" " * 20 + b"]")
        lines = await called(asgi, method="POST", path="/zato/api/invoke/lines")

    assert json.loads(raw[2])["size"] == 100_000
    assert (much[0], small[0]) == (413, 413)
    assert json.loads(album[2])["size"] == len(uploads.IMAGE[1])
    assert lines[2] == b'{"number":0}\n{"number":1}\n{"number":2}\n'


async def test_a_stream_ends_when_its_reader_has_left_the_other_server(
    authenticator: Authenticator, tmp_path: Path
) -> None:
    messages: list[Message] = [{"type": "http.disconnect"}, {"type": "http.request", "body": b""}]
    started = asyncio.Event()
    streamed.ended.clear()

    async def receive() -> Message:
        if len(messages) == 1:
            await started.wait()
        return messages.pop()

    async def send(message: Message) -> None:
        started.set()

    path = "/zato/api/invoke/waiting"
    headers = [(b"host", b"localhost"), (b"authorization", BASIC)]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b""}
    with served(authenticator, tmp_path, streamed.Waiting) as asgi:
        await asgi({**scope, "headers": headers, "client": None}, receive, send)

    assert streamed.ended == ["waiting"]
