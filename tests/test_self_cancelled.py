"""A service that cancels its own task, the connection's, ends only its own invocation."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from zato_lite.clock import SystemClock
from zato_lite.http.message import Request, Response
from zato_lite.http.responses import error_response
from zato_lite.http.server import serve
from zato_lite.service.base import Service
from zato_lite.service.containment import contain_tasks
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import Invocation, Outcome
from zato_lite.service.registry import Registry
from zato_lite.wire import encode


def cancel_myself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


class Services:
    class AtOnceThenWaits(Service):
        async def handle(self) -> None:
            cancel_myself()
            await asyncio.sleep(0)

    class LaterThenWaits(Service):
        async def handle(self) -> None:
            await asyncio.sleep(0)
            cancel_myself()
            await asyncio.sleep(0)

    class AtOnceThenReturns(Service):
        async def handle(self) -> str:
            cancel_myself()
            return "done"

    class LaterThenReturns(Service):
        async def handle(self) -> str:
            await asyncio.sleep(0)
            cancel_myself()
            return "done"

    class ThinksBetterOfIt(Service):
        async def handle(self) -> str:
            cancel_myself()
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                return "done"
            return "not cancelled"

    class LetsAChildDoIt(Service):
        async def handle(self) -> None:
            mine = asyncio.current_task()
            assert mine is not None
            asyncio.get_running_loop().call_soon(mine.cancel)
            await asyncio.Event().wait()

    class WithHooks(Service):
        async def before_handle(self) -> None:
            await asyncio.sleep(0)

        async def handle(self) -> None:
            cancel_myself()
            await asyncio.sleep(0)

    class MakesOneUp(Service):
        async def handle(self) -> None:
            await asyncio.sleep(0)
            raise asyncio.CancelledError

    class Innocent(Service):
        async def handle(self) -> str:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return "innocent"


CANCELLED = (503, b"Cancelled; try again later")
DONE = (200, b"done")


@pytest.mark.parametrize(
    ("cls", "answer"),
    [
        (Services.AtOnceThenWaits, CANCELLED),
        (Services.LaterThenWaits, CANCELLED),
        (Services.AtOnceThenReturns, DONE),
        (Services.LaterThenReturns, DONE),
        (Services.ThinksBetterOfIt, DONE),
        (Services.LetsAChildDoIt, CANCELLED),
        (Services.WithHooks, CANCELLED),
        (Services.MakesOneUp, CANCELLED),
    ],
)
def test_the_caller_is_answered_and_the_connection_stays_open(
    cls: type[Service[Any, Any]], answer: tuple[int, bytes]
) -> None:
    async def talk(invoker: Invoker, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for _ in range(2):
                for service, wanted in (
                    (cls, answer),
                    (Services.MakesOneUp, CANCELLED),
                    (Services.Innocent, (200, b"innocent")),
                ):
                    status, body = await ask(reader, writer, service.get_name())
                    assert (status, wanted[1] in body) == (wanted[0], True)
        finally:
            writer.close()

    run_contained(talk)


def test_the_owner_of_a_task_still_cancels_it() -> None:
    async def talk(invoker: Invoker, port: int) -> None:
        class Stays(Service):
            async def handle(self) -> None:
                cancel_myself()
                try:
                    await asyncio.sleep(0)
                except asyncio.CancelledError:
                    await asyncio.Event().wait()

        invoker.registry.add(Stays)
        running = asyncio.create_task(invoker.run(Invocation(Stays.get_name())))
        for _ in range(3):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])

        assert running.cancelled()

    run_contained(talk)


def test_a_service_cancels_the_task_of_another_service() -> None:
    async def talk(invoker: Invoker, port: int) -> None:
        running: list[asyncio.Task[Outcome]] = []

        class Stops(Service):
            async def handle(self) -> None:
                running[0].cancel()

        class Stays(Service):
            async def handle(self) -> None:
                await asyncio.Event().wait()

        invoker.registry.add(Stops)
        invoker.registry.add(Stays)
        running.append(asyncio.create_task(invoker.run(Invocation(Stays.get_name()))))
        await asyncio.sleep(0)
        await invoker.invoke(Stops)
        await asyncio.wait(running)

        assert running[0].cancelled()

    run_contained(talk)


def run_contained(talk: Callable[[Invoker, int], Any]) -> None:
    registry = Registry()
    for cls in vars(Services).values():
        if isinstance(cls, type):
            registry.add(cls)
    invoker = Invoker(registry)

    async def app(request: Request) -> Response:
        outcome = await invoker.run(Invocation(request.path.removeprefix("/")))
        if outcome.error is not None:
            return error_response(outcome.error, outcome.cid, is_cancelled=outcome.is_cancelled)
        return Response(200, encode(outcome.payload))

    async def main() -> None:
        async with asyncio.timeout(20), serve(app, port=0, clock=SystemClock()) as server:
            await talk(invoker, server.port)

    loop = asyncio.new_event_loop()
    contain_tasks(loop)
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: str
) -> tuple[int, bytes]:
    writer.write(f"GET /{service} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
    length = int({name.lower(): value for name, value in fields.items()}[b"content-length"])
    return int(head.split()[1]), await reader.readexactly(length)
