"""Runs of all jobs, newest first, by filters."""

from typing import Annotated, TypedDict

from msgspec import Meta

from zato_lite.builtin.history import Outcomes, run_item
from zato_lite.builtin.input import Id, Input, JobId, Moment, Name
from zato_lite.builtin.output import iso, iso_or_none
from zato_lite.builtin.permissions import authority_of, require_visible, visible_to
from zato_lite.builtin.span import Until
from zato_lite.clock import Clock
from zato_lite.scheduler.commands import JobCommands
from zato_lite.scheduler.job_lists import JobLists
from zato_lite.service.base import Service
from zato_lite.service.job_answers import RunItem
from zato_lite.service.needs import needs
from zato_lite.store.rows import RunKind
from zato_lite.store.run_list import RunFilter


class RunsQuery(Input, forbid_unknown_fields=True):
    """Filters of runs; ``before`` is the ``next_before`` of the page before."""

    outcomes: Outcomes = ()
    since: Moment | None = None
    until: Until | None = None
    id: JobId | None = None
    query: Annotated[str, Meta(max_length=1_000)] = ""
    service_name: Name | None = None
    node: Name | None = None
    kind: RunKind | None = None
    before: Id | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50

    @property
    def filter(self) -> RunFilter:
        """The filter that the fields make."""
        return RunFilter(
            self.outcomes,
            self.since,
            self.until,
            self.id,
            self.query,
            self.service_name or "",
            self.node or "",
            self.kind,
            self.before,
        )


class ListedRun(RunItem):
    """A run with its service and its node; the name of a node that has left is not known."""

    service: str
    node: str
    finished_iso: str | None


class Runs(TypedDict):
    """Runs, newest first.

    ``next_before`` is null at the end. A page examines a limited number of runs: it may have fewer
    than ``limit`` although more follow.
    """

    now_iso: str
    rows: list[ListedRun]
    next_before: int | None


class GetRuns(Service[RunsQuery, Runs]):
    """Return the runs of all jobs, newest first, or those that match."""

    name = "zato.scheduler.get-runs"
    role = "viewer"
    scope = "own"
    lists = needs(JobLists)
    jobs = needs(JobCommands)
    clock = needs(Clock)

    async def handle(self) -> None:
        params, caller = self.request.input, authority_of(self)
        if params.id is not None:
            await require_visible(params.id, self.jobs, caller)
        page = await self.lists.runs(params.filter, params.limit, permits=visible_to(caller))
        names = {node.id: node.name for node in await self.jobs.nodes()}
        rows: list[ListedRun] = [
            {
                **run_item(row),
                "service": row.service,
                "node": names.get(row.node, ""),
                "finished_iso": iso_or_none(row.finished_at),
            }
            for row in page.rows
        ]
        self.response.payload = {
            "now_iso": iso(self.clock.now()),
            "rows": rows,
            "next_before": page.next_before,
        }
