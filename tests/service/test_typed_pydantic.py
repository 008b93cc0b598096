from typing import Any

import pytest
from pydantic import BaseModel

from zato_lite.errors import BadInputError, InvocationError
from zato_lite.service.base import Service
from zato_lite.service.invoker import Invoker
from zato_lite.service.payload import plain
from zato_lite.service.registry import Registry
from zato_lite.service.typed import schema_of


class Item(BaseModel):
    sku: str
    count: int = 1


class Order(BaseModel):
    name: str
    items: list[Item]


class Takes(Service[Order, Order]):
    name = "takes"

    async def handle(self) -> None:
        wrong: Any = {"name": 5}
        order = self.request.input
        self.response.payload = wrong if order.name == "wrong" else order


@pytest.fixture
def invoker() -> Invoker:
    registry = Registry()
    registry.add(Takes)
    return Invoker(registry)


async def test_a_pydantic_model_is_read_and_answered(invoker: Invoker) -> None:
    answer = await invoker.invoke("takes", {"name": "n", "items": [{"sku": "a"}]})

    assert answer == Order(name="n", items=[Item(sku="a")])
    assert plain([answer]) == [{"name": "n", "items": [{"sku": "a", "count": 1}]}]
    assert plain(answer)["name"] == "n"
    assert await invoker.invoke("takes", answer) is answer


async def test_every_wrong_field_is_named_with_its_path(invoker: Invoker) -> None:
    with pytest.raises(BadInputError) as caught:
        await invoker.invoke("takes", {"items": [{"sku": "a"}, {"count": "x"}]})

    assert [error.field for error in caught.value.errors] == [
        "name",
        "items[1].sku",
        "items[1].count",
    ]


async def test_a_wrong_answer_is_an_error_of_the_service(invoker: Invoker) -> None:
    with pytest.raises(InvocationError, match="answer does not match the declared output"):
        await invoker.invoke("takes", {"name": "wrong", "items": []})


def test_the_schema_is_that_of_pydantic() -> None:
    assert schema_of(Order)["required"] == ["name", "items"]
