import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.core import CounterMetricFamily

from tests.http.conftest import BASIC, Ask, Invoker, Running, Services, running
from zato_lite import __version__
from zato_lite.clock import SystemClock, to_datetime
from zato_lite.http.app import HttpApp
from zato_lite.http.auth import Authenticator
from zato_lite.http.endpoints.envelope import wrap_response
from zato_lite.http.endpoints.monitoring import monitoring_routes
from zato_lite.http.endpoints.pages import DOCS, page_routes
from zato_lite.http.events import EventLog
from zato_lite.http.message import Request, Response
from zato_lite.http.metrics import LatencyRecorder
from zato_lite.http.passwords import new_key
from zato_lite.metrics import of_http, rendered
from zato_lite.store.accounts import Accounts, Credential
from zato_lite.store.audit import AuditLog
from zato_lite.wire import decode


@pytest.fixture
def events() -> EventLog:
    return EventLog(heartbeat=0.01)


@pytest.fixture
def app(invoker: Invoker, authenticator: Authenticator, events: EventLog) -> HttpApp:
    async def readiness() -> dict[str, str]:
        return {"store": "the disk is full"} if invoker.invocations else {}

    async def metrics(latency: LatencyRecorder) -> bytes:
        fired = CounterMetricFamily("zato_scheduler_fired_total", "Runs.", labels=["job"])
        fired.add_metric(['a"b\\'], 3)
        return rendered([fired, *of_http(latency)])

    return HttpApp(
        invoker.begin,
        Services(),
        authenticator,
        events=events,
        readiness=readiness,
        render_metrics=metrics,
    )


# Every route


async def test_all_routes_but_a_few_need_credentials_and_a_role(
    ask: Ask, app: HttpApp, users: Accounts, invoker: Invoker
) -> None:
    nobody = new_key()
    await users.save(Credential("key", nobody.name, nobody.hash, frozenset(), (), True))
    bearer = b"Bearer " + nobody.text.encode()
    targets = {(method, route.path) for route in app.router.routes for method in route.methods}
    for name in Services().entries:
        targets |= {("POST", f"/zato/api/invoke/{name}"), ("GET", f"/zato/api/invoke/{name}")}
    for channel, _ in app.router.table.channels:
        targets |= {(method, channel.path) for method in channel.methods}

    closed = {}
    for method, path in targets:
        stranger = (await ask(method, path, b"{}", auth=None))[0]
        weak = (await ask(method, path, b'{"name": "echo"}', auth=bearer))[0]
        closed[method, path] = (stranger, weak)

    is_open = {target for target, statuses in closed.items() if statuses != (401, 403)}
    assert is_open == {
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("POST", "/zato/session"),
        ("DELETE", "/zato/session"),
    }
    assert not invoker.invocations


# The envelope


def envelope(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


async def test_an_envelope_is_answered_in_an_envelope(ask: Ask, invoker: Invoker) -> None:
    body = envelope(name="echo", payload=b64encode(b'{"a": 1}').decode(), channel="invoke")

    status, _, answer = await ask("POST", "/zato/admin/invoke", body)

    error = json.loads(answer)
    assert status == 200
    assert error["zato_env"]["result"] == "ZATO_OK"
    assert json.loads(b64decode(error["response"])) == {"a": 1}
    assert invoker.invocations[-1].raw == b'{"a": 1}'


async def test_an_envelope_may_hold_text_or_no_payload_and_be_asynchronous(
    ask: Ask, invoker: Invoker
) -> None:
    await ask(
        "POST", "/zato/admin/invoke", envelope(name="echo", payload=b64encode(b"a=b").decode())
    )
    assert invoker.invocations[-1].payload == "a=b"

    await ask("POST", "/zato/admin/invoke", envelope(name="echo", payload=""))
    assert invoker.invocations[-1].payload is None

    await ask("POST", "/zato/admin/invoke", envelope(name="echo", is_async=True, timeout=9))
    later = invoker.invocations[-1]
    assert (later.service, later.payload["timeout"], later.timeout) == (
        "zato.service.invoke",
        9,
        None,
    )


@pytest.mark.parametrize(("body", "details"), [(b"none here", "none here"), (b"[1]", [1])])
def test_an_error_made_by_a_service_keeps_its_status_in_an_envelope(
    body: bytes, details: Any
) -> None:
    answer = wrap_response(Response(404, body, cid="K1"))

    assert answer.status == 404
    error = {"cid": "K1", "result": "ZATO_ERROR", "details": details}
    assert decode(answer.body)["zato_env"] == error


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (envelope(name="taken"), 409),
        (envelope(name="missing"), 404),
        (envelope(payload="e30="), 400),
        (envelope(name="echo", payload="!"), 400),
        (envelope(name="echo", timeout=-1), 400),
        (b"[]", 400),
        (b"", 400),
    ],
)
async def test_an_invalid_envelope_is_refused_with_the_reason(
    ask: Ask, body: bytes, status: int
) -> None:
    answered, _, answer = await ask("POST", "/zato/admin/invoke", body)

    error = json.loads(answer)
    assert answered == status
    assert error["result"] == "Error"
    assert error.get("zato_env", {"result": "ZATO_ERROR"})["result"] == "ZATO_ERROR"


# Sessions


async def test_a_session_is_a_cookie(ask: Ask, app: HttpApp, audit_log: AuditLog) -> None:
    login = b'{"username": "admin.invoke", "password": "secret"}'

    status, headers, body = await ask("POST", "/zato/session", login, auth=None)
    cookie = headers["set-cookie"]
    token = cookie.partition(";")[0]

    assert (status, json.loads(body)["name"]) == (200, "admin.invoke")
    assert "HttpOnly; SameSite=Strict" in cookie
    assert "Secure" not in cookie
    seen = await ask("GET", "/zato/session", auth=None, cookie=f"x=y; {token}")
    shown = json.loads(seen[2])
    assert (shown["name"], shown["roles"], shown["patterns"]) == ("admin.invoke", ["admin"], [])
    assert shown["version"] == __version__
    assert shown["zone"] == "UTC"
    assert datetime.fromisoformat(shown["expires"]) > to_datetime(SystemClock().now())
    foreign = await ask(
        "POST", "/zato/api/invoke/echo", auth=None, cookie=token, sec_fetch_site="cross-site"
    )
    assert foreign[0] == 403
    out = await ask("DELETE", "/zato/session", auth=None, cookie=token)
    assert "Max-Age=0" in out[1]["set-cookie"]
    assert (await ask("GET", "/zato/session", auth=None, cookie=token))[0] == 401
    assert (await ask("POST", "/zato/api/invoke/echo", auth=None, cookie=token))[0] == 401
    assert (await ask("DELETE", "/zato/session", auth=None, cookie=token))[0] == 200
    await app.audit.flush()
    audit = await audit_log.list()
    found = [(entry.who, entry.action, entry.outcome) for entry in audit if "log" in entry.action]
    assert found == [("admin.invoke", "logout", "ok"), ("admin.invoke", "login", "ok")]


async def sign_in(ask: Ask) -> str:
    """Return the cookie of a new session."""
    login = b'{"username": "admin.invoke", "password": "secret"}'
    headers = (await ask("POST", "/zato/session", login, auth=None, user_agent="a browser"))[1]
    return headers["set-cookie"].partition(";")[0]


async def test_a_refused_sign_in_says_when_to_try_again(ask: Ask) -> None:
    wrong = json.dumps({"username": "ann", "password": "wrong"}).encode()

    answers = [await ask("POST", "/zato/session", wrong, auth=None) for _ in range(8)]

    assert [status for status, _, _ in answers] == [401] * 6 + [429] * 2
    assert [headers.get("retry-after") for _, headers, _ in answers[5:]] == [None, "2", "2"]


async def test_all_sessions_are_listed_and_ended_with_all(ask: Ask) -> None:
    one, two = await sign_in(ask), await sign_in(ask)

    listed = json.loads((await ask("GET", "/zato/session?all", auth=None, cookie=two))[2])
    foreign = await ask(
        "DELETE", "/zato/session?all", auth=None, cookie=two, sec_fetch_site="cross-site"
    )
    ended = await ask("DELETE", "/zato/session?all", auth=None, cookie=two)

    assert sorted(found["is_current"] for found in listed["sessions"]) == [False, True]
    assert {found["user_agent"] for found in listed["sessions"]} == {"a browser"}
    assert (foreign[0], ended[0]) == (403, 200)
    for cookie in (one, two):
        assert (await ask("GET", "/zato/session", auth=None, cookie=cookie))[0] == 401


async def test_without_a_session_none_is_ended(ask: Ask) -> None:
    cookie = await sign_in(ask)

    for other in ("x=y", f"{cookie}x", "zato_lite_session=", "zato_lite_session=\xff"):
        assert (await ask("DELETE", "/zato/session", auth=None, cookie=other))[0] == 200
        assert (await ask("DELETE", "/zato/session?all", auth=None, cookie=other))[0] == 401

    assert (await ask("GET", "/zato/session", auth=None, cookie=cookie))[0] == 200
    assert (await ask("DELETE", "/zato/session?all"))[0] == 200  # with the password
    assert (await ask("GET", "/zato/session", auth=None, cookie=cookie))[0] == 401


async def test_a_key_with_a_user_s_name_ends_no_session(ask: Ask, users: Accounts) -> None:
    cookie = await sign_in(ask)
    new = new_key()
    key = Credential("key", "admin.invoke", new.hash, frozenset({"admin"}))
    await users.save(key)
    text = new.text.replace(new.name, "admin.invoke")

    listed = await ask("GET", "/zato/session?all", auth=None, x_api_key=text)
    ended = await ask("DELETE", "/zato/session?all", auth=None, x_api_key=text)

    assert json.loads(listed[2])["sessions"] == []
    assert ended[0] == 200
    assert (await ask("GET", "/zato/session", auth=None, cookie=cookie))[0] == 200


async def test_a_caller_with_a_password_has_no_expiry(ask: Ask) -> None:
    assert json.loads((await ask("GET", "/zato/session"))[2])["expires"] is None


@pytest.mark.parametrize(
    ("login", "status"),
    [
        (b'{"username": "admin.invoke", "password": "wrong"}', 401),
        (b'{"username": "nobody", "password": "secret"}', 401),
        (b'{"username": "nobody"}', 400),
        (b"", 400),
    ],
)
async def test_a_wrong_login_is_refused(ask: Ask, login: bytes, status: int) -> None:
    answered, headers, _ = await ask("POST", "/zato/session", login, auth=None)

    assert answered == status
    assert "set-cookie" not in headers


async def test_a_script_s_request_gets_no_basic_challenge(ask: Ask) -> None:
    _, headers, _ = await ask("GET", "/zato/session", auth=None, sec_fetch_dest="empty")

    assert headers["www-authenticate"] == 'Session realm="zato-lite"'


async def test_an_api_key_may_come_in_x_api_key(ask: Ask, users: Accounts) -> None:
    key = new_key()
    await users.save(
        Credential("key", key.name, key.hash, frozenset({"operator"}), ("ec*",), True)
    )

    one = await ask("POST", "/zato/api/invoke/echo", auth=None, x_api_key=key.text)
    other = await ask("POST", "/zato/api/invoke/none", auth=None, x_api_key=key.text)

    assert (one[0], other[0]) == (200, 403)


async def test_changes_and_refusals_are_in_the_audit_log(
    ask: Ask, app: HttpApp, audit_log: AuditLog
) -> None:
    await ask("POST", "/zato/api/invoke/zato.user.create", b"{}")
    await ask("POST", "/zato/api/invoke/echo", b"{}")
    await ask("POST", "/zato/api/invoke/echo", b"{}", auth=b"Basic " + b64encode(b"a:b"))
    await ask("GET", "/zato/session")
    await app.audit.flush()

    audit = await audit_log.list()
    assert [(entry.who, entry.subject, entry.outcome) for entry in audit] == [
        ("", "/zato/api/invoke/echo", "401"),
        ("admin.invoke", "zato.user.create", "200"),
    ]


# Observing


async def test_health_and_readiness_need_no_credentials(ask: Ask) -> None:
    assert (await ask("GET", "/healthz", auth=None))[::2] == (200, b"ok\n")
    assert json.loads((await ask("GET", "/readyz", auth=None))[2])["is_ready"] is True

    await ask("POST", "/zato/api/invoke/echo")
    status, _, body = await ask("GET", "/readyz", auth=None)

    assert status == 503
    assert json.loads(body) == {"is_ready": False, "reasons": {"store": "the disk is full"}}


async def test_readiness_shows_no_secrets_to_strangers() -> None:
    async def readiness() -> dict[str, str]:
        return {"resource db": "no answer of postgresql://ann:geheim@db/x, password='geheim'"}

    routes = monitoring_routes(readiness, LatencyRecorder(), None, lambda: {"a": "token=geheim"})
    [readyz] = [route for route in routes if route.path == "/readyz"]

    response = await readyz.handler(
        Request("GET", "/readyz", b"", {}, b"", "::1", "/readyz"), None
    )

    assert response.status == 503
    assert b"geheim" not in response.body
    assert b"resource db" in response.body


async def test_metrics_are_in_the_format_of_prometheus(ask: Ask) -> None:
    await ask("POST", "/zato/api/invoke/echo")
    await ask("POST", "/zato/api/invoke/fail")

    status, headers, body = await ask("GET", "/metrics")

    text = body.decode()
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "# TYPE zato_scheduler_fired_total counter\n" in text
    assert 'counter\nzato_scheduler_fired_total{job="a\\"b\\\\"} 3.0\n' in text
    assert 'zato_lite_http_invocation_seconds_bucket{le="+Inf"} 2.0' in text
    assert "zato_lite_http_invocation_seconds_count 2.0" in text
    assert 'zato_lite_http_invocations_total{status="500"} 1.0' in text
    assert text.count("# TYPE zato_lite_http_invocation_seconds histogram") == 1


# Pages


async def test_openapi_describes_the_services_that_the_caller_may_invoke(
    ask: Ask, users: Accounts
) -> None:
    key = new_key()
    await users.save(
        Credential("key", key.name, key.hash, frozenset({"operator"}), ("echo", "customers"), True)
    )

    _, _, body = await ask("GET", "/openapi.json", auth=b"Bearer " + key.text.encode())

    paths = json.loads(body)["paths"]
    assert set(paths) == {
        "/zato/ping",
        "/zato/api/invoke/echo",
        "/zato/api/invoke/customers",
        "/customers/{id}",
        "/customers/{id}/notes",
        "/customers/new",
    }
    assert paths["/customers/{id}"]["get"]["parameters"][0]["name"] == "id"
    assert "text/plain" in paths["/zato/api/invoke/echo"]["post"]["responses"]["200"]["content"]


async def test_the_documentation_loads_nothing_from_other_sites(ask: Ask) -> None:
    status, headers, body = await ask("GET", "/docs")

    assert status == 200
    assert "script-src 'self'" in headers["content-security-policy"]
    assert b"http" not in body.replace(b'charset="utf-8"', b"")
    assert (await ask("GET", "/docs/docs.js"))[1]["content-type"].startswith("text/javascript")
    assert (await ask("GET", "/docs", if_none_match=headers["etag"]))[0] == 304
    assert (await ask("GET", "/docs/../auth.py"))[0] == 404


def test_the_documentation_is_small() -> None:
    assert sum(path.stat().st_size for path in DOCS.iterdir()) < 20_000


async def test_only_files_of_known_types_are_pages(tmp_path: Path) -> None:
    for name in ("index.html", "secret.py", "a.css"):
        (tmp_path / name).write_text("x")

    paths = [route.path for route in page_routes(tmp_path, "/p")]

    assert paths == ["/p/a.css", "/p/index.html", "/p", "/p/"]


async def test_a_page_of_a_service_is_sandboxed(
    app: HttpApp, invoker: Invoker, started: Running
) -> None:
    client = await started.connect()
    client.send(
        b"POST /zato/api/invoke/page HTTP/1.1\r\nHost: localhost\r\nAuthorization: "
        + BASIC
        + b"\r\nContent-Length: 0\r\n\r\n"
    )

    _, headers, _ = await client.answer()

    assert headers[b"content-type"] == b"text/html"
    assert headers[b"content-security-policy"].startswith(b"sandbox")


# Events


async def test_events_come_in_order_and_can_be_resumed(
    ask: Ask, app: HttpApp, events: EventLog
) -> None:
    for number in range(3):
        events.publish("run", {"number": number})
    request = Request(
        "GET",
        "/zato/events",
        b"kinds=run",
        {b"host": b"localhost", b"authorization": BASIC, b"last-event-id": b"1"},
    )

    response = await app(request)
    stream = response.stream
    assert stream is not None
    pieces = [await anext(stream) for _ in range(3)]
    events.publish("job", {})
    events.publish("run", "last")
    pieces.append(await _next_event(stream))
    await stream.aclose()  # type: ignore[attr-defined]

    assert response.content_type == "text/event-stream"
    assert pieces == [
        b"retry: 2000\n\n",
        b'id: 2\nevent: run\ndata: {"number":1}\n\nid: 3\nevent: run\ndata: {"number":2}\n\n',
        b": nothing new\n\n",
        b'id: 5\nevent: run\ndata: "last"\n\n',
    ]
    assert events.listeners == 0


async def _next_event(stream: AsyncIterator[bytes]) -> bytes:
    while (piece := await anext(stream)).startswith(b":"):
        pass
    return piece


async def test_a_stream_ends_when_the_client_leaves_or_the_server_stops(
    app: HttpApp, events: EventLog
) -> None:
    ask_for = (
        b"GET /zato/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: " + BASIC + b"\r\n\r\n"
    )
    async with running(app) as run:
        leaves, stays = await run.connect(), await run.connect()
        for client in (leaves, stays):
            client.send(ask_for)
            assert b"Transfer-Encoding: chunked" in await client.reader.readuntil(b"\r\n\r\n")
            await client.reader.readuntil(b"retry: 2000\n\n")

        leaves.writer.transport.abort()
        await leaves.rest()
        events.publish("run", 1)
        await stays.reader.readuntil(b"data: 1\n\n\r\n")
        await run.server.close(5)

        assert (await stays.rest()).endswith(b"0\r\n\r\n")
        assert events.listeners == 0
