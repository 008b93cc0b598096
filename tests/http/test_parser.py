from ipaddress import IPv4Network, IPv6Network
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from zato_lite.http.body import PlanBody
from zato_lite.http.head import RefusedError
from zato_lite.http.parser import Limits, ParsedRequest, RequestParser


class Context:
    """State that connections share."""

    def __init__(self) -> None:
        self.now = 0.0
        self.limits = Limits()
        self.targets: dict[bytes, tuple[str, str, bytes]] = {}
        self.hosts: set[bytes] = set()
        self.trusted: tuple[IPv4Network | IPv6Network, ...] = ()
        self.trusts_peers = False
        self.plan_body: PlanBody | None = None


def new_parser() -> RequestParser:
    return RequestParser(Context(), "127.0.0.1", False)


def feed(parser: RequestParser, data: bytes) -> None:
    """Feed the bytes as a connection does."""
    cached = parser.cached
    if cached is not None and data.startswith(cached.head) and len(data) == cached.size:
        cached.request.body = data[cached.length :]
        parser.requests.append(ParsedRequest(cached.request, True, False))
    else:
        parser.feed(data)


def pop_all(parser: RequestParser) -> list[tuple[str, str, bytes, bytes] | int]:
    """Return the requests that wait, and remove them."""
    found: list[tuple[str, str, bytes, bytes] | int] = []
    while parser.requests:
        request = parser.requests.popleft().request
        if isinstance(request, RefusedError):
            found.append(request.status)
        else:
            found.append((request.method, request.path, request.query, request.body))
    return found


REQUESTS = {
    b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n": ("GET", "/a", b"", b""),
    b"GET /b%20c?d=1 HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n": ("GET", "/b c", b"d=1", b""),
    b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n123": ("POST", "/p", b"", b"123"),
    b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n456": ("POST", "/p", b"", b"456"),
    b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\r\n\r\n": (
        "POST",
        "/p",
        b"",
        b"\r\n\r\n",
    ),
    b"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n": (
        "PUT",
        "/c",
        b"",
        b"abc",
    ),
}


@given(st.lists(st.sampled_from(list(REQUESTS)), max_size=12), st.data())
def test_requests_do_not_depend_on_where_their_bytes_are_cut(
    sent: list[bytes], data: st.DataObject
) -> None:
    parser, found, stream = new_parser(), [], b"".join(sent)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
    whole = [sum(map(len, sent[:n])) for n in range(len(sent))]

    edges = sorted({0, len(stream), *cuts, *(whole if data.draw(st.booleans()) else ())})
    for start, end in pairwise(edges):
        feed(parser, stream[start:end])
        found += pop_all(parser)
        parser.feed_more()
        found += pop_all(parser)

    assert found == [REQUESTS[request] for request in sent]


def test_only_an_equal_head_keeps_the_memo() -> None:
    parser = new_parser()
    first, other = list(REQUESTS)[2:4]

    feed(parser, first)
    one = parser.requests.popleft().request
    assert not isinstance(one, RefusedError)
    one.memo = "found out"
    feed(parser, other)
    two = parser.requests.popleft().request
    feed(parser, first.replace(b"Host: a", b"Host: b"))
    three = parser.requests.popleft().request

    assert not isinstance(two, RefusedError)
    assert not isinstance(three, RefusedError)
    assert (two.memo, two.body) == ("found out", b"456")
    assert three.memo is None


def test_a_body_equal_to_the_last_request_is_not_taken_for_a_request() -> None:
    parser = new_parser()
    get = next(iter(REQUESTS))

    feed(parser, get)
    feed(parser, b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(get))
    feed(parser, get)
    feed(parser, b"G")
    feed(parser, get)

    assert pop_all(parser) == [REQUESTS[get], ("POST", "/p", b"", get), 501]


def test_bytes_after_a_refusal_are_not_parsed() -> None:
    parser = new_parser()

    feed(parser, b"NONSENSE\r\n\r\n")
    feed(parser, next(iter(REQUESTS)))

    assert pop_all(parser) == [400]
    assert parser.is_ended
