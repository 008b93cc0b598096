"""Status of the scheduler: what it and its nodes do now."""

import asyncio
from typing import Any, TypedDict

from zato_lite import __version__
from zato_lite.builtin.job_list import StateCountsItem
from zato_lite.builtin.output import build, iso, iso_or_none
from zato_lite.clock import Clock
from zato_lite.scheduler.commands import JobCommands
from zato_lite.scheduler.job_lists import JobLists
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.store.rows import NodeRow
from zato_lite.store.status import Status


class NodeItem(TypedDict):
    """A process that runs jobs; null for figures that only the process itself knows.

    `lag_ms` is the duration of one turn of its event loop, `capacity` the number of runs that may
    be in flight.
    """

    id: int
    name: str
    pid: int
    started: str
    seen: str
    version: str | None
    in_flight: int
    capacity: int | None
    lag_ms: float | None
    claims_per_s: float


class SchedulerStatus(TypedDict):
    """The scheduler's pause, its number of jobs by state, its runs in flight, and its nodes.

    The lateness is that of the latest 200 scheduled runs; null without any.
    """

    is_paused: bool
    paused_since: str | None
    pause_note: str
    paused_by: str
    total_jobs: int
    active_jobs: int
    jobs: StateCountsItem
    in_flight: int
    queued: int
    lateness_p50_ms: float | None
    lateness_p99_ms: float | None
    next_fire_iso: str | None
    now: str
    clock_warning: str
    nodes: list[NodeItem]


class GetStatus(Service[Any, SchedulerStatus]):
    """Return the scheduler's pause, its jobs by state, its runs in flight, and its nodes."""

    name = "zato.scheduler.status"
    role = "viewer"
    scope = "all"
    jobs = needs(JobCommands)
    lists = needs(JobLists)
    clock = needs(Clock)

    async def handle(self) -> None:
        status, pause = await self.lists.status(), await self.jobs.paused()
        lag_ms = await self._lag_ms()
        nodes = [self._node(node, status, lag_ms) for node in await self.jobs.nodes()]
        p50, p99 = (None if delay is None else delay / 1_000 for delay in status.delays)
        self.response.payload = build(
            SchedulerStatus,
            None,
            is_paused=pause is not None,
            paused_since=iso(pause.since) if pause is not None else None,
            pause_note=pause.note if pause is not None else "",
            paused_by=pause.by if pause is not None else "",
            total_jobs=status.counts.all,
            active_jobs=status.counts.active,
            jobs=build(StateCountsItem, status.counts),
            in_flight=sum(each.in_flight for each in status.open_runs.values()),
            queued=sum(each.queued for each in status.open_runs.values()),
            lateness_p50_ms=p50,
            lateness_p99_ms=p99,
            next_fire_iso=iso_or_none(status.next_at),
            now=iso(self.clock.now()),
            clock_warning=self.jobs.clock_warning,
            nodes=nodes,
        )

    async def _lag_ms(self) -> float:
        before = self.clock.monotonic()
        await asyncio.sleep(0)
        return (self.clock.monotonic() - before) * 1_000

    def _node(self, node: NodeRow, status: Status, lag_ms: float) -> NodeItem:
        is_here = node.id == self.lists.node_id
        open_runs = status.open_runs.get(node.id)
        return build(
            NodeItem,
            node,
            started=iso(node.started_at),
            seen=iso(node.seen_at),
            version=__version__ if is_here else None,
            in_flight=0 if open_runs is None else open_runs.in_flight,
            capacity=self.lists.capacity if is_here else None,
            lag_ms=lag_ms if is_here else None,
            claims_per_s=status.claims.get(node.id, 0.0),
        )
