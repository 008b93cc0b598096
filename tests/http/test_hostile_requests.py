from typing import NamedTuple

import pytest

from tests.http.conftest import BASIC, Running

H = b"Host: localhost\r\n"
A = b"Authorization: " + BASIC + b"\r\n"
ECHO = b"POST /zato/api/invoke/echo HTTP/1.1\r\n" + H + A
PING = b"/zato/ping"


class Hostile(NamedTuple):
    """A request, its status, and whether the connection must close after it."""

    sent: bytes
    status: int
    closed: bool = True


def get(target: bytes = PING, more: bytes = b"") -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\n" + H + more + b"\r\n"


TABLE = {
    # who is meant
    "no Host": Hostile(b"GET /zato/ping HTTP/1.1\r\n\r\n", 400),
    "no Host in HTTP/1.0": Hostile(b"GET /healthz HTTP/1.0\r\n\r\n", 200),
    "no Host in HTTP/1.0, elsewhere": Hostile(b"GET /metrics HTTP/1.0\r\n\r\n", 401),
    "two Hosts": Hostile(get(more=b"Host: localhost\r\n"), 400),
    "two different Hosts": Hostile(get(more=b"Host: evil.example\r\n"), 400),
    "an empty Host": Hostile(b"GET /zato/ping HTTP/1.1\r\nHost:\r\n\r\n", 400),
    "a Host with a path": Hostile(b"GET /zato/ping HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "a Host with a user": Hostile(b"GET /zato/ping HTTP/1.1\r\nHost: a@localhost\r\n\r\n", 400),
    "a Host with a space": Hostile(b"GET /zato/ping HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "a Host with a bad port": Hostile(b"GET / HTTP/1.1\r\nHost: localhost:x\r\n\r\n", 400),
    "a list of Hosts": Hostile(b"GET / HTTP/1.1\r\nHost: localhost, b\r\n\r\n", 400),
    "a Host of somebody else": Hostile(
        b"GET /zato/ping HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421, closed=False
    ),
    "an absolute target": Hostile(get(b"http://localhost/zato/ping"), 200, closed=False),
    "an absolute target of somebody else": Hostile(
        get(b"http://evil.example/zato/ping"), 421, closed=False
    ),
    "an absolute target with a user": Hostile(get(b"http://a@localhost/zato/ping"), 400),
    "an absolute target of another scheme": Hostile(get(b"ftp://localhost/zato/ping"), 400),
    "an authority as the target": Hostile(get(b"localhost:80"), 400),
    "CONNECT": Hostile(b"CONNECT localhost:80 HTTP/1.1\r\n" + H + b"\r\n", 501),
    "OPTIONS of everything": Hostile(b"OPTIONS * HTTP/1.1\r\n" + H + b"\r\n", 204, closed=False),
    "GET of everything": Hostile(get(b"*"), 400),
    # the request line
    "an unknown method": Hostile(b"FROBNICATE / HTTP/1.1\r\n" + H + b"\r\n", 501),
    "a method in lower case": Hostile(b"get / HTTP/1.1\r\n" + H + b"\r\n", 400),
    "a method with a colon": Hostile(b"GE:T / HTTP/1.1\r\n" + H + b"\r\n", 400),
    "no method": Hostile(b" / HTTP/1.1\r\n" + H + b"\r\n", 400),
    "no target": Hostile(b"GET HTTP/1.1\r\n" + H + b"\r\n", 400),
    "two spaces after the method": Hostile(b"GET  /zato/ping HTTP/1.1\r\n" + H + b"\r\n", 400),
    "two spaces after the target": Hostile(b"GET /zato/ping  HTTP/1.1\r\n" + H + b"\r\n", 400),
    "a space after the version": Hostile(b"GET /zato/ping HTTP/1.1 \r\n" + H + b"\r\n", 400),
    "a space before the method": Hostile(b" GET /zato/ping HTTP/1.1\r\n" + H + b"\r\n", 400),
    "another protocol of the same parser": Hostile(
        b"OPTIONS /zato/ping RTSP/1.0\r\n" + H + b"\r\n", 400
    ),
    "a space in the target": Hostile(get(b"/zato/ ping"), 400),
    "a tab in the target": Hostile(get(b"/zato/\tping"), 400),
    "no version": Hostile(b"GET /zato/ping\r\n\r\n", 505),
    "HTTP/0.9": Hostile(b"GET /zato/ping HTTP/0.9\r\n" + H + b"\r\n", 505),
    "HTTP/1.2": Hostile(b"GET /zato/ping HTTP/1.2\r\n" + H + b"\r\n", 505),
    "HTTP/2.0": Hostile(b"GET /zato/ping HTTP/2.0\r\n" + H + b"\r\n", 505),
    "HTTP/9": Hostile(b"GET /zato/ping HTTP/9\r\n" + H + b"\r\n", 505),
    "http/1.1 in lower case": Hostile(b"GET /zato/ping http/1.1\r\n" + H + b"\r\n", 400),
    "the preface of HTTP/2": Hostile(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "a TLS hello": Hostile(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 50, 400),
    "only noise": Hostile(b"\x00\xff\xfe\r\n\r\n", 400),
    # the target
    "a target of 100 kB": Hostile(get(b"/" + b"a" * 100_000), 414),
    "a query of 100 kB": Hostile(get(PING + b"?" + b"a" * 100_000), 414),
    "a bad escape": Hostile(get(b"/zato/%zz"), 400),
    "a cut escape": Hostile(get(b"/zato/ping%2"), 400),
    "a bad escape in the query": Hostile(get(PING + b"?a=%"), 400),
    "NUL escaped": Hostile(get(b"/zato/ping%00"), 400),
    "NUL": Hostile(get(b"/zato/\x00ping"), 400),
    "escapes that are not UTF-8": Hostile(get(b"/zato/%ff"), 400),
    "an overlong slash": Hostile(get(b"/zato%c0%afping"), 400),
    "a byte beyond ASCII": Hostile(get(b"/zato/\xc3\xa9"), 400),
    "a byte beyond ASCII in the query": Hostile(get(PING + b"?a=\xff"), 400),
    "a fragment": Hostile(get(PING + b"#a"), 400),
    "traversal": Hostile(get(b"/zato/../../etc/passwd"), 404, closed=False),
    "traversal, escaped": Hostile(get(b"/zato/%2e%2e/%2e%2e/etc/passwd"), 404, closed=False),
    "traversal, by backslash": Hostile(get(b"/zato/..\\..\\etc\\passwd"), 404, closed=False),
    "a path that begins twice": Hostile(get(b"//zato/ping"), 404, closed=False),
    "a path with a dot": Hostile(get(b"/zato/./ping"), 404, closed=False),
    "an escaped slash": Hostile(get(b"/zato%2fping/"), 404, closed=False),
    # the header block
    "a bare LF": Hostile(b"GET /zato/ping HTTP/1.1\nHost: localhost\n\n", 400),
    "a bare LF after a field": Hostile(
        b"GET /zato/ping HTTP/1.1\r\nHost: localhost\nA: b\r\n\r\n", 400
    ),
    "a bare CR in a value": Hostile(get(more=b"A: b\rc\r\n"), 400),
    "a bare CR as the end of a line": Hostile(
        b"GET /zato/ping HTTP/1.1\rHost: localhost\r\r", 400
    ),
    "a folded line": Hostile(get(more=b"A: b\r\n c\r\n"), 400),
    "a folded line by a tab": Hostile(get(more=b"A: b\r\n\tc\r\n"), 400),
    "a line that begins with a space": Hostile(
        b"GET /zato/ping HTTP/1.1\r\n Host: localhost\r\n\r\n", 400
    ),
    "a space before the colon": Hostile(get(more=b"A : b\r\n"), 400),
    "a space in a name": Hostile(get(more=b"A B: c\r\n"), 400),
    "an empty name": Hostile(get(more=b": c\r\n"), 400),
    "no colon": Hostile(get(more=b"Abc\r\n"), 400),
    "NUL in a name": Hostile(get(more=b"A\x00: c\r\n"), 400),
    "NUL in a value": Hostile(get(more=b"A: b\x00c\r\n"), 400),
    "a control character in a value": Hostile(get(more=b"A: b\x01c\r\n"), 400),
    "a name beyond ASCII": Hostile(get(more=b"\xc3\xa9: b\r\n"), 400),
    "5,000 fields": Hostile(get(more=b"".join(b"A%d: b\r\n" % n for n in range(5000))), 431),
    "101 fields": Hostile(get(more=b"".join(b"A%d: b\r\n" % n for n in range(101))), 431),
    "a field of 200 kB": Hostile(get(more=b"A: " + b"b" * 200_000 + b"\r\n"), 431),
    "a name of 200 kB": Hostile(get(more=b"a" * 200_000 + b": b\r\n"), 431),
    "a field without an end": Hostile(get()[:-2] + b"A: " + b"b" * 500_000, 431),
    "two Authorizations": Hostile(get(more=A + A), 400),
    "two Content-Types": Hostile(get(more=b"Content-Type: a/b\r\nContent-Type: c/d\r\n"), 400),
    # the body's length
    "a length and chunks": Hostile(
        ECHO + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", 400
    ),
    "chunks and a length": Hostile(
        ECHO + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nG", 400
    ),
    "two lengths": Hostile(ECHO + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n[]", 400),
    "the same length twice": Hostile(
        ECHO + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n[]", 400
    ),
    "a list of lengths": Hostile(ECHO + b"Content-Length: 2, 2\r\n\r\n[]", 400),
    "a negative length": Hostile(ECHO + b"Content-Length: -1\r\n\r\n", 400),
    "a length with a plus": Hostile(ECHO + b"Content-Length: +2\r\n\r\n[]", 400),
    "a length in hexadecimal": Hostile(ECHO + b"Content-Length: 0x2\r\n\r\n[]", 400),
    "a length with a space": Hostile(ECHO + b"Content-Length: 1 2\r\n\r\n[]", 400),
    "an empty length": Hostile(ECHO + b"Content-Length:\r\n\r\n", 400),
    "a length over 64 bits": Hostile(ECHO + b"Content-Length: 18446744073709551616\r\n\r\n", 400),
    "a length of a gigabyte": Hostile(ECHO + b"Content-Length: 1073741824\r\n\r\n", 413),
    "a coding that is unknown": Hostile(ECHO + b"Transfer-Encoding: gzip\r\n\r\n", 501),
    "a coding before chunked": Hostile(ECHO + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "chunked before a coding": Hostile(ECHO + b"Transfer-Encoding: chunked, gzip\r\n\r\n", 400),
    "identity": Hostile(ECHO + b"Transfer-Encoding: identity\r\n\r\n", 501),
    "chunked with a vertical tab": Hostile(ECHO + b"Transfer-Encoding: \x0bchunked\r\n\r\n", 400),
    "xchunked": Hostile(ECHO + b"Transfer-Encoding: xchunked\r\n\r\n", 501),
    "chunked twice": Hostile(
        ECHO + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400
    ),
    "chunks in HTTP/1.0": Hostile(
        ECHO.replace(b"1.1", b"1.0", 1) + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400
    ),
    "a coding of the content": Hostile(
        ECHO + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n[]", 415
    ),
    "an expectation that is unknown": Hostile(
        ECHO + b"Expect: a miracle\r\nContent-Length: 2\r\n\r\n[]", 417
    ),
    # chunks
    "a chunk's size that is none": Hostile(
        ECHO + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400
    ),
    "a chunk's size that is negative": Hostile(
        ECHO + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400
    ),
    "a chunk's size with 0x": Hostile(
        ECHO + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n[]\r\n0\r\n\r\n", 400
    ),
    "a chunk's size over 64 bits": Hostile(
        ECHO + b"Transfer-Encoding: chunked\r\n\r\n1" + b"0" * 16 + b"\r\n", 400
    ),
    "a chunk's size with a space": Hostile(
        ECHO + b"Transfer-Encoding: chunked\r\n\r\n2 \r\n[]\r\n0\r\n\r\n", 400
    ),
    "a chunk that is longer than it says": Hostile(
        ECHO + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]]\r\n0\r\n\r\n", 400
    ),
    "a chunk ended by LF": Hostile(ECHO + b"Transfer-Encoding: chunked\r\n\r\n2\n[]\n0\n\n", 400),
    "chunks of 2 MB": Hostile(
        ECHO
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + (b"10000\r\n" + b" " * 65536 + b"\r\n") * 32
        + b"0\r\n\r\n",
        413,
    ),
    "a body of 2 MB": Hostile(ECHO + b"Content-Length: 2000000\r\n\r\n" + b" " * 2_000_000, 413),
    "trailers without an end": Hostile(
        ECHO + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 20_000, 431
    ),
    "a trailer that is a Host": Hostile(
        ECHO + b"Transfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\n\r\n", 200, closed=False
    ),
    # what is asked on the way
    "an upgrade to HTTP/2": Hostile(
        get(more=b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n"),
        200,
        closed=False,
    ),
    "an upgrade to a web socket": Hostile(
        get(more=b"Connection: Upgrade\r\nUpgrade: websocket\r\n"), 200, closed=False
    ),
    "a request smuggled into a body": Hostile(
        ECHO + b"Content-Length: 44\r\n\r\nGET /zato/ping HTTP/1.1\r\nHost: localhost\r\n\r\n",
        400,
        closed=False,
    ),
}


def test_the_table_is_long_enough() -> None:
    assert len(TABLE) >= 60


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
async def test_a_hostile_request_gets_the_right_status(started: Running, row: Hostile) -> None:
    client = await started.connect()

    client.send(row.sent)
    status, headers, _ = await client.answer()

    assert status == row.status
    if row.closed:
        assert headers.get(b"connection") == b"close"
        assert await client.rest() == b""
    else:
        client.send(get())
        assert (await client.answer())[0] == 200


@pytest.mark.parametrize("row", [row for row in TABLE.values() if len(row.sent) < 2000])
async def test_a_hostile_request_in_single_bytes_gets_the_same_status(
    started: Running, row: Hostile
) -> None:
    client = await started.connect()

    for byte in row.sent:
        client.send(bytes([byte]))
        await client.writer.drain()
    status, _, _ = await client.answer()

    # a method or a version that is not known cannot be told from noise by its first bytes
    assert status == row.status or (status, row.status) in {(400, 501), (400, 505)}
    if row.closed:
        assert await client.rest() == b""
