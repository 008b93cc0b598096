"""List of jobs: filtered, sorted and paged, as Zato's programs read it or as a table shows it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta

from zato_lite.builtin.input import Also, Page
from zato_lite.builtin.job_filter import JobFilterInput
from zato_lite.builtin.job_state import Include, state_fields, table_fields
from zato_lite.builtin.jobs import ListedJob, job_item
from zato_lite.builtin.output import build
from zato_lite.builtin.permissions import authority_of, visible_to
from zato_lite.scheduler.commands import PART_SIZE, JobCommands
from zato_lite.scheduler.history import RunHistory
from zato_lite.scheduler.job_lists import JobLists, JobPage
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.store import job_filter
from zato_lite.store.job_figures import LatestRun
from zato_lite.store.job_filter import Direction, JobFilter
from zato_lite.store.rows import JobRow
from zato_lite.store.sql import batches

PAGE_SIZE = 20
MAX_PAGE_SIZE = 500
_MAX_UNPAGED = 100_000
_PART = 100
"""Jobs whose items are made in one turn of the event loop."""


class JobQuery(JobFilterInput, forbid_unknown_fields=True):
    """Filters, order and page of a list; with ``include`` the answer is an object with counts."""

    cur_page: Page = 1
    page_size: Annotated[int, Meta(ge=1, le=MAX_PAGE_SIZE)] | None = None
    paginate: bool | None = None
    sort: Literal["name", "next", "last", "failed", "duration"] = "name"
    dir: Direction = "asc"
    include: Annotated[list[Include], Meta(max_length=3), Also("with")] | None = None


class StateCountsItem(TypedDict):
    """The number of jobs by state; a job may be in several."""

    all: int
    active: int
    paused: int
    failing: int
    running: int
    missed: int
    late: int


class JobTable(TypedDict):
    """A page of jobs, the number of all that match, and their numbers by state."""

    rows: list[ListedJob]
    total: int
    page: int
    page_size: int
    counts: StateCountsItem


class GetList(Service[JobQuery, list[ListedJob] | JobTable]):
    """List all jobs, or those that match; a page of them if a page or ``include`` is requested.

    ``counts`` are of the jobs that match in any ``state``. Jobs without the value to sort by come
    last.
    """

    name = "zato.scheduler.job.get-list"
    role = "viewer"
    scope = "own"
    jobs = needs(JobCommands)
    history = needs(RunHistory)
    lists = needs(JobLists)

    async def handle(self) -> None:
        params = self.request.input
        size = params.page_size or PAGE_SIZE
        is_paged = params.page_size is not None if params.paginate is None else params.paginate
        if params.include is None and not is_paged:
            everything = self._by_name() if _is_plain(params) else self._sorted()
            self.response.payload = [item async for item in everything]
            return
        found = await self._page(size, (params.cur_page - 1) * size)
        self.response.headers.update(page_headers(params.cur_page, size, found.total))
        rows = await _items(found, params.include or ())
        if found.counts is None:
            self.response.payload = rows
            return
        counts = build(StateCountsItem, found.counts)
        self.response.payload = {
            "rows": rows,
            "total": found.total,
            "page": params.cur_page,
            "page_size": size,
            "counts": counts,
        }

    async def _page(self, size: int, offset: int) -> JobPage:
        params = self.request.input
        return await self.lists.page(
            params.filter,
            job_filter.Page(params.sort, params.dir, size, offset),
            permits=visible_to(authority_of(self)),
            is_counted=params.include is not None,
        )

    async def _by_name(self) -> AsyncIterator[ListedJob]:
        """Yield all jobs that match in parts, so that others have their turns."""
        params, permits = self.request.input, visible_to(authority_of(self))
        service = params.service_name or ""
        async for rows in self.jobs.parts(params.query, service, _MAX_UNPAGED, permits=permits):
            ids = [row.id for row in rows]
            last, facts = await self.history.last_runs(ids), await self.lists.facts(ids)
            for row in rows:
                run = last.get(row.id)
                yield {**job_item(row, run), **state_fields(row, run, facts)}

    async def _sorted(self) -> AsyncIterator[ListedJob]:
        for offset in range(0, _MAX_UNPAGED, PART_SIZE):
            found = await self._page(PART_SIZE, offset)
            for item in await _items(found, ()):
                yield item
            if len(found.rows) < PART_SIZE:
                return


def _is_plain(params: JobQuery) -> bool:
    """Return True if a query has words and a service at most."""
    plain = JobFilter(params.query, params.service_name or "")
    is_by_name = (params.sort, params.dir) == ("name", "asc")
    return is_by_name and params.filter == plain and "*" not in plain.service


async def _items(page: JobPage, include: Sequence[Include]) -> list[ListedJob]:
    items: list[ListedJob] = []
    for part in batches(page.rows, _PART):
        items += [_item(row, page, page.latest.get(row.id, ()), include) for row in part]
        await asyncio.sleep(0)  # 500 jobs with all their figures take 20 ms
    return items


def _item(
    row: JobRow, page: JobPage, latest: Sequence[LatestRun], include: Sequence[Include]
) -> dict[str, Any]:
    last = next((run for run in reversed(latest) if run.started_at is not None), None)
    return {
        **job_item(row, last),
        **state_fields(row, last, page.facts),
        **table_fields(row, latest, include),
    }


def page_headers(page: int, size: int, total: int) -> dict[str, str]:
    """Return the headers in which Zato describes a page; its clients expect these texts."""
    last = max(1, -(-total // size))
    return {
        "X-Zato-Page-Current": str(page),
        "X-Zato-Page-Size": str(size),
        "X-Zato-Page-Total": str(last),
        "X-Zato-Page-Previous": str(page - 1 if page > 1 else None),
        "X-Zato-Page-Next": str(page + 1 if page < last else None),
        "X-Zato-Page-Has-Previous": str(page > 1),
        "X-Zato-Page-Has-Next": str(page < last),
        "X-Zato-Result-Total": str(total),
    }
