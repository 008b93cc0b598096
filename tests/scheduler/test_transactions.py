"""Effects of a run in the store's database are committed with its outcome, or not at all."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import psycopg
import pytest

from zato_lite import Service
from zato_lite.config import Server, Settings, Store
from zato_lite.errors import InvocationError, NotOfferedError
from zato_lite.log import RunCapture
from zato_lite.store.postgres_connection import PostgresRunConnection
from zato_lite.testing.app import Sandbox, sandbox
from zato_lite.testing.clock import ManualClock

pytestmark = pytest.mark.postgres


class Pay(Service):
    """Write a row in the transaction of its run, in the way that the test wants."""

    name = "crm.pay"
    way = "well"
    tokens: list[int] = []  # noqa: RUF012 - emptied by the fixture
    meanwhile: Callable[[], object] = list

    async def handle(self) -> None:
        assert self.job is not None
        async with self.job.transaction() as connection:
            assert isinstance(connection, psycopg.AsyncConnection)
            async with connection.transaction():  # a savepoint, not the end
                await connection.execute("INSERT INTO paid VALUES (%s)", (self.job.token,))
            if self.way == "twice":
                await connection.execute("INSERT INTO paid VALUES (%s)", (self.job.token,))
            if self.way == "raises within":
                raise ValueError("no money")
            if self.way == "commits":
                await connection.commit()
        type(self).meanwhile()
        if self.way == "raises after":
            raise ValueError("no money")
        self.logger.warning("Paid")
        self.response.payload = {"paid": True}


class Call(Service):
    name = "crm.call"

    async def handle(self) -> None:
        async with self.transaction() as connection:
            await connection.execute("INSERT INTO paid VALUES (7)")


class Enqueue(Service):
    name = "crm.enqueue"

    async def handle(self) -> None:
        await self.invoke_async("crm.call")


@pytest.fixture
def other(postgres_url: str) -> Any:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE paid (token bigint CONSTRAINT once UNIQUE DEFERRABLE INITIALLY DEFERRED)"
        )
        yield connection


@pytest.fixture
def capture() -> Iterator[None]:
    handler = RunCapture()
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)


@pytest.fixture
async def box(postgres_url: str, other: Any) -> AsyncIterator[Sandbox]:
    Pay.way, Pay.meanwhile = "well", list
    settings = Settings(store=Store(postgres_url), server=Server(grace=0.0))
    async with sandbox(Pay, Call, Enqueue, clock=ManualClock(), settings=settings) as opened:
        yield opened


def paid(other: Any) -> int:
    return int(other.execute("SELECT count(*) FROM paid").fetchone()[0])


async def execute(box: Sandbox, **more: Any) -> dict[str, Any]:
    """Create a job, run it once, and return the run."""
    definition = {"name": "pay", "service": "crm.pay", "job_type": "one_time",
                  "start_date": "2099-01-01", **more}  # fmt: skip
    job_id = (await box.invoke("zato.scheduler.job.create", definition))["id"]
    await box.invoke("zato.scheduler.job.execute", {"id": job_id})
    await box.settle()
    rows = (await box.invoke("zato.scheduler.job.get-history", {"id": job_id}))["rows"]
    found: dict[str, Any] = rows[0]
    return found


@pytest.mark.usefixtures("capture")
async def test_the_effect_and_the_outcome_are_committed_together(box: Sandbox, other: Any) -> None:
    seen: list[tuple[int, Any]] = []

    def look() -> None:
        outcome = other.execute("SELECT outcome FROM run").fetchone()
        seen.append((paid(other), outcome[0]))

    Pay.meanwhile = look
    run = await execute(box, on_success_service="crm.call")
    await box.settle()

    assert seen == [(0, None)]
    assert run["outcome"] == "ok"
    assert paid(other) == 2  # and the callback's
    assert other.execute("SELECT result FROM run WHERE job_id > 0").fetchone() == (
        '{"paid":true}',
    )
    assert "Paid" in other.execute("SELECT lines::text FROM run_log").fetchone()[0]
    assert other.execute("SELECT kind FROM run WHERE job_id = 0").fetchone() == ("callback",)


@pytest.mark.parametrize("way", ["raises within", "raises after", "commits"])
async def test_nothing_is_left_of_a_run_that_fails(box: Sandbox, other: Any, way: str) -> None:
    Pay.way = way

    run = await execute(box)

    assert run["outcome"] == "error"
    assert paid(other) == 0


async def test_a_retry_has_another_transaction(box: Sandbox, other: Any) -> None:
    Pay.way = "raises after"

    def next_time() -> None:
        if Pay.meanwhile is not list:
            Pay.meanwhile = list
        else:
            Pay.way = "well"

    Pay.meanwhile = next_time
    run = await execute(box, max_retries=3, retry_delay_ms=1000)
    Pay.way = "well"
    await box.advance(seconds=10)

    assert run["outcome"] == "running"
    assert paid(other) == 1


async def test_a_commit_that_fails_is_the_runs_error(box: Sandbox, other: Any) -> None:
    Pay.way = "twice"  # the constraint is checked by the commit

    run = await execute(box)

    assert run["outcome"] == "error"
    assert 'duplicate key value violates unique constraint "once"' in run["error"]
    assert paid(other) == 0


async def test_a_run_that_was_taken_over_commits_nothing(box: Sandbox, other: Any) -> None:
    Pay.meanwhile = lambda: other.execute("UPDATE run SET token = token + 1000")

    await execute(box)

    assert paid(other) == 0
    assert box.app.scheduler.metrics.refused_results == 1


async def test_a_connection_that_is_cut_before_the_commit_is_the_runs_error(
    box: Sandbox, other: Any
) -> None:
    def cut() -> None:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = 'zato-lite run'"
        )

    Pay.meanwhile = cut

    run = await execute(box)

    assert run["outcome"] == "error"
    assert "the transaction of the run was not committed" in run["error"]
    assert paid(other) == 0


async def test_a_commit_whose_answer_is_lost_counts_with_its_callbacks(
    box: Sandbox, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = PostgresRunConnection.commit_run

    async def lose(connection: PostgresRunConnection) -> None:
        await commit(connection)
        monkeypatch.undo()
        raise psycopg.OperationalError("the answer is lost")

    monkeypatch.setattr(PostgresRunConnection, "commit_run", lose)

    run = await execute(box, on_success_service="crm.call")
    await box.settle()

    assert run["outcome"] == "ok"
    assert paid(other) == 2  # and the callback's
    assert box.app.scheduler.metrics.refused_results == 0


async def test_a_run_without_a_job_has_a_transaction_too(box: Sandbox, other: Any) -> None:
    await box.app.invoker.invoke(Enqueue)
    await box.settle()

    assert paid(other) == 1


async def test_outside_a_run_it_is_an_error(box: Sandbox) -> None:
    with pytest.raises(InvocationError, match="this is not a run"):
        await box.invoke("crm.call")


async def test_on_sqlite_it_is_an_error() -> None:
    async with sandbox(Pay, clock=ManualClock()) as box:
        run = await execute(box)

    assert run["outcome"] == "error"
    assert NotOfferedError.__name__ in run["error"]
    assert "use one, or write to your own database" in run["error"]
