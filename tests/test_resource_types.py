"""Types of resources and middleware, as a user's editor knows them: mypy and pyright read this."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, assert_type

from zato_lite import (
    BlockingService,
    Call,
    Config,
    IdempotencyKey,
    RateLimit,
    Service,
    needs,
    on_start,
    resource,
)
from zato_lite.service.resource import Resource
from zato_lite.testing.app import sandbox


class Pool:
    async def fetch(self) -> int:
        return 1


class Repo:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool


@resource
async def pool(config: Config) -> AsyncIterator[Pool]:
    yield Pool()


@resource
def repo(pool: Annotated[Pool, "pool"]) -> Iterator[Repo]:
    yield Repo(pool)


@resource(name="other", ready=lambda found: True)
async def second() -> AsyncIterator[Pool]:
    yield Pool()


assert_type(pool, Resource[Pool])
assert_type(repo, Resource[Repo])
assert_type(second, Resource[Pool])


async def doubled(call: Call) -> Any:
    assert_type(call.service, str)
    return [await call.next()] * 2


@on_start
class Report(Service[Any, int]):
    name = "types.report"
    middleware = (RateLimit(5, by=lambda call: call.caller.name), IdempotencyKey(), doubled)
    pool = needs(Pool, name="pool")

    async def handle(self) -> int:
        assert_type(self.pool, Pool)
        return await self.pool.fetch()


class Blocking(BlockingService[Any, str]):
    name = "types.blocking"
    repo = needs(Repo)

    def handle(self) -> str:
        assert_type(self.repo, Repo)
        return type(self.repo.pool).__name__


async def test_services_with_resources_and_middleware_have_their_types() -> None:
    resources = {(Pool, "pool"): Pool(), Repo: Repo(Pool())}
    async with sandbox(Report, Blocking, resources=resources) as app:
        assert_type(Report.get_name(), str)
        assert await app.invoke("types.report") == [1, 1]  # middleware changes its answer
        assert await app.invoke(Blocking) == "Pool"
