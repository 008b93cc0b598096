import pytest

from zato_lite.errors import BadInputError
from zato_lite.wire import decode, encode


def test_encoded_values_are_decoded_to_the_same_values() -> None:
    value = {"when": 1, "names": ["a", None, "ż"], "ok": True}

    assert decode(encode(value)) == value


def test_text_that_is_not_json_is_refused() -> None:
    with pytest.raises(BadInputError, match="not JSON"):
        decode("{'a': 1}")
