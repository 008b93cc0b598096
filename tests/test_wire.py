import pytest

from zato_lite.errors import BadInputError
from zato_lite.wire import decode, encode


def test_what_is_encoded_is_decoded_alike() -> None:
    value = {"when": 1, "names": ["a", None, "ż"], "ok": True}

    assert decode(encode(value)) == value


def test_what_is_not_json_is_said_to_be_so() -> None:
    with pytest.raises(BadInputError, match="not JSON"):
        decode("{'a': 1}")
