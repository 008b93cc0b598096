import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.http.conftest import BASIC, Ask, Invoker, Running, Services, running
from zato_lite.clock import SystemClock
from zato_lite.config import Server, Settings, Store
from zato_lite.errors import BadInputError
from zato_lite.http.app import HttpApp
from zato_lite.http.auth import Authenticator
from zato_lite.http.payloads import time_limit
from zato_lite.server import open_server
from zato_lite.service.base import Service
from zato_lite.testing.app import Sandbox, sandbox

ECHO = "/zato/api/invoke/echo"


@pytest.fixture
def app(invoker: Invoker, authenticator: Authenticator) -> HttpApp:
    return HttpApp(invoker.begin, Services(), authenticator, time_limit=30.0)


@pytest.mark.parametrize(
    ("sent", "most", "granted"),
    [
        (None, None, None),
        (None, 30.0, 30.0),
        (b"2.5", None, 2.5),
        (b"2.5", 30.0, 2.5),
        (b"31", 30.0, 30.0),
        (b"0.000001", 30.0, 0.000001),
        (b"999999999", None, 999_999_999.0),
    ],
)
def test_the_caller_s_time_limit_holds_within_the_server_s(
    sent: bytes | None, most: float | None, granted: float | None
) -> None:
    assert time_limit({} if sent is None else {b"request-timeout": sent}, most) == granted


@pytest.mark.parametrize(
    "sent",
    [b"", b"0", b"0.0", b"-1", b"+1", b"1e3", b"inf", b"nan", b"1,5", b"5s", b"1, 2", b".5",
     b"5.", b" 5", b"0x5", b"1_0", b"9999999999", "٣".encode(), b"\xff"],
    ids=repr,
)  # fmt: skip
def test_an_invalid_time_limit_is_refused_with_its_field_name(sent: bytes) -> None:
    with pytest.raises(BadInputError, match="decimal number of seconds above 0") as caught:
        time_limit({b"request-timeout": sent}, 30.0)

    assert [error.field for error in caught.value.errors] == ["Request-Timeout"]


async def test_the_invocation_carries_the_time_limit(ask: Ask, invoker: Invoker) -> None:
    await ask("POST", ECHO, b"{}", request_timeout="2.5")
    await ask("POST", ECHO, b"{}")
    await ask("GET", "/customers/7", request_timeout="60")

    assert [one.timeout for one in invoker.invocations] == [2.5, 30.0, 30.0]


@pytest.mark.parametrize(
    ("header", "field", "granted"), [("2", 5, 2.0), ("5", 2, 2.0), ("5", 0, 5.0), ("99", 50, 30.0)]
)
async def test_the_shorter_limit_of_envelope_and_header_holds(
    ask: Ask, invoker: Invoker, header: str, field: float, granted: float
) -> None:
    body = json.dumps({"name": "echo", "timeout": field}).encode()

    await ask("POST", "/zato/admin/invoke", body, request_timeout=header)

    assert invoker.invocations[-1].timeout == granted


async def test_the_answer_to_a_wrong_limit_says_what_is_allowed(
    ask: Ask, invoker: Invoker
) -> None:
    status, _, body = await ask("POST", ECHO, b"{}", request_timeout="soon")

    told = json.loads(body)
    assert status == 400
    assert told["errors"] == [
        {
            "field": "Request-Timeout",
            "value": "soon",
            "message": "Request-Timeout: 'soon' is not allowed; "
            "a decimal number of seconds above 0, such as 2.5",
        }
    ]
    assert not invoker.invocations


async def test_each_request_of_a_connection_has_its_own_limit(
    app: HttpApp, invoker: Invoker
) -> None:
    async with running(app) as run:
        client = await run.connect()
        for seconds in (b"1", b"1", b"2"):
            client.send(
                b"GET %b HTTP/1.1\r\nHost: localhost\r\nAuthorization: %b\r\n"
                b"Request-Timeout: %b\r\n\r\n" % (ECHO.encode(), BASIC, seconds)
            )
            assert (await client.answer())[0] == 200

    assert [one.timeout for one in invoker.invocations] == [1.0, 1.0, 2.0]


class Waits(Service[Any, Any]):
    """Answers its time limit to the test, and takes longer."""

    name = "waits"

    async def handle(self) -> None:
        if self.request.payload == "tell":
            left = self.time_left
            self.response.payload = {"is_in_time": left is not None and 59 < left <= 60}
        else:
            await self.invoke(WaitsInside)


class WaitsInside(Service[Any, Any]):
    name = "waits-inside"
    left: float | None = None

    async def handle(self) -> None:
        WaitsInside.left = self.time_left
        await self.sleep(60)


@pytest.fixture
async def harness() -> AsyncIterator[Sandbox]:
    chosen = Settings(
        store=Store("sqlite:///:memory:"), server=Server(grace=0.0, port=0, request_timeout=60)
    )
    async with sandbox(Waits, WaitsInside, settings=chosen) as opened:
        yield opened


async def test_a_service_is_cancelled_at_the_time_limit_of_its_request(harness: Sandbox) -> None:
    app = dataclasses.replace(harness.app, clock=SystemClock())
    async with open_server(app, {"ZATO_LITE_ADMIN_PASSWORD": "secret"}) as server:
        run = Running(server)
        client = await run.connect()
        head = (
            b"POST /zato/api/invoke/waits HTTP/1.1\r\nHost: localhost\r\nAuthorization: "
            + BASIC
            + b"\r\n"
        )

        client.send(head + b"Content-Length: 6\r\n\r\n" + b'"tell"')
        told = await client.answer()
        client.send(head + b"Request-Timeout: 0.05\r\nContent-Length: 0\r\n\r\n")
        status, _, body = await client.answer()
        client.writer.close()

    assert (told[0], json.loads(told[2])) == (200, {"is_in_time": True})
    assert status == 504
    assert json.loads(body)["details"] == "Service `waits` took longer than 0.05 s"
    assert WaitsInside.left is not None
    assert 0 < WaitsInside.left <= 0.05
