"""A project's services with typed parameters: for tests of binding, OpenAPI and clients."""

import dataclasses
import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
from pydantic import BaseModel

from zato_lite import Answer, Body, Cookie, Header, Int, Path, Query, Service


class Currency(enum.Enum):
    EURO = "EUR"
    ZLOTY = "PLN"


class Line(msgspec.Struct):
    """A line of an order."""

    sku: str
    count: Annotated[int, msgspec.Meta(ge=1)] = 1


class Order(msgspec.Struct):
    """An order of a customer."""

    id: int
    lines: list[Line]
    currency: Currency = Currency.EURO


class Search(msgspec.Struct):
    customer: uuid.UUID
    since: dt.date
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    tags: list[str] = []
    currency: Currency | None = None
    sort: Literal["id", "date"] = "id"
    at_least: Decimal = Decimal(0)
    before: dt.datetime | None = None
    is_open: bool = True


class Found(msgspec.Struct):
    criteria: dict[str, Any]


class FindOrders(Service[Search, Found]):
    """Find the orders of a customer.

    The newest order is the first one.
    """

    name = "shop.find-orders"
    rest = "GET /customers/{customer}/orders"

    async def handle(self) -> None:
        self.response.payload = Found(msgspec.to_builtins(self.request.input))


class Change(msgspec.Struct, forbid_unknown_fields=True):
    id: int
    lines: list[Line]
    is_draft: Annotated[bool, Query("draft")] = False
    token: Annotated[str, Header("X-Token")] = ""
    theme: Annotated[Literal["dark", "light"], Cookie()] = "light"


class Changed(msgspec.Struct):
    order: Order
    is_draft: bool
    token: str
    theme: str


class ChangeOrder(Service[Change, Changed]):
    """Change an order."""

    name = "shop.change-order"
    rest = ("PUT /orders/{id}", "POST /orders/change")
    answers = {  # noqa: RUF012 - read only
        201: Answer("The order was changed", headers={"Location": "URL of the order"}),
        409: "The order is closed",
    }

    async def handle(self) -> None:
        sent = self.request.input
        self.response.headers["Location"] = f"/orders/{sent.id}"
        order = Order(sent.id, sent.lines)
        self.response.payload = Changed(order, sent.is_draft, sent.token, sent.theme)


class AddLines(Service):
    """Add lines; the body is their list."""

    name = "shop.add-lines"
    rest = "POST /orders/{id}/lines"

    class Input(msgspec.Struct):
        order: Annotated[int, Path("id")]
        lines: Annotated[list[Line], Body()]

    input = Input
    output = Order

    async def handle(self) -> Order:
        return Order(self.request.input.order, self.request.input.lines)


@dataclasses.dataclass
class Visit:
    page: str
    agent: Annotated[str, Header("User-Agent")]
    seen: list[int] = dataclasses.field(default_factory=list)


class Count(Service[Visit, dict[str, Any]]):
    """Count a visit."""

    name = "shop.count"
    rest = "GET,DELETE /visits/{page}"

    async def handle(self) -> None:
        visit = self.request.input
        self.response.payload = {"page": visit.page, "agent": visit.agent, "seen": visit.seen}


class Part(TypedDict):
    number: int
    color: NotRequired[Literal["red", "green"]]


class FindPart(Service):
    """Find a part."""

    name = "shop.find-part"
    rest = "GET /parts/{number}"
    input = Part

    async def handle(self) -> Any:
        return self.request.input


class Person(BaseModel):
    id: int
    nicknames: list[str] = []
    born: dt.date | None = None


class Rename(Service):
    """Rename a person."""

    name = "shop.rename"
    rest = ("GET /people/{id}", "POST /people/{id}")
    input = Person
    output = Person

    async def handle(self) -> Any:
        return self.request.input


class Legacy(Service):
    """Answer as a service written for Zato."""

    name = "shop.legacy"
    rest = "GET,POST /legacy/{id}"
    input = Int("id"), "-name", "-is_new"

    async def handle(self) -> Any:
        sent = self.request.input
        return {"id": sent.id, "name": sent.name, "is_new": sent.is_new}


class Untyped(Service):
    """Take anything."""

    name = "shop.untyped"
    rest = "GET,POST /anything/{id}"

    async def handle(self) -> Any:
        return dict(self.request.input)


SERVICES = (FindOrders, ChangeOrder, AddLines, Count, FindPart, Rename, Legacy, Untyped)
