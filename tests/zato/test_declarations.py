from typing import Any

import pytest

from zato_lite.zato.declarations import elements_of
from zato_lite.zato.payload import ResponsePayload


def test_a_payload_can_be_set_and_read_part_by_part() -> None:
    payload = ResponsePayload()
    assert payload.value() is None

    payload.a = 1
    payload["b"] = 2
    assert (payload.a, payload["b"], payload.value()) == (1, 2, {"a": 1, "b": 2})

    payload.append(1)
    payload[0] = 2
    assert (payload[0], payload.value()) == (2, [2])


def test_a_payload_that_is_not_a_dictionary_is_refused() -> None:
    declared = elements_of("a")
    assert declared is not None

    with pytest.raises(Exception, match="Expected a dictionary, got `list`"):
        declared.read([1])


@pytest.mark.parametrize("declared", [dict, (), (1, 2), 5])
def test_a_declaration_without_elements_is_none(declared: Any) -> None:
    assert elements_of(declared) is None
