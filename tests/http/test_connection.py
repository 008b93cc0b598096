"""One connection, fed as the loop feeds it: answers, their order, and remains."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from contextvars import ContextVar
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from zato_lite.clock import SystemClock
from zato_lite.http.connection import Connection
from zato_lite.http.message import FastResponse, Request, Response
from zato_lite.http.parser import Limits
from zato_lite.http.responses import response_of
from zato_lite.http.server import Server
from zato_lite.service.base import Service
from zato_lite.service.containment import contain_tasks
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import Invocation, Outcome
from zato_lite.service.registry import Registry

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
LARGE = 100_000
CONTINUE = 100

_left: ContextVar[str] = ContextVar("left", default="nothing")


class Says(Service):
    """Answers with its payload and the variable that an earlier request may have left."""

    async def handle(self) -> str:
        return self.said()

    def said(self) -> str:
        found, sent = _left.get(), self.request.raw_request
        _left.set(f"what {sent} left")
        return f"{sent} found {found}"


def cancel_myself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


class Services:
    class Immediate(Says):
        pass

    class Waits(Says):
        async def handle(self) -> str:
            before = _left.set("mine")
            for _ in range(3):
                await asyncio.sleep(0)
            _left.reset(before)
            return self.said()

    class Cancels(Says):
        async def handle(self) -> str:
            cancel_myself()
            return self.said()

    class CancelsLater(Says):
        async def handle(self) -> str:
            await asyncio.sleep(0)
            cancel_myself()
            return self.said()

    class IsLarge(Says):
        async def handle(self) -> str:
            return self.said().ljust(LARGE)

    class CancelsAndIsLarge(Says):
        async def handle(self) -> str:
            cancel_myself()
            return self.said().ljust(LARGE)

    class TimesOut(Says):
        async def handle(self) -> str:
            try:
                async with asyncio.timeout(0):
                    await asyncio.Event().wait()
            except TimeoutError:
                return self.said()
            return "no time-out"

    class HasABrokenGroup(Says):
        async def handle(self) -> str:
            async def breaks() -> None:
                raise ValueError

            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(breaks())
                    await asyncio.Event().wait()
            except* ValueError:
                pass
            return self.said()


SERVICES = [cls for cls in vars(Services).values() if isinstance(cls, type)]


class Wire(asyncio.Transport):
    """A transport that keeps the written bytes."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 5)})
        self.written = b""
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Line:
    """A connection and its client."""

    def __init__(self, server: Server) -> None:
        self.wire = Wire()
        self.heads: list[bool] = []
        self.connection = Connection(server)
        self.connection.connection_made(self.wire)

    async def send(self, *pieces: bytes) -> None:
        """Let the loop deliver the pieces, one in each of its turns."""
        for piece in pieces:
            asyncio.get_running_loop().call_soon(self.connection.data_received, piece)
            await asyncio.sleep(0)

    async def answers(self, count: int) -> list[tuple[int, str]]:
        """Return at least ``count`` answers: statuses and bodies."""
        found: list[tuple[int, str]] = []
        async with asyncio.timeout(10):
            while len(found) < count and not self.wire.is_closed:
                await asyncio.sleep(0)
                found = list(self.parsed())
        return found

    async def finals(self, count: int) -> list[tuple[int, str]]:
        """Return the answers without ``100 Continue``."""
        async with asyncio.timeout(10):
            while not self.wire.is_closed:
                found = [answer for answer in self.parsed() if answer[0] != CONTINUE]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0)
        return []

    def parsed(self) -> Iterator[tuple[int, str]]:
        """Yield the complete answers; ``heads`` says which ones have no body."""
        data, heads = self.wire.written, iter(self.heads)
        while b"\r\n\r\n" in data:
            head, _, data = data.partition(b"\r\n\r\n")
            status = int(head.split()[1])
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
            if status != CONTINUE and next(heads, False):
                length = 0
            if len(data) < length:
                return
            yield status, data[:length].decode().strip()
            data = data[length:]


def answering(
    invoker: Invoker,
) -> Callable[[Request], FastResponse | Response | Coroutine[Any, Any, Response]]:
    """Return an application that answers like the real one: fast, plain, or later."""

    async def rest(outcome: Any) -> Response:
        return response_of(await outcome)

    def app(request: Request) -> FastResponse | Response | Coroutine[Any, Any, Response]:
        sent = request.body.decode() or request.query.decode()
        seconds = float(request.headers.get(b"request-timeout", b"0")) or None
        name = request.path.removeprefix("/")
        invocation = Invocation(name, sent, timeout=seconds, channel="http")
        outcome = invoker.begin(invocation, SystemClock().monotonic())
        if isinstance(outcome, tuple):
            if request.method != "PUT":
                return outcome[0].encode(), "cid"
            outcome = Outcome("cid", *outcome)
        return response_of(outcome) if isinstance(outcome, Outcome) else rest(outcome)

    return app


def talk(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
    conversation: Callable[[Line, Invoker], Coroutine[Any, Any, None]],
) -> None:
    """Run the conversation in a loop like the server's."""
    registry = Registry()
    for cls in SERVICES:
        registry.add(cls)
    invoker = Invoker(registry)

    async def main() -> None:
        server = Server(answering(invoker), SystemClock(), Limits())
        line = Line(server)
        try:
            await conversation(line, invoker)
        finally:
            line.connection.connection_lost(None)
            await asyncio.sleep(0)
            await server.close(0)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        contain_tasks(runner.get_loop())
        runner.run(main())


def get(cls: type[Service[Any, Any]], sent: str, fields: str = "") -> bytes:
    return f"GET /{cls.get_name()}?{sent} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode()


FORMS = {
    "get": "GET /{name}?{sent} HTTP/1.1\r\nHost: a\r\n\r\n",
    "post": "POST /{name} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n{sent:>4}",
    "head": "HEAD /{name}?{sent} HTTP/1.1\r\nHost: a\r\n\r\n",
    "old": "GET /{name}?{sent} HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    "chunked": (
        "PUT /{name} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "4\r\n{sent:>4}\r\n0\r\n\r\n"
    ),
    "expecting": (
        "POST /{name} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        "{sent:>4}"
    ),
}


class Sent(NamedTuple):
    """A request, whether it is sent apart from the next one, and the turns to wait after it."""

    cls: type[Service[Any, Any]]
    form: str
    is_apart: bool
    turns: int

    def written(self, number: int) -> bytes:
        """Return the bytes; all bodies have one length, so that heads are equal."""
        return FORMS[self.form].format(name=self.cls.get_name(), sent=str(number)).encode()


forms = st.one_of(st.sampled_from(["get", "post"]), st.sampled_from(list(FORMS)))
requests = st.builds(Sent, st.sampled_from(SERVICES), forms, st.booleans(), st.integers(0, 4))
cuts = st.lists(st.floats(0, 1), max_size=6)


async def send_all(line: Line, sent: list[Sent], cuts: list[float]) -> None:
    """Send the requests, the ones that are apart in pieces."""
    waiting = b""
    for number, request in enumerate(sent):
        waiting += request.written(number)
        if request.is_apart:
            await send_cut(line, waiting, cuts)
            waiting = b""
            for _ in range(request.turns):
                await asyncio.sleep(0)
    await line.send(waiting)


@given(st.lists(requests, max_size=12), cuts, st.sampled_from(LOOPS))
def test_each_request_gets_its_answer_in_order(
    sent: list[Sent], cuts: list[float], loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def conversation(line: Line, invoker: Invoker) -> None:
        line.heads = [request.form == "head" for request in sent]

        await send_all(line, sent, cuts)

        expected = [
            (200, "" if request.form == "head" else f"{number} found nothing")
            for number, request in enumerate(sent)
        ]
        assert await line.finals(len(sent)) == expected
        await asyncio.sleep(0.001)
        assert await line.finals(len(sent)) == expected
        assert not line.wire.is_closed
        for entry in invoker.registry:
            asked = [request for request in sent if request.cls is entry.cls]
            assert (entry.calls, entry.in_flight) == (len(asked), 0)

    talk(loop, conversation)


@given(
    st.lists(requests, max_size=6),
    cuts,
    st.sampled_from(LOOPS),
    st.integers(0, 12),
    st.sampled_from(["lost", "abort", "stop", "end"]),
)
def test_a_connection_leaves_no_task_and_no_invocation_behind(
    sent: list[Sent],
    cuts: list[float],
    loop: Callable[[], asyncio.AbstractEventLoop],
    turns: int,
    way: str,
) -> None:
    async def conversation(line: Line, invoker: Invoker) -> None:
        connection = line.connection
        ends = {
            "lost": lambda: connection.connection_lost(None),
            "abort": connection.abort,
            "stop": connection.stop,
            "end": connection.eof_received,
        }

        sending = asyncio.create_task(send_all(line, sent, cuts))
        for _ in range(turns):
            await asyncio.sleep(0)
        sending.cancel()
        ends[way]()
        await asyncio.sleep(0)
        if way != "lost":
            for _ in range(turns):
                await asyncio.sleep(0)
            connection.connection_lost(None)

        async with asyncio.timeout(10):
            while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
        assert [entry.name for entry in invoker.registry if entry.in_flight] == []

    talk(loop, conversation)


async def send_cut(line: Line, data: bytes, cuts: list[float]) -> None:
    """Send the bytes in pieces, or whole without a cut."""
    edges = sorted({0, len(data), *(int(cut * len(data)) for cut in cuts)})
    await line.send(*(data[start:end] for start, end in pairwise(edges)))


@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
@pytest.mark.parametrize(
    "cancels", [Services.Cancels, Services.CancelsAndIsLarge, Services.CancelsLater]
)
def test_a_service_that_cancels_its_task_cancels_no_later_request(
    loop: Callable[[], asyncio.AbstractEventLoop], cancels: type[Says]
) -> None:
    async def conversation(line: Line, invoker: Invoker) -> None:
        await line.send(get(Services.Immediate, "0"))
        await line.answers(1)

        await line.send(get(cancels, "1") + get(Services.Waits, "2") + get(cancels, "3"))
        await line.send(get(Services.Waits, "4"))

        expected = [(200, f"{number} found nothing") for number in range(5)]
        assert await line.answers(5) == expected

    talk(loop, conversation)


@pytest.mark.parametrize("fields", ["", "Request-Timeout: 0.001\r\n"])
@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_a_first_step_beyond_its_limit_times_out_on_a_new_connection_too(
    loop: Callable[[], asyncio.AbstractEventLoop], fields: str
) -> None:
    class Works(Service):
        async def handle(self) -> None:
            clock = SystemClock()
            end = clock.monotonic() + 0.005
            async with asyncio.timeout(0.001):
                while clock.monotonic() < end:
                    pass
                await asyncio.Event().wait()

    async def conversation(line: Line, invoker: Invoker) -> None:
        invoker.registry.add(Works)

        for number in range(1, 4):
            await line.send(get(Works, "", fields))
            assert (await line.answers(number))[-1][0] == 504
        assert not line.wire.is_closed

    talk(loop, conversation)


def test_all_requests_of_one_read_are_answered() -> None:
    async def conversation(line: Line, invoker: Invoker) -> None:
        await line.send(get(Services.Immediate, "0"))
        await line.answers(1)

        fields = f"X-Pad: {'p' * 600}\r\n"
        await line.send(b"".join(get(Services.Immediate, str(n), fields) for n in range(1, 100)))

        assert await line.answers(100) == [(200, f"{n} found nothing") for n in range(100)]

    talk(asyncio.new_event_loop, conversation)


def test_many_requests_are_answered_after_the_client_has_closed_its_side() -> None:
    async def conversation(line: Line, invoker: Invoker) -> None:
        fields = f"X-Pad: {'p' * 600}\r\n"
        data = b"".join(get(Services.Waits, str(n), fields) for n in range(100))

        await line.send(data)
        stays = line.connection.eof_received()

        assert stays
        assert await line.answers(100) == [(200, f"{n} found nothing") for n in range(100)]

    talk(asyncio.new_event_loop, conversation)


def test_empty_lines_are_not_a_request() -> None:
    async def conversation(line: Line, invoker: Invoker) -> None:
        await line.send(get(Services.Waits, "0") + get(Services.Waits, "1"), b"\r\n\r")
        await line.answers(2)

        await line.send(b"\r\n\r", b"\r\n\r")
        await asyncio.sleep(0.001)

        assert len(await line.answers(2)) == 2

    talk(asyncio.new_event_loop, conversation)


def test_continue_is_sent_after_the_answers_to_earlier_requests() -> None:
    async def conversation(line: Line, invoker: Invoker) -> None:
        expects = (
            b"POST /%b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        )
        head = expects % Services.Immediate.get_name().encode()

        for number, before in enumerate((Services.Immediate, Services.Waits)):
            start = 3 * number
            await line.send(get(before, str(start)) + head)
            assert (await line.answers(start + 2))[start:] == [
                (200, f"{start} found nothing"),
                (100, ""),
            ]
            await line.send(b"body")
            assert (await line.answers(start + 3))[-1] == (200, "body found nothing")

    talk(asyncio.new_event_loop, conversation)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration])
@pytest.mark.parametrize("turns", [0, 1])
def test_any_exception_becomes_an_answer(error: type[BaseException], turns: int) -> None:
    class Raises(Service):
        async def handle(self) -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            raise error

    async def conversation(line: Line, invoker: Invoker) -> None:
        invoker.registry.add(Raises)

        for _ in range(2):
            await line.send(get(Raises, "x") + get(Services.Immediate, "y"))

        found = await line.answers(4)
        assert [status for status, _ in found] == [500, 200, 500, 200]

    talk(asyncio.new_event_loop, conversation)


@pytest.mark.parametrize("way", ["lost", "abort"])
@pytest.mark.parametrize("is_new", [True, False])
def test_a_connection_that_goes_leaves_nothing_in_flight(way: str, is_new: bool) -> None:
    class Stays(Service):
        async def handle(self) -> None:
            await asyncio.sleep(0.001)

    async def conversation(line: Line, invoker: Invoker) -> None:
        invoker.registry.add(Stays)
        entry = invoker.registry.get(Stays.get_name())
        if not is_new:
            await line.send(get(Stays, "0"))
            await line.answers(1)
        loop, connection = asyncio.get_running_loop(), line.connection

        loop.call_soon(connection.data_received, get(Stays, "0"))
        if way == "abort":
            loop.call_soon(connection.abort)
        loop.call_soon(connection.connection_lost, None)

        async with asyncio.timeout(5):
            while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
        assert entry.in_flight == 0

    talk(asyncio.new_event_loop, conversation)


def test_many_requests_leave_no_further_tasks() -> None:
    async def conversation(line: Line, invoker: Invoker) -> None:
        numbers = itertools.count()
        for cls in (*SERVICES, *SERVICES):
            await line.send(get(cls, str(next(numbers))))
            await line.answers(1)
            line.wire.written = b""
        await asyncio.sleep(0.001)

        assert len(asyncio.all_tasks()) <= 2

    talk(asyncio.new_event_loop, conversation)
