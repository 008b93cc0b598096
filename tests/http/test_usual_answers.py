"""Usual answers take a shorter way than others; what is answered and counted is the same."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from tests.http.conftest import BASIC, Running, running
from zato_lite.http.app import HttpApp
from zato_lite.http.auth import Authenticator
from zato_lite.http.message import LARGE, TEXT
from zato_lite.http.writer import SHORT
from zato_lite.metrics import of_http
from zato_lite.service.base import Service
from zato_lite.service.invoker import Invoker
from zato_lite.service.registry import Registry

OK, CREATED, REFUSED, BROKEN, UNREADABLE = 200, 201, 403, 500, 400


class Point(msgspec.Struct):
    x: int


class Unknown:
    """JSON has no form of it."""


ANSWERS: dict[str, tuple[Callable[[Service], Any], int, bytes]] = {
    "values": (lambda self: {"a": 1}, OK, b'{"a":1}'),
    "struct": (lambda self: Point(5), OK, b'{"x":5}'),
    "nothing": (lambda self: None, OK, b"{}"),
    "list": (lambda self: [1, 2], OK, b"[1,2]"),
    "text": (lambda self: "text", OK, b"text"),
    "few": (lambda self: {"a": "x" * (SHORT - 9)}, OK, b'{"a":"' + b"x" * (SHORT - 9) + b'"}'),
    "more": (lambda self: {"a": "x" * (SHORT - 8)}, OK, b'{"a":"' + b"x" * (SHORT - 8) + b'"}'),
    "large": (lambda self: {"a": "x" * LARGE}, OK, b'{"a":"' + b"x" * LARGE + b'"}'),
    "created": (lambda self: _with_status(self, CREATED), CREATED, b'{"a":1}'),
    "unknown": (lambda self: {"a": Unknown}, BROKEN, b"An error has occurred"),
    "unknown field": (lambda self: {"a": {1: Unknown()}}, BROKEN, b"An error has occurred"),
    "raises": (lambda self: 1 / 0, BROKEN, b"An error has occurred"),
}


def _with_status(service: Service, status: int) -> dict[str, int]:
    service.response.status_code = status
    return {"a": 1}


def service_of(named: str, answer: Callable[[Service], Any]) -> type[Service]:
    class Answers(Service):
        name = named

        async def handle(self) -> Any:
            return answer(self)

    return Answers


class Echoes(Service):
    name = "echoes"

    async def handle(self) -> Any:
        self.response.payload = {"got": self.request.payload, "raw": str(self.request.raw_request)}


class IsTyped(Service[Point, Point]):
    name = "typed"

    async def handle(self) -> Point:
        return Point(self.request.input.x + 1)


class It:
    """A server, its application, and what is asked."""

    def __init__(self, run: Running, app: HttpApp, invoker: Invoker) -> None:
        self.run, self.app, self.invoker = run, app, invoker

    async def asks(self, *requests: bytes) -> list[tuple[int, bytes]]:
        """Ask one after the other on one connection."""
        client = await self.run.connect()
        found = []
        for request in requests:
            client.send(request)
            status, headers, body = await client.answer()
            assert headers[b"x-zato-cid"].startswith(b"K")
            found.append((status, body))
        return found

    async def figures(self) -> dict[str, float]:
        """What ``/metrics`` says of invocations."""
        return {
            "/".join((sample.name, *sample.labels.values())): sample.value
            for family in of_http(self.app.latency)
            for sample in family.samples
        }


@pytest.fixture
async def it(authenticator: Authenticator) -> AsyncIterator[It]:
    registry = Registry()
    for name, (answer, _, _) in ANSWERS.items():
        registry.add(service_of(name.replace(" ", "-"), answer))
    registry.add(Echoes)
    registry.add(IsTyped)
    invoker = Invoker(registry)
    app = HttpApp(invoker.begin, registry, authenticator)
    async with running(app.begin) as run:
        yield It(run, app, invoker)


def get(name: str) -> bytes:
    target = f"/zato/api/invoke/{name.replace(' ', '-')}".encode()
    return b"GET %b HTTP/1.1\r\nHost: localhost\r\nAuthorization: %b\r\n\r\n" % (target, BASIC)


def post(name: str, body: bytes, kind: bytes = b"application/json") -> bytes:
    return (
        b"POST /zato/api/invoke/%b HTTP/1.1\r\nHost: localhost\r\nAuthorization: %b\r\n"
        b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n%b"
        % (name.encode(), BASIC, kind, len(body), body)
    )


@pytest.mark.parametrize("name", ANSWERS)
async def test_the_first_answer_and_those_after_it_are_the_same(it: It, name: str) -> None:
    _, status, body = ANSWERS[name]

    found = await it.asks(*[get(name)] * 4)

    assert [one[0] for one in found] == [status] * 4
    assert all(body in one[1] for one in found)
    entry = it.invoker.registry.get(name.replace(" ", "-"))
    assert (entry.calls, entry.in_flight) == (4, 0)


async def test_all_answers_are_counted_by_status_and_time(it: It) -> None:
    await it.asks(*[get("values")] * 5, *[get("created")] * 3, *[get("raises")] * 2)

    figures = await it.figures()

    counted, timed = "zato_lite_http_invocations_total", "zato_lite_http_invocation_seconds"
    assert figures[f"{counted}/{OK}"] == 5
    assert figures[f"{counted}/{CREATED}"] == 3
    assert figures[f"{counted}/{BROKEN}"] == 2
    assert figures[f"{timed}_bucket/+Inf"] == figures[f"{timed}_count"] == 10
    assert 0 < figures[f"{timed}_sum"] < 10


async def test_a_body_is_read_anew_with_each_request_of_one_head(it: It) -> None:
    bodies = [b'{"a":1}', b'{"a":2}', b'{"a":  ', b'"abcde"', b'{"a":3}']

    found = await it.asks(*(post("echoes", body) for body in bodies))

    assert [status for status, _ in found] == [OK, OK, UNREADABLE, OK, OK]
    assert found[1][1] == b'{"got":{"a":2},"raw":"b\'{\\"a\\":2}\'"}'
    assert b'"got":"abcde"' in found[3][1]
    assert b'"got":{"a":3}' in found[4][1]


async def test_text_and_forms_stay_what_they_are(it: It) -> None:
    text = [post("echoes", body, b"text/plain") for body in (b"one", b"two")]
    form = [
        post("echoes", body, b"application/x-www-form-urlencoded") for body in (b"a=1", b"a=2")
    ]

    found = await it.asks(*text, *form)

    assert b'"got":"two"' in found[1][1]
    assert b'"got":{"a":"2"}' in found[3][1]


async def test_typed_input_is_checked_each_time(it: It) -> None:
    found = await it.asks(*(post("typed", body) for body in (b'{"x":1}', b'{"x":8}', b'{"x":z}')))
    wrong = await it.asks(*(post("typed", body) for body in (b'{"x":"1"}', b'{"x":"a"}')))

    assert found[:2] == [(OK, b'{"x":2}'), (OK, b'{"x":9}')]
    assert [status for status, _ in (found[2], *wrong)] == [UNREADABLE] * 3


async def test_what_is_not_json_says_what_it_is(it: It) -> None:
    client = await it.run.connect()
    kinds = []
    for name in ("text", "text", "values", "values"):
        client.send(get(name))
        kinds.append((await client.answer())[1][b"content-type"].decode())

    assert kinds == [TEXT, TEXT, "application/json", "application/json"]
