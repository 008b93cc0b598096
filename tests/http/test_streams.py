"""Event streams are limited by caller and by server; bursts reach all listeners together."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import pytest
import uvloop

from tests.http.conftest import BASIC, Invoker, Services
from zato_lite.errors import TooManyRequestsError
from zato_lite.http.app import HttpApp
from zato_lite.http.auth import Authenticator
from zato_lite.http.events import Event, EventLog
from zato_lite.http.message import Request, Response
from zato_lite.http.parser import ParsedRequest
from zato_lite.http.passwords import new_key
from zato_lite.http.streams import StreamCounter
from zato_lite.http.writer import Renderer, ResponseWriter
from zato_lite.store.accounts import Accounts, Credential

VIEWER = frozenset({"viewer"})


async def pieces() -> AsyncIterator[bytes]:
    yield b"a"


def test_a_caller_and_a_server_have_a_limited_number_of_streams() -> None:
    counter = StreamCounter(per_caller=2, total=3)
    held = [counter.count("user:a", pieces()) for _ in range(2)]

    with pytest.raises(TooManyRequestsError, match="of one caller: 2 are open") as caught:
        counter.count("user:a", pieces())
    held.append(counter.count("key:a", pieces()))
    with pytest.raises(TooManyRequestsError, match="too many event streams: 3 are open"):
        counter.count("user:b", pieces())

    assert caught.value.retry_after == 30


async def test_a_closed_or_dropped_stream_counts_no_longer() -> None:
    counter = StreamCounter(per_caller=1)

    closed = counter.count("user:a", pieces())
    assert await anext(closed) == b"a"
    await closed.aclose()
    counter.count("user:a", pieces())  # never begun, and dropped at the end of the line
    counter.count("user:a", pieces())


@pytest.fixture
def app(invoker: Invoker, authenticator: Authenticator) -> HttpApp:
    return HttpApp(invoker.begin, Services(), authenticator, events=EventLog(heartbeat=0.01))


async def listen(app: HttpApp, credentials: bytes = BASIC, method: str = "GET") -> Response:
    headers = {b"host": b"localhost", b"authorization": credentials}
    return await app(Request(method, "/zato/events", b"", headers, raw_path="/zato/events"))


async def test_400_streams_of_one_viewer_are_refused_above_20(
    app: HttpApp, users: Accounts
) -> None:
    key, other = new_key(), new_key()
    for each in (key, other):
        await users.save(Credential("key", each.name, each.hash, VIEWER, (), True))
    bearer = b"Bearer " + key.text.encode()

    answers = [await listen(app, bearer) for _ in range(400)]

    statuses = [answer.status for answer in answers]
    assert (statuses.count(200), statuses.count(429)) == (20, 380)
    assert ("Retry-After", "30") in answers[-1].headers
    assert (await listen(app, b"Bearer " + other.text.encode())).status == 200
    stream = answers[0].stream
    assert stream is not None
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    assert (await listen(app, bearer)).status == 200


async def test_a_head_request_leaves_no_stream_behind(app: HttpApp) -> None:
    for _ in range(50):
        assert (await listen(app, method="HEAD")).status == 200


async def test_events_in_quick_succession_wake_a_listener_together() -> None:
    log = EventLog(heartbeat=10.0)
    async with aclosing(log.subscribe(None)) as stream:
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        log.publish("run", 1)
        assert await first == Event(1, "run", b"1")

        second = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        for number in range(2, 52):
            log.publish("run", number)
            await asyncio.sleep(0)
        assert not second.done()

        async with asyncio.timeout(5):
            found = [await second, *[await anext(stream) for _ in range(49)]]
        assert [event.number for event in found if event is not None] == list(range(2, 52))


LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_a_stream_ends_quietly_when_its_client_has_left(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def send() -> bool:
        running, (own, peer) = asyncio.get_running_loop(), socket.socketpair()
        transport, _ = await running.create_connection(asyncio.Protocol, sock=own)

        async def left() -> AsyncIterator[bytes]:
            yield b"a"
            peer.close()
            transport.abort()
            await asyncio.sleep(0.01)
            raise asyncio.CancelledError

        writer = ResponseWriter(transport, Renderer(), running)
        response = Response(200, stream=left())
        request = ParsedRequest(Request("GET", "/zato/events", b""), True, False)
        assert response.stream is not None
        return await writer.send_stream(request, response, response.stream, True)

    with asyncio.Runner(loop_factory=loop) as runner:
        keeps_alive = runner.run(send())

    assert not keeps_alive
