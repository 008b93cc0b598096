from typing import Any

import pytest

from zato_lite.errors import BadInputError, UnsupportedTypeError
from zato_lite.http.media import accepts_gzip
from zato_lite.http.message import Request
from zato_lite.http.payloads import is_json, payload_of

JSON = b'{"a":"\xc3\xa9"}'


def payload(kind: bytes, body: bytes) -> Any:
    return payload_of(Request("POST", "/", b"", {b"content-type": kind}, body), {})[0]


@pytest.mark.parametrize(
    "kind",
    [
        b"application/json",
        b"Application/JSON",
        b"APPLICATION/JSON; CHARSET=UTF-8",
        b'application/json;charset="utf-8"',
        b"application/json ; charset=utf-8",
        b"application/json;",
        b"application/problem+json",
        b"application/vnd.API+Json; version=1",
        b"text/json",
        b"",
    ],
)
def test_json_is_read_whatever_the_case_and_parameters(kind: bytes) -> None:
    assert payload(kind, JSON) == {"a": "é"}


@pytest.mark.parametrize(
    "kind",
    [b"application/x-ndjson", b"application/jsonlines", b"application/octet-stream",
     b"application/xml; note=json", b"image/PNG"],
)  # fmt: skip
def test_other_types_are_bytes(kind: bytes) -> None:
    assert payload(kind, JSON) == JSON
    assert not is_json(Request("POST", "/", b"", {b"content-type": kind}))


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        (b"text/plain", b"\xc3\xa9", "é"),
        (b"Text/Plain; Charset=UTF-8", b"\xc3\xa9", "é"),
        (b"text/plain; charset=ISO-8859-1", b"\xe9", "é"),
        (b'text/plain; format=flowed; charset="iso-8859-1"', b"\xe9", "é"),
        (b'text/plain; note=";charset=us-ascii"; charset=windows-1252', b"\x80", "€"),
        (b"text/csv;charset=us-ascii", b"a,b", "a,b"),
    ],
)
def test_text_is_decoded_by_its_charset(kind: bytes, body: bytes, text: str) -> None:
    assert payload(kind, body) == text


@pytest.mark.parametrize("kind", [b"text/plain", b"text/plain; charset=us-ascii"])
def test_text_that_is_not_in_its_charset_is_refused(kind: bytes) -> None:
    with pytest.raises(BadInputError, match="text body is not"):
        payload(kind, b"\xe9")


@pytest.mark.parametrize("charset", [b"utf-7", b"idna", b"zip", b'"a\\"b"', b"\xff"])
def test_an_unknown_charset_is_refused_with_the_known_ones(charset: bytes) -> None:
    with pytest.raises(
        UnsupportedTypeError, match=r"is not supported; use one of utf-8, "
    ) as caught:
        payload(b"text/plain; charset=" + charset, b"a")

    assert caught.value.status == 415


def test_a_form_is_read_whatever_the_case() -> None:
    kind = b"Application/X-WWW-Form-URLencoded; Charset=utf-8"

    assert payload(kind, b"a=b") == {"a": "b"}
    assert payload(kind, b'{"a":1}') == {"a": 1}


@pytest.mark.parametrize(
    ("field", "accepted"),
    [
        (b"", False),
        (b"gzip", True),
        (b"GZIP", True),
        (b"x-gzip", True),
        (b"deflate, gzip;q=0.5, br", True),
        (b"gzip ; q=1", True),
        (b"*", True),
        (b"*;q=0", False),
        (b"gzip;q=0", False),
        (b"gzip;q=0.000", False),
        (b"gzip;q=0, *", False),
        (b"*, gzip;q=0", False),
        (b"identity", False),
        (b"notgzip", False),
    ],
)
def test_gzip_is_used_if_the_client_accepts_it(field: bytes, accepted: bool) -> None:
    assert accepts_gzip(field) is accepted
