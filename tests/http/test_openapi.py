"""The OpenAPI document: parameters with types, shared schemas, answers, ids for generators."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import msgspec
import pytest

from tests.http.conftest import BASIC
from tests.http.shop import SERVICES
from zato_lite.config import Server, Settings, Store
from zato_lite.http.endpoints.openapi import openapi_document
from zato_lite.http.endpoints.operations import ServiceDescription
from zato_lite.http.endpoints.schemas import Components, used_schemas
from zato_lite.http.message import Request
from zato_lite.server import open_edge
from zato_lite.service.base import Service
from zato_lite.service.stream import Event
from zato_lite.service.typed import schema_of
from zato_lite.testing.app import sandbox

SETTINGS = Settings(
    store=Store("sqlite:///:memory:"),
    server=Server(grace=0.0, api_title="Shop", api_version="2.1", api_description="All of it."),
)


@pytest.fixture
async def document() -> dict[str, Any]:
    """The document of all built-in services and those of the shop."""
    return await document_of(*SERVICES)


async def document_of(*services: type[Service[Any, Any]]) -> dict[str, Any]:
    environ = {"ZATO_LITE_ADMIN_PASSWORD": "secret"}
    async with (
        sandbox(*services, settings=SETTINGS) as box,
        open_edge(box.app, environ) as app,
    ):
        head = {b"host": b"localhost", b"authorization": BASIC}
        response = await app(
            Request("GET", "/openapi.json", b"", head, b"", "::1", "/openapi.json")
        )
    found: dict[str, Any] = json.loads(response.body)
    return found


def parameters(operation: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    return {each["name"]: (each["in"], each["required"]) for each in operation["parameters"]}


async def test_the_settings_name_the_api(document: dict[str, Any]) -> None:
    assert document["info"] == {"title": "Shop", "version": "2.1", "description": "All of it."}


async def test_each_operation_has_an_id_that_is_a_name_and_tags(document: dict[str, Any]) -> None:
    operations = [each for path in document["paths"].values() for each in path.values()]

    ids = Counter(each["operationId"] for each in operations)

    assert set(ids.values()) == {1}
    assert all(name.isidentifier() for name in ids)
    assert {"shop_find_orders", "shop_change_order_put", "invoke_shop_count"} <= set(ids)
    tags = {tag for each in operations for tag in each["tags"]}
    assert tags == {each["name"] for each in document["tags"]}


async def test_the_query_string_and_the_path_have_types(document: dict[str, Any]) -> None:
    operation = document["paths"]["/customers/{customer}/orders"]["get"]

    schemas = {each["name"]: each["schema"] for each in operation["parameters"]}

    assert "requestBody" not in operation
    assert parameters(operation)["customer"] == ("path", True)
    assert parameters(operation)["since"] == ("query", True)
    assert parameters(operation)["limit"] == ("query", False)
    assert schemas["customer"] == {"type": "string", "format": "uuid"}
    assert schemas["limit"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
    assert schemas["tags"]["items"] == {"type": "string"}
    assert schemas["currency"] == {"$ref": "#/components/schemas/Currency"}
    assert schemas["before"] == {"type": "string"}  # with a zone or without
    assert schemas["sort"]["enum"] == ["date", "id"]


async def test_fields_that_are_sent_elsewhere_are_not_in_the_body(
    document: dict[str, Any],
) -> None:
    put = document["paths"]["/orders/{id}"]["put"]
    named = document["paths"]["/zato/api/invoke/shop.change-order"]["post"]
    lines = document["paths"]["/orders/{id}/lines"]["post"]

    def body(operation: dict[str, Any]) -> dict[str, Any]:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        name = schema.get("$ref", "").rpartition("/")[2]
        found: dict[str, Any] = document["components"]["schemas"].get(name, schema)
        return found

    elsewhere = {
        "draft": ("query", False),
        "x-token": ("header", False),
        "theme": ("cookie", False),
    }
    assert parameters(put) == {"id": ("path", True), **elsewhere}
    assert parameters(named) == elsewhere
    assert [*body(put)["properties"]] == ["lines"]
    assert [*body(named)["properties"]] == ["id", "lines"]
    assert put["requestBody"]["required"] is True
    assert parameters(lines) == {"id": ("path", True)}
    assert body(lines) == {"type": "array", "items": {"$ref": "#/components/schemas/Line"}}


async def test_answers_have_their_statuses_headers_and_types(document: dict[str, Any]) -> None:
    responses = document["paths"]["/orders/{id}"]["put"]["responses"]

    assert "200" not in responses
    assert responses["201"]["description"] == "The order was changed"
    assert responses["201"]["headers"]["Location"]["schema"] == {"type": "string"}
    content = responses["201"]["content"]["application/json"]
    assert content["schema"] == {"$ref": "#/components/schemas/Changed"}
    assert responses["409"]["description"] == "The order is closed"
    assert responses["default"] == {"$ref": "#/components/responses/default"}


@pytest.mark.parametrize(
    ("item", "kind", "schema"),
    [
        (int, "application/x-ndjson", {"type": "integer"}),
        (str, "text/plain; charset=utf-8", {"type": "string"}),
        (Event, "text/event-stream", {"type": "string"}),
        (bytes, "application/octet-stream", {}),
    ],
)
async def test_a_stream_has_the_type_of_its_items_and_its_errors_are_json(
    item: Any, kind: str, schema: dict[str, Any]
) -> None:
    class Rows(Service[None, AsyncIterator[item]]):
        name = "rows"
        answers: ClassVar = {200: "rows", 409: "busy"}

        async def handle(self) -> AsyncIterator[Any]:
            yield None

    document = await document_of(Rows)
    responses = document["paths"]["/zato/api/invoke/rows"]["post"]["responses"]

    assert responses["200"]["content"] == {kind: {"schema": schema}}
    assert list(responses["409"]["content"]) == ["application/json"]


async def test_the_whole_docstring_describes_an_operation(document: dict[str, Any]) -> None:
    operation = document["paths"]["/customers/{customer}/orders"]["get"]

    assert operation["summary"] == "Find the orders of a customer."
    assert operation["description"] == "The newest order is the first one."
    assert document["components"]["schemas"]["Line"]["description"] == "A line of an order."


async def test_schemas_are_shared_and_none_is_left_over(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    without = {key: value for key, value in document.items() if key != "components"}
    responses = document["components"]["responses"]

    assert used_schemas([without, responses], schemas).keys() == schemas.keys()
    assert [name for name in schemas if name.endswith("Line")] == ["Line"]
    assert all(value["title"] == name for name, value in schemas.items() if "title" in value)


def describe(name: str, taken: Any) -> ServiceDescription:
    return ServiceDescription(name, "", (), schema_of(taken), {})


def test_types_of_one_name_are_one_schema_only_if_they_are_equal() -> None:
    def order(field: str) -> Any:
        part = msgspec.defstruct("Part", [(field, int)])
        return msgspec.defstruct("Order", [("part", part)])

    same, other = (order("a"), order("a")), order("b")
    services = [describe("a.one", same[0]), describe("a.two", same[1]), describe("b.x", other)]

    document = openapi_document(services)

    schemas = document["components"]["schemas"]
    assert {"Order", "Part", "b_x_Order", "b_x_Part"} <= schemas.keys()
    assert schemas["b_x_Order"]["properties"]["part"]["$ref"].endswith("/b_x_Part")
    assert len(schemas) == 4 + len({"Error", "WrongField", "Pong"})


def test_services_whose_names_make_one_id_get_two() -> None:
    document = openapi_document([describe("a.b-c", int), describe("a.b.c", int)])

    ids = [path["post"]["operationId"] for path in document["paths"].values()]

    assert ids == ["ping_post", "a_b_c", "a_b_c_2"]


def test_discriminators_refer_to_the_shared_schemas() -> None:
    class Cat(msgspec.Struct, tag="cat"):
        name: str

    class Dog(msgspec.Struct, tag="dog"):
        name: str

    schema = Components({}).add(schema_of(Cat | Dog), "a")

    assert schema["discriminator"]["mapping"] == {
        "cat": "#/components/schemas/Cat",
        "dog": "#/components/schemas/Dog",
    }
