import asyncio

from tests.http.conftest import BASIC, Invoker, Running, running
from zato_lite.http.app import HttpApp

GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\nAuthorization: " + BASIC + b"\r\n\r\n"
PING = GET % b"/zato/ping"


async def test_a_request_is_answered(started: Running) -> None:
    client = await started.connect()

    client.send(PING)
    status, headers, body = await client.answer()

    assert (status, body) == (200, b'{"pong":"zato"}')
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"x-zato-cid"].startswith(b"K")
    assert headers[b"date"].endswith(b"GMT")
    assert headers[b"x-content-type-options"] == b"nosniff"


async def test_a_connection_serves_many_requests(started: Running) -> None:
    client = await started.connect()

    for _ in range(3):
        client.send(PING)
        assert (await client.answer())[0] == 200

    assert len(started.server.connections) == 1


async def test_pipelined_requests_are_answered_in_order(started: Running) -> None:
    client = await started.connect()

    client.send(b"".join(GET % b"/zato/api/invoke/echo?n=%d" % n for n in range(500)))

    for n in range(500):
        assert (await client.answer())[2] == b'{"n":"%d"}' % n


async def test_a_request_may_come_byte_by_byte(started: Running) -> None:
    client = await started.connect()
    request = (
        b"POST /zato/api/invoke/echo HTTP/1.1\r\nHost: localhost\r\nAuthorization: "
        + BASIC
        + b"\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n"
    )

    for byte in request:
        client.send(bytes([byte]))
        await asyncio.sleep(0)

    assert (await client.answer())[::2] == (200, b"[1,2]")


async def test_a_large_body_comes_whole(started: Running) -> None:
    client = await started.connect()
    body = b'"' + b"x" * 900_000 + b'"'

    client.send(
        b"POST /zato/api/invoke/echo HTTP/1.1\r\nHost: localhost\r\nAuthorization: %b\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (BASIC, len(body), body)
    )

    assert (await client.answer())[::2] == (200, body[1:-1])


async def test_a_client_that_expects_100_continue_gets_it(started: Running) -> None:
    client = await started.connect()

    client.send(
        b"POST /zato/api/invoke/echo HTTP/1.1\r\nHost: localhost\r\nAuthorization: %b\r\n"
        b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n" % BASIC
    )
    assert (await client.answer())[0] == 100
    client.send(b"[]")

    assert (await client.answer())[::2] == (200, b"[]")


async def test_head_is_answered_without_a_body(started: Running) -> None:
    client = await started.connect()

    client.send(PING.replace(b"GET", b"HEAD", 1))
    head = await client.reader.readuntil(b"\r\n\r\n")
    client.send(PING)

    assert b"Content-Length: 15\r\n" in head
    assert (await client.answer())[2] == b'{"pong":"zato"}'


async def test_http_1_0_is_closed_unless_it_asks_for_keep_alive(started: Running) -> None:
    first, second = await started.connect(), await started.connect()

    first.send(b"GET /zato/ping HTTP/1.0\r\nHost: localhost\r\n\r\n")
    second.send(b"GET /zato/ping HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")

    assert (await first.rest()).endswith(b'{"pong":"zato"}')
    assert (await second.answer())[1][b"connection"] == b"keep-alive"


async def test_a_client_that_says_close_is_closed(started: Running) -> None:
    client = await started.connect()

    client.send(PING.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    assert b"Connection: close\r\n" in await client.rest()


async def test_a_client_that_has_closed_its_side_is_still_answered(
    started: Running, invoker: Invoker
) -> None:
    client = await started.connect()

    client.send(GET % b"/zato/api/invoke/slow")
    client.writer.write_eof()
    await invoker.was_called.wait()
    invoker.may_go_on.set()

    assert (await client.rest()).endswith(b"done")


async def test_a_shutdown_waits_for_running_requests(app: HttpApp, invoker: Invoker) -> None:
    async with running(app) as run:
        busy, idle = await run.connect(), await run.connect()
        busy.send(GET % b"/zato/api/invoke/slow")
        await invoker.was_called.wait()

        closing = asyncio.create_task(run.server.close(5))
        assert await idle.rest() == b""
        invoker.may_go_on.set()

        answer = await busy.rest()
        assert answer.endswith(b"done")
        assert b"Connection: close\r\n" in answer
        await closing


async def test_a_request_longer_than_the_grace_period_is_cancelled(
    app: HttpApp, invoker: Invoker
) -> None:
    async with running(app) as run:
        client = await run.connect()
        client.send(GET % b"/zato/api/invoke/slow")
        await invoker.was_called.wait()

        await run.server.close(0.05)

        assert await client.rest() == b""
        assert not run.server.connections
