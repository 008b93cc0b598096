"""Two nodes on one store, each of which knows only its own runs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.scheduler.conftest import Harness, Place, open_harness
from zato_lite.errors import BadInputError, UnavailableError
from zato_lite.scheduler import wishes as scheduler_wishes
from zato_lite.store import wishes
from zato_lite.testing.clock import ManualClock
from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.job import SECOND


async def test_an_edit_by_the_other_process_makes_no_slot_run_twice(
    place: Place, clock: ManualClock
) -> None:
    async with open_harness(place, clock) as first, open_harness(place, clock) as second:
        job_id = await first.create(trigger=first.every(5))
        await first.advance(4.7)
        await second.edit(job_id, extra="new")
        clock.advance(seconds=0.3)
        await second.scheduler.tick()
        await second.settle()
        await first.settle()

        slots = [call.job.slot for call in (*first.calls, *second.calls) if call.job]
        assert len(slots) == len(set(slots)) == 1


@asynccontextmanager
async def two_nodes(place: Place, clock: ManualClock) -> AsyncIterator[tuple[Harness, Harness]]:
    """Two nodes that know each other."""
    async with (
        open_harness(place, clock) as first,
        open_harness(place, clock) as second,
    ):
        for harness in (first, second):
            await harness.scheduler._dispatcher.recover_runs()
        yield first, second


async def bury_dead(*living: Harness) -> None:
    """Have nodes commit and look at the others, twice a second, until no dead one is left.

    On a file that is at its first look; on PostgreSQL it watches their serials for some seconds.
    """
    for _ in range(14):
        living[0].clock.advance(seconds=0.5)
        for node in living:
            await node.scheduler._dispatcher.recover_runs()
            await node.settle()


async def claimed_ahead(
    nodes: tuple[Harness, Harness], clock: ManualClock, **fields: Any
) -> tuple[int, Harness, Harness]:
    """Create a job of five seconds; return it, the node that has claimed its slot, the other."""
    first, second = nodes
    job_id = await first.create(trigger=first.every(5), **fields)
    await first.advance(4.9)
    await second.scheduler.tick()
    owner, other = nodes if first.scheduler.next_start else (second, first)
    assert owner.scheduler.next_start is not None
    assert other.scheduler.next_start is None
    return job_id, owner, other


async def test_a_slot_is_claimed_ahead_and_runs_on_time_with_two_nodes(
    place: Place, clock: ManualClock
) -> None:
    async with two_nodes(place, clock) as nodes:
        _, owner, other = await claimed_ahead(nodes, clock)
        clock.advance(seconds=0.1)
        await owner.settle()

        assert (len(owner.calls), len(other.calls)) == (1, 0)


async def test_each_node_claims_its_share_ahead(place: Place, clock: ManualClock) -> None:
    async with two_nodes(place, clock) as nodes:
        first, second = nodes
        for number in range(20):
            await first.create(name=f"j{number}", trigger=first.every(5))
        await first.advance(4.6)
        await second.scheduler.tick()
        clock.advance(seconds=0.4)
        for node in nodes:
            await node.settle()

        assert [len(node.calls) for node in nodes] == [10, 10]


async def test_a_slot_that_its_node_leaves_is_claimed_by_another_before_it(
    place: Place, clock: ManualClock
) -> None:
    async with two_nodes(place, clock) as nodes:
        first, second = nodes
        for number in range(2):
            await first.create(name=f"j{number}", trigger=first.every(5))
        await second.settle()
        second.scheduler._dispatcher.stop()  # it does not wake
        await first.advance(4.6)
        await first.advance(0.35)
        clock.advance(seconds=0.05)
        await first.settle()

        assert (len(first.calls), len(second.calls)) == (2, 0)


async def test_a_job_that_another_node_deletes_does_not_run(
    place: Place, clock: ManualClock
) -> None:
    async with two_nodes(place, clock) as nodes:
        job_id, owner, other = await claimed_ahead(nodes, clock)
        await other.jobs.delete(job_id)
        clock.advance(seconds=0.1)
        await owner.settle()

        assert (owner.calls, await owner.runs(job_id)) == ([], [])


async def test_a_pause_of_all_by_another_node_takes_back_what_is_claimed(
    place: Place, clock: ManualClock
) -> None:
    async with two_nodes(place, clock) as nodes:
        job_id, owner, other = await claimed_ahead(nodes, clock)
        await other.jobs.pause_all()
        await owner.advance(0.1)

        assert owner.calls == []

        await other.jobs.resume_all()
        await other.advance(1)
        entries, _ = await other.history.ledger(job_id)
        assert [entry.outcome for entry in entries] == ["paused"]


async def test_an_edit_by_another_node_decides_a_claimed_slot_again(
    place: Place, clock: ManualClock
) -> None:
    async with two_nodes(place, clock) as nodes:
        job_id, owner, other = await claimed_ahead(nodes, clock)
        await other.edit(job_id, extra="new")
        clock.advance(seconds=0.1)
        for node in nodes:
            await node.scheduler.tick()
            await node.settle()

        calls = [*owner.calls, *other.calls]
        assert [call.payload for call in calls] == ["new"]
        assert [run.outcome for run in await owner.runs(job_id)] == ["ok"]


async def test_a_change_by_another_node_leaves_a_run_that_has_started(
    place: Place, clock: ManualClock
) -> None:
    async with two_nodes(place, clock) as nodes:
        gate = nodes[0].block("s")
        nodes[1].services["s"] = nodes[0].services["s"]
        job_id, owner, other = await claimed_ahead(nodes, clock)
        clock.advance(seconds=0.1)
        await owner.settle()
        await other.jobs.pause(job_id)
        gate.set()
        await owner.scheduler.wait_until_idle()

        (run,) = await owner.runs(job_id)
        assert (run.outcome, run.attempt) == ("ok", 1)


async def test_a_run_that_waits_for_room_is_held_if_another_node_pauses_its_job(
    place: Place, clock: ManualClock
) -> None:
    async with (
        open_harness(place, clock, capacity=1) as owner,
        open_harness(place, clock) as other,
    ):
        gate = owner.block("s")
        await other.settle()
        other.scheduler._dispatcher.stop()  # the owner is to claim
        await owner.create(name="long", trigger=owner.once(1), priority=9)
        job_id = await owner.create(trigger=owner.every(1, clock.now() + SECOND), service="t")
        await owner.advance(1)
        await owner.advance(1)  # its next slot is skipped: the first one waits for room
        await other.jobs.pause(job_id)
        gate.set()
        await owner.scheduler.wait_until_idle()
        await owner.settle()
        held = [run.state for run in await other.runs(job_id)]
        await other.jobs.resume(job_id)
        await other.advance(0)
        await other.scheduler.wait_until_idle()

        assert held == ["waiting"]
        assert [call.service for call in (*owner.calls, *other.calls)] == ["s", "t"]


async def test_a_run_on_demand_on_another_node_comes_before_a_claimed_slot(
    place: Place, clock: ManualClock
) -> None:
    async with two_nodes(place, clock) as nodes:
        gate = nodes[0].block("s")
        nodes[1].services["s"] = nodes[0].services["s"]
        job_id, owner, other = await claimed_ahead(nodes, clock)
        await other.jobs.execute(job_id)
        clock.advance(seconds=0.1)
        for node in nodes:
            await node.scheduler.tick()
            await node.settle()
        in_flight = [node.scheduler.in_flight for node in (owner, other)]
        gate.set()

        assert in_flight == [0, 1]


async def test_a_run_of_another_node_is_cancelled(place: Place, clock: ManualClock) -> None:
    async with two_nodes(place, clock) as nodes:
        nodes[0].block("s")
        nodes[1].block("s")
        job_id, owner, other = await claimed_ahead(nodes, clock)
        clock.advance(seconds=0.1)
        await owner.settle()
        answer = await other.jobs.cancel_run(job_id, 1)
        await owner.scheduler._wishes.answer()  # also without a bell
        await owner.scheduler.wait_until_idle()

        assert answer
        assert await other.outcomes(job_id) == ["cancelled"]


async def test_a_cancellation_outlives_the_node_that_it_was_asked_of(
    place: Place, clock: ManualClock
) -> None:
    async with two_nodes(place, clock) as nodes:
        nodes[0].block("s")
        nodes[1].block("s")
        job_id, owner, other = await claimed_ahead(nodes, clock)
        clock.advance(seconds=0.1)
        await owner.settle()
        node = other.scheduler.node_id
        await other.store.write(lambda c: wishes.ask_to_cancel_run(c, job_id, 1, node))
        await owner.scheduler.crash()
        await bury_dead(other)

        run, *_ = await other.runs(job_id)
        assert (run.outcome, run.attempt) == ("cancelled", 1)


async def test_cancel_running_ends_the_run_of_another_node(
    place: Place, clock: ManualClock
) -> None:
    async with two_nodes(place, clock) as nodes:
        nodes[0].block("s")
        nodes[1].block("s")
        job_id, owner, other = await claimed_ahead(nodes, clock, on_overlap="cancel_running")
        clock.advance(seconds=0.1)
        await owner.settle()
        owner.scheduler._dispatcher.stop()  # the other node claims the next slot
        clock.advance(seconds=5)
        await other.scheduler.tick()
        await owner.scheduler._wishes.answer()
        await owner.scheduler.wait_until_idle()
        other.scheduler._wishes.hear()
        await other.wait_for(lambda: other.scheduler.in_flight > 0, rest=False)

        assert await other.outcomes(job_id) == ["cancelled", "running"]


async def test_a_job_runs_on_a_node_that_has_its_service(place: Place, clock: ManualClock) -> None:
    async with (
        open_harness(place, clock, services=lambda: ["a"]) as first,
        open_harness(place, clock, services=lambda: ["a", "b"]) as second,
    ):
        for name in ("a", "b", "c"):
            for number in range(2):  # one of each node's share
                await first.create(name=f"{name}{number}", trigger=first.every(5), service=name)
        await second.settle()
        second.scheduler._dispatcher.stop()  # the first node claims first
        await first.scheduler._dispatcher.recover_runs()
        clock.advance(seconds=5)
        for node in (first, second):
            await node.scheduler.tick()
            await node.settle()

        services = [call.service for call in first.calls]
        assert sorted(services + [call.service for call in second.calls]) == [*"aabbcc"]
        assert "b" not in services
        assert "c" in services  # no node has it: it runs, and fails with the reason


async def test_runs_of_a_dead_node_are_for_nodes_that_have_their_service(
    place: Place, clock: ManualClock
) -> None:
    def having(*names: str) -> Callable[[], Sequence[str]]:
        return lambda: names

    async with (
        open_harness(place, clock, services=having("a")) as first,
        open_harness(place, clock, services=having("a", "b")) as second,
    ):
        await first.scheduler._dispatcher.recover_runs()  # it learns the services of the second
        job_id = await second.create(trigger=second.once(5), service="b")
        async with open_harness(place, clock, services=having("a", "b")) as dying:
            dying.block("b")
            clock.advance(seconds=5)
            for node in (first, second):
                node.scheduler._dispatcher.stop()
            await dying.scheduler._dispatcher.recover_runs()
            await dying.scheduler.tick()
            await dying.settle()
            await dying.scheduler.crash()
        await bury_dead(first, second)

        assert first.calls == []
        (run,) = await second.runs(job_id)
        assert run.outcome == "ok"


async def test_a_job_is_not_claimed_ahead_while_a_change_waits_for_an_owner(
    place: Place, clock: ManualClock
) -> None:
    async with two_nodes(place, clock) as nodes:
        job_id, owner, other = await claimed_ahead(nodes, clock)
        node, now = other.scheduler.node_id, clock.now()
        asked = await other.store.write(lambda c: wishes.ask_owners(c, [job_id], node, now))
        await owner.scheduler._wishes.answer()
        for each in nodes:
            await each.scheduler.tick()

        assert asked is not None
        assert await owner.runs(job_id) == []

        clock.advance(seconds=0.1)
        for each in nodes:
            await each.scheduler.tick()
            await each.settle()
        assert len(owner.calls) + len(other.calls) == 1


async def test_an_owner_that_does_not_answer_makes_a_change_fail(
    place: Place, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_nodes(place, clock) as nodes:
        job_id, owner, other = await claimed_ahead(nodes, clock)
        monkeypatch.setattr(owner.scheduler._wishes, "answer", owner.settle)
        monkeypatch.setattr(scheduler_wishes, "TIMEOUT_S", -1.0)

        with pytest.raises(UnavailableError, match="does not answer"):
            await other.jobs.pause(job_id)

        assert (await other.jobs.get(job_id)).job.is_active


async def test_a_queued_run_waits_for_the_one_of_the_other_process(
    place: Place, clock: ManualClock
) -> None:
    async with open_harness(place, clock) as first, open_harness(place, clock) as second:
        gate = first.block("s")
        second.services["s"] = first.services["s"]
        job_id = await first.create(trigger=first.every(5), on_overlap="queue_one")
        await first.advance(5)
        clock.advance(seconds=5)
        await second.scheduler.tick()
        await second.settle()
        await first.settle()
        together = first.scheduler.in_flight + second.scheduler.in_flight
        gate.set()
        await first.scheduler.wait_until_idle()
        await second.settle()  # what it asked meanwhile is answered: it asks again from then on
        clock.advance(seconds=1)
        for _ in range(50):  # the other process asks the store again, in turns of its own
            await second.settle()
            await second.scheduler.wait_until_idle()
            if await first.outcomes(job_id) == ["ok", "ok"]:
                break

        assert together == 1
        assert [run.outcome for run in await first.runs(job_id)] == ["ok", "ok"]


async def test_queued_runs_that_another_node_has_held_start_once_and_in_order(
    place: Place, clock: ManualClock
) -> None:
    async with (
        open_harness(place, clock, services=lambda: ["s"]) as owner,
        open_harness(place, clock, services=tuple) as other,  # the owner has all runs
    ):
        for node in (owner, other):
            await node.scheduler._dispatcher.recover_runs()
        gate = owner.block("s")
        job_id = await owner.create(trigger=owner.every(5), on_overlap="queue_all")
        for _ in range(4):
            await owner.advance(5)
        await other.jobs.pause(job_id)
        await other.jobs.resume(job_id)
        gate.set()
        for _ in range(20):  # a look passes over rows that another transaction has locked
            await owner.scheduler._dispatcher.recover_runs()
            await owner.settle()

        slots = [call.job.slot for call in owner.calls if call.job]
        assert len(slots) == len(set(slots)) == 4
        assert slots == sorted(slots)
        assert not owner.scheduler._executor._open_runs


async def test_a_definition_that_cannot_be_kept_harms_no_other_of_the_same_turn(
    harness: Harness,
) -> None:
    good, bad = await asyncio.gather(
        harness.jobs.create([harness.job(name="good")]),
        harness.jobs.create([harness.job(name="bad", extra="\udce9")]),
        return_exceptions=True,
    )

    assert good == [1]
    assert isinstance(bad, BadInputError)


async def test_two_runs_are_in_flight_where_two_are_allowed(harness: Harness) -> None:
    gate = harness.block("s")
    await harness.create(trigger=harness.every(10), max_parallel=2)
    await harness.advance(10)
    await harness.advance(10)
    calls = len(harness.calls)
    gate.set()

    assert calls == 2


async def test_a_row_of_the_ledger_spans_no_run(harness: Harness) -> None:
    calendar = Calendar(name="weekend", weekdays=(6,))
    await harness.calendars.save_calendar(calendar)
    job_id = await harness.create(
        trigger=harness.every(86_400), calendar="weekend", on_missed="run_all", on_overlap="allow"
    )
    await harness.advance(86_400 * 20)
    await harness.advance(1)

    entries, _ = await harness.history.ledger(job_id)
    slots = [run.slot for run in await harness.runs(job_id)]
    assert entries
    assert not [slot for slot in slots for e in entries if e.first <= slot <= e.last]
