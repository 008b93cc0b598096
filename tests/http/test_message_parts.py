"""Every part of a request has its limit, and nothing but a body follows a head."""

import time

import pytest

from tests.http.test_parser import new_parser, pop_all
from zato_lite.http.head import RefusedError
from zato_lite.http.message import Request
from zato_lite.http.parser import RequestParser

pytestmark = pytest.mark.usefixtures("without_collector")

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
LENGTH = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n"
UPGRADED = CHUNKED.replace(b"\r\nHost", b"\r\nConnection: upgrade\r\nUpgrade: h2c\r\nHost")
ENDLESS = {
    "empty lines": (b"", b"\r\n", 400),
    "empty lines between requests": (GET, b"\r\n", 400),
    "bare line feeds": (b"", b"\n", 400),
    "method": (b"", b"G", 400),
    "spaces after the method": (b"GET", b" ", 400),
    "target": (b"GET /", b"a", 414),
    "query": (b"GET /?", b"a=b&", 414),
    "spaces after the target": (b"GET /", b" ", 400),
    "version": (b"GET / HTTP/1.1", b"1", 400),
    "field name": (GET[:-2], b"a", 431),
    "field value": (GET[:-2] + b"A: ", b"a", 431),
    "whitespace before a value": (GET[:-2] + b"A: ", b" ", 431),
    "fields": (GET[:-2], b"a:b\r\n", 431),
    "one field repeated": (GET[:-2], b"a:" + b"b" * 1000 + b"\r\n", 431),
    "zeros of a chunk size": (CHUNKED, b"0", 413),
    "extension name": (CHUNKED + b"1;", b"a", 413),
    "extension value": (CHUNKED + b"1;a=", b"b", 413),
    "quoted extension value": (CHUNKED + b'1;a="', b"b", 413),
    "extensions": (CHUNKED + b"1", b";a=b", 413),
    "extension of the last chunk": (CHUNKED + b"0;a=", b"b", 413),
    "chunks with extensions": (CHUNKED, b"1;" + b"a" * 900 + b"\r\nx\r\n", 413),
    "chunks with long extensions": (CHUNKED, b"1;" + b"a" * 20_000 + b"\r\nx\r\n", 413),
    "chunks of one byte": (CHUNKED, b"1\r\nx\r\n", 413),
    "trailer name": (CHUNKED + b"0\r\n", b"a", 431),
    "trailer value": (CHUNKED + b"0\r\nA: ", b"a", 431),
    "whitespace of a trailer": (CHUNKED + b"0\r\nA: ", b"\t", 431),
    "trailers": (CHUNKED + b"0\r\n", b"a:b\r\n", 431),
    "long trailers": (CHUNKED + b"0\r\n", b"a:" + b"b" * 1000 + b"\r\n", 431),
    "garbage": (b"", b"\x00", 400),
    "garbage behind a request": (GET, b"\xff\x00", 400),
    "garbage behind a body": (CHUNKED + b"1\r\nx\r\n0\r\n\r\n", b"\xff\x00", 400),
    "garbage behind a chunk": (CHUNKED + b"1\r\nx", b"x", 400),
}


def fed_before_the_end(parser: RequestParser, data: bytes, size: int) -> int:
    """Feed pieces until the parser refuses; return how many bytes it took."""
    for start in range(0, len(data), size):
        parser.feed(data[start : start + size])
        if parser.is_ended:
            return start + size
    return len(data)


@pytest.mark.parametrize("size", [7, 1460, 16_384, 262_144])
@pytest.mark.parametrize("row", ENDLESS.values(), ids=ENDLESS.keys())
def test_an_endless_part_is_refused_within_its_limit(
    row: tuple[bytes, bytes, int], size: int
) -> None:
    start, unit, status = row
    parser = new_parser()
    data = start + unit * (300_000 // len(unit))

    fed = fed_before_the_end(parser, data, size)

    assert pop_all(parser)[-1] == status
    assert fed <= len(start) + 48 * 1024 + max(size, 16_384)


@pytest.mark.parametrize(
    "prefix",
    [
        CHUNKED,
        LENGTH,
        CHUNKED.replace(b"\r\nH", b"\r\nConnection: upgrade\r\nUpgrade: h2c\r\nH", 1),
    ],
)
def test_a_body_beyond_the_limit_costs_time_in_proportion(prefix: bytes) -> None:
    def seconds(size: int) -> float:
        parser = new_parser()
        unit = b"10\r\n" + b"x" * 16 + b"\r\n" if b"chunked" in prefix else b"x"
        data = prefix + unit * (size // len(unit))
        started = time.thread_time()
        fed_before_the_end(parser, data, 16_384)
        return time.thread_time() - started

    least = min(seconds(200_000) for _ in range(3))
    assert min(seconds(800_000) for _ in range(3)) < 12 * least + 0.01


def test_a_large_trailer_after_a_large_body_is_refused() -> None:
    parser = new_parser()
    body = b"10000\r\n" + b"x" * 65_536 + b"\r\n"

    fed = fed_before_the_end(parser, CHUNKED + body * 10 + b"0\r\nA: " + b"a" * 900_000, 4096)

    assert pop_all(parser) == [431]
    assert fed < len(body) * 10 + 60_000


def only_request(parser: RequestParser) -> Request:
    (parsed,) = parser.requests
    assert not isinstance(parsed.request, RefusedError)
    return parsed.request


TRAILERS = (
    b"Authorization: Basic eDp5",
    b"Host: evil.example",
    b"Content-Type: text/plain",
    b"Upgrade: h2c",
    b"X-Forwarded-For: 10.0.0.1",
    b"Cookie: a=b",
    b"Connection: close",
    b"Expect: 100-continue",
    b"X-Mine: b",
)


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_trailers_are_dropped(size: int) -> None:
    parser = new_parser()
    head = CHUNKED.replace(b"\r\n\r\n", b"\r\nX-Mine: a\r\n\r\n")
    data = head + b"2\r\n[]\r\n0\r\n" + b"\r\n".join(TRAILERS) + b"\r\n\r\n" + GET

    for start in range(0, len(data), size):
        parser.feed(data[start : start + size])

    first, second = parser.requests
    assert not isinstance(first.request, RefusedError)
    assert first.request.body == b"[]"
    assert first.request.headers == {
        b"host": b"a",
        b"transfer-encoding": b"chunked",
        b"x-mine": b"a",
    }
    assert first.keep_alive
    assert isinstance(second.request, Request)
    assert second.request.method == "GET"


@pytest.mark.parametrize("field", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_a_trailer_that_describes_the_body_is_refused(field: bytes) -> None:
    parser = new_parser()

    parser.feed(CHUNKED + b"2\r\n[]\r\n0\r\n" + field + b"\r\n\r\n" + GET)

    assert pop_all(parser) == [400]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "QUERY", "PROPFIND"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("size", [1, 11, 10_000])
def test_an_upgrade_with_a_body_is_an_ordinary_request(
    method: str, version: str, size: int
) -> None:
    parser = new_parser()
    head = (
        f"{method} / HTTP/{version}\r\nHost: a\r\n"
        "Connection: keep-alive, Upgrade, HTTP2-Settings\r\n"
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
    ).encode()
    whole = head + b"Content-Length: 7\r\n\r\n" + b'{"a":1}'
    chunked = head + b'Transfer-Encoding: chunked\r\n\r\n7;a=b\r\n{"a":1}\r\n0\r\nA: b\r\n\r\n'
    empty = head + b"Content-Length: 0\r\n\r\n"
    data = whole + (chunked if version == "1.1" else whole) + empty + head + b"\r\n" + GET

    for start in range(0, len(data), size):
        parser.feed(data[start : start + size])

    first = (method, "/", b"", b'{"a":1}')
    bare = (method, "/", b"", b"")
    assert pop_all(parser) == [first, first, bare, bare, ("GET", "/", b"", b"")]
    assert not parser.is_ended


def test_an_upgrade_can_wait_for_its_body() -> None:
    parser = new_parser()
    parser.feed(
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
        b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    )

    assert not parser.requests
    assert parser.expects_continue
    parser.feed(b"[]")
    assert only_request(parser).body == b"[]"


def test_http_1_0_gets_no_interim_response() -> None:
    parser = new_parser()
    parser.feed(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")

    assert not parser.expects_continue
    parser.feed(b"[]")
    assert only_request(parser).body == b"[]"


@pytest.mark.parametrize(
    "body", [b"", b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\n"]
)
def test_connect_is_refused_before_its_body(body: bytes) -> None:
    parser = new_parser()

    parser.feed(b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n" + body + b"\r\n")

    assert pop_all(parser) == [501]


@pytest.mark.parametrize("space", [b"", b" ", b"\t", b"  \t "])
def test_whitespace_around_a_value_does_not_count(space: bytes) -> None:
    parser = new_parser()
    fields = (b"Host:a", b"Content-Length:2", b"Content-Type:text/plain", b"Expect:100-continue")
    parser.feed(
        b"POST / HTTP/1.1\r\n"
        + b"".join(
            name + b":" + space + value + space + b"\r\n"
            for name, _, value in (f.partition(b":") for f in fields)
        )
        + b"\r\n[]"
    )

    assert only_request(parser).headers == {
        b"host": b"a",
        b"content-length": b"2",
        b"content-type": b"text/plain",
        b"expect": b"100-continue",
    }


@pytest.mark.parametrize("space", [b"", b" ", b"   "])
def test_whitespace_around_chunked_does_not_count(space: bytes) -> None:
    parser = new_parser()
    coding = b"Transfer-Encoding:" + space + b"Chunked" + space
    parser.feed(CHUNKED.replace(b"Transfer-Encoding: chunked", coding) + b"1\r\n7\r\n0\r\n\r\n")

    assert pop_all(parser) == [("POST", "/", b"", b"7")]


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    "before",
    [b"", GET, CHUNKED + b"2\r\n  \r\n0\r\nA: b  c\r\n\r\n", CHUNKED + b"0\r\n\r\n"],
)
@pytest.mark.parametrize(
    "line", [b"GET  / HTTP/1.1", b"GET /  HTTP/1.1", b"GET   /  HTTP/1.1", b"GET / HTTP/1.1 "]
)
def test_more_than_one_space_in_a_request_line_is_refused(
    size: int, before: bytes, line: bytes
) -> None:
    parser = new_parser()
    data = before + GET.replace(b"GET / HTTP/1.1", line)

    for start in range(0, len(data), size):
        parser.feed(data[start : start + size])

    assert pop_all(parser)[-1] == 400


def test_spaces_in_a_body_are_its_own() -> None:
    parser = new_parser()
    body = b"GET  /  HTTP/1.1\r\n\r\nGET  / HTTP/1.1\r\n\r\n"

    parser.feed(CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    parser.feed(LENGTH.replace(b"1048576", b"%d" % len(body)) + body)

    assert pop_all(parser) == [("POST", "/", b"", body)] * 2


@pytest.mark.parametrize("count", [1, 2, 10])
def test_a_few_empty_lines_before_a_request_are_skipped(count: int) -> None:
    parser = new_parser()

    parser.feed(b"\r\n" * count + GET + b"\r\n" * count + GET)

    assert pop_all(parser) == [("GET", "/", b"", b"")] * 2


@pytest.mark.parametrize("coding", [b"identity", b"Identity", b" identity , identity", b""])
def test_an_identity_coding_is_accepted(coding: bytes) -> None:
    parser = new_parser()

    parser.feed(LENGTH.replace(b"1048576", b"2\r\nContent-Encoding: " + coding) + b"[]")

    assert only_request(parser).body == b"[]"


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"identity, gzip", b"deflate", b"aws-chunked"])
def test_another_coding_is_refused_with_the_accepted_one(coding: bytes) -> None:
    parser = new_parser()

    parser.feed(LENGTH.replace(b"1048576", b"2\r\nContent-Encoding: " + coding) + b"[]")

    refused = parser.requests[0].request
    assert isinstance(refused, RefusedError)
    assert (refused.status, refused.headers) == (415, (("Accept-Encoding", "identity"),))
