"""Large text is compressed for clients that accept gzip; small and other responses are not."""

import gzip
import json
from pathlib import Path

import pytest

from tests.http.conftest import running
from zato_lite.http.endpoints.pages import page_routes
from zato_lite.http.media import is_match
from zato_lite.http.message import JSON, TEXT, Request, Response

LARGE = json.dumps([{"number": n, "name": f"job {n}"} for n in range(400)]).encode()
HUGE = json.dumps([{"number": n, "name": f"job {n}"} for n in range(20_000)]).encode()
TAGGED = Response(200, LARGE, headers=(("ETag", '"a"'),))
CODED = Response(200, LARGE, headers=(("content-encoding", "br"),))


async def exchange(response: Response, accepted: str) -> tuple[dict[bytes, bytes], bytes]:
    """Return the fields and the body that a client gets."""

    async def app(request: Request) -> Response:
        return response

    async with running(app) as run:
        client = await run.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + accepted.encode() + b"\r\n")
        status, headers, body = await client.answer()
        assert status == response.status
        plain = response.body
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.answer())[2] == plain
    return headers, body


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (LARGE, JSON),
        (HUGE, JSON),
        (LARGE, "application/problem+json"),
        (LARGE, TEXT),
        (LARGE, "image/svg+xml"),
    ],
)
async def test_large_text_is_compressed(body: bytes, kind: str) -> None:
    headers, sent = await exchange(Response(200, body, kind), "Accept-Encoding: br, gzip\r\n")

    assert headers[b"content-encoding"] == b"gzip"
    assert headers[b"vary"] == b"Accept-Encoding"
    assert gzip.decompress(sent) == body
    assert len(sent) * 4 < len(body)


@pytest.mark.parametrize(
    "accepted", ["", "Accept-Encoding: br\r\n", "Accept-Encoding: gzip;q=0\r\n"]
)
@pytest.mark.parametrize("body", [LARGE, HUGE])
async def test_a_client_without_gzip_gets_the_body_as_it_is(body: bytes, accepted: str) -> None:
    headers, sent = await exchange(Response(200, body), accepted)

    assert b"content-encoding" not in headers
    assert headers[b"vary"] == b"Accept-Encoding"
    assert sent == body


@pytest.mark.parametrize(
    "response",
    [
        Response(200, b"x" * 4095, TEXT),
        Response(200, b"x" * 50_000, "application/octet-stream"),
        Response(200, b"x" * 50_000, "image/png"),
        TAGGED,
        CODED,
    ],
)
async def test_other_responses_are_sent_as_they_are(response: Response) -> None:
    body = response.body

    headers, sent = await exchange(response, "Accept-Encoding: gzip\r\n")

    assert sent == body
    assert headers.get(b"content-encoding") in {None, b"br"}
    assert b"vary" not in headers


async def test_files_are_compressed_and_have_a_tag_for_each_coding(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_bytes(b"let a = 1;\n" * 1000)
    (tmp_path / "b.png").write_bytes(b"\x89PNG" * 1000)
    script, image = (route.handler for route in page_routes(tmp_path, "/x"))
    packed = {b"accept-encoding": b"gzip"}

    plain = await script(Request("GET", "/x/a.js"), None)
    small = await script(Request("GET", "/x/a.js", headers=packed), None)
    bitmap = await image(Request("GET", "/x/b.png", headers=packed), None)

    fields, other = dict(plain.headers), dict(small.headers)
    assert gzip.decompress(small.body) == plain.body == b"let a = 1;\n" * 1000
    assert (fields["Vary"], other["Vary"]) == ("Accept-Encoding", "Accept-Encoding")
    assert (fields.get("Content-Encoding"), other["Content-Encoding"]) == (None, "gzip")
    assert fields["ETag"] != other["ETag"]
    assert bitmap.body == b"\x89PNG" * 1000
    assert "Vary" not in dict(bitmap.headers)
    known = {b"if-none-match": other["ETag"].encode()}
    assert (await script(Request("GET", "/x/a.js", headers=packed | known), None)).status == 304
    assert (await script(Request("GET", "/x/a.js", headers=known), None)).status == 200


@pytest.mark.parametrize(
    ("field", "matches"),
    [
        (b'"a"', True),
        (b'W/"a"', True),
        (b'"b" , "a"', True),
        (b"*", True),
        (b"", False),
        (b'"b"', False),
        (b"a", False),
        (b"\xff", False),
    ],
)
def test_a_tag_is_compared_with_all_that_the_client_names(field: bytes, matches: bool) -> None:
    assert is_match(field, '"a"') is matches
