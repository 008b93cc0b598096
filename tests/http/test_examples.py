import json
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta

from tests.http.conftest import Ask, Invoker, Services
from zato_lite.http.app import HttpApp
from zato_lite.http.auth import Authenticator
from zato_lite.http.endpoints.examples import NoExampleError, example_of
from zato_lite.http.endpoints.openapi import openapi_document
from zato_lite.http.endpoints.operations import ServiceDescription
from zato_lite.service.typed import schema_of


class Circle(msgspec.Struct, tag="circle"):
    radius: Annotated[float, Meta(gt=0)]


class Square(msgspec.Struct, tag="square"):
    side: int


class Line(msgspec.Struct):
    sku: Annotated[str, Meta(min_length=3, max_length=20)]
    count: Annotated[int, Meta(ge=10, multiple_of=4)]
    note: str | None = None


class Order(msgspec.Struct):
    customer: str
    lines: Annotated[list[Line], Meta(min_length=2)]
    shape: Circle | Square
    due: date
    at: Annotated[datetime, Meta(tz=True)] | None
    took: timedelta
    id: UUID
    kind: Literal["new", "old"]
    pair: tuple[int, str]
    tags: dict[str, int]
    below: Annotated[int, Meta(lt=0)]
    is_urgent: bool
    parent: "Order | None" = None


class Tree(msgspec.Struct):
    left: "Tree"


class Patterned(msgspec.Struct):
    code: Annotated[str, Meta(pattern="^[A-Z]{3}$")]


def described(takes: Any) -> Any:
    """Return the document's request body of a service with this input."""
    service = ServiceDescription("crm.take", "", (), schema_of(takes), {})
    document = openapi_document([service])
    return document["paths"]["/zato/api/invoke/crm.take"]["post"]["requestBody"]["content"]


@pytest.mark.parametrize("takes", [Order, Line, Circle, list[Line], int, dict[str, Any]])
def test_an_example_is_valid_input_of_its_service(takes: Any) -> None:
    example = described(takes)["application/json"]["example"]

    msgspec.convert(json.loads(json.dumps(example)), takes)


def test_an_example_is_small() -> None:
    assert described(Line)["application/json"]["example"] == {"sku": "text", "count": 12}


@pytest.mark.parametrize("takes", [Tree, Patterned])
def test_a_schema_without_an_example_stands_alone(takes: Any) -> None:
    assert [*described(takes)["application/json"]] == ["schema"]


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ({"type": "string", "example": "Ann"}, "Ann"),
        ({"type": "string", "examples": ["Bob", "Ann"]}, "Bob"),
        ({"type": "integer", "default": 7}, 7),
        ({"type": "integer", "maximum": -5}, -5),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 2}, 1),
        ({"type": "string", "maxLength": 3}, "tex"),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, 1),
        ({"anyOf": [{"type": "null"}]}, None),
        ({"type": "array", "maxItems": 0, "items": {"type": "string"}}, []),
        ({}, {}),
    ],
)
def test_an_example_keeps_to_its_schema(schema: dict[str, Any], example: Any) -> None:
    assert example_of(schema, {}) == example


def test_an_unsupported_schema_gets_no_example() -> None:
    never = {"type": "integer", "minimum": 2, "maximum": 1}
    schemas: list[dict[str, Any]] = [{"not": {}}, {"allOf": []}, never]
    for schema in schemas:
        with pytest.raises(NoExampleError):
            example_of(schema, {})


@pytest.fixture
def app(invoker: Invoker, authenticator: Authenticator) -> HttpApp:
    return HttpApp(invoker.begin, Services(), authenticator)


async def test_errors_are_described_with_an_example(ask: Ask) -> None:
    _, _, body = await ask("GET", "/openapi.json")

    error = json.loads(body)["components"]["schemas"]["Error"]
    assert error["example"].keys() >= set(error["required"])
