"""Events of nodes on one file: listeners of one get those of all."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import pytest

from tests.scheduler.conftest import open_harness
from zato_lite import shared_events
from zato_lite.http.events import GAP, EventLog
from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.shared_events import SharedEvents
from zato_lite.testing.clock import ManualClock


class Pair:
    """Two logs whose nodes share a file, and a listener of the first."""

    def __init__(self) -> None:
        self.logs = [EventLog(), EventLog()]
        self.shared: list[SharedEvents] = []


def share(log: EventLog, scheduler: Scheduler) -> SharedEvents:
    shared = SharedEvents(log, scheduler.send, lambda: scheduler.node_id)
    scheduler.on_message = shared.hear
    return shared


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - messages come through the kernel
        await asyncio.sleep(0)


async def open_pair(stack: AsyncExitStack, path: Path) -> Pair:
    pair, clock = Pair(), ManualClock()
    nodes = [
        await stack.enter_async_context(open_harness(path / "z.db", clock)) for _ in pair.logs
    ]
    for node, log in zip(nodes, pair.logs, strict=True):
        await node.scheduler._dispatcher.recover_runs()
        shared = share(log, node.scheduler)
        pair.shared.append(shared)
        stack.callback(shared.close)
    return pair


async def test_a_listener_gets_the_events_of_the_other_node(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        pair = await open_pair(stack, tmp_path)
        first, second = pair.logs
        batches = await stack.enter_async_context(aclosing(first.batches(None)))
        heard = asyncio.ensure_future(anext(batches))
        await until(lambda: second.forward is not None)
        assert second.is_needed
        second.publish("deployment", {})
        second.publish("run-ended", {"service": "crm.sync", "run": 7})
        (event,) = await heard

        assert (event.kind, event.service) == ("run-ended", "crm.sync")
        assert event.data == b'{"service":"crm.sync","run":7}'


async def test_nothing_is_sent_without_a_listener(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        pair = await open_pair(stack, tmp_path)
        pair.logs[1].publish("run-ended", {})

        assert pair.logs[1].forward is None
        assert not pair.logs[1].is_needed
        assert pair.logs[0].latest == 0


async def test_a_node_stops_sending_when_no_other_wants_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_events, "WANTED_S", 0.0)
    monkeypatch.setattr(shared_events, "GATHER_S", 0.0)
    async with AsyncExitStack() as stack:
        pair = await open_pair(stack, tmp_path)
        pair.shared[1].hear("want 1")
        pair.logs[1].publish("run-ended", {})
        await until(lambda: pair.logs[1].forward is None)

        assert not pair.logs[1].is_needed
        assert pair.logs[0].latest == 0


async def test_too_many_events_are_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_events, "MAX_MESSAGES", 1)
    async with AsyncExitStack() as stack:
        pair = await open_pair(stack, tmp_path)
        first, second = pair.logs
        batches = await stack.enter_async_context(aclosing(first.batches(None)))
        heard = asyncio.ensure_future(anext(batches))
        await until(lambda: second.forward is not None)
        for number in range(200):
            second.publish("run-ended", {"service": "s" * 100, "run": number})
        (event,) = await heard

        assert event.kind == GAP


RUN = '"run-ended","crm.sync",{"service":"crm.sync","job_id":3}'
UNFIT = {
    "empty": "",
    "no number": "want x",
    "digits of another script": "want \u00b2",
    "too long a number": "want " + "9" * 5_000,
    "no events": "events",
    "no list": "events {}",
    "no event": "events [[1]]",
    "an unknown kind": 'events [["sign-out","crm.sync",{"service":"crm.sync"}]]',
    "a kind with a line break": 'events [["run-ended\\nevent: x","crm",{"service":"crm"}]]',
    "another node's deployment": 'events [["deployment","",{}]]',
    "data that are a text": 'events [["run-ended","crm.sync","x"]]',
    "a run without a service": 'events [["run-ended","crm.sync",{"run":7}]]',
    "a service that is no text": 'events [["run-ended","crm.sync",{"service":["crm.sync"]}]]',
    "a job that is no number": 'events [["run-ended","s",{"service":"s","job_id":"3"}]]',
    "a job that is true": 'events [["run-ended","s",{"service":"s","job_id":true}]]',
    "deep data": f'events [["run-ended","s",{{"service":"s","x":{"[" * 900}{"]" * 900}}}]]',
    "deeper data": "events " + "[" * 7_000,
    "an unpaired surrogate": 'events [["run-ended","s",{"service":"\\ud800"}]]',
    "an event cut off": f"events [[{RUN}",
    "unknown": "what",
}


@pytest.mark.parametrize("text", UNFIT.values(), ids=UNFIT)
async def test_a_text_that_is_not_a_message_is_left_out(tmp_path: Path, text: str) -> None:
    async with AsyncExitStack() as stack:
        pair = await open_pair(stack, tmp_path)
        pair.shared[0].hear(text)

        assert pair.logs[0].latest == 0
        assert pair.logs[0].forward is None


async def test_events_of_other_nodes_are_encoded_again() -> None:
    log = EventLog()
    shared = SharedEvents(log, lambda node, text: None, lambda: 1)

    shared.hear(
        'events [["run-ended", "billing.pay", {"service": "crm.sync",\n\r"who":"a\u2028\\nid: 1",'
        '"job_id": 3}], ["gap", "", {}], ["nonsense", "", {}]]'
    )

    first, second = log._events
    assert first.data == '{"service":"crm.sync","who":"a\u2028\\nid: 1","job_id":3}'.encode()
    assert b"\n" not in first.data
    assert (first.kind, first.service, first.job_id) == ("run-ended", "crm.sync", 3)
    assert second.kind == GAP


async def test_events_are_sent_to_a_limited_number_of_nodes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_events, "MAX_WANTING", 3)
    shared = SharedEvents(EventLog(), lambda node, text: None, lambda: 1)

    for number in range(10):
        shared.hear(f"want {number}")

    assert len(shared._wanted_by) == 3
