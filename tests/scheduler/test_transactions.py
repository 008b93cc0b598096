"""Effects of a run in the store's database are committed with its outcome, or not at all."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from psycopg.pq import ConnStatus, PGconn
from psycopg.rows import dict_row

from zato_lite import Service
from zato_lite.config import Server, Settings, Store
from zato_lite.errors import InvocationError, NotOfferedError
from zato_lite.log import RunCapture
from zato_lite.store.postgres_run import RESTING as RESTING_AT_MOST
from zato_lite.store.postgres_run import PostgresRunConnection, RunConnections
from zato_lite.store.postgres_url import parse
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


class Blocks(Service):
    """Write a row in each of several blocks of the run's transaction."""

    name = "crm.blocks"
    way = ""
    left: list[asyncio.Task[None]] = []  # noqa: RUF012 - emptied by the fixture

    async def handle(self) -> None:
        await getattr(self, f"write_{self.way}")()

    async def write(self, number: int, *, is_wrong: bool = False) -> None:
        assert self.job is not None
        async with self.job.transaction() as connection:
            await connection.execute("INSERT INTO paid VALUES (%s)", (number,))
            if is_wrong:
                await connection.execute("INSERT INTO nowhere VALUES (1)")

    async def write_within(self) -> None:
        async with self.transaction() as connection:
            await self.write(1)
            with suppress(psycopg.errors.UndefinedTable):
                await self.write(2, is_wrong=True)
            await connection.execute("INSERT INTO paid VALUES (3)")

    async def write_after(self) -> None:
        await self.write(1)
        with suppress(psycopg.errors.UndefinedTable):
            await self.write(2, is_wrong=True)
        await self.write(3)

    async def write_first_wrong(self) -> None:
        with suppress(psycopg.errors.UndefinedTable):
            await self.write(2, is_wrong=True)
        await self.write(1)
        await self.write(3)

    async def write_together(self) -> None:
        await asyncio.gather(self.write(1), self.write(3))

    async def write_beside(self) -> None:
        async with self.transaction():
            await asyncio.create_task(self.write(1))

    async def write_for_ever(self) -> None:
        is_open = asyncio.Event()

        async def hold() -> None:
            async with self.transaction() as connection:
                await connection.execute("INSERT INTO paid VALUES (1)")
                is_open.set()
                await asyncio.get_running_loop().create_future()

        self.left.append(asyncio.create_task(hold()))
        await is_open.wait()


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
    Blocks.left.clear()
    settings = Settings(store=Store(postgres_url), server=Server(grace=0.0))
    clock = ManualClock()
    async with sandbox(Pay, Blocks, Call, Enqueue, clock=clock, settings=settings) as opened:
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
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks"
            " WHERE relation = 'paid'::regclass"
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


@pytest.mark.parametrize("way", ["within", "after", "first_wrong"])
async def test_all_blocks_of_a_run_share_its_transaction_and_one_that_fails_undoes_itself(
    box: Sandbox, other: Any, way: str
) -> None:
    Blocks.way = way

    run = await execute(box, service="crm.blocks")

    assert run["outcome"] == "ok"
    assert other.execute("SELECT token FROM paid ORDER BY token").fetchall() == [(1,), (3,)]


@pytest.mark.parametrize(
    ("way", "why"),
    [
        ("beside", "another task of the run has a block of it open"),
        ("for_ever", "was not committed: a block of it has not ended"),
    ],
)
async def test_blocks_of_two_tasks_at_the_same_time_fail_instead_of_losing_one(
    box: Sandbox, other: Any, way: str, why: str
) -> None:
    Blocks.way = way

    run = await execute(box, service="crm.blocks")
    for task in Blocks.left:
        task.cancel()

    assert (run["outcome"], paid(other)) == ("error", 0)
    assert why in run["error"]
    locks = "SELECT count(*) FROM pg_locks WHERE relation = 'paid'::regclass"
    while other.execute(locks).fetchone() != (0,):  # until the server has seen the end
        pass


async def test_of_two_blocks_that_begin_together_none_is_lost(box: Sandbox, other: Any) -> None:
    Blocks.way = "together"

    run = await execute(box, service="crm.blocks")

    assert (run["outcome"], paid(other)) in {("ok", 2), ("error", 0)}


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


# Connections that rest between two runs

RESTING = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"


class Spoil(Service):
    """Leave all sorts of settings in the connection, and keep it."""

    name = "crm.spoil"
    kept: list[Any] = []  # noqa: RUF012 - emptied by the fixture
    found: list[Any] = []  # noqa: RUF012 - emptied by the fixture

    async def handle(self) -> None:
        async with self.transaction() as connection:
            found = await connection.execute(
                "SELECT pg_backend_pid(), current_setting('work_mem'), to_regclass('mine'),"
                " (SELECT count(*) FROM pg_locks"
                " WHERE locktype = 'advisory' AND pid = pg_backend_pid()),"
                " (SELECT count(*) FROM pg_prepared_statements)"
            )
            self.found.append(await found.fetchone())
            self.kept.append((connection, connection.cursor()))
            connection.row_factory = dict_row
            await connection.execute("SET work_mem = '99MB'")
            await connection.execute("SELECT pg_advisory_lock(1)")
            await connection.execute("CREATE TEMPORARY TABLE mine (id bigint)")
            await connection.execute("PREPARE mine AS SELECT 1")


class EnqueueSpoil(Service):
    name = "crm.enqueue-spoil"

    async def handle(self) -> None:
        await self.invoke_async("crm.spoil")


@pytest.fixture
async def spoiled(postgres_url: str, other: Any) -> AsyncIterator[Sandbox]:
    """A server whose first run has left settings in a connection that rests."""
    Spoil.kept, Spoil.found = [], []
    settings = Settings(store=Store(postgres_url), server=Server(grace=0.0))
    async with sandbox(Spoil, EnqueueSpoil, clock=ManualClock(), settings=settings) as box:
        await spoil(box)
        assert other.execute(RESTING, (Spoil.found[0][0],)).fetchone() == (1,)
        yield box


async def spoil(box: Sandbox) -> None:
    await box.app.invoker.invoke(EnqueueSpoil)
    await box.settle()


async def test_a_run_finds_nothing_of_the_one_before_it_on_the_same_connection(
    spoiled: Sandbox,
) -> None:
    await spoil(spoiled)

    first, second = Spoil.found
    assert second == first  # the process of the server, too
    assert first[2:] == (None, 0, 0)


async def test_a_connection_that_a_service_has_kept_is_closed_for_it(spoiled: Sandbox) -> None:
    ((connection, cursor),) = Spoil.kept

    assert connection.closed
    for execute in (connection.execute, cursor.execute):
        with pytest.raises(psycopg.OperationalError):
            await execute("SELECT 1")


async def test_a_connection_that_was_cut_while_it_rested_is_made_again(
    spoiled: Sandbox, other: Any
) -> None:
    other.execute("SELECT pg_terminate_backend(%s, 5000)", (Spoil.found[0][0],))

    await spoil(spoiled)

    first, second = Spoil.found
    assert second[0] != first[0]
    outcomes = other.execute("SELECT outcome FROM run").fetchall()
    assert outcomes == [("ok",), ("ok",)]


async def test_connections_rest_for_a_while_and_not_too_many(postgres_url: str) -> None:
    resting = RunConnections(parse(postgres_url))
    sessions = [PGconn.connect(postgres_url.encode()) for _ in range(RESTING_AT_MOST + 1)]
    for each in sessions:
        resting._rest(each)

    assert sessions[-1].status == ConnStatus.BAD  # closed
    assert sessions[0].status == ConnStatus.OK
    resting._end_rest(sessions[0])
    assert sessions[0].status == ConnStatus.BAD
    resting._end_rest(sessions[0])  # in use meanwhile
    resting.close()
    assert sessions[1].status == ConnStatus.BAD


async def test_a_server_that_stops_closes_what_rests(postgres_url: str, other: Any) -> None:
    settings = Settings(store=Store(postgres_url), server=Server(grace=0.0))
    async with sandbox(Spoil, EnqueueSpoil, clock=ManualClock(), settings=settings) as box:
        await spoil(box)
    while other.execute(RESTING, (Spoil.found[-1][0],)).fetchone() != (0,):
        pass
