import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.conftest import Ask
from zato_lite.errors import BadInputError
from zato_lite.wire import decode_strict, encode

HOSTILE = {
    "nothing but a space": b" ",
    "NaN": b'{"a": NaN}',
    "Infinity": b"[Infinity]",
    "-Infinity": b"[-Infinity]",
    "beyond a float": b"[1e999]",
    "beyond a float, negative": b"[-1e999]",
    "a lone high surrogate": b'"\\ud800"',
    "a lone low surrogate": b'"\\udc00"',
    "surrogates the wrong way": b'"\\udc00\\ud800"',
    "an encoded surrogate": b'"\xed\xa0\x80"',
    "a key twice": b'{"a": 1, "a": 1}',
    "a key twice, compact": b'{"a":1,"a":2}',
    "a key twice, deep": b'[{"x": {"a": 1, "b": 2, "a": 3}}]',
    "a key twice, once escaped": b'{"a": 1, "\\u0061": 2}',
    "a key twice, made up for by an escaped colon": b'{"a": 1, "a": "\\u003a"}',
    "a key twice, colons in strings": b'{"a": ":", "a": "::", "b": "12:30"}',
    "the empty key twice": b'{"": 1, "": 2}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-32": '{"a": 1}'.encode("utf-32"),
    "invalid UTF-8": b'"\xff"',
    "an overlong slash": b'"\xc0\xaf"',
    "a cut character": b'"\xc3"',
    "an integer over 64 bits": b"[18446744073709551616]",
    "a negative integer over 64 bits": b"[-9223372036854775809]",
    "a big integer in an object": b'{"id": 123456789012345678901234567890}',
    "a big integer beside a big float": b"[1e300, 18446744073709551617]",
    "a big integer among escapes": b'["\\u0061", 18446744073709551617]',
    "5,000 digits": b"9" * 5000,
    "depth 300": b"[" * 300 + b"]" * 300,
    "depth 100,000": b"[" * 100_000,
    "depth 100,000, closed": b"[" * 100_000 + b"]" * 100_000,
    "objects of depth 100,000": b'{"a":' * 100_000,
    "a trailing comma": b"[1,]",
    "a trailing value": b"{} {}",
    "a comment": b"[1] // one",
    "single quotes": b"{'a': 1}",
    "a key without quotes": b"{a: 1}",
    "a leading zero": b"[01]",
    "a plus": b"[+1]",
    "hexadecimal": b"[0x10]",
    "a point at the end": b"[1.]",
    "a control character in a string": b'"\n"',
    "NUL in a string": b'"\x00"',
    "NUL at the end": b"{}\x00",
    "a bad escape": b'"\\x41"',
    "cut": b'{"a": "',
    "only a quote": b'"',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
async def test_hostile_json_is_a_bad_request(ask: Ask, body: bytes) -> None:
    status, _, answer = await ask("POST", "/zato/api/invoke/echo", body)

    assert status == 400
    assert json.loads(answer)["details"].startswith("not JSON")


@pytest.mark.parametrize(
    "text",
    [
        b"null",
        b"[18446744073709551615, -9223372036854775808]",
        b"[1e300, -1.5e10, 9007199254740993]",
        b'{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}',
        b'{"at": "12:30", "url": "http://x/"}',
        b'{"a\\u0062": "\\u003a\\ud83d\\ude00"}',
        b'{"a":1,"b":[true,false,null]}',
        b" [ 1 , 2 ] ",
        b"[" * 250 + b"]" * 250,
    ],
)
def test_unambiguous_json_is_accepted(text: bytes) -> None:
    assert decode_strict(text) == json.loads(text)


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("ab:\u00e9\\"), inner),
    max_leaves=20,
)


@given(_values, st.booleans(), st.booleans())
def test_json_that_is_written_can_be_read_back(
    value: object, compact: bool, ascii_only: bool
) -> None:
    separators = (",", ":") if compact else (", ", ": ")
    text = json.dumps(value, ensure_ascii=ascii_only, separators=separators).encode()

    assert decode_strict(text) == value
    assert decode_strict(encode(value)) == value


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "a:", "\\u0061"]), _values), max_size=4))
def test_an_object_is_accepted_if_and_only_if_its_keys_differ(
    pairs: list[tuple[str, object]],
) -> None:
    inside = ", ".join(f'"{key}": {json.dumps(value)}' for key, value in pairs)
    text = f"[{{{inside}}}]".encode()
    keys = [key.replace("\\u0061", "a") for key, _ in pairs]

    if len(set(keys)) == len(keys):
        assert decode_strict(text) == json.loads(text)
    else:
        with pytest.raises(BadInputError):
            decode_strict(text)
