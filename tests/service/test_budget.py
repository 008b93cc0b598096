"""Reading of maximal inputs: the time grows with their size, and errors are few."""

import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from zato_lite.builtin.input import shown
from zato_lite.errors import BadInputError, ServiceMissingError
from zato_lite.service.field_errors import MAX_ERRORS
from zato_lite.service.payload import payload_of
from zato_lite.service.registry import Registry
from zato_lite.service.typed import Declared

pytestmark = pytest.mark.usefixtures("without_collector")

LIMIT_S = 0.5  # ten times the budget: other work on the machine makes CPU time longer, too


class Line(msgspec.Struct):
    amount: int
    names: dict[str, int] = {}


class Order(msgspec.Struct):
    lines: list[Line] = []
    names: dict[str, int] = {}
    pair: tuple[int, str] = (0, "")


class Tree(msgspec.Struct):
    children: list["Tree"] = []
    size: int = 0


def _tree(depth: int, size: Any) -> dict[str, Any]:
    tree: dict[str, Any] = {"size": size}
    for _ in range(depth):
        tree = {"children": [tree]}
    return tree


@pytest.mark.parametrize(
    ("wanted", "payload"),
    [
        (Order, {"lines": [{"amount": "x"}] * 60_000}),
        (Order, {"lines": [*[{"amount": 1}] * 10_000, {"amount": "x"}]}),
        (Order, {"names": {f"n{number}": "x" for number in range(60_000)}}),
        (Order, {"names": {**{f"n{number}": 1 for number in range(60_000)}, "last": "x"}}),
        (Order, {"pair": ["x"] * 200_000}),
        (Order, [{"amount": 1}] * 80_000),
        (list[int], ["x"] * 200_000),
        (dict[str, list[int]], {"a": [*range(150_000), None]}),
    ],
    ids=[
        "wrong objects", "one wrong object", "wrong values", "one wrong value", "long tuple",
        "list for an object", "list of texts", "list in a dictionary",
    ],
)  # fmt: skip
def test_wrong_input_of_a_mebibyte_is_refused_in_time(wanted: Any, payload: Any) -> None:
    read = Declared(wanted).reader()

    began = time.thread_time()
    with pytest.raises(BadInputError) as refused:
        read(payload)
    took = time.thread_time() - began

    assert 1 <= len(refused.value.errors) <= MAX_ERRORS
    assert took < 2 * LIMIT_S  # measured while other tests run


def test_every_wrong_item_of_a_long_list_is_named_up_to_the_limit() -> None:
    lines: list[dict[str, Any]] = [{"amount": number} for number in range(1_000)]
    wrong = [3, 64, 500, 999]
    for place in wrong:
        lines[place] = {"amount": "x"}

    with pytest.raises(BadInputError) as refused:
        Declared(Order).reader()({"lines": lines})

    assert [each.field for each in refused.value.errors] == [f"lines[{i}].amount" for i in wrong]


@pytest.mark.parametrize("depth", [1, 150, 300])
def test_nesting_in_a_recursive_type_is_refused_in_time(depth: int) -> None:
    began = time.thread_time()
    with pytest.raises(BadInputError, match="Expected `int`, got `str`"):
        Declared(Tree).reader()(_tree(depth, "x"))

    assert time.thread_time() - began < LIMIT_S


@pytest.mark.parametrize(
    "value",
    [
        [{"a": 1}] * 90_000,
        {f"k{number}": 1 for number in range(70_000)},
        [[[1, 2, 3] * 100_000]],
        "x" * 1_000_000,
        "\n" * 1_000_000,
        b"x" * 1_000_000,
        {"a": ["x" * 1_000_000]},
    ],
    ids=["objects", "keys", "nested", "text", "lines", "bytes", "text in a list"],
)
def test_an_error_message_shows_the_beginning_of_a_value_in_time(value: Any) -> None:
    whole = ascii(value) if value == "\n" * 1_000_000 else repr(value)

    began = time.thread_time()
    text = shown(value)
    took = time.thread_time() - began

    assert text == f"{whole[:200]}…"
    assert took < LIMIT_S / 10


@pytest.mark.parametrize(
    "extra",
    [
        "a=1;" * 125_000,
        "a=" + "[" * 100_000 + "]" * 100_000,
        "a=[" + "1," * 240_000 + "]",
        "a=x" + " " * 400_000 + "y",
        "a" * 500_000,
        "\n" * 500_000,
        "=" * 500_000,
        "a" + " " * 490_000 + "=1",
    ],
    ids=["pairs", "brackets", "items", "spaces", "name", "lines", "signs", "spaces of a name"],
)
def test_a_jobs_text_of_any_form_is_parsed_in_time(extra: str) -> None:
    began = time.thread_time()
    payload_of(extra)

    assert time.thread_time() - began < LIMIT_S


def test_a_value_that_is_too_long_to_parse_stays_a_text() -> None:
    long = "[" + "1," * 6_000 + "]"

    assert payload_of(f"a=[1]\nb={long}") == {"a": [1], "b": long}


@pytest.mark.parametrize("find", [Registry().get, Registry().remove])
def test_a_long_name_of_a_service_is_refused_in_time(find: Callable[[str], object]) -> None:
    began = time.thread_time()
    with pytest.raises(ServiceMissingError) as refused:
        find("z" * 900_000)

    assert len(str(refused.value)) < 300
    assert time.thread_time() - began < LIMIT_S / 10
