"""Middleware over HTTP: refusals and repeated answers as a client sees them."""

import base64
from typing import Any

from zato_lite.http.message import Request
from zato_lite.server import open_edge
from zato_lite.service.base import Service
from zato_lite.service.idempotency import IdempotencyKey
from zato_lite.service.rate_limit import RateLimit
from zato_lite.testing.app import sandbox

HEADERS = {
    b"authorization": b"Basic " + base64.b64encode(b"admin.invoke:password-one"),
    b"host": b"localhost",
    b"content-type": b"application/json",
}


class Pay(Service):
    name = "pay"
    rest = "POST /pay"
    middleware = (RateLimit(3, 3), IdempotencyKey())
    paid = 0

    async def handle(self) -> Any:
        type(self).paid += 1
        self.response.status_code = 201
        return {"n": self.paid}


async def test_a_client_sees_repeated_answers_conflicts_and_limits() -> None:
    environ = {"ZATO_LITE_ADMIN_PASSWORD": "password-one"}
    async with sandbox(Pay) as app, open_edge(app.app, environ) as http:

        async def post(key: bytes, body: bytes) -> tuple[int, bytes, dict[str, str]]:
            fields = {**HEADERS, b"idempotency-key": key}
            response = await http(Request("POST", "/pay", b"a=1", fields, body))
            return response.status, response.body, dict(response.headers)

        assert await post(b"a", b'{"x": 1}') == (201, b'{"n":1}', {})
        assert await post(b"a", b'{"x": 1}') == (201, b'{"n":1}', {"Idempotent-Replayed": "true"})
        assert (await post(b"a", b'{"x": 2}'))[0] == 422
        refused = await post(b"b", b"{}")

    assert refused[0] == 429
    assert refused[2] == {"Retry-After": "1"}
    assert b"more than 3 requests in 3 s; try again later" in refused[1]
