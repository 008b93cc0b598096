"""The input of a large body is read in a thread, and is what the loop's thread would make."""

import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.http.conftest import BASIC, Running, running
from zato_lite.http.app import HttpApp
from zato_lite.http.auth import Authenticator
from zato_lite.service.base import Service
from zato_lite.service.invoker import Invoker
from zato_lite.service.lifecycle import read_ahead
from zato_lite.service.message import Invocation
from zato_lite.service.offload import OFFLOAD_FROM
from zato_lite.service.registry import Registry

OK, UNREADABLE = 200, 400
MANY = OFFLOAD_FROM // 9

_read_in: list[threading.Thread] = []
"""The threads in which ``Line`` was read."""


class Line(msgspec.Struct):
    a: int

    def __post_init__(self) -> None:
        _read_in.append(threading.current_thread())


class Typed(Service):
    name = "typed"
    input = list[Line]

    async def handle(self) -> Any:
        return {"count": len(self.request.input), "first": self.request.input[0].a}


class Untyped(Service):
    name = "untyped"

    async def handle(self) -> Any:
        self.request.input[0].b = 7
        return [self.request.input[0].b, self.request.payload[0]]


class Raw(Service):
    name = "raw"

    async def handle(self) -> Any:
        return {"length": len(self.request.raw_request)}


class Harness:
    def __init__(self, run: Running, invoker: Invoker) -> None:
        self.run, self.invoker = run, invoker

    async def post(self, service: str, payload: Any) -> tuple[int, Any]:
        body = json.dumps(payload).encode()
        client = await self.run.connect()
        client.send(
            b"POST /zato/api/invoke/%b HTTP/1.1\r\nHost: localhost\r\nAuthorization: %b\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (service.encode(), BASIC, len(body), body)
        )
        status, _, answer = await client.answer()
        return status, json.loads(answer)


@pytest.fixture
async def harness(authenticator: Authenticator) -> AsyncIterator[Harness]:
    registry = Registry()
    for cls in (Typed, Untyped, Raw):
        registry.add(cls)
    invoker = Invoker(registry)
    app = HttpApp(invoker.begin, registry, authenticator, read_ahead=invoker.read_ahead)
    _read_in.clear()
    async with running(app.begin) as run:
        yield Harness(run, invoker)


@pytest.mark.parametrize(("count", "is_in_loop"), [(1, True), (MANY, False)])
async def test_only_large_input_is_read_in_a_thread(
    harness: Harness, count: int, is_in_loop: bool
) -> None:
    answer = await harness.post("typed", [{"a": 5}] * count)

    assert answer == (OK, {"count": count, "first": 5})
    assert len(_read_in) == count
    assert {thread is threading.current_thread() for thread in _read_in} == {is_in_loop}


async def test_large_input_without_a_declared_type_has_attributes(harness: Harness) -> None:
    assert await harness.post("untyped", [{"a": 5}] * MANY) == (OK, [7, {"a": 5}])


async def test_a_large_message_can_be_read_unparsed(harness: Harness) -> None:
    message = [{"a": 5}] * MANY

    assert await harness.post("raw", message) == (OK, {"length": len(json.dumps(message))})


async def test_an_error_in_large_input_is_the_caller_s_and_is_counted(harness: Harness) -> None:
    status, answer = await harness.post("typed", [{"a": 5}] * MANY + [{"a": "x"}])

    assert status == UNREADABLE
    assert [each["field"] for each in answer["errors"]] == [f"[{MANY}].a"]
    assert harness.invoker.find_service("typed").errors == 1  # type: ignore[union-attr]


async def test_input_that_was_read_for_a_replaced_class_is_read_again() -> None:
    registry = Registry()
    registry.add(Typed)
    invoker = Invoker(registry)
    invocation = Invocation("typed", [{"a": 5}])

    class Other(Service):
        name = "typed"
        input = list[dict[str, int]]

        async def handle(self) -> Any:
            return [type(self.request.input[0]).__name__]

    invocation.ahead = read_ahead(registry.get("typed"), invocation)
    registry.remove("typed")
    registry.add(Other)

    assert (await invoker.run(invocation)).payload == ["dict"]


async def test_a_service_that_another_one_invokes_reads_its_own_input() -> None:
    class Outer(Service):
        name = "outer"

        async def handle(self) -> Any:
            return await self.invoke(Typed, [{"a": 1}])

    registry = Registry()
    registry.add(Typed)
    registry.add(Outer)
    invocation = Invocation("outer", [{"a": 5}])
    invocation.ahead = read_ahead(registry.get("outer"), invocation)

    outcome = await Invoker(registry).run(invocation)

    assert outcome.payload == {"count": 1, "first": 1}
