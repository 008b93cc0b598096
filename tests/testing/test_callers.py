"""Callers of a sandbox: over HTTP, in process, and in the jobs that they make."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, assert_type

import msgspec
import pytest

from zato_lite import Service
from zato_lite.config import Server, Settings, Store
from zato_lite.errors import ForbiddenError, UnauthorizedError
from zato_lite.testing import Sandbox, sandbox


class Item(msgspec.Struct):
    id: int
    tags: list[str] = []


class GetItem(Service[Item, Item]):
    name = "kit.item"
    rest = ("GET /items/{id}", "PUT /items/{id}")

    async def handle(self) -> Item:
        self.response.headers["X-Caller"] = self.caller.name
        return self.request.input


class Echo(Service):
    name = "kit.echo"
    rest = "/echo"

    async def handle(self) -> Any:
        self.response.status_code = 201
        http = self.request.http
        return [http.method, http.path, self.request.payload, self.request.headers.get("x-a")]


@pytest.fixture
async def it() -> AsyncIterator[Sandbox]:
    async with sandbox(GetItem, Echo) as opened:
        yield opened


async def test_a_request_goes_through_the_edge(it: Sandbox) -> None:
    answer = await it.http.get("/items/7", params={"tags": ["a", "b c"]})

    assert (answer.status, answer.json()) == (200, {"id": 7, "tags": ["a", "b c"]})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["X-Caller"]
    assert answer.text == answer.body.decode()


async def test_wrong_input_has_the_status_and_the_fields_of_the_server(it: Sandbox) -> None:
    answer = await it.http.put("/items/seven?tags=a", {"tags": [1]})

    assert answer.status == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["id", "tags[0]"]


@pytest.mark.parametrize("method", ["post", "put", "patch"])
async def test_bodies_and_headers_are_sent(it: Sandbox, method: str) -> None:
    answer = await getattr(it.http, method)("/echo", {"a": "ż"}, headers={"X-A": "1"})

    assert answer.status == 201
    assert answer.json() == [method.upper(), "/echo", {"a": "ż"}, "1"]


async def test_a_body_is_sent_as_it_is(it: Sandbox) -> None:
    headers = {"content-type": "text/plain", "host": "127.0.0.1"}

    answer = await it.http.post("/echo", body=b"plain", headers=headers)
    deleted = await it.http.delete("/echo")
    head = await it.http.request("HEAD", "/zato/ping")

    assert answer.json()[2] == "plain"
    assert deleted.json()[0] == "DELETE"
    assert (head.status, head.body) == (200, b"")


async def test_services_by_name_and_the_servers_own_paths_answer(it: Sandbox) -> None:
    assert (await it.http.post("/zato/api/invoke/kit.item", {"id": 1})).json()["id"] == 1
    assert (await it.http.get("/healthz")).status == 200
    assert (await it.http.get("/no such path")).status == 404


async def test_a_malformed_request_is_refused_as_by_the_server(it: Sandbox) -> None:
    answer = await it.http.get("/echo", headers={"Host": "a b"})

    assert (answer.status, answer.json()["details"]) == (400, "Host is not valid")
    assert answer.json()["cid"] == answer.headers["X-Zato-Cid"]


async def test_requests_at_the_same_time_share_a_server(it: Sandbox) -> None:
    answers = await asyncio.gather(*(it.http.get(f"/items/{n}") for n in range(20)))

    assert [answer.json()["id"] for answer in answers] == [*range(20)]


async def test_a_viewer_is_refused_what_an_operator_may(it: Sandbox) -> None:
    viewer, operator = it.as_("viewer"), it.as_("operator")

    assert (await viewer.http.get("/items/7")).status == 403
    assert (await operator.http.get("/items/7")).status == 200
    with pytest.raises(
        ForbiddenError, match=r"key '\w+' is not allowed to invoke service 'kit\.item'"
    ):
        await viewer.invoke(GetItem, id=7)
    item = await operator.invoke(GetItem, id=7)
    assert_type(item, Item)
    assert item == Item(7)


async def test_patterns_confine_a_caller(it: Sandbox) -> None:
    confined = it.as_("operator", patterns=["kit.e*"])

    assert (await confined.http.get("/items/7")).status == 403
    assert (await confined.http.get("/echo")).status == 201
    listed = await confined.invoke("zato.service.get-list")
    assert {service.name for service in listed} == {"kit.echo"}


async def test_a_caller_may_have_no_credentials(it: Sandbox) -> None:
    anybody = it.as_("anybody")

    assert (await anybody.http.get("/items/7")).status == 401
    assert (await anybody.http.get("/healthz")).status == 200
    with pytest.raises(UnauthorizedError):
        await anybody.invoke(GetItem, id=7)


async def test_an_unknown_role_is_refused(it: Sandbox) -> None:
    with pytest.raises(ValueError, match="unknown role 'boss'; use viewer, operator"):
        it.as_("boss")


async def test_the_jobs_of_a_caller_run_on_its_behalf(it: Sandbox) -> None:
    editor = it.as_("editor", patterns=["kit.*", "zato.scheduler.job.*"])
    job = {"name": "j", "service": "kit.echo", "job_type": "interval_based", "hours": 1}
    other = {**job, "name": "o", "service": "demo.ping"}

    await editor.invoke("zato.scheduler.job.create", job)
    with pytest.raises(ForbiddenError):
        await editor.invoke("zato.scheduler.job.create", other)

    [made] = await it.invoke("zato.scheduler.job.get-list")
    assert made["principal"].startswith("key")


async def test_limits_of_the_settings_hold() -> None:
    settings = Settings(store=Store("sqlite:///:memory:"), server=Server(grace=0.0, max_body=10))
    async with sandbox(Echo, settings=settings) as it:
        assert (await it.http.post("/echo", body=b"x" * 11)).status == 413
