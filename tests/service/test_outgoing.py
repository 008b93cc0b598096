"""``self.out`` in services: async and blocking ones, Zato's, and fakes in tests."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.outgoing.upstream import Answer, Upstream, serving
from zato_lite.config import Server, Settings, Store
from zato_lite.errors import OutgoingTimeoutError, UnknownConnectionError
from zato_lite.outgoing.http import RestRequest, RestResponse
from zato_lite.outgoing_config import Outgoing, Rest
from zato_lite.service.base import Service
from zato_lite.service.blocking import BlockingService
from zato_lite.service.message import HttpContext, Invocation
from zato_lite.testing.app import Sandbox, sandbox
from zato_lite.zato.service import Service as ZatoService


class Order(msgspec.Struct):
    id: int


class Asks(Service[Any, Any]):
    name = "asks"

    async def handle(self) -> Any:
        response = await self.out.rest["crm"].get("/c/{id}", params={"id": 7, "city": "Rome"})
        return {**response.json(), "status": response.status_code, "cid": self.cid}


class AsksBlocking(BlockingService[Any, Any]):
    name = "asks.blocking"

    def handle(self) -> Any:
        crm = self.out.rest["crm"]
        sent = [
            crm.post("/orders", Order(1)),
            crm.put("/orders", data="text", headers={"Content-Type": "text/plain"}),
            crm.patch("/orders", form={"a": ["1", "2"]}),
            crm.delete("/orders", params={"id": 1}),
            crm.head("/orders"),
            crm.request("options", "/orders"),
        ]
        return [response.status_code for response in sent]


class AsksAsZato(ZatoService):
    name = "asks.zato"

    def handle(self) -> None:
        conn = self.out.rest["crm"].conn
        found = [
            conn.get(self.cid, {"a": 1}),
            conn.get(self.cid, params={"a": 1}, headers={"X-A": "b"}),
            conn.post(self.cid, {"name": "Ann"}, {"b": 2}),
            conn.put(self.cid, data="text"),
            conn.patch({"name": "Bob"}),
            conn.delete(self.cid, params={"b": 2}),
            self.outgoing.plain_http["crm"].conn.ping(self.cid),
            self.out.plain_http.get("crm").conn.options(self.cid),
            self.rest["crm"].get(self.cid, {"a": 1}),
            self.rest["crm"].head(params={"a": 1}),
        ]
        self.response.payload = [response.data for response in found]


class AsksAsAsyncZato(ZatoService):
    name = "asks.zato-async"

    async def handle(self) -> Any:
        response = await self.rest["crm"].get({"a": 1})
        return response.data


class AsksForNothing(Service[Any, Any]):
    name = "asks.nothing"

    async def handle(self) -> Any:
        return await self.out.rest["cmr"].get()


SERVICES = (Asks, AsksBlocking, AsksAsZato, AsksAsAsyncZato, AsksForNothing)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with serving() as found:
        yield found


@pytest.fixture
async def it(upstream: Upstream) -> AsyncIterator[Sandbox]:
    settings = Settings(
        store=Store("sqlite:///:memory:"),
        server=Server(grace=0.0),
        outgoing=Outgoing(rest={"crm": Rest(upstream.url, retries=0)}),
    )
    async with sandbox(*SERVICES, settings=settings) as found:
        yield found


async def test_an_async_service_awaits_the_response(it: Sandbox, upstream: Upstream) -> None:
    answer = await it.invoke("asks")

    assert (answer["name"], answer["status"]) == ("Ann", 200)
    assert upstream.request.target == "/c/7?city=Rome"
    assert upstream.request.headers["x-zato-cid"] == answer["cid"]


async def test_a_blocking_service_gets_the_response(it: Sandbox, upstream: Upstream) -> None:
    assert await it.invoke("asks.blocking") == [200] * 6

    assert upstream.received == [
        ("POST", "/orders", b'{"id":1}'),
        ("PUT", "/orders", b"text"),
        ("PATCH", "/orders", b"a=1&a=2"),
        ("DELETE", "/orders?id=1", b""),
        ("HEAD", "/orders", b""),
        ("OPTIONS", "/orders", b""),
    ]
    types = [each.headers.get("content-type") for each in upstream.requests[:3]]
    assert types == ["application/json", "text/plain", "application/x-www-form-urlencoded"]


async def request(it: Sandbox, method: str, *args: Any, **options: Any) -> None:
    """Send a request from a service."""

    class Requests(Service[Any, Any]):
        name = "requests"

        async def handle(self) -> None:
            await getattr(self.out.rest["crm"], method)(*args, **options)

    it.app.registry.add(Requests)
    await it.invoke("requests")


async def test_a_header_replaces_the_one_that_a_body_has(it: Sandbox, upstream: Upstream) -> None:
    own = {"Content-Type": "application/merge-patch+json"}
    await request(it, "patch", "/orders", {"id": None}, headers=own)

    assert upstream.request.headers["content-type"] == "application/merge-patch+json"
    assert upstream.first_bytes.lower().count(b"content-type") == 1


async def test_a_form_has_values_as_a_query_string_has(it: Sandbox, upstream: Upstream) -> None:
    await request(it, "post", "/f", form={"a": True, "b": None, "c": [1, 2]})

    assert upstream.received == [("POST", "/f", b"a=true&c=1&c=2")]


async def test_services_of_zato_use_its_spelling(it: Sandbox, upstream: Upstream) -> None:
    answer = {"name": "Ann"}

    assert await it.invoke("asks.zato") == [*[answer] * 6, None, answer, answer, None]

    assert upstream.received == [
        ("GET", "/?a=1", b""),
        ("GET", "/?a=1", b""),
        ("POST", "/?b=2", b'{"name":"Ann"}'),
        ("PUT", "/", b"text"),
        ("PATCH", "/", b'{"name":"Bob"}'),
        ("DELETE", "/?b=2", b""),
        ("HEAD", "/", b""),
        ("OPTIONS", "/", b""),
        ("GET", "/?a=1", b""),
        ("HEAD", "/?a=1", b""),
    ]
    assert await it.invoke("asks.zato-async") == answer


async def test_a_request_ends_with_the_deadline_of_the_invocation(
    upstream: Upstream,
) -> None:
    class Waits(BlockingService[Any, Any]):
        name = "waits"

        def handle(self) -> Any:
            try:
                self.out.rest["crm"].get("/", timeout=60)
            except OutgoingTimeoutError as error:
                self.logger.warning("late: %s", error)
                raise

    upstream.answers = [Answer(after=30)]
    settings = Settings(
        store=Store("sqlite:///:memory:"),
        outgoing=Outgoing(rest={"crm": Rest(upstream.url)}),
    )
    async with sandbox(Waits, settings=settings) as it, asyncio.timeout(10):
        outcome = await it.app.invoker.run(Invocation("waits", timeout=0.1))

    assert isinstance(outcome.error, TimeoutError)


async def test_the_trace_of_the_http_request_is_continued(it: Sandbox, upstream: Upstream) -> None:
    headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    http = HttpContext("GET", "/", {}, {}, headers)

    await it.app.invoker.run(Invocation("asks", http=http))

    assert upstream.request.headers["traceparent"] == headers["traceparent"]


async def test_an_unknown_connection_is_named(it: Sandbox) -> None:
    with pytest.raises(UnknownConnectionError, match=r"\[outgoing.rest.cmr\] .* available: crm"):
        await it.invoke("asks.nothing")


async def test_figures_are_exposed(it: Sandbox, upstream: Upstream) -> None:
    upstream.answers = [Answer(200), Answer(404)]
    await it.invoke("asks")
    await it.invoke("asks")

    figures = it.app.invoker.connections.figures["rest", "crm"]

    assert (figures.results, sum(figures.counts)) == ({200: 1, 404: 1}, 2)


@pytest.mark.parametrize("name", ["asks", "asks.blocking", "asks.zato"])
async def test_a_fake_takes_the_place_of_a_connection(name: str) -> None:
    requests: list[RestRequest] = []

    def crm(request: RestRequest) -> RestResponse:
        requests.append(request)
        return RestResponse(200, b'{"name": "Eve"}', {"Content-Type": "application/json"})

    async with sandbox(*SERVICES, outgoing={"rest.crm": crm}) as it:
        await it.invoke(name)

    assert requests[0].url.startswith("http://crm")


async def test_an_async_fake_may_be_late_or_away() -> None:
    tries = 0

    async def crm(request: RestRequest) -> RestResponse:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ConnectionRefusedError("refused")
        await asyncio.sleep(0)
        return RestResponse(200, b"{}")

    async with sandbox(Asks, outgoing={"rest.crm": crm}) as it:
        assert (await it.invoke("asks"))["status"] == 200
    assert tries == 2
