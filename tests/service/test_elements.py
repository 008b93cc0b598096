import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest

from zato_lite.service import elements

MOMENT = dt.datetime(2026, 12, 1, 10, 0)  # noqa: DTZ001 - as it is sent
ID = uuid.UUID(int=7)


@pytest.mark.parametrize(
    ("element", "value", "converted"),
    [
        (elements.AsIs("a"), {1}, {1}),
        (elements.Opaque("a"), 1, 1),
        (elements.Text("a"), 5, "5"),
        (elements.CSV("a"), "a, b", ["a", "b"]),
        (elements.Int("a"), 5.0, 5),
        (elements.Float("a"), "1.5", 1.5),
        (elements.Decimal("a"), "1.10", Decimal("1.10")),
        (elements.Bool("a"), "No", False),
        (elements.Bool("a"), 1, True),
        (elements.Date("a"), "2026-12-01", dt.date(2026, 12, 1)),
        (elements.DateTime("a"), "2026-12-01 10:00", MOMENT),
        (elements.UTC("a"), MOMENT, MOMENT),
        (elements.UUID("a"), str(ID), ID),
        (elements.Dict("a"), {"b": 1}, {"b": 1}),
        (elements.List("a"), (1, 2), [1, 2]),
        (elements.DictList("a"), [{"b": 1}], [{"b": 1}]),
    ],
)
def test_a_value_becomes_what_its_element_says(
    element: elements.Element, value: Any, converted: Any
) -> None:
    assert element.convert(value) == converted


@pytest.mark.parametrize(
    ("element", "value"),
    [
        (elements.Text("a"), {}),
        (elements.Int("a"), 1.5),
        (elements.Int("a"), "x"),
        (elements.Decimal("a"), "x"),
        (elements.Bool("a"), "perhaps"),
        (elements.Date("a"), "tomorrow"),
        (elements.Dict("a"), []),
        (elements.DictList("a"), [1]),
    ],
)
def test_a_value_that_has_no_such_form_is_refused(element: elements.Element, value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        element.convert(value)


@pytest.mark.parametrize(
    ("name", "value", "converted"),
    [
        ("is_new", "true", True),
        ("-has_more", "0", False),
        ("id", "12", 12),
        ("page_size", "12", 12),
        ("user_id", "abc", "abc"),
        ("name", "12", "12"),
    ],
)
def test_a_name_says_what_its_value_is(name: str, value: str, converted: Any) -> None:
    assert elements.element(name).convert(value) == converted


def test_an_answer_can_be_set_and_read_bit_by_bit() -> None:
    answer = elements.Answer()
    assert answer.value() is None

    answer.a = 1
    answer["b"] = 2
    assert (answer.a, answer["b"], answer.value()) == (1, 2, {"a": 1, "b": 2})

    answer.append(1)
    answer[0] = 2
    assert (answer[0], answer.value()) == (2, [2])


def test_a_payload_that_is_no_dictionary_has_no_elements() -> None:
    declared = elements.elements_of("a")
    assert declared is not None

    with pytest.raises(Exception, match="Expected a dictionary, got `list`"):
        declared.read([1])


@pytest.mark.parametrize("declared", [dict, (), (1, 2), 5])
def test_what_lists_no_elements_is_none(declared: Any) -> None:
    assert elements.elements_of(declared) is None


def test_an_element_shows_its_name() -> None:
    assert repr(elements.Int("-a")) == "Int('a')"
