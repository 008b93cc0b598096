import dataclasses
from typing import Any, NamedTuple, Optional, TypedDict

import msgspec
import pytest

from zato_lite.errors import BadInputError, InvocationError
from zato_lite.service.attribute_dict import AttributeDict
from zato_lite.service.base import Service
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import HttpContext, Invocation
from zato_lite.service.payload import plain
from zato_lite.service.registry import Registry
from zato_lite.service.typed import schema_of
from zato_lite.zato.elements import (
    Bool,
    Float,
    Int,
    List,
)
from zato_lite.zato.model import Model


class Item(msgspec.Struct):
    sku: str
    count: int = 1


class Order(msgspec.Struct):
    name: str
    items: list[Item]
    note: str | None = None
    prices: dict[str, float] = {}


class Total(msgspec.Struct):
    total: int


@dataclasses.dataclass
class DataOrder:
    name: str
    items: list[Item]


class TypedOrder(TypedDict):
    name: str
    items: list[Item]


@dataclasses.dataclass(init=False)
class ModelItem(Model):
    sku: str
    count: int = 1
    tags: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(init=False)
class ModelOrder(Model):
    name: str
    note: Optional[str]  # noqa: UP045 - as Zato's users write it
    items: list[ModelItem]


async def run(cls: type[Service[Any, Any]], payload: Any = None, **more: Any) -> Any:
    registry = Registry()
    registry.add(cls)
    outcome = await Invoker(registry).run(Invocation(cls.get_name(), payload, **more))
    if outcome.error is not None:
        raise outcome.error
    return outcome.payload


def taking(wanted: Any) -> type[Service[Any, Any]]:
    class Takes(Service[Any, Any]):
        name = "takes"
        input = wanted

        async def handle(self) -> Any:
            return self.request.input

    return Takes


def giving(wanted: Any, answer: Any) -> type[Service[Any, Any]]:
    class Gives(Service[Any, Any]):
        name = "gives"
        output = wanted

        async def handle(self) -> Any:
            self.response.payload = answer

    return Gives


WRONG: dict[str, Any] = {"items": [{"sku": "a"}, {"sku": 1}, {"count": "b"}]}


@pytest.mark.parametrize("wanted", [Order, DataOrder, TypedOrder])
async def test_every_wrong_field_is_named_with_its_path(wanted: Any) -> None:
    with pytest.raises(BadInputError) as caught:
        await run(taking(wanted), WRONG)

    assert [(error.field, error.message) for error in caught.value.errors] == [
        ("name", "Missing required input element: name"),
        ("items[1].sku", "items[1].sku: Expected `str`, got `int`"),
        ("items[2].sku", "Missing required input element: items[2].sku"),
        ("items[2].count", "items[2].count: Expected `int`, got `str`"),
    ]


async def test_wrong_values_below_options_and_dictionaries_are_named_too() -> None:
    class Nested(msgspec.Struct):
        item: Item | None
        prices: dict[str, float]
        pair: tuple[int, ...] = ()

    with pytest.raises(BadInputError) as caught:
        await run(taking(Nested), {"item": {"sku": 1}, "prices": {"a": "x"}, "pair": [1, "b"]})

    assert [e.field for e in caught.value.errors] == ["item.sku", "prices.a", "pair[1]"]


class Circle(msgspec.Struct, tag="circle"):
    radius: float


class Square(msgspec.Struct, tag="square"):
    side: float
    at: "Point"


class Point(NamedTuple):
    x: float
    y: float = 0.0


class Drawing(msgspec.Struct):
    shapes: list[Circle | Square]
    origin: Point
    sizes: tuple[int, str] = (1, "a")
    points: dict[str, Point] = {}
    either: int | list[int] = 0


async def test_wrong_fields_of_tagged_unions_and_of_tuples_have_their_paths() -> None:
    with pytest.raises(BadInputError) as caught:
        await run(
            taking(Drawing),
            {
                "shapes": [
                    {"type": "circle", "radius": "r"},
                    {"type": "square", "at": ["x", "y"]},
                    {"type": "star"},
                ],
                "origin": [1, "y"],
                "sizes": ["one", "two"],
                "points": {"a.b": [1, "z"]},
                "either": [1, "two"],
            },
        )

    assert [(error.field, error.value) for error in caught.value.errors] == [
        ("shapes[0].radius", "r"),
        ("shapes[1].side", None),
        ("shapes[1].at[0]", "x"),
        ("shapes[1].at[1]", "y"),
        ("shapes[2].type", "star"),
        ("origin[1]", "y"),
        ("sizes[0]", "one"),
        ("points.a.b[1]", "z"),
        ("either[1]", "two"),
    ]


@pytest.mark.parametrize(
    ("wanted", "payload", "field"),
    [
        (Circle | Square, {"type": "circle", "radius": "r"}, "radius"),
        (Circle | Square, {"type": "star"}, "type"),
        (Point, [1, "y"], "[1]"),
        (dict[str, list[Point]], {"a": [[1], ["x"]]}, "a[1][0]"),
        (int | list[dict[str, int]], [{"a": "x"}], "[0][...]"),
    ],
)
async def test_the_message_itself_may_be_a_union_or_a_tuple(
    wanted: Any, payload: Any, field: str
) -> None:
    with pytest.raises(BadInputError) as caught:
        await run(taking(wanted), payload)

    [error] = caught.value.errors
    assert (error.field, error.message.partition(":")[0]) == (field, field)


async def test_a_payload_that_is_not_a_structure_is_one_error() -> None:
    with pytest.raises(BadInputError, match="Expected `object`, got `int`"):
        await run(taking(Order), 5)


async def test_an_unknown_field_of_a_strict_type_is_one_error() -> None:
    class Strict(msgspec.Struct, forbid_unknown_fields=True):
        a: int = 0

    with pytest.raises(BadInputError, match="unknown field `b`"):
        await run(taking(Strict), {"b": 1})


@pytest.mark.parametrize("wanted", [Order, DataOrder])
async def test_the_input_is_of_the_declared_type(wanted: Any) -> None:
    order = await run(taking(wanted), {"name": "n", "items": [{"sku": "a"}]})

    assert order == wanted(name="n", items=[Item("a", 1)])


async def test_a_payload_of_the_declared_type_is_not_converted() -> None:
    order = Order("n", [])

    assert await run(taking(Order), order) is order


async def test_types_can_be_given_in_brackets() -> None:
    class Sum(Service[Order, Total]):
        name = "sum"

        async def handle(self) -> None:
            items = self.request.input.items
            self.response.payload = Total(sum(item.count for item in items))

    class Sub(Sum):
        name = "sub"

    order = {"name": "n", "items": [{"sku": "a", "count": 2}, {"sku": "b"}]}
    assert await run(Sum, order) == Total(3)
    assert await run(Sub, order) == Total(3)


async def test_text_in_a_query_string_is_converted_to_numbers() -> None:
    http = HttpContext("GET", "/", {}, {"sku": "a", "count": "7"}, {})

    assert await run(taking(Item), None, http=http) == Item("a", 7)
    with pytest.raises(BadInputError):
        await run(taking(Item), {"sku": "a", "count": "7"})


async def test_an_answer_that_does_not_match_its_declaration_is_an_error_of_the_service() -> None:
    assert await run(giving(Total, {"total": 1})) == Total(1)
    with pytest.raises(InvocationError, match="answer does not match the declared output: total"):
        await run(giving(Total, {"total": "1"}))


async def test_an_optional_field_of_a_model_may_be_omitted() -> None:
    order = await run(taking(ModelOrder), {"name": "n", "items": [{"sku": "a"}]})

    assert (order.name, order.note, order.items[0].count) == ("n", None, 1)
    assert order.to_dict()["items"] == [{"sku": "a", "count": 1, "tags": []}]
    assert order.to_json() == (
        '{"name":"n","note":null,"items":[{"sku":"a","count":1,"tags":[]}]}'
    )


async def test_missing_fields_of_a_model_are_reported_in_zato_s_words() -> None:
    with pytest.raises(BadInputError) as caught:
        await run(taking(ModelOrder), {"items": [{}]})

    assert [error.message for error in caught.value.errors] == [
        "Element missing: /name",
        "Element missing: /items/0/sku",
    ]


async def test_a_model_can_be_filled_field_by_field() -> None:
    class Fills(Service[Any, Any]):
        name = "fills"
        output = ModelItem

        async def handle(self) -> None:
            item = ModelItem()
            item.sku = "a"
            self.response.payload = item

    answer = await run(Fills)

    assert plain(answer) == {"sku": "a", "count": 1, "tags": []}
    assert ModelItem.from_dict({"sku": "b"}).sku == "b"


async def test_elements_are_converted_by_their_declarations_and_names() -> None:
    wanted = ("name", "-note", "is_new", "user_id", Int("count"), List("tags"), Float("-price"))

    found = await run(
        taking(wanted),
        {"name": "n", "is_new": "yes", "user_id": "7", "count": "3", "tags": 1, "more": 1},
    )

    assert found == {
        "name": "n",
        "note": None,
        "is_new": True,
        "user_id": 7,
        "count": 3,
        "tags": [1],
        "price": None,
    }
    assert found.is_new is True


async def test_every_wrong_element_is_named() -> None:
    with pytest.raises(BadInputError) as caught:
        await run(taking(("name", Int("count"), Bool("flag"))), {"count": "x", "flag": "perhaps"})

    assert [error.field for error in caught.value.errors] == ["name", "count", "flag"]
    assert str(caught.value).startswith("Missing required input element: name; count: ")


async def test_simple_io_has_defaults_and_answers_part_by_part() -> None:
    class Old(Service[Any, Any]):
        name = "old"

        class SimpleIO:
            input_required = ("name",)
            input_optional = (Int("count"), "note")
            output_required = ("greeting",)
            output_optional = "note"
            default_value = ""

        async def handle(self) -> None:
            asked = self.request.input
            self.response.payload.greeting = f"Hello {asked.name}{asked.note}"
            self.response.payload["count"] = asked.count

    assert await run(Old, {"name": "Ann"}) == {"greeting": "Hello Ann", "note": ""}


async def test_a_repeated_output_is_a_list() -> None:
    class Rows(Service[Any, Any]):
        name = "rows"

        class SimpleIO:
            output_required = ("id", "-name")
            output_repeated = True

        async def handle(self) -> None:
            self.response.payload[:] = [{"id": 1, "hidden": 2}]
            self.response.payload.append({"id": 2, "name": "b"})
            self.response.payload.extend([AttributeDict(id=3)])

    found = await run(Rows)

    assert [row["id"] for row in found] == [1, 2, 3]
    assert "hidden" not in found[0]


async def test_a_missing_element_of_the_answer_is_an_error() -> None:
    with pytest.raises(InvocationError, match="total"):
        await run(giving(("total", "-note"), {"note": 1}))
    assert await run(giving("total", {"total": 1, "more": 2})) == {"total": 1}
    assert await run(giving("-total", None)) is None


def test_each_declaration_has_a_json_schema() -> None:
    entry = Registry().add(taking((Int("count"), "-name")))

    assert schema_of(entry.input) == {
        "type": "object",
        "properties": {"count": {"type": "integer"}, "name": {}},
        "required": ["count"],
    }
    assert schema_of(Order)["$defs"]["Item"]["required"] == ["sku"]
    assert schema_of(None) == {}
    assert schema_of(complex) == {}


def test_answers_are_converted_to_json_values() -> None:
    assert plain({"a": Total(1), "b": {1}}) == {"a": {"total": 1}, "b": [1]}
    with pytest.raises(TypeError, match="object"):
        plain(object())


def item(sku: str) -> ModelItem:
    made = ModelItem()
    made.sku = sku
    return made


async def test_the_answer_may_be_a_list_of_the_declared_model() -> None:
    answer = await run(giving(ModelItem, [item("a"), {"sku": "b"}]))

    assert [type(each) for each in answer] == [ModelItem, ModelItem]
    assert plain(answer) == [
        {"sku": "a", "count": 1, "tags": []},
        {"sku": "b", "count": 1, "tags": []},
    ]
    with pytest.raises(InvocationError, match="the declared output: Element miss"):
        await run(giving(ModelItem, [{}]))
    with pytest.raises(InvocationError, match="answer does not match the declared output"):
        await run(giving(Total, [Total(1)]))


async def test_output_repeated_makes_a_list_of_a_model() -> None:
    class Repeats(Service):
        name = "repeats"

        class SimpleIO:
            output = ModelItem
            output_repeated = True

        async def handle(self) -> None:
            self.response.payload.append(item("a"))
            self.response.payload.append({"sku": "b"})

    answer = await run(Repeats)

    assert [each.sku for each in answer] == ["a", "b"]
    entry = Registry().add(Repeats)
    assert schema_of(entry.output)["type"] == "array"


async def test_a_model_may_be_answered_attribute_by_attribute() -> None:
    class Sets(Service):
        name = "sets"
        output = ModelOrder

        async def handle(self) -> None:
            self.response.payload.name = "n"
            self.response.payload.items = [item("a")]

    class SetsTooLittle(Service):
        name = "too-little"
        output = ModelOrder

        async def handle(self) -> None:
            self.response.payload.note = "n"

    answer = await run(Sets)

    assert isinstance(answer, ModelOrder)
    assert (answer.name, answer.note, answer.items[0].sku) == ("n", None, "a")
    with pytest.raises(InvocationError, match="Element missing: /name"):
        await run(SetsTooLittle)


async def test_reading_an_unset_part_of_the_response_is_an_error_of_the_service() -> None:
    class Reads(Service):
        name = "reads"
        output = "a", "b"

        async def handle(self) -> None:
            self.response.payload.a = self.response.payload.b

    with pytest.raises(InvocationError, match="required output element: b") as caught:
        await run(Reads)

    assert not isinstance(caught.value, BadInputError)
