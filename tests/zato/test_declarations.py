from typing import Any

import pytest

from zato_lite.errors import BadInputError, FieldError
from zato_lite.zato import elements
from zato_lite.zato.declarations import elements_of
from zato_lite.zato.payload import ResponsePayload

MOMENT = "Expected a date and time such as 2026-01-31T09:30:00"


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


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (elements.Int, "x", "a: Expected a whole number, got `str`"),
        (elements.Int, 1.5, "a: Expected a whole number, got `float`"),
        (elements.Int, float("inf"), "a: Expected a whole number, got `float`"),
        (elements.Float, "x", "a: Expected a number, got `str`"),
        (elements.Decimal, "x", "a: Expected a decimal number, got `str`"),
        (elements.Bool, "maybe", "a: Expected true or false, got `str`"),
        (elements.Date, "x", "a: Expected a date such as 2026-01-31, got `str`"),
        (
            elements.DateTime,
            5,
            "a: Expected a date and time such as 2026-01-31T09:30:00, got `int`",
        ),
        (elements.UUID, "x", "a: Expected a UUID, got `str`"),
        (elements.Dict, [], "a: Expected a dictionary, got `list`"),
        (elements.DictList, [1], "a: Expected a list of dictionaries, got `list`"),
        (elements.Text, {}, "a: Expected text, got `dict`"),
    ],
)
def test_a_wrong_value_is_explained_in_words(
    kind: type[elements.Element], value: Any, message: str
) -> None:
    declared = elements_of(kind("a"))
    assert declared is not None

    with pytest.raises(BadInputError) as caught:
        declared.read({"a": value})

    assert [*caught.value.errors] == [FieldError("a", value, message)]


def test_an_element_of_a_project_has_its_own_message() -> None:
    class Even(elements.Element):
        def convert(self, value: Any) -> Any:
            raise ValueError("not even")

    declared = elements_of(Even("a"))
    assert declared is not None

    with pytest.raises(BadInputError, match="a: not even"):
        declared.read({"a": 1})


@pytest.mark.parametrize("declared", [dict, (), (1, 2), 5])
def test_a_declaration_without_elements_is_none(declared: Any) -> None:
    assert elements_of(declared) is None
