"""The access log: a line for each request, without query strings, or for slow ones only."""

import asyncio
import json
import logging
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.http.conftest import Invoker, Services, running
from zato_lite.http.access_log import AccessLog
from zato_lite.http.app import HttpApp
from zato_lite.http.auth import Authenticator
from zato_lite.http.fastpath import Answer
from zato_lite.http.message import Request, Response

REQUEST = Request("GET", "/orders", b"token=secret", remote_address="10.0.0.9")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def access_log(answer: Any, clock: Clock, slow_s: float = 0.0) -> AccessLog:
    return AccessLog(lambda request: answer(), clock, lambda request: "ann", slow_s)


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[Any, ...]]:
    names = ("method", "path", "status", "ms", "caller", "address", "cid")
    return [tuple(vars(record)[name] for name in names) for record in caplog.records]


@pytest.mark.parametrize(
    ("answer", "status"), [((b"{}", "c1"), 200), (Response(404, b"", cid="c1"), 404)]
)
async def test_an_answer_without_waiting_is_logged(
    answer: Answer, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()

    def answered() -> Answer:
        clock.now += 0.0125
        return answer

    assert access_log(answered, clock).answer(REQUEST) is answer
    assert lines(caplog) == [("GET", "/orders", status, 12.5, "ann", "10.0.0.9", "c1")]
    assert "secret" not in caplog.text


async def later(clock: Clock) -> Response:
    await asyncio.sleep(0)
    clock.now += 2
    return Response(500, b"", cid="c2")


async def test_an_answer_after_waiting_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()

    answer = access_log(lambda: later(clock), clock).answer(REQUEST)
    assert isinstance(answer, Coroutine)
    assert (await answer).status == 500
    assert lines(caplog) == [("GET", "/orders", 500, 2000.0, "ann", "10.0.0.9", "c2")]


async def test_a_request_whose_client_has_left_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def never() -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    answer = access_log(never, Clock()).answer(REQUEST)
    assert isinstance(answer, Coroutine)
    task = asyncio.create_task(answer)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [record.getMessage() for record in caplog.records] == ["request abandoned"]


async def test_only_slow_requests_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    log = access_log(lambda: (b"{}", "c"), clock, slow_s=1.0)
    slow = access_log(lambda: later(clock), clock, slow_s=1.0)

    log.answer(REQUEST)
    answer = slow.answer(REQUEST)
    assert isinstance(answer, Coroutine)
    await answer

    assert [line[2] for line in lines(caplog)] == [500]


@pytest.mark.parametrize("slow_s", [0.0, 1.0, None])
async def test_a_malformed_request_has_a_correlation_id_and_a_line(
    caplog: pytest.LogCaptureFixture,
    invoker: Invoker,
    authenticator: Authenticator,
    slow_s: float | None,
) -> None:
    caplog.set_level(logging.INFO, "zato_lite.access")
    app = HttpApp(invoker.begin, Services(), authenticator, slow_s=slow_s)
    async with running(app.begin, note_refusal=app.note_refusal) as run:
        client = await run.connect()
        client.send(b"GET /zato/ping HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        status, headers, body = await client.answer()

    answer = json.loads(body)
    assert (status, answer["cid"]) == (400, headers[b"x-zato-cid"].decode())
    written = [
        (record.getMessage(), vars(record)["status"], vars(record)["reason"], vars(record)["cid"])
        for record in caplog.records
        if record.name == "zato_lite.access"
    ]
    line = ("request refused", 400, "header field is repeated: host", answer["cid"])
    assert written == ([line] if slow_s == 0 else [])
