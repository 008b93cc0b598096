import asyncio
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zato_lite.http.large import PART, TEXT_PART, encode_in_parts, is_large
from zato_lite.http.message import Request
from zato_lite.http.payloads import read_payload
from zato_lite.wire import encode

pytestmark = pytest.mark.usefixtures("without_collector")

_LONG_TEXT = 'é"\\\n😀' * (TEXT_PART // 3)
_SMALL = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
_FEW = st.recursive(
    _SMALL,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=3),
    ),
    max_leaves=4,
)
_MANY = st.one_of(
    st.just(_LONG_TEXT),
    _FEW.map(lambda item: [item, 1] * PART),
    _FEW.map(lambda item: {f"k{number}": item for number in range(PART + 1)}),
)
_ITEMS = st.one_of(
    _FEW,
    _MANY,
    st.lists(_FEW | _MANY, max_size=3),
    st.dictionaries(st.text(max_size=3) | st.integers(0, 9), _FEW | _MANY, max_size=3),
    _MANY.map(lambda item: [[{"rows": item}], item]),
)


@given(_ITEMS)
def test_a_payload_in_parts_has_the_same_text(payload: Any) -> None:
    assert asyncio.run(encode_in_parts(payload, repr)) == encode(payload, repr)


def test_long_lists_dictionaries_and_texts_are_large_wherever_they_are() -> None:
    large = [[0] * (PART + 1), {str(key): 0 for key in range(PART + 1)}, {"text": _LONG_TEXT}]

    for part in large:
        assert is_large(part)
        assert is_large({"rows": part})
        assert is_large([{"rows": part}])
    assert not is_large([0] * PART)
    assert not is_large({"rows": [{"name": "x"}] * 20})
    assert not is_large("x" * 10 * TEXT_PART)  # a text alone is the body itself


async def test_others_have_turns_while_a_large_payload_is_encoded() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await encode_in_parts([{"number": number} for number in range(20 * PART)], repr)
    counting.cancel()

    assert turns >= 20


async def test_a_large_body_is_decoded_in_a_thread() -> None:
    bodies = {
        "spaces": b'[{"a": 1}' + b', {"a": 1}' * 95_000 + b"]",
        "escapes": b'["\\u0041"' + b',"\\u0041"' * 100_000 + b"]",
        "colons": b'["a:"' + b', "a:"' * 150_000 + b"]",
        "form": b"a=" + b"%41" * 340_000,
    }

    for name, body in bodies.items():
        headers = {b"content-type": b"application/x-www-form-urlencoded"} if name == "form" else {}
        request = Request("POST", "/x", body=body, headers=headers)
        began = time.thread_time()
        payload, raw = await read_payload(request, {})
        took = time.thread_time() - began

        assert (raw, bool(payload)) == (body, True)
        assert took < 0.1, name
