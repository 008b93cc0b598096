import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest

from zato_lite.zato import elements

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
def test_an_element_converts_its_value(
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
def test_a_value_that_an_element_cannot_convert_is_refused(
    element: elements.Element, value: Any
) -> None:
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
def test_a_name_implies_the_type_of_its_value(name: str, value: str, converted: Any) -> None:
    assert elements.element(name).convert(value) == converted


def test_an_element_shows_its_name() -> None:
    assert repr(elements.Int("-a")) == "Int('a')"
