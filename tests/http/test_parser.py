from ipaddress import IPv4Network, IPv6Network
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from zato_lite.http.head import RefusedError
from zato_lite.http.parser import Incoming, Limits, ParsedRequest


class Around:
    """What connections have in common."""

    def __init__(self) -> None:
        self.now = 0.0
        self.limits = Limits()
        self.targets: dict[bytes, tuple[str, str, bytes]] = {}
        self.hosts: set[bytes] = set()
        self.trusted: tuple[IPv4Network | IPv6Network, ...] = ()


def incoming() -> Incoming:
    return Incoming(Around(), "127.0.0.1", False)


def take(parsed: Incoming, data: bytes) -> None:
    """As a connection does."""
    same = parsed.same
    if same is not None and data.startswith(same.head) and len(data) == same.size:
        same.request.body = data[same.length :]
        parsed.asked.append(ParsedRequest(same.request, True, False))
    else:
        parsed.feed(data)


def asked(parsed: Incoming) -> list[tuple[str, str, bytes, bytes] | int]:
    """All that was asked, taken from the queue."""
    found: list[tuple[str, str, bytes, bytes] | int] = []
    while parsed.asked:
        request = parsed.asked.popleft().request
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
def test_however_the_bytes_are_cut_the_requests_are_the_same(
    sent: list[bytes], data: st.DataObject
) -> None:
    parsed, found, stream = incoming(), [], b"".join(sent)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
    whole = [sum(map(len, sent[:n])) for n in range(len(sent))]

    edges = sorted({0, len(stream), *cuts, *(whole if data.draw(st.booleans()) else ())})
    for start, end in pairwise(edges):
        take(parsed, stream[start:end])
        found += asked(parsed)
        parsed.feed_more()
        found += asked(parsed)

    assert found == [REQUESTS[request] for request in sent]


def test_the_same_head_again_brings_its_memo_along_and_another_does_not() -> None:
    parsed = incoming()
    first, other = list(REQUESTS)[2:4]

    take(parsed, first)
    one = parsed.asked.popleft().request
    assert not isinstance(one, RefusedError)
    one.memo = "found out"
    take(parsed, other)
    two = parsed.asked.popleft().request
    take(parsed, first.replace(b"Host: a", b"Host: b"))
    three = parsed.asked.popleft().request

    assert not isinstance(two, RefusedError)
    assert not isinstance(three, RefusedError)
    assert (two.memo, two.body) == ("found out", b"456")
    assert three.memo is None


def test_the_rest_of_a_request_is_never_taken_for_the_one_before() -> None:
    parsed = incoming()
    get = next(iter(REQUESTS))

    take(parsed, get)
    take(parsed, b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(get))
    take(parsed, get)
    take(parsed, b"G")
    take(parsed, get)

    assert asked(parsed) == [REQUESTS[get], ("POST", "/p", b"", get), 501]


def test_what_follows_a_refusal_is_not_looked_at() -> None:
    parsed = incoming()

    take(parsed, b"NONSENSE\r\n\r\n")
    take(parsed, next(iter(REQUESTS)))

    assert asked(parsed) == [400]
    assert parsed.is_last
