import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from tests.http.conftest import BASIC, Client, Invoker, MovedClock, Running, running
from zato_lite.http.app import HttpApp
from zato_lite.http.incoming import Limits
from zato_lite.http.message import Request, Response

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


async def arrived(run: Running, client: Client) -> None:
    """What was sent before has been read by the server: a later client was answered."""
    other = await run.connect()
    other.send(PING)
    await other.answer()
    other.writer.close()


async def test_who_says_nothing_is_closed(timed: Running, clock: MovedClock) -> None:
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


async def test_who_stays_without_asking_more_is_closed(timed: Running, clock: MovedClock) -> None:
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


async def test_who_waits_for_a_slow_service_is_not_closed(
    timed: Running, clock: MovedClock, invoker: Invoker
) -> None:
    client = await timed.connect()
    client.send(PING.replace(b"ping", b"api/invoke/slow"))
    await invoker.was_called.wait()

    clock.seconds += 1000
    timed.server.sweep()
    invoker.may_go_on.set()

    assert (await client.answer())[2] == b"done"


async def test_who_does_not_read_is_closed(clock: MovedClock) -> None:
    gone = asyncio.Event()

    async def much(request: Request) -> Response:
        return Response(200, b"x" * 30_000_000)

    async with running(much, clock=clock) as run:
        client = socket.create_connection(("127.0.0.1", run.server.port))
        client.sendall(PING)
        while not any(c.has_unread for c in run.server.connections):  # noqa: ASYNC110
            await asyncio.sleep(0)

        run.server.sweep()
        for _ in range(3):
            clock.seconds += 11
            run.server.sweep()
            await asyncio.sleep(0)

        assert not run.server.connections
        gone.set()
        client.close()


async def test_too_many_connections_are_told_so(app: HttpApp) -> None:
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


async def test_one_address_may_not_take_all(app: HttpApp) -> None:
    async with running(app, Limits(per_address=1)) as run:
        first = await run.connect()
        first.send(PING)
        await first.answer()

        second = await run.connect()

        assert (await second.answer())[0] == 503


async def test_a_client_that_asks_faster_than_it_is_answered_is_not_read_from(
    app: HttpApp, invoker: Invoker
) -> None:
    async with running(app) as run:
        client = await run.connect()
        slow = b"GET /zato/api/invoke/slow HTTP/1.1\r\n" + H + b"\r\n"
        client.send(slow * 20_000)
        await invoker.was_called.wait()
        await arrived(run, client)

        (connection,) = (c for c in run.server.connections if c.is_busy)
        assert connection.waiting < 500
        invoker.may_go_on.set()
        for _ in range(20_000):
            assert (await client.answer())[0] == 200


async def test_clients_that_vanish_leave_nothing_behind(app: HttpApp, invoker: Invoker) -> None:
    async with running(app) as run:
        clients = [await run.connect() for _ in range(200)]
        for n, client in enumerate(clients):
            client.send(
                [b"GE", POST + b"1", PING * 3, PING.replace(b"ping", b"api/invoke/slow")][n % 4]
            )
        await invoker.was_called.wait()

        for client in clients:
            client.writer.transport.abort()
        invoker.may_go_on.set()

        await arrived(run, clients[0])
        while len(run.server.connections) > 1:  # noqa: ASYNC110
            await asyncio.sleep(0)
        tasks = [task for task in asyncio.all_tasks() if "_answer_all" in repr(task)]
        assert len(tasks) <= 1
