import asyncio
import gc
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.http.conftest import BASIC, Client, Invoker, MovedClock, Running, running
from zato_lite.http.app import HttpApp
from zato_lite.http.connection import Connection
from zato_lite.http.message import Request, Response
from zato_lite.http.parser import Limits

H = b"Host: localhost\r\nAuthorization: " + BASIC + b"\r\n"
PING = b"GET /zato/ping HTTP/1.1\r\n" + H + b"\r\n"
POST = b"POST /zato/api/invoke/echo HTTP/1.1\r\n" + H + b"Content-Length: 100000\r\n\r\n"


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
async def timed(app: HttpApp, clock: MovedClock) -> AsyncIterator[Running]:
    async with running(app, clock=clock) as run:
        yield run


def is_stalled(connection: Connection) -> bool:
    return connection.state().stalled_since is not None


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


async def arrived(run: Running, client: Client) -> None:
    """Wait until the server has read the earlier bytes: it answers a later client."""
    other = await run.connect()
    other.send(PING)
    await other.answer()
    other.writer.close()


async def test_a_silent_client_is_closed(timed: Running, clock: MovedClock) -> None:
    client = await timed.connect()
    await arrived(timed, client)

    clock.seconds += 9
    timed.server.sweep()
    assert len(timed.server.connections) == 2
    clock.seconds += 2
    timed.server.sweep()

    assert await client.rest() == b""


async def test_slow_headers_are_refused(timed: Running, clock: MovedClock) -> None:
    client = await timed.connect()
    client.send(b"GET /zato/ping HTTP/1.1\r\nHost: loc")
    await arrived(timed, client)

    clock.seconds += 6
    timed.server.sweep()
    client.send(b"alhost\r\n")
    await arrived(timed, client)
    clock.seconds += 6
    timed.server.sweep()

    assert (await client.answer())[0] == 408
    assert await client.rest() == b""


async def test_a_slow_body_is_refused_and_a_steady_one_is_not(
    timed: Running, clock: MovedClock
) -> None:
    slow, steady = await timed.connect(), await timed.connect()
    slow.send(POST + b"1")
    steady.send(POST + b" " * 20_000)
    await arrived(timed, slow)

    clock.seconds += 11
    timed.server.sweep()

    assert (await slow.answer())[0] == 408
    assert await slow.rest() == b""
    steady.send(b" " * 79_998 + b"[]")
    assert (await steady.answer())[0] == 200


async def test_an_idle_connection_is_closed(timed: Running, clock: MovedClock) -> None:
    client = await timed.connect()
    client.send(PING)
    await client.answer()

    clock.seconds += 74
    timed.server.sweep()
    client.send(PING)
    await client.answer()
    clock.seconds += 76
    timed.server.sweep()

    assert await client.rest() == b""


async def test_a_client_that_waits_for_a_slow_service_is_not_closed(
    timed: Running, clock: MovedClock, invoker: Invoker
) -> None:
    client = await timed.connect()
    client.send(PING.replace(b"ping", b"api/invoke/slow"))
    await invoker.was_called.wait()

    clock.seconds += 1000
    timed.server.sweep()
    invoker.may_go_on.set()

    assert (await client.answer())[2] == b"done"


async def test_a_client_that_does_not_read_is_closed(clock: MovedClock) -> None:
    gone = asyncio.Event()

    async def much(request: Request) -> Response:
        return Response(200, b"x" * 30_000_000)

    async with running(much, clock=clock) as run:
        client = socket.create_connection(("127.0.0.1", run.server.port))
        client.sendall(PING)
        while not any(map(is_stalled, run.server.connections)):  # noqa: ASYNC110
            await asyncio.sleep(0)

        run.server.sweep()
        for _ in range(3):
            clock.seconds += 11
            run.server.sweep()
            await asyncio.sleep(0)

        assert not run.server.connections
        gone.set()
        client.close()


async def test_a_connection_beyond_the_limit_gets_503(app: HttpApp) -> None:
    async with running(app, Limits(connections=2)) as run:
        first, second = await run.connect(), await run.connect()
        for client in (first, second):
            client.send(PING)
            await client.answer()

        third = await run.connect()

        assert (await third.answer())[0] == 503
        assert await third.rest() == b""
        assert run.server.refused == 1
        first.writer.close()
        await first.writer.wait_closed()
        await arrived(run, second)


async def test_the_connections_of_one_address_are_limited(app: HttpApp) -> None:
    async with running(app, Limits(per_address=1)) as run:
        first = await run.connect()
        first.send(PING)
        await first.answer()

        second = await run.connect()

        assert (await second.answer())[0] == 503


async def test_a_client_that_sends_too_fast_is_not_read_from(
    app: HttpApp, invoker: Invoker
) -> None:
    async with running(app) as run:
        client = await run.connect()
        slow = b"GET /zato/api/invoke/slow HTTP/1.1\r\n" + H + b"\r\n"
        client.send(slow * 20_000)
        await invoker.was_called.wait()
        await arrived(run, client)

        (connection,) = (c for c in run.server.connections if c.state().is_busy)
        assert len(connection._parser.requests) < 500
        invoker.may_go_on.set()
        for _ in range(20_000):
            assert (await client.answer())[0] == 200


async def test_the_kernel_s_buffer_for_a_slow_reader_is_limited() -> None:
    written = 0

    async def much() -> AsyncIterator[bytes]:
        nonlocal written
        while written < 30_000_000:
            written += 10_000
            yield b"x" * 10_000

    async def app(request: Request) -> Response:
        return Response(200, stream=much())

    async with running(app) as run:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", run.server.port))
        client.sendall(PING)
        before = -1
        while written != before or not any(
            c.state().stalled_since is not None for c in run.server.connections
        ):
            before = written
            await asyncio.sleep(0.05)
        client.close()

    assert 0 < written < 600_000


async def test_clients_that_vanish_leave_nothing_behind(app: HttpApp, invoker: Invoker) -> None:
    kinds = [b"GE", POST + b"1", PING * 3, PING.replace(b"ping", b"api/invoke/slow")]
    async with running(app) as run:
        gc.collect()  # files of earlier tests are not closed in the midst of this one
        tasks, files = len(asyncio.all_tasks()), open_files()
        clients = [await run.connect() for _ in range(200)]
        for number, client in enumerate(clients):
            client.send(kinds[number % 4])
        while len(invoker.invocations) < 200:  # noqa: ASYNC110 - 3 of each third one, 1 of each fourth one
            await asyncio.sleep(0)

        for client in clients:
            client.writer.transport.abort()
        invoker.may_go_on.set()  # one that only sends no more gets its answer still
        while run.server.connections:  # noqa: ASYNC110
            await asyncio.sleep(0)
        while len(asyncio.all_tasks()) > tasks:  # noqa: ASYNC110
            await asyncio.sleep(0)

        assert run.server.addresses == {}
        assert open_files() == files
        client = await run.connect()
        client.send(PING)
        assert (await client.answer())[0] == 200
