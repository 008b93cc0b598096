"""HTTP connections against a real server."""

import asyncio
import gzip
import logging
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from tests.outgoing.certificates import make_certificates
from tests.outgoing.upstream import Answer, Upstream, serving
from zato_lite.errors import ConfigError, OutgoingError, OutgoingTimeoutError
from zato_lite.outgoing.connections import Connections
from zato_lite.outgoing.http import RestConnection, RestResponse
from zato_lite.outgoing.http_client import with_query
from zato_lite.outgoing_config import Outgoing, Rest

QUICK = {"retry_delay": 0.001, "max_retry_delay": 1.0}


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with serving() as found:
        yield found


@asynccontextmanager
async def connected(
    url: str, folder: Path = Path(), **settings: Any
) -> AsyncIterator[RestConnection]:
    connections = Connections(folder)
    connections.replace(Outgoing(rest={"crm": Rest(url, **{**QUICK, **settings})}))
    try:
        yield connections.rest["crm"].begin()
    finally:
        connections.rest["crm"].end()
        await connections.close()


async def get(connection: RestConnection, path: str = "/", **options: Any) -> RestResponse:
    return await connection.send(connection.request("GET", path, None), **options)


async def test_a_response_has_status_headers_and_data(upstream: Upstream) -> None:
    async with connected(upstream.url) as crm:
        response = await get(crm, "/customers/1")

    assert (response.status_code, response.ok, response.data) == (200, True, {"name": "Ann"})
    assert response.headers["Content-Type"] == "application/json"
    assert response.text == '{"name": "Ann"}'
    assert (upstream.request.method, upstream.request.target) == ("GET", "/customers/1")
    assert upstream.request.headers["user-agent"] == "zato-lite"


@pytest.mark.parametrize(
    ("url", "path", "params", "target"),
    [
        ("", "/c", {"q": "São Paulo", "n": 1, "all": True}, "/c?q=S%C3%A3o+Paulo&n=1&all=true"),
        ("", "/c", {"tag": ["a", "b"], "none": None}, "/c?tag=a&tag=b"),
        ("", "c", None, "/c"),
        ("/api/", "/c", None, "/api/c"),
        ("", "/c/{id}", {"id": "a/../b?x#y", "n": 1}, "/c/a%2F..%2Fb%3Fx%23y?n=1"),
        ("/c/{id}", "", {"id": 7}, "/c/7"),
        ("", "@other.example/x", None, "/@other.example/x"),
        ("", "http://other.example/x", None, "/http://other.example/x"),
        ("", "?a=1", None, "/?a=1"),
    ],
)  # fmt: skip
async def test_a_path_is_below_the_address_of_the_connection(
    upstream: Upstream, url: str, path: str, params: Any, target: str
) -> None:
    async with connected(upstream.url + url) as crm:
        await crm.send(crm.request("GET", path, params))

    assert upstream.request.target == target
    assert upstream.request.headers["host"] in upstream.url


@pytest.mark.parametrize("value", ["", ".", ".."])
async def test_a_parameter_does_not_lead_out_of_the_path(upstream: Upstream, value: str) -> None:
    async with connected(upstream.url) as crm:
        with pytest.raises(OutgoingError, match="a part of a path cannot be that"):
            crm.request("GET", "/c/{id}/d", {"id": value})


async def test_a_missing_parameter_of_the_path_is_named(upstream: Upstream) -> None:
    async with connected(upstream.url) as crm:
        with pytest.raises(OutgoingError, match="'id' of the address is missing; given are: n"):
            crm.request("GET", "/c/{id}", {"n": 1})


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [
        (
            {"auth": "basic", "username": "ann", "secret": "pw"},
            "authorization",
            "Basic " + b64encode(b"ann:pw").decode(),
        ),
        ({"auth": "bearer", "secret": "t0ken"}, "authorization", "Bearer t0ken"),
        ({"auth": "api_key", "secret": "k"}, "x-api-key", "k"),
        ({"auth": "api_key", "secret": "k", "api_key_header": "X-Mine"}, "x-mine", "k"),
        ({"headers": {"Accept": "text/csv"}}, "accept", "text/csv"),
    ],
)
async def test_credentials_and_headers_are_sent(
    upstream: Upstream, settings: dict[str, Any], name: str, value: str
) -> None:
    async with connected(upstream.url, **settings) as crm:
        await get(crm)

    assert upstream.request.headers[name] == value


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_safe_request_is_repeated_while_the_server_is_busy(
    upstream: Upstream, status: int
) -> None:
    upstream.answers = [Answer(status), Answer(status), Answer(200)]

    async with connected(upstream.url) as crm:
        response = await get(crm)

    assert (response.status_code, len(upstream.requests)) == (200, 3)


async def test_the_last_response_is_returned_when_retries_are_used_up(upstream: Upstream) -> None:
    upstream.answers = [Answer(503)]

    async with connected(upstream.url, retries=1) as crm:
        response = await get(crm)

    assert (response.status_code, len(upstream.requests)) == (503, 2)
    with pytest.raises(OutgoingError, match="response to GET / has status 503"):
        response.raise_for_status()


async def test_a_post_is_not_repeated_after_a_response(upstream: Upstream) -> None:
    upstream.answers = [Answer(503)]

    async with connected(upstream.url) as crm:
        response = await crm.send(crm.request("POST", "/orders", None))

    assert (response.status_code, len(upstream.requests)) == (503, 1)


@pytest.mark.parametrize(("method", "expected"), [("POST", 1), ("PUT", 3)])
async def test_a_request_whose_connection_was_closed_is_repeated_if_that_is_safe(
    upstream: Upstream, method: str, expected: int
) -> None:
    upstream.answers = [Answer(0)]

    async with connected(upstream.url) as crm:
        with pytest.raises(OutgoingError, match=rf"\[outgoing.rest.crm\] {method} /orders: "):
            await crm.send(crm.request(method, "/orders", None))

    assert len(upstream.requests) == expected


async def test_a_post_is_repeated_if_there_was_no_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    async with connected("http://127.0.0.1:1") as crm:
        with pytest.raises(OutgoingError, match=r"POST /orders: .*refused"):
            await crm.send(crm.request("POST", "/orders", None))

    assert caplog.messages == ["request retried", "request retried", "request failed"]
    assert vars(caplog.records[-1])["tries"] == 3


@pytest.mark.parametrize(
    "value", ["\u00b2", "soon", "Tue, 01 Dec 99999999999999999999 12:00:30 GMT"]
)
async def test_retry_after_may_be_nonsense(upstream: Upstream, value: str) -> None:
    upstream.answers = [Answer(503, headers={"retry-after": value}), Answer()]

    async with connected(upstream.url) as crm:
        assert (await get(crm)).ok


async def test_retry_after_is_respected_and_bounded(upstream: Upstream) -> None:
    upstream.answers = [Answer(503, headers={"retry-after": "1000"})]

    async with connected(upstream.url) as crm:
        response = await get(crm)

    assert (response.status_code, len(upstream.requests)) == (503, 1)


@pytest.mark.parametrize("options", [{"timeout": 0.05}, {"left": 0.05}, {"left": 0.0}])
async def test_a_request_ends_with_its_time_limit(
    upstream: Upstream, options: dict[str, Any]
) -> None:
    upstream.answers = [Answer(after=30)]

    async with connected(upstream.url) as crm:
        async with asyncio.timeout(10):
            with pytest.raises(OutgoingTimeoutError, match=r"\[outgoing.rest.crm\] GET /: "):
                await get(crm, **options)


@pytest.mark.parametrize("encoded", [False, True])
async def test_a_response_may_have_max_response_bytes_and_no_more(
    upstream: Upstream, encoded: bool
) -> None:
    def body(size: int) -> Answer:
        content = b"x" * size
        if not encoded:
            return Answer(body=content)
        return Answer(headers={"content-encoding": "gzip"}, body=gzip.compress(content))

    upstream.answers = [body(300_000), body(300_001), body(10)]
    async with connected(upstream.url, max_response=300_000) as crm:
        assert (await get(crm)).content == b"x" * 300_000
        with pytest.raises(OutgoingError, match="GET / has more than 300000 bytes; max_response"):
            await get(crm)
        assert (await get(crm)).content == b"x" * 10
        assert crm._figures.results == {200: 2, "error": 1}

    assert len(upstream.requests) == 3


async def test_a_response_that_is_not_understood_names_its_request(upstream: Upstream) -> None:
    async with connected(upstream.url) as crm:
        with pytest.raises(OutgoingError) as caught:
            (await get(crm, "/a?b=1")).json(int)

    start = "[outgoing.rest.crm] response to GET /a not understood: "
    assert str(caught.value).startswith(start)


async def test_a_response_that_is_too_large_gives_its_place_to_the_next_request(
    upstream: Upstream,
) -> None:
    upstream.answers = [Answer(body=b"x" * 1_000_000, part=300_001), Answer()]

    async with connected(upstream.url, max_response=200_000, pool_size=1) as crm:
        with pytest.raises(OutgoingError, match="more than 200000 bytes"):
            await get(crm, timeout=600)

        assert (await get(crm)).ok


async def test_a_large_response_is_read_whole(upstream: Upstream) -> None:
    content = bytes(range(256)) * 40_000
    upstream.answers = [Answer(body=content, headers={"x-size": "many"})]

    async with connected(upstream.url) as crm:
        response = await get(crm)

    assert response.content == content
    assert response.headers["x-size"] == "many"


@pytest.mark.parametrize(
    ("url", "params", "expected"),
    [
        ("/a", [("city", "Rome")], "/a?city=Rome"),
        ("/a?b=1", [("c d", "e&f=\u0142/+ ~"), ("x", "")], "/a?b=1&c+d=e%26f%3D%C5%82%2F%2B+~&x="),
        ("/a#part", [("b", "1"), ("b", "2")], "/a?b=1&b=2#part"),
        ("/a", [("\u0661", "\u0661")], "/a?%D9%A1=%D9%A1"),
    ],
)
def test_parameters_are_added_to_an_address(
    url: str, params: list[tuple[str, str]], expected: str
) -> None:
    found = with_query(url, params)

    assert found == expected
    assert parse_qsl(urlsplit(found).query, keep_blank_values=True)[-len(params) :] == params


async def test_after_the_deadline_nothing_is_sent(upstream: Upstream) -> None:
    async with connected(upstream.url) as crm:
        with pytest.raises(OutgoingTimeoutError, match="GET /: no time left"):
            await get(crm, left=-0.1)

    assert upstream.requests == []


async def test_a_cancelled_request_is_cancelled(upstream: Upstream) -> None:
    upstream.answers = [Answer(after=30)]

    async with connected(upstream.url) as crm:
        task = asyncio.ensure_future(get(crm))
        await upstream.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_connections_are_reused(upstream: Upstream) -> None:
    async with connected(upstream.url) as crm:
        for _ in range(5):
            await get(crm)

        assert upstream.connections == 1


async def test_a_redirection_is_followed_only_on_request(upstream: Upstream) -> None:
    for follows, statuses in ((False, [302]), (True, [302, 200])):
        upstream.answers = [Answer(302, headers={"location": "/other"}), Answer()]
        upstream.requests.clear()

        async with connected(upstream.url, follow_redirects=follows) as crm:
            response = await get(crm)

        assert (response.status_code, len(upstream.requests)) == (statuses[-1], len(statuses))


async def test_http_2_is_used_if_it_is_configured(upstream: Upstream) -> None:
    async with connected(upstream.url, http2=True, retries=0) as crm:
        with pytest.raises(OutgoingError):
            await get(crm)  # the server does not know it

    assert upstream.first_bytes.startswith(b"PRI * HTTP/2.0")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, and a certificate for localhost and for a client of it."""
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder


def server_context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "own.pem", folder / "own.key.pem")
    return context


@pytest.mark.parametrize(
    ("settings", "works"),
    [({"ca": "ca.pem"}, True), ({"verify": False}, True), ({}, False)],
)
async def test_the_certificate_of_the_server_is_checked(
    certificates: Path, settings: dict[str, Any], works: bool
) -> None:
    async with (
        serving(server_context(certificates)) as upstream,
        connected(upstream.url, certificates, retries=0, **settings) as crm,
    ):
        if works:
            assert (await get(crm)).ok
        else:
            with pytest.raises(OutgoingError, match="certificate"):
                await get(crm)


@pytest.mark.parametrize("has_one", [True, False])
async def test_a_certificate_of_the_client_is_sent(certificates: Path, has_one: bool) -> None:
    context = server_context(certificates)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates / "ca.pem")
    own = {"certificate": "own.pem", "key": "own.key.pem"} if has_one else {}

    async with (
        serving(context) as upstream,
        connected(upstream.url, certificates, ca="ca.pem", retries=0, **own) as crm,
    ):
        if has_one:
            assert (await get(crm)).ok
        else:
            with pytest.raises(OutgoingError):
                await get(crm)


async def test_a_header_cannot_contain_another(upstream: Upstream) -> None:
    async with connected(upstream.url) as crm:
        request = crm.request("GET", "/", None)
        request.headers["X-Name"] = "a\r\nX-Evil: 1"
        with pytest.raises(OutgoingError, match="request not valid"):
            await crm.send(request)

    assert upstream.requests == []


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ({"x name": "1"}, "header 'x name'; its name has characters that are not allowed"),
        ({"x-name": 5}, "header 'x-name' is of type int; use text"),
        ({"x-name": "hunter2\n"}, "header 'x-name' has a line break"),
    ],
)
async def test_a_header_that_is_not_valid_is_named_without_its_value(
    upstream: Upstream, header: Any, sentence: str
) -> None:
    async with connected(upstream.url) as crm:
        request = crm.request("GET", "/a", None)
        request.headers.update(header)
        with pytest.raises(OutgoingError) as caught:
            await crm.send(request)

    assert f"[outgoing.rest.crm] GET /a: request not valid: {sentence}" in str(caught.value)
    assert "hunter2" not in str(caught.value)


class Kind(Enum):
    NEW = "new"


class Text(StrEnum):
    OLD = "old"


async def test_parameters_are_text_numbers_and_enums_and_nothing_else(upstream: Upstream) -> None:
    async with connected(upstream.url) as crm:
        sent: Any = {"kind": Kind.NEW, "text": Text.OLD, "day": date(2026, 1, 2), "n": [1, True]}
        await crm.send(crm.request("GET", "/", sent))
        for value in ({"a": 1}, {1}, b"x", [b"x"], [None], [[1]]):
            wrong: Any = {"q": value}
            with pytest.raises(
                TypeError, match=r"params: 'q' is a .*; use text, numbers, or a list"
            ):
                crm.request("GET", "/", wrong)

    assert upstream.request.target == "/?kind=new&text=old&day=2026-01-02&n=1&n=true"


async def test_a_server_without_tls_is_said_to_be_one() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connected(f"https://127.0.0.1:{port}", retries=0) as crm:
            with pytest.raises(OutgoingError, match="GET /: the server does not speak TLS"):
                await get(crm)


class Customer(msgspec.Struct):
    name: str


def test_json_is_read_as_a_type() -> None:
    response = RestResponse(200, b'{"name": "Ann"}')

    assert response.json(Customer) == Customer("Ann")
    assert response.json()["name"] == "Ann"
    with pytest.raises(OutgoingError, match="response not understood"):
        RestResponse(200, b'{"name": 5}').json(Customer)
    with pytest.raises(OutgoingError, match="not JSON"):
        RestResponse(200, b"<html>").json()


@pytest.mark.parametrize(
    ("content", "content_type", "data"),
    [
        (b'{"a": 1}', "application/json; charset=utf-8", {"a": 1}),
        (b'{"a": 1}', "application/problem+json", {"a": 1}),
        (b'{"a": 1}', "text/plain", '{"a": 1}'),
        (b'{"a": 1}', "", {"a": 1}),
        (b"plain", "", "plain"),
        (b"", "application/json", None),
        ("é".encode(), "text/plain; charset=idna", "é"),
        ("é".encode("latin-1"), "text/plain; charset=ISO-8859-1", "é"),
        ("é".encode(), "text/plain; charset=nonsense", "é"),
    ],
)
def test_data_is_json_or_text(content: bytes, content_type: str, data: Any) -> None:
    headers = {"Content-Type": content_type} if content_type else {}

    assert RestResponse(200, content, headers).data == data


def test_headers_of_a_made_response_are_read_in_any_case() -> None:
    headers = RestResponse(200, headers={"X-Total": "5"}).headers

    assert headers["X-Total"] == headers["x-total"] == headers.get("X-TOTAL") == "5"
    assert ("X-Total" in headers, headers.get("x-other", "none")) == (True, "none")


@pytest.mark.parametrize(
    ("url", "path", "expected"),
    [
        ("/api", "/c/{id}", "/c/7"),
        ("/api", "/c?key=hush", "/c"),
        ("/{id}", "/c", "/c"),
        ("/api", "?key={id}", "/"),
    ],
)
async def test_the_path_of_a_request_is_below_the_address_without_a_query(
    url: str, path: str, expected: str
) -> None:
    async with connected(f"http://crm{url}") as crm:
        assert crm.request("GET", path, {"id": 7}).path == expected


async def test_messages_hold_no_secrets(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    upstream.answers = [Answer(0)]

    settings: dict[str, Any] = {"auth": "bearer", "secret": "t0p", "retries": 0}
    async with connected(upstream.url, **settings) as crm:
        with pytest.raises(OutgoingError) as caught:
            await crm.send(crm.request("GET", "/x?pin=quiet", {"key": "hush"}))

    records = " ".join(str(vars(record)) for record in caplog.records)
    assert all(word not in f"{caught.value}{records}" for word in ("t0p", "hush", "quiet"))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"url": "crm.example.com"}, "url 'crm.example.com' is not valid"),
        ({"url": "http://[::1"}, "is not valid; use http://"),
        ({"url": "http://ann:pw@crm"}, "url has a user; use auth, username and secret"),
        ({"url": "http://{host}/"}, "has a parameter in its host"),
        ({"url": "http://crm?a=1"}, "no query string"),
        ({"auth": "basic", "secret": "x"}, "username is missing; auth = 'basic' needs it"),
        ({"auth": "bearer"}, "secret is missing; auth = 'bearer' needs it"),
        ({"secret": "x"}, "auth is missing; use basic, bearer or api_key with a secret"),
        ({"auth": "bearer", "secret": "x", "secret_file": "y"}, "secret and secret_file"),
        ({"auth": "bearer", "secret_file": "gone"}, "secret_file: .*gone: No such file"),
        ({"ca": "gone.pem"}, "ca: .*gone.pem: No such file"),
        ({"key": "own.key.pem"}, "certificate is missing; key needs it"),
        (
            {"auth": "api_key", "secret": "k", "follow_redirects": True},
            "follow_redirects would send the key to other hosts",
        ),
        ({"certificate": "own.key.pem"}, "headers, secret or certificates: "),
        ({"headers": {"a b": "c"}}, "headers, secret or certificates: Invalid header key"),
        ({"auth": "bearer", "secret": "a\nb"}, "certificates: Invalid header value"),
    ],
)  # fmt: skip
async def test_settings_with_mistakes_are_named(
    certificates: Path, settings: dict[str, Any], expected: str
) -> None:
    rest = Rest(**{"url": "http://crm", **settings})

    with pytest.raises(ConfigError, match=rf"\[outgoing.rest.crm\] .*{expected}"):
        Connections(certificates).replace(Outgoing(rest={"crm": rest}))
