"""Typed parameters: a service's input from the path, query string, headers, cookies and body."""

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ClassVar

import msgspec
import pytest

from tests.documented import documented
from tests.http.conftest import BASIC
from tests.http.shop import SERVICES
from zato_lite.errors import ConfigError
from zato_lite.http.app import HttpApp
from zato_lite.http.auth import Authenticator
from zato_lite.http.message import Request
from zato_lite.service.base import Service
from zato_lite.service.binding import Query, binding_of
from zato_lite.service.invoker import Invoker
from zato_lite.service.registry import Registry

CUSTOMER = "7f9c24e8-3b12-4c5f-9a8e-1d2c3b4a5f60"
FORM = "application/x-www-form-urlencoded"

Send = Callable[..., Awaitable[tuple[int, Any, dict[str, str]]]]


def sender(authenticator: Authenticator, *services: type[Service[Any, Any]]) -> Send:
    """Return a function that sends a request to an application with these services."""
    registry = Registry()
    for cls in services:
        registry.add(cls)
    app = HttpApp(Invoker(registry).begin, registry, authenticator)

    async def send(method: str, target: str, body: Any = None, **headers: str) -> Any:
        path, _, query = target.partition("?")
        fields = {n.replace("_", "-").encode(): v.encode() for n, v in headers.items()}
        fields |= {b"host": b"localhost", b"authorization": BASIC}
        data = (
            b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        )
        response = await app(Request(method, path, query.encode(), fields, data, "::1", path))
        answer = json.loads(response.body or b"null")
        return response.status, answer, dict(response.headers)

    return send


@pytest.fixture
def send(authenticator: Authenticator) -> Send:
    return sender(authenticator, *SERVICES)


def fields(answer: Any) -> dict[str, Any]:
    return {each["field"]: each["value"] for each in answer["errors"]}


async def test_path_and_query_string_are_bound_by_name_and_type(send: Send) -> None:
    status, answer, _ = await send(
        "GET",
        f"/customers/{CUSTOMER}/orders?since=2026-05-01&limit=3&tags=a&tags=b&currency=PLN"
        "&sort=date&at_least=9.50&before=2026-06-01T10:00:00Z&is_open=false",
    )

    assert status == 200
    assert answer["criteria"] == {
        "customer": CUSTOMER,
        "since": "2026-05-01",
        "limit": 3,
        "tags": ["a", "b"],
        "currency": "PLN",
        "sort": "date",
        "at_least": "9.50",
        "before": "2026-06-01T10:00:00Z",
        "is_open": False,
    }


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_list_may_be_sent_as_one_parameter(send: Send, method: str) -> None:
    target = f"/customers/{CUSTOMER}/orders?since=2026-05-01&tags=a"

    status, answer, _ = await send(method, target)

    assert (status, answer["criteria"]["tags"]) == (200, ["a"])


async def test_each_wrong_parameter_is_named_with_its_value_and_what_is_allowed(
    send: Send,
) -> None:
    status, answer, _ = await send(
        "GET", "/customers/7/orders?limit=0&currency=USD&sort=name&tags=a&is_open=maybe&since=x"
    )

    assert status == 400
    assert fields(answer) == {
        "customer": "7",
        "since": "x",
        "limit": "0",
        "currency": "USD",
        "sort": "name",
        "is_open": "maybe",
    }
    details = answer["details"]
    assert "currency: Invalid enum value 'USD'; use one of 'EUR', 'PLN'" in details
    assert "sort: Invalid enum value 'name'; use one of 'id', 'date'" in details
    assert "limit: Expected `int` >= 1" in details
    assert "since: Invalid RFC3339 encoded date; write it like 2026-01-31" in details


async def test_all_parts_of_a_request_make_one_input(send: Send) -> None:
    status, answer, headers = await send(
        "PUT",
        "/orders/4?draft=true",
        {"lines": [{"sku": "a", "count": 2}]},
        x_token="abc",  # noqa: S106 - of no account
        cookie='a=1; theme="dark"; theme=light',
    )

    assert status == 201  # the declared one
    assert headers["Location"] == "/orders/4"
    assert answer == {
        "order": {"id": 4, "lines": [{"sku": "a", "count": 2}], "currency": "EUR"},
        "is_draft": True,
        "token": "abc",
        "theme": "dark",
    }


async def test_the_path_takes_precedence_over_the_body_and_that_over_the_query(
    send: Send,
) -> None:
    body = {"id": 5, "lines": []}

    by_path = await send("PUT", "/orders/4", body)
    by_body = await send("POST", "/orders/change?id=6", body)
    by_query = await send("POST", "/orders/change?id=6", {"lines": []})

    assert [each[1]["order"]["id"] for each in (by_path, by_body, by_query)] == [4, 5, 6]


@pytest.mark.parametrize("name", ["token", "theme", "is_draft"])
async def test_a_field_with_a_source_is_taken_from_nowhere_else(send: Send, name: str) -> None:
    body = {"lines": [], name: "forged"}

    _, in_body, _ = await send("PUT", "/orders/4", body)
    _, in_query, _ = await send("PUT", f"/orders/4?{name}=forged", {"lines": []})

    assert in_body == in_query
    assert (in_body["token"], in_body["theme"], in_body["is_draft"]) == ("", "light", False)


async def test_errors_of_all_parts_are_reported_together(send: Send) -> None:
    status, answer, _ = await send(
        "PUT", "/orders/x?draft=7", {"lines": [{"count": "2"}], "lines2": 1}, cookie="theme=blue"
    )

    assert status == 400
    assert fields(answer) == {
        "id": "x",
        "is_draft": "7",
        "theme": "blue",
        "lines[0].sku": None,
        "lines[0].count": "2",
        "lines2": 1,
    }
    assert "taken from the query draft" in answer["details"]
    assert "use one of 'dark', 'light'; taken from the cookie theme" in answer["details"]
    assert "unknown field `lines2`; did you mean 'lines'?" in answer["details"]


async def test_a_wrong_item_of_a_list_with_a_source_is_reported_once(
    authenticator: Authenticator,
) -> None:
    class Numbers(msgspec.Struct):
        many: Annotated[list[int], Query("n")]

    class Read(Service[Numbers, Any]):
        name = "read"
        rest = "GET /numbers"

        async def handle(self) -> None: ...

    ask = sender(authenticator, Read)

    _, answer, _ = await ask("GET", "/numbers?n=1&n=x")

    assert fields(answer) == {"many[1]": "x"}
    assert answer["details"] == "many[1]: Expected `int`, got `str`; taken from the query n"


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("text/plain;charset=UTF-8", "send JSON as application/json"),
        ("multipart/form-data; boundary=x", "if its input has an UploadedFile"),
        ("application/octet-stream", "send JSON as application/json"),
    ],
)
async def test_a_body_of_another_type_than_the_input_can_be_read_from_names_it(
    send: Send, kind: str, sentence: str
) -> None:
    status, answer, _ = await send(
        "PUT", "/orders/4", b'{"since": "2026-01-01"}', content_type=kind
    )

    assert (status, "errors" in answer) == (400, False)
    assert answer["details"].startswith(f"Content-Type {kind.partition(';')[0]} does not fit")
    assert sentence in answer["details"]


async def test_a_large_wrong_value_is_not_sent_back_whole(send: Send) -> None:
    _, answer, _ = await send(
        "PUT", "/orders/4?sort=a", {"since": "x" * 90_000, "sort": ["é"] * 9_000}
    )

    shown = fields(answer)
    assert shown["since"] == "x" * 1_000 + "…"
    assert shown["sort"].startswith('["é","é",')
    assert len(json.dumps(answer)) < 10_000


async def test_an_invalid_tag_of_a_union_lists_the_valid_ones(
    authenticator: Authenticator,
) -> None:
    class Cat(msgspec.Struct, tag="cat"):
        lives: int = 9

    class Dog(msgspec.Struct, tag="dog"):
        bark: str = ""

    class Pets(msgspec.Struct):
        pets: list[Cat | Dog]

    class Keep(Service[Pets, Any]):
        name = "keep"
        rest = "POST /pets"

        async def handle(self) -> None: ...

    ask = sender(authenticator, Keep)

    _, answer, _ = await ask("POST", "/pets", {"pets": [{"type": "cow"}, {"lives": 1}]})

    assert [each["message"] for each in answer["errors"]] == [
        "pets[0].type: Invalid value 'cow'; use one of 'cat', 'dog'",
        "pets[1]: Object missing required field `type`; use one of 'cat', 'dog'",
    ]


@pytest.mark.parametrize("has_hook", [False, True])
async def test_an_error_that_a_service_answers_is_not_of_the_declared_output(
    authenticator: Authenticator, *, has_hook: bool
) -> None:
    class Item(msgspec.Struct):
        id: int

    class Add(Service[None, Item]):
        name = "add"
        rest = "POST /items"
        answers: ClassVar = {201: "added", 409: "exists"}

        async def handle(self) -> None:
            self.response.status_code = 409
            self.response.payload = {"exists": 7}  # type: ignore[assignment]

        if has_hook:

            async def after_handle(self) -> None: ...

    class Outer(Service):
        name = "outer"
        rest = "GET /outer"

        async def handle(self) -> None:
            await self.invoke(Add)

    ask = sender(authenticator, Add, Outer)

    assert (await ask("POST", "/items"))[:2] == (409, {"exists": 7})
    assert (await ask("GET", "/outer"))[0] == 500


async def test_numbers_in_a_json_body_are_not_text(send: Send) -> None:
    status, answer, _ = await send("POST", "/orders/change", {"id": "5", "lines": []})

    assert (status, fields(answer)) == (400, {"id": "5"})


async def test_the_values_of_a_form_are_text(send: Send) -> None:
    status, answer, _ = await send(
        "POST", "/people/7", b"born=2000-01-31&nicknames=Al", content_type=FORM
    )
    wrong, _, _ = await send("POST", "/people/7", b"born=x", content_type=FORM)

    assert (status, answer) == (200, {"id": 7, "nicknames": ["Al"], "born": "2000-01-31"})
    assert wrong == 400


async def test_a_field_may_be_the_whole_body(send: Send) -> None:
    status, answer, _ = await send("POST", "/orders/4/lines", [{"sku": "a"}])
    wrong, errors, _ = await send("POST", "/orders/4/lines", [{"sku": 1}])
    none, missing, _ = await send("POST", "/orders/4/lines")

    assert (status, answer["id"], answer["lines"]) == (200, 4, [{"sku": "a", "count": 1}])
    assert (wrong, fields(errors)) == (400, {"lines[0].sku": 1})
    assert (none, fields(missing)) == (400, {"lines": None})
    assert "taken from the body" in missing["details"]


async def test_dataclasses_typeddicts_and_pydantic_models_are_bound(send: Send) -> None:
    visit = await send("GET", "/visits/home?seen=7", user_agent="curl")
    without = await send("DELETE", "/visits/home")
    part = await send("GET", "/parts/7?color=red")
    other = await send("GET", "/parts/7?color=blue")
    person = await send("GET", "/people/7?nicknames=Al&born=2000-01-31")

    assert visit[:2] == (200, {"page": "home", "agent": "curl", "seen": [7]})
    assert (without[0], fields(without[1])) == (400, {"agent": None})
    assert part[:2] == (200, {"number": 7, "color": "red"})
    assert "use one of 'red', 'green'" in other[1]["details"]
    assert person[:2] == (200, {"id": 7, "nicknames": ["Al"], "born": "2000-01-31"})


async def test_inputs_of_zato_and_those_without_a_type_have_the_parameters_too(send: Send) -> None:
    legacy = await send("POST", "/legacy/7?is_new=yes", {"name": "a", "id": 5})
    read = await send("GET", "/legacy/7?name=a")
    anything = await send("POST", "/anything/7?a=1&b=2", {"b": 3, "id": 5})
    listed = await send("GET", "/anything/7?a=1")

    assert legacy[1] == {"id": 7, "name": "a", "is_new": True}
    assert read[1] == {"id": 7, "name": "a", "is_new": None}
    assert anything[1] == {"id": "7", "a": "1", "b": 3}
    assert listed[1] == {"id": "7", "a": "1"}


async def test_a_service_that_is_invoked_by_name_takes_path_parameters_from_the_body(
    send: Send,
) -> None:
    status, answer, _ = await send(
        "POST", "/zato/api/invoke/shop.change-order", {"id": 4, "lines": []}
    )

    assert (status, answer["order"]["id"]) == (201, 4)


async def test_a_cached_head_binds_as_the_first_request_did(authenticator: Authenticator) -> None:
    registry = Registry()
    registry.add(SERVICES[1])
    app = HttpApp(Invoker(registry).begin, registry, authenticator)
    head = {b"host": b"localhost", b"authorization": BASIC, b"x-token": b"t"}
    request = Request("PUT", "/orders/4", b"draft=1", head, b"", "::1", "/orders/4")

    answers = []
    for sku in "ab":
        request.body = json.dumps({"lines": [{"sku": sku}]}).encode()
        answers.append(json.loads((await app(request)).body))

    assert request.memo is not None
    assert [each["order"]["lines"][0]["sku"] for each in answers] == ["a", "b"]
    assert [(each["is_draft"], each["token"]) for each in answers] == [(True, "t")] * 2


def test_a_type_without_named_fields_is_not_bound() -> None:
    assert binding_of(list[int]) is None
    assert binding_of(dict[str, int]) is None


@pytest.mark.parametrize("answers", [{99: "x"}, {"200": "x"}, {200: 5}, ["200"]])
def test_a_wrong_declaration_of_answers_is_refused(answers: Any) -> None:
    cls = type("Wrong", (Service,), {"name": "wrong", "answers": answers})

    with pytest.raises(ConfigError, match="answers"):
        Registry().add(cls)


async def test_the_example_of_the_documentation_does_what_it_says(
    authenticator: Authenticator,
) -> None:
    names = documented("http.md", "## Typed parameters")
    ask = sender(authenticator, names["ChangeOrder"], names["AddLines"])

    status, answer, headers = await ask(
        "PUT",
        "/orders/4?draft=1&tags=a",
        {"since": "2026-05-01"},
        x_token="t",  # noqa: S106 - of no account
    )
    added = await ask("POST", "/orders/4/lines", [{"sku": "a"}])

    assert (status, headers["Location"]) == (201, "/orders/4")
    assert answer == {
        "id": 4,
        "since": "2026-05-01",
        "tags": ["a"],
        "sort": "id",
        "is_draft": True,
        "token": "t",
        "theme": "light",
    }
    assert added[:2] == (200, [{"sku": "a", "count": 1}])
