"""The fast path gives and counts the same answers as the slow path."""

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
    """A value without a JSON form."""


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


class Harness:
    """A server with its application and invoker."""

    def __init__(self, run: Running, app: HttpApp, invoker: Invoker) -> None:
        self.run, self.app, self.invoker = run, app, invoker

    async def ask(self, *requests: bytes) -> list[tuple[int, bytes]]:
        """Send requests one after the other on one connection."""
        client = await self.run.connect()
        answers = []
        for request in requests:
            client.send(request)
            status, headers, body = await client.answer()
            assert headers[b"x-zato-cid"].startswith(b"K")
            answers.append((status, body))
        return answers

    async def figures(self) -> dict[str, float]:
        """Return the figures of invocations in ``/metrics``."""
        return {
            "/".join((sample.name, *sample.labels.values())): sample.value
            for family in of_http(self.app.latency)
            for sample in family.samples
        }


@pytest.fixture
async def harness(authenticator: Authenticator) -> AsyncIterator[Harness]:
    registry = Registry()
    for name, (answer, _, _) in ANSWERS.items():
        registry.add(service_of(name.replace(" ", "-"), answer))
    registry.add(Echoes)
    registry.add(IsTyped)
    invoker = Invoker(registry)
    app = HttpApp(invoker.begin, registry, authenticator)
    async with running(app.begin) as run:
        yield Harness(run, app, invoker)


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
async def test_the_fast_path_answers_like_the_slow_path(harness: Harness, name: str) -> None:
    _, status, body = ANSWERS[name]

    answers = await harness.ask(*[get(name)] * 4)

    assert [answered[0] for answered in answers] == [status] * 4
    assert all(body in answered[1] for answered in answers)
    entry = harness.invoker.registry.get(name.replace(" ", "-"))
    assert (entry.calls, entry.in_flight) == (4, 0)


async def test_all_answers_are_counted_by_status_and_time(harness: Harness) -> None:
    await harness.ask(*[get("values")] * 5, *[get("created")] * 3, *[get("raises")] * 2)

    figures = await harness.figures()

    counted, timed = "zato_lite_http_invocations_total", "zato_lite_http_invocation_seconds"
    assert figures[f"{counted}/{OK}"] == 5
    assert figures[f"{counted}/{CREATED}"] == 3
    assert figures[f"{counted}/{BROKEN}"] == 2
    assert figures[f"{timed}_bucket/+Inf"] == figures[f"{timed}_count"] == 10
    assert 0 < figures[f"{timed}_sum"] < 10


async def test_each_request_of_a_cached_head_has_its_own_body(harness: Harness) -> None:
    bodies = [b'{"a":1}', b'{"a":2}', b'{"a":  ', b'"abcde"', b'{"a":3}']

    answers = await harness.ask(*(post("echoes", body) for body in bodies))

    assert [status for status, _ in answers] == [OK, OK, UNREADABLE, OK, OK]
    assert answers[1][1] == b'{"got":{"a":2},"raw":"b\'{\\"a\\":2}\'"}'
    assert b'"got":"abcde"' in answers[3][1]
    assert b'"got":{"a":3}' in answers[4][1]


async def test_text_and_forms_keep_their_type(harness: Harness) -> None:
    text = [post("echoes", body, b"text/plain") for body in (b"one", b"two")]
    form = [
        post("echoes", body, b"application/x-www-form-urlencoded") for body in (b"a=1", b"a=2")
    ]

    answers = await harness.ask(*text, *form)

    assert b'"got":"two"' in answers[1][1]
    assert b'"got":{"a":"2"}' in answers[3][1]


async def test_typed_input_is_checked_each_time(harness: Harness) -> None:
    answers = await harness.ask(
        *(post("typed", body) for body in (b'{"x":1}', b'{"x":8}', b'{"x":z}'))
    )
    wrong = await harness.ask(*(post("typed", body) for body in (b'{"x":"1"}', b'{"x":"a"}')))

    assert answers[:2] == [(OK, b'{"x":2}'), (OK, b'{"x":9}')]
    assert [status for status, _ in (answers[2], *wrong)] == [UNREADABLE] * 3


async def test_a_response_that_is_not_json_has_its_own_type(harness: Harness) -> None:
    client = await harness.run.connect()
    kinds = []
    for name in ("text", "text", "values", "values"):
        client.send(get(name))
        kinds.append((await client.answer())[1][b"content-type"].decode())

    assert kinds == [TEXT, TEXT, "application/json", "application/json"]
