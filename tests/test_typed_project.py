"""The project that type checkers read is deployed and runs."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from zato_lite.errors import BadInputError, NotFoundError
from zato_lite.http.endpoints.openapi import openapi_document
from zato_lite.http.endpoints.operations import ServiceDescription
from zato_lite.service.typed import schema_of
from zato_lite.testing import Sandbox, sandbox

PROJECT = Path(__file__).parent / "typed_project"


@pytest.fixture
async def it() -> AsyncIterator[Sandbox]:
    async with sandbox(project=PROJECT) as opened:
        yield opened


async def test_streams_and_their_sums(it: Sandbox) -> None:
    entries = [each for each in it.app.registry if each.name.startswith("typed-shop.")]
    described = [
        ServiceDescription(e.name, "", (), schema_of(e.input), schema_of(e.output))
        for e in entries
    ]

    assert await it.invoke("typed-shop.sum") == 3
    schemas = openapi_document(described)["components"]["schemas"]
    assert {"Search", "Photo", "Row"} <= schemas.keys()


async def test_resources_and_middleware(it: Sandbox) -> None:
    assert await it.invoke("typed-pools.report") == [1, 1]
    assert await it.invoke("typed-pools.blocking") == "Pool"


async def test_jobs_and_errors(it: Sandbox) -> None:
    answer = await it.invoke("typed-plans.plan", {"customer": 7})

    assert "paused" in answer["why"]
    jobs = await it.invoke("zato.scheduler.job.get-list")
    declared = {"typed-plans.remind", "typed-plans.sweep"}
    assert {job["name"] for job in jobs} == {"remind", "hourly", *declared}
    assert await it.invoke("typed-plans.sweep") == 0
    assert await it.invoke("typed-plans.ask", {"customer": 7}) is True
    with pytest.raises(BadInputError, match="text: must not be empty"):
        await it.invoke("typed-plans.plan", {"customer": 7, "text": ""})
    with pytest.raises(NotFoundError, match="no customer 1001"):
        await it.invoke("typed-plans.plan", {"customer": 1001})
