from collections.abc import Callable
from typing import Any

import pytest

from zato_lite.builtin.fields import Reader, flag, moment, name, number, text, whole, zone
from zato_lite.errors import BadInputError


def test_all_wrong_fields_are_told_at_once() -> None:
    reader = Reader({"id": "x", "pgae": 1, "empty": "", "none": None, "unsent": "ZATO_NONE"})

    reader.required("id", whole(1, 9), 0)
    reader.required("name", name, "")
    reader.only(("id", "name", "page"))
    with pytest.raises(BadInputError) as caught:
        reader.check()

    assert [error.field for error in caught.value.errors] == ["id", "name", "pgae"]
    assert [error.message for error in caught.value.errors] == [
        "id: 'x' is not allowed; a whole number from 1 to 9",
        "Missing required input element: name",
        "'pgae' is not a known field; did you mean 'page'?",
    ]


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(BadInputError, match="a JSON object is expected, not \\[1\\]"):
        Reader([1])


def test_nothing_at_all_is_an_empty_object() -> None:
    Reader("").check()


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (whole(0, 9), "7", 7),
        (whole(0, 9), 7.0, 7),
        (number(0, 9), "0.5", 0.5),
        (flag, "Yes", True),
        (flag, 0, False),
        (name, "  zażółć 1 ", "zażółć 1"),
        (text(3), "a\nb", "a\nb"),
        (zone, "Europe/Warsaw", "Europe/Warsaw"),
        (moment(), "1970-01-01 00:00:01", 1_000_000),
        (moment("Europe/Warsaw"), "1970-01-01T01:00:01", 1_000_000),
    ],
)
def test_what_is_allowed_is_read(read: Callable[[Any], Any], value: Any, expected: Any) -> None:
    assert read(value) == expected


REFUSED: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
    "whole": (
        whole(0, 9),
        [-1, 10, 1.5, True, "x", "", [], None, 10**400, float("nan"), float("inf"), "9" * 5000],
    ),
    "number": (number(0, 9), [-1, "nan", "1e400", float("inf"), False, {}, 10**400]),
    "flag": (flag, ["maybe", 2, None, []]),
    "name": (name, ["", " ", 7, "a\0b", "a\u202eb", "\ud800", "x" * 201]),
    "text": (text(3), ["abcd", 7, "\ud800"]),
    "zone": (zone, ["Mars/Olympus", "../etc/passwd", "", 7, "Europe", "a\0"]),
    "moment": (moment(), ["yesterday", 7, "2027-13-01", "", "9999999999999", "\ud800"]),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_allowed_is_refused(kind: str) -> None:
    read, values = REFUSED[kind]

    for value in values:
        with pytest.raises((ValueError, BadInputError)):
            print(repr(read(value)))  # noqa: T201 - says which one was not
