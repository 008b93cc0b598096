"""Resources and middleware."""

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
    middleware = (RateLimit(5, by=lambda call: call.caller.name), IdempotencyKey(), doubled)
    pool = needs(Pool, name="pool")

    async def handle(self) -> int:
        assert_type(self.pool, Pool)
        return await self.pool.fetch()


class Pooled:
    pool = needs(Pool, name="other")

    async def __call__(self, call: Call) -> Any:
        assert_type(self.pool, Pool)
        assert_type(await call.invoke(Report), int)
        return await call.next()


class Blocking(BlockingService[Any, str]):
    middleware = [Pooled()]
    repo = needs(Repo)

    def handle(self) -> str:
        assert_type(self.repo, Repo)
        return type(self.repo.pool).__name__
