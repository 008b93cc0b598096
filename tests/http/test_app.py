import json

import pytest

from tests.http.conftest import BASIC, Ask, Invoker
from zato_lite.errors import MethodNotAllowedError, ZatoLiteError
from zato_lite.http.app import HttpApp
from zato_lite.http.message import Request, Response
from zato_lite.http.responses import response_of
from zato_lite.http.writer import Renderer
from zato_lite.service.message import Outcome
from zato_lite.store.accounts import Accounts, Credential


async def test_the_log_has_the_error_of_a_service_under_its_cid(
    ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    status, headers, body = await ask("POST", "/zato/api/invoke/fail")

    (record,) = [r for r in caplog.records if r.getMessage() == "service failed"]
    assert status == 500
    assert b"secret" not in body
    assert record.__dict__["cid"] == headers["x-zato-cid"]
    assert record.__dict__["service"] == "fail"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)


async def test_ping_needs_no_credentials(ask: Ask) -> None:
    status, headers, body = await ask("GET", "/zato/ping", auth=None)

    assert (status, body) == (200, b'{"pong":"zato"}')
    assert headers["content-type"] == "application/json"


async def test_a_service_gets_the_json_of_the_body(ask: Ask, invoker: Invoker) -> None:
    status, _, body = await ask("POST", "/zato/api/invoke/echo", b'{"a": [1, "\xc3\xa9"]}')

    assert (status, body) == (200, '{"a":[1,"é"]}'.encode())
    invocation = invoker.invocations[-1]
    assert invocation.raw == b'{"a": [1, "\xc3\xa9"]}'
    assert invocation.channel == "http"
    assert invocation.caller.name == "admin.invoke"
    assert invocation.http is not None
    assert invocation.http.headers["Host"] == "localhost"


@pytest.mark.parametrize(
    ("method", "query", "body", "kind", "payload"),
    [
        ("GET", "a=1&a=2&b=x%20y", b"", None, {"a": ["1", "2"], "b": "x y"}),
        ("GET", "", b"null", None, None),
        ("GET", "", b'{"a": 1}', None, {"a": 1}),
        ("POST", "", b"", None, None),
        ("POST", "a=", b"", None, {"a": ""}),
        ("POST", "a=1", b"[2]", None, [2]),
        ("POST", "", b"a=1&b=2", "application/x-www-form-urlencoded", {"a": "1", "b": "2"}),
        ("POST", "", b'{"a": 1}', "application/x-www-form-urlencoded", {"a": 1}),
        ("POST", "", b"a: b", "text/plain", "a: b"),
        ("POST", "", b"[1]", "application/vnd.x+json; charset=utf-8", [1]),
        ("PUT", "", b"\xff", "application/octet-stream", b"\xff"),
    ],
)
async def test_the_payload_depends_on_method_query_and_content_type(  # noqa: PLR0917
    ask: Ask,
    invoker: Invoker,
    method: str,
    query: str,
    body: bytes,
    kind: str | None,
    payload: object,
) -> None:
    headers = {"content_type": kind} if kind else {}

    await ask(method, f"/zato/api/invoke/echo?{query}", body, **headers)

    assert invoker.invocations[-1].payload == payload


@pytest.mark.parametrize(
    ("target", "body", "kind"),
    [
        ("?a=%ff", b"", ""),
        ("?" + "&".join(f"a{n}=" for n in range(1001)), b"", ""),
        ("", b"{", "application/json"),
        ("", b"\xff", "text/plain"),
        ("", b"a=1", "application/json"),
    ],
)
async def test_unreadable_input_is_a_bad_request(
    ask: Ask, target: str, body: bytes, kind: str
) -> None:
    status, _, answer = await ask(
        "POST", "/zato/api/invoke/echo" + target, body, content_type=kind
    )

    assert status == 400
    assert json.loads(answer)["result"] == "Error"


@pytest.mark.parametrize(
    ("service", "status", "details"),
    [
        ("fail", 500, "An error has occurred"),
        ("wrong", 400, "Wrong"),
        ("taken", 409, "Job `x` already exists"),
        ("missing", 404, "No such service `missing`"),
        ("", 404, "No such service ``"),
    ],
)
async def test_an_error_response_has_no_internal_details(
    ask: Ask, service: str, status: int, details: str
) -> None:
    answered, headers, body = await ask("POST", f"/zato/api/invoke/{service}", b"{}")

    answer = json.loads(body)
    assert (answered, answer["details"]) == (status, details)
    assert answer["result"] == "Error"
    assert answer["cid"] == headers["x-zato-cid"]


class OtherServerError(Exception):
    """An error of a client library: status and headers are those of another server."""

    status = 204
    headers = (("Set-Cookie", "a=b\r\n\r\nHTTP/1.1 200 OK"), "Date")


class NotModifiedError(ZatoLiteError):
    """An error without an error status."""

    status = 304


@pytest.mark.parametrize("error", [OtherServerError("x"), NotModifiedError("x")])
def test_an_error_without_an_error_status_is_answered_with_500(error: Exception) -> None:
    response = response_of(Outcome("K1", error=error))

    assert (response.status, response.headers) == (500, ())
    assert json.loads(response.body)["details"] == "An error has occurred"


async def test_every_wrong_field_is_named(ask: Ask) -> None:
    _, _, body = await ask("POST", "/zato/api/invoke/wrong", b"{}")

    assert json.loads(body)["errors"] == [
        {"field": "/age", "value": "x", "message": "not a number"}
    ]


async def test_a_service_sets_status_and_headers_but_splits_no_response(ask: Ask) -> None:
    status, headers, body = await ask("POST", "/zato/api/invoke/text")

    assert (status, body) == (201, b"<b>")
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["x-a"] == "1"
    assert "x-b" not in headers


async def test_no_payload_is_an_empty_object(ask: Ask) -> None:
    assert (await ask("POST", "/zato/api/invoke/none"))[::2] == (200, b"{}")


async def test_an_unknown_url_is_not_found(ask: Ask) -> None:
    status, headers, body = await ask("GET", "/nowhere", auth=None)

    assert status == 404
    assert json.loads(body)["details"] == f"URL not found (CID:{headers['x-zato-cid']})"


async def test_another_method_is_not_allowed(ask: Ask) -> None:
    status, headers, _ = await ask("PUT", "/zato/ping")
    assert (status, headers["allow"]) == (405, "GET, HEAD, POST")

    status, headers, _ = await ask("DELETE", "/customers/1")
    assert (status, headers["allow"]) == (405, "GET, HEAD")


def test_a_service_that_refuses_a_method_names_the_allowed_ones() -> None:
    error = MethodNotAllowedError("not so", ("GET", "HEAD"))

    response = response_of(Outcome("K1", error=error))

    assert (response.status, dict(response.headers)) == (405, {"Allow": "GET, HEAD"})


async def test_a_request_without_credentials_is_unauthorized(ask: Ask, invoker: Invoker) -> None:
    status, headers, body = await ask("POST", "/zato/api/invoke/echo", auth=None)

    assert status == 401
    assert headers["www-authenticate"] == 'Basic realm="zato-lite", charset="UTF-8"'
    assert json.loads(body)["details"] == f"Unauthorized; cid={headers['x-zato-cid']}"
    assert not invoker.invocations


async def test_a_rest_channel_gives_its_parameters(ask: Ask, invoker: Invoker) -> None:
    assert (await ask("GET", "/customers/12%2F3?x=1"))[0] == 200

    http = invoker.invocations[-1].http
    assert http is not None
    assert http.params == {"id": "12/3"}
    assert http.query == {"x": "1"}


async def test_a_role_too_low_is_forbidden(ask: Ask, users: Accounts) -> None:
    admin = await users.find("user", "admin.invoke")
    assert admin is not None
    await users.save(
        Credential("user", "admin.invoke", admin.hash, frozenset({"viewer"}), (), True)
    )

    assert (await ask("POST", "/zato/api/invoke/zato.ping"))[0] == 200
    assert (await ask("POST", "/zato/api/invoke/echo"))[0] == 403
    assert (await ask("POST", "/zato/api/invoke/missing"))[0] == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec_fetch_site": "same-origin"}, 200),
        ({"sec_fetch_site": "none"}, 200),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"origin": "http://localhost"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "127.0.0.1:17010"}, 200),
        ({"host": "[::1]:17010"}, 200),
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
    ],
)
async def test_a_page_of_another_site_is_forbidden(
    ask: Ask, headers: dict[str, str], status: int
) -> None:
    assert (await ask("GET", "/zato/api/invoke/echo", auth=BASIC, **headers))[0] == status


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_is_sent_without_one(status: int) -> None:
    renderer = Renderer()
    renderer.set_time(0)

    assert renderer.render_plain(Response(status, b"{}", cid="K1")).endswith(
        b"X-Zato-CID: K1\r\n\r\n"
    )


async def test_a_service_cannot_change_the_next_request(app: HttpApp, invoker: Invoker) -> None:
    request = Request(
        "GET",
        "/zato/api/invoke/echo",
        b"a=1&a=2&b=3",
        {b"host": b"localhost", b"authorization": BASIC},
        raw_path="/zato/api/invoke/echo",
    )

    for _ in range(3):
        assert (await app(request)).body == b'{"a":["1","2"],"b":"3"}'
        invocation = invoker.invocations[-1]
        invocation.payload["a"].append("4")
        invocation.payload["b"] = "5"
        assert invocation.http is not None
        assert invocation.http.query == {"a": ["1", "2", "4"], "b": "3"}
        with pytest.raises(TypeError):
            invocation.http.query["b"] = "6"  # type: ignore[index]
