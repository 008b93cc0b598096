"""Nodes on PostgreSQL, with clocks that the test moves: serials, trust, burial, takeover."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import psycopg
import pytest

import zato_lite
from tests.scheduler.conftest import Harness
from zato_lite.errors import StoreError, UnavailableError
from zato_lite.scheduler import scheduler as scheduler_module
from zato_lite.scheduler.completer import Completer
from zato_lite.store import migrate, postgres_session, recovery
from zato_lite.store.migrate import Migration
from zato_lite.store.nodes import delete_nodes, list_nodes
from zato_lite.store.ports import lane_for_scheduler
from zato_lite.store.postgres import open_postgres
from zato_lite.store.postgres_connection import connect
from zato_lite.store.postgres_lane import Lane
from zato_lite.store.postgres_url import parse
from zato_lite.store.sql import execute, fetch_value
from zato_lite.testing.clock import ManualClock

pytestmark = pytest.mark.postgres


@asynccontextmanager
async def open_nodes(url: str, clock: ManualClock, count: int = 2) -> AsyncIterator[list[Harness]]:
    """Nodes that know each other."""
    async with AsyncExitStack() as stack:
        nodes = []
        for _ in range(count):
            store = await stack.enter_async_context(open_postgres(url, clock))
            harness = Harness(store, clock, grace=0.0, locks=store.locks)
            await stack.enter_async_context(harness.scheduler)
            nodes.append(harness)
        for harness in nodes:
            await harness.scheduler._dispatcher.recover_runs()
        yield nodes


async def pass_time(clock: ManualClock, awake: list[Harness], seconds: int) -> None:
    """Let nodes commit and look at each other once a second, as they do."""
    for _ in range(seconds):
        clock.advance(seconds=1)
        for node in awake:
            await lane_for_scheduler(node.store).write(lambda c: None)
        for node in awake:
            await node.scheduler._dispatcher.recover_runs()
            await node.settle()


def stop(node: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a node from everything that its own alarms would do, as SIGSTOP does."""
    node.scheduler._dispatcher.stop()
    monkeypatch.setattr(node.scheduler._dispatcher, "recover_runs", _nothing)
    monkeypatch.setattr(node.scheduler._dispatcher, "claim", _nothing)


async def _nothing(*_: Any) -> None:
    return None


async def owner_of_started(
    nodes: list[Harness], clock: ManualClock
) -> tuple[int, Harness, Harness]:
    """Start a run that blocks; return its job, the node that has it, and another one."""
    for node in nodes:
        node.block("s")
    job_id = await nodes[0].create(trigger=nodes[0].once(1), max_crashes=5)
    clock.advance(seconds=1)
    for node in nodes:
        await node.scheduler.tick()
        await node.settle()
    (owner,) = [node for node in nodes if node.scheduler.in_flight]
    other = next(node for node in nodes if node is not owner)
    return job_id, owner, other


async def test_nodes_that_commit_bury_no_one(postgres_url: str, clock: ManualClock) -> None:
    async with open_nodes(postgres_url, clock, 3) as nodes:
        await pass_time(clock, nodes, 20)

        assert [len(node.scheduler._node.others) for node in nodes] == [2, 2, 2]
        assert len(await nodes[0].jobs.nodes()) == 3


async def test_a_node_that_stands_still_is_buried_and_its_run_taken_over(
    postgres_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_nodes(postgres_url, clock) as nodes:
        job_id, owner, other = await owner_of_started(nodes, clock)
        with monkeypatch.context() as stopped:
            stop(owner, stopped)
            await pass_time(clock, [other], 5)
            early = [run.attempt for run in await other.runs(job_id)]
            await pass_time(clock, [other], 2)
        (run,) = await other.runs(job_id)

        assert early == [1]
        assert (run.node, run.attempt, run.crashes) == (other.scheduler.node_id, 2, 1)


async def test_a_buried_node_starts_nothing_and_comes_back_as_another(
    postgres_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_nodes(postgres_url, clock) as nodes:
        job_id, owner, other = await owner_of_started(nodes, clock)
        before = owner.scheduler.node_id
        with monkeypatch.context() as stopped:
            stop(owner, stopped)
            await pass_time(clock, [other], 8)
        with pytest.raises(UnavailableError):
            await lane_for_scheduler(owner.store).write(lambda c: None)
        burial = owner.scheduler._burial
        assert burial is not None
        await burial

        assert owner.scheduler.node_id not in {0, before}
        assert owner.scheduler.in_flight == 0
        assert owner.scheduler.metrics.refused_results == 1
        assert [run.node for run in await other.runs(job_id)] == [other.scheduler.node_id]


async def test_a_buried_node_that_cannot_recover_runs_yet_claims_again(
    postgres_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise UnavailableError("the database is away")

    async with open_nodes(postgres_url, clock) as nodes:
        _, owner, other = await owner_of_started(nodes, clock)
        with monkeypatch.context() as stopped:
            stop(owner, stopped)
            await pass_time(clock, [other], 8)
            stopped.setattr(owner.scheduler._dispatcher, "recover_runs", fail)
            stopped.setattr(owner.scheduler._dispatcher, "claim_now", lambda: claims.append(1))
            claims: list[int] = []
            with pytest.raises(UnavailableError):
                await lane_for_scheduler(owner.store).write(lambda c: None)
            burial = owner.scheduler._burial
            assert burial is not None
            await burial

            assert claims
            assert owner.scheduler.is_running


async def test_a_buried_node_keeps_no_job_from_starting_whose_failure_it_has_dropped(
    postgres_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_nodes(postgres_url, clock, count=1) as (node,):
        node.fail("s")
        job_id = await node.create(trigger=node.every(10), pause_after_failures=5)
        with monkeypatch.context() as away:
            away.setattr(Completer, "save", lambda _: None)
            clock.advance(seconds=10)
            await node.scheduler.tick()
            while not node.scheduler._completer._pending:
                await node.store.read(lambda c: None)
            with psycopg.connect(postgres_url) as connection:
                connection.execute("DELETE FROM node")
            with pytest.raises(UnavailableError):
                await lane_for_scheduler(node.store).write(lambda c: None)
            burial = node.scheduler._burial
            assert burial is not None
            await burial
        await pass_time(clock, [node], 12)

        assert len(await node.runs(job_id)) >= 2
        assert {run.outcome for run in await node.runs(job_id)} == {"error"}


async def test_a_node_that_has_not_committed_lately_starts_nothing_until_it_has(
    postgres_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_nodes(postgres_url, clock) as nodes:
        job_id = await nodes[0].create(trigger=nodes[0].every(20))
        clock.advance(seconds=19.9)
        for node in nodes:
            await lane_for_scheduler(node.store).write(lambda c: None)
        for node in nodes:
            await node.scheduler.tick()
        (owner,) = [node for node in nodes if node.scheduler.next_start]
        stop(owner, monkeypatch)
        clock.advance(seconds=6)
        early = len(owner.calls)
        await lane_for_scheduler(owner.store).write(lambda c: None)
        clock.advance(seconds=0.1)
        await owner.settle()

        assert early == 0
        assert [run.outcome for run in await owner.runs(job_id)] == ["ok"]


async def test_an_outage_of_the_database_buries_no_one(
    postgres_url: str, clock: ManualClock
) -> None:
    async with open_nodes(postgres_url, clock) as nodes:
        await pass_time(clock, nodes, 3)
        clock.advance(seconds=60)  # nobody reaches it
        for node in nodes:
            await node.scheduler._dispatcher.recover_runs()
        await pass_time(clock, nodes, 3)

        assert len(await nodes[0].jobs.nodes()) == 2


async def test_a_slot_claimed_ahead_by_a_dead_node_is_the_same_attempt_on_another(
    postgres_url: str, clock: ManualClock
) -> None:
    async with open_nodes(postgres_url, clock) as nodes:
        job_id = await nodes[0].create(trigger=nodes[0].every(9))
        clock.advance(seconds=8.9)
        for node in nodes:
            await lane_for_scheduler(node.store).write(lambda c: None)
        for node in nodes:
            await node.scheduler.tick()
        (owner,) = [node for node in nodes if node.scheduler.next_start]
        (other,) = [node for node in nodes if node is not owner]
        await owner.scheduler.crash()
        await pass_time(clock, [other], 8)

        (run,) = await other.runs(job_id)
        assert (run.outcome, run.attempt) == ("ok", 2)  # its slot has passed: it may have begun


async def test_an_edit_that_meets_the_claim_of_another_node(
    postgres_url: str, clock: ManualClock
) -> None:
    async with open_nodes(postgres_url, clock) as nodes:
        job_id = await nodes[0].create(trigger=nodes[0].every(5))
        clock.advance(seconds=4.9)
        for node in nodes:
            await node.scheduler.tick()
        (owner,) = [node for node in nodes if node.scheduler.next_start]
        (other,) = [node for node in nodes if node is not owner]
        await other.edit(job_id, extra="new")
        clock.advance(seconds=0.1)
        for node in nodes:
            await node.scheduler.tick()
            await node.settle()

        assert [call.payload for node in nodes for call in node.calls] == ["new"]


async def test_a_change_before_the_start_does_not_wait_for_a_dead_node_for_ever(
    postgres_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_postgres(postgres_url, clock) as store:
        dead = Harness(store, clock, grace=0.0, locks=store.locks)
        async with dead.scheduler:
            job_id = await dead.create(trigger=dead.every(5))
            await dead.advance(4.9)
            await dead.scheduler.crash()
    async with open_postgres(postgres_url, clock) as store:
        harness = Harness(store, clock, grace=0.0, locks=store.locks)
        looks = harness.scheduler._node.remove_dead

        async def look_and_wait() -> None:
            clock.advance(seconds=1)
            await looks()

        monkeypatch.setattr(harness.scheduler._node, "remove_dead", look_and_wait)
        await harness.jobs.pause(job_id, "before the start")

        assert not (await harness.jobs.get(job_id)).job.is_active
        assert await harness.jobs.nodes() == []


async def test_no_slot_is_lost_or_doubled_by_three_nodes(
    postgres_url: str, clock: ManualClock
) -> None:
    async with open_nodes(postgres_url, clock, 3) as nodes:
        for number in range(20):
            await nodes[0].create(name=f"j{number}", trigger=nodes[0].every(1))
        for _ in range(30):
            clock.advance(seconds=0.2)
            for node in nodes:
                await node.scheduler.tick()
                await node.settle()

        slots = [(call.job.id, call.job.slot) for n in nodes for call in n.calls if call.job]
        assert len(slots) == len(set(slots)) == 20 * 6
        assert all(len(node.calls) > 20 for node in nodes)


async def test_a_program_does_not_migrate_a_store_under_nodes_that_would_not_understand_it(
    postgres_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Migration(9_000, "9000_new.sql", "ALTER TABLE node ADD COLUMN new BIGINT")
    newer = [*migrate.migrations("postgres"), step]
    async with open_nodes(postgres_url, clock, 1) as nodes:
        await nodes[0].store.write(lambda c: None)
        with monkeypatch.context() as upgraded:
            upgraded.setattr(migrate, "migrations", lambda _: newer)
            with pytest.raises(StoreError, match=r"stop zato-lite \(pid \d+\) first"):
                await enter(postgres_url, clock)
            compatible = step._replace(sql=f"-- works with: {newer[-2].number}\n{step.sql}")
            newer[-1] = compatible
            await enter(postgres_url, clock)
        await enter(postgres_url, clock)  # a program of before


async def test_a_buried_node_does_not_come_back_to_a_store_that_is_too_new_for_it(
    postgres_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_module, "REFUSED_RETRY_S", 0.01)
    async with open_nodes(postgres_url, clock) as nodes:
        _, owner, other = await owner_of_started(nodes, clock)
        with monkeypatch.context() as stopped:
            stop(owner, stopped)
            await pass_time(clock, [other], 8)
        upgrade = "INSERT INTO migration (number, name, works_with) VALUES (9000, 'new', 9000)"
        await other.store.write(lambda c: execute(c, upgrade))
        with pytest.raises(UnavailableError):
            await lane_for_scheduler(owner.store).write(lambda c: None)
        burial = owner.scheduler._burial
        assert burial is not None
        _, late = await asyncio.wait([burial], timeout=0.2)

        assert late
        assert not owner.scheduler.is_running
        assert len(await other.jobs.nodes()) == 1
        await owner.scheduler.drain()  # ends although the store still refuses
        assert burial.cancelled()
        await other.store.write(lambda c: execute(c, "DELETE FROM migration WHERE number = 9000"))


async def enter(url: str, clock: ManualClock) -> None:
    async with open_postgres(url, clock):
        pass


@pytest.mark.parametrize("count", [1, 2])
async def test_a_timer_whose_lock_ends_in_a_rollback_is_claimed_within_a_second(
    postgres_url: str, clock: ManualClock, count: int
) -> None:
    async with open_nodes(postgres_url, clock, count) as nodes:
        job_id = await nodes[0].create(trigger=nodes[0].once(1))
        with psycopg.connect(postgres_url) as connection:
            connection.execute("SELECT 1 FROM timer WHERE job_id = %s FOR UPDATE", [job_id])
            for _ in range(2):  # past its slot
                clock.advance(seconds=1)
                for node in nodes:
                    await node.settle()
            assert await nodes[0].runs(job_id) == []
            connection.rollback()
        clock.advance(seconds=1)
        for node in nodes:
            await node.settle()

        assert await nodes[0].outcomes(job_id) == ["ok"]


@asynccontextmanager
async def locked_timer(url: str, job_id: int) -> AsyncIterator[None]:
    """Hold the lock of a job's timer in a session of another program."""
    async with await psycopg.AsyncConnection.connect(url) as other:
        await other.execute("SELECT 1 FROM timer WHERE job_id = %s FOR UPDATE", (job_id,))
        yield


async def test_a_change_that_waits_for_a_lock_delays_no_run_of_other_jobs(
    postgres_url: str, clock: ManualClock
) -> None:
    async with open_nodes(postgres_url, clock, count=1) as (node,):
        held = await node.create(name="held", trigger=node.every(3600))
        others = [await node.create(name=f"job {n}", trigger=node.every(10)) for n in range(20)]
        async with locked_timer(postgres_url, held):
            change = asyncio.create_task(node.edit(held, service="other"))
            await asyncio.sleep(0.05)  # it waits in the database by now, or soon
            for _ in range(3):
                clock.advance(seconds=10)
                await lane_for_scheduler(node.store).write(lambda c: None)
                await node.scheduler.tick()
                await node.scheduler.wait_until_idle()
            runs = [await node.runs(job_id) for job_id in others]
            is_waiting = not change.done()
        await change

        assert is_waiting
        assert [[run.outcome for run in each] for each in runs] == [["ok"] * 3] * 20
        assert {run.delay_us for each in runs for run in each} == {0}


async def test_a_job_whose_timer_was_locked_is_claimed_soon_after(
    postgres_url: str, clock: ManualClock
) -> None:
    async with open_nodes(postgres_url, clock, count=1) as (node,):
        job_id = await node.create(trigger=node.every(20))
        async with locked_timer(postgres_url, job_id):
            clock.advance(seconds=20)
            await node.scheduler.tick()
            while_locked = len(await node.runs(job_id))
        clock.advance(seconds=0.1)
        await node.settle()

        assert while_locked == 0
        assert [run.outcome for run in await node.runs(job_id)] == ["ok"]


async def test_runs_that_one_node_takes_over_are_left_to_it_without_waiting(
    postgres_url: str, clock: ManualClock
) -> None:
    async with open_postgres(postgres_url, clock) as store:
        async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
            for _ in range(4):
                await zato_lite.enqueue(connection, "s", after=60, on_behalf_of="system")
        other = connect(parse(postgres_url))
        other.script("BEGIN")
        taken = recovery.recover_runs(other, 99, clock.now(), limit=3)
        left = await store.write(lambda c: recovery.recover_runs(c, 98, clock.now()))
        other.commit()
        other.close()

        assert [len(taken.attempts), len(left.attempts)] == [3, 1]
        assert await store.read(lambda c: fetch_value(c, _OWNERS)) == [99, 99, 99, 98]


_OWNERS = "SELECT array_agg(node ORDER BY id) FROM run"


async def test_a_node_in_the_middle_of_a_commit_is_not_buried_nor_waited_for(
    postgres_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_nodes(postgres_url, clock, 2) as nodes:
        stop(nodes[1], monkeypatch)  # each commit of its own would raise its serial
        await nodes[1].settle()
        known = await nodes[0].store.read(list_nodes)
        with psycopg.connect(postgres_url) as connection:
            connection.execute("SELECT 1 FROM node WHERE id = %s FOR UPDATE", [known[1].id])
            await nodes[0].store.write(lambda c: delete_nodes(c, known[1:]))

            assert len(await nodes[0].store.read(list_nodes)) == 2
        await nodes[0].store.write(lambda c: delete_nodes(c, known[1:]))

        assert len(await nodes[0].store.read(list_nodes)) == 1


@contextmanager
def losing(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep a lane's next commit, and lose its answer and the database for long."""
    session, connection = lane.session, lane.session.connected()
    where, commit = session._location, connection.commit

    def lose() -> None:
        commit()
        connection.close()
        session._location = parse("postgresql://127.0.0.1:9/x")
        raise psycopg.OperationalError("the answer is lost")

    monkeypatch.setattr(postgres_session, "DEADLINE_S", 0.2)
    monkeypatch.setattr(connection, "commit", lose)
    yield
    session._location = where


async def test_a_run_on_request_whose_commit_stays_unknown_is_made_after_all(
    postgres_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_nodes(postgres_url, clock, count=1) as (node,):
        job_id = await node.create(trigger=node.once(3600))
        first = node.scheduler.node_id
        away = losing(node.store._changes, monkeypatch)  # type: ignore[attr-defined]
        with away, pytest.raises(UnavailableError, match="it is unknown whether"):
            await node.jobs.execute(job_id)
        while node.scheduler.node_id in {0, first}:
            await node.store.read(lambda c: None)
        await pass_time(clock, [node], 8)

        assert await node.outcomes(job_id) == ["ok"]


async def test_a_claim_that_a_pause_has_revoked_does_not_start_though_that_stays_unknown(
    postgres_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_nodes(postgres_url, clock, count=1) as (node,):
        job_id = await node.create(trigger=node.once(10))
        clock.advance(seconds=9.8)
        await node.scheduler.tick()
        claimed, first = node.scheduler.next_start, node.scheduler.node_id
        away = losing(node.store._changes, monkeypatch)  # type: ignore[attr-defined]
        with away, pytest.raises(UnavailableError, match="it is unknown whether"):
            await node.jobs.pause(job_id)
        assert claimed is not None
        assert node.scheduler.next_start is None
        while node.scheduler.node_id in {0, first}:
            await node.store.read(lambda c: None)
        await pass_time(clock, [node], 8)

        assert await node.outcomes(job_id) == []
        assert not node.calls


async def test_a_claim_whose_commit_stays_unknown_is_run_by_the_node_that_comes_after(
    postgres_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_nodes(postgres_url, clock, count=1) as (node,):
        job_id = await node.create(trigger=node.once(10))
        clock.advance(seconds=9.8)
        first = node.scheduler.node_id
        away = losing(node.store._scheduling, monkeypatch)  # type: ignore[attr-defined]
        with away, pytest.raises(UnavailableError, match="it is unknown whether"):
            await node.scheduler.tick()
        while node.scheduler.node_id in {0, first}:
            await node.store.read(lambda c: None)
        await pass_time(clock, [node], 8)

        assert await node.outcomes(job_id) == ["ok"]
        assert [run.attempt for run in await node.runs(job_id)] == [1]
