"""Job lists: pages of jobs with what a table shows of each, and the past of several jobs."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import NamedTuple

import msgspec

from zato_lite.clock import Clock
from zato_lite.errors import BadInputError, FieldError
from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.store import attention, figures, job_figures, job_filter, jobs, pauses, timeline
from zato_lite.store.attention import Kind, Trouble
from zato_lite.store.figures import Count, FiguresQuery, Times
from zato_lite.store.job_figures import LatestRun
from zato_lite.store.job_filter import JobFilter, Page, StateCounts
from zato_lite.store.ports import Connection, Database
from zato_lite.store.rows import JobRow, Pause, RunRow
from zato_lite.store.run_list import RunFilter, RunPage, find_runs
from zato_lite.store.sql import batches
from zato_lite.store.status import Status, read_status
from zato_lite.store.timeline import Lane
from zato_lite.store.visibility import Permits, visible_jobs
from zato_lite.timetable.forecast import ForecastJob
from zato_lite.timetable.job import SECOND, Instant

_FORECAST_RUNS = 15
"""Latest runs of a job whose durations a forecast is made from."""

_FORECAST_PART = 1_000
"""Jobs that a forecast reads in one step."""

MAX_SORTED = 100_000
"""Jobs that a list may sort by what is in no index."""

_SERVICES_PART = 50_000
_SERVICES_FOR = 60 * SECOND
"""Jobs whose services are read in one step; those of more are remembered for microseconds."""

_MAX_KNOWN = 100_000
"""Jobs whose durations are remembered between two forecasts at most."""


class Facts(NamedTuple):
    """Facts that the state of jobs depends on besides their rows.

    Attributes:
        now: the instant at which the rows were read.
        pause: of the whole scheduler.
        missed: the ids of the jobs whose latest slots were missed.
    """

    now: Instant
    pause: Pause | None = None
    missed: AbstractSet[int] = frozenset()


class JobPage(NamedTuple):
    """A page of a list, and what was read with it.

    Attributes:
        total: the number of jobs on all pages.
        counts: the number of jobs by state, of those that the filter without its state shows.
        latest: the latest runs of each job that has one, oldest first.
    """

    rows: Sequence[JobRow]
    total: int
    facts: Facts
    latest: Mapping[int, Sequence[LatestRun]]
    counts: StateCounts | None = None


class Troubles(NamedTuple):
    """Jobs in trouble.

    Attributes:
        found: the first of each kind, and the number of all.
        latest: the latest runs of the failing ones, oldest first.
    """

    now: Instant
    found: Mapping[Kind, tuple[Sequence[Trouble], int]]
    latest: Mapping[int, Sequence[LatestRun]]


class KnownDurations(NamedTuple):
    """Jobs with the durations of their latest runs, their versions, and the number of all."""

    jobs: Sequence[ForecastJob]
    versions: Mapping[int, int]
    total: int


class _Took(NamedTuple):
    """Durations of a job's latest runs, and the job's numbers when they were read."""

    stamp: tuple[int, int]
    took: tuple[int, ...]


class Figures(NamedTuple):
    """Counts of runs and slots, and delays and durations of runs that succeeded.

    Attributes:
        last_hour: the number of runs that ended within the last hour, by outcome.
        names: of the jobs that have figures of their own.
        times: of some of the runs if they are many; None if they were not asked for.
    """

    now: Instant
    counts: Sequence[Count]
    last_hour: Mapping[str, int]
    names: Mapping[int, str]
    times: Sequence[Times] | None

    @property
    def is_sampled(self) -> bool:
        """True if the times are those of some of the runs only."""
        succeeded = sum(each.number for each in self.counts if each.outcome == "ok")
        return self.times is not None and len(self.times) < succeeded


class JobLists:
    """Queries about many jobs; none changes anything."""

    def __init__(self, database: Database, scheduler: Scheduler, clock: Clock) -> None:
        self._database, self._scheduler, self._clock = database, scheduler, clock
        self._took: dict[int, _Took] = {}
        self._services: tuple[Instant, Sequence[str]] | None = None

    async def page(
        self,
        wanted: JobFilter,
        page: Page,
        *,
        permits: Permits | None = None,
        is_counted: bool = False,
        runs: int = job_figures.LATEST,
    ) -> JobPage:
        """Return a page of jobs as they are at one instant.

        ``is_counted`` adds their counts; ``runs`` is the number of latest runs of each job.

        Raises:
            BadInputError: more than ``MAX_SORTED`` jobs would be sorted by what is in no index.
        """
        now = self._clock.now()

        def read(connection: Connection) -> JobPage:
            visible = visible_jobs(connection, permits)
            if page.sort in job_filter.SLOW_SORTS:
                _require_few(job_filter.count_jobs(connection, wanted, now, visible), page)
            rows = job_filter.find_page(connection, wanted, page, now, visible)
            ids = [row.id for row in rows]
            counts = None
            if is_counted:
                counts = job_filter.count_states(connection, wanted, now, visible)
                total: int = getattr(counts, wanted.state or "all")
            else:
                total = job_filter.count_jobs(connection, wanted, now, visible)
            latest = job_figures.latest_runs(connection, ids, runs)
            return JobPage(rows, total, _facts(connection, ids, now), latest, counts)

        return await self._database.read(read)

    async def with_durations(
        self, wanted: JobFilter, limit: int, *, permits: Permits | None = None
    ) -> KnownDurations:
        """Return up to ``limit`` jobs with the durations of their latest runs, in parts."""
        now = self._clock.now()

        def select(connection: Connection) -> tuple[list[int], int]:
            visible = visible_jobs(connection, permits)
            ids = job_filter.find_ids(connection, wanted, limit, now, visible)
            return ids, job_filter.count_jobs(connection, wanted, now, visible)

        ids, total = await self._database.read(select)
        found: list[ForecastJob] = []
        versions: dict[int, int] = {}

        def read(connection: Connection, part: Sequence[int]) -> None:
            for row, took in self._with_durations(connection, part):
                found.append(ForecastJob(jobs.state_of(row), took))
                versions[row.id] = row.version

        for part in batches(ids, _FORECAST_PART):
            await self._database.read(partial(read, part=part))
        return KnownDurations(found, versions, total)

    def _with_durations(
        self, connection: Connection, job_ids: Sequence[int]
    ) -> Iterator[tuple[JobRow, tuple[int, ...]]]:
        """Yield jobs with their durations; read those of jobs that have had a run since.

        Threads of the store call this at the same time: each uses its own copy of what is known.
        """
        rows = jobs.get_by_ids(connection, job_ids)
        if len(self._took) > _MAX_KNOWN:
            self._took = {}
        stamps = {row.id: (row.number, row.in_flight) for row in rows}
        known = {each: own for each in stamps if (own := self._took.get(each))}
        changed = [
            each for each in stamps if each not in known or known[each].stamp != stamps[each]
        ]
        if changed:
            latest = job_figures.latest_runs(connection, changed, _FORECAST_RUNS)
            for each in changed:
                took = tuple(
                    run.duration_us for run in latest.get(each, ()) if run.duration_us is not None
                )
                known[each] = _Took(stamps[each], took)
            self._took.update((each, known[each]) for each in changed)
        for row in rows:
            yield row, known[row.id].took

    async def some(self, job_ids: Sequence[int], *, permits: Permits | None = None) -> JobPage:
        """Return these jobs, in this order; those that do not exist are left out."""
        now = self._clock.now()

        def read(connection: Connection) -> JobPage:
            known = {row.id: row for row in jobs.get_by_ids(connection, job_ids)}
            rows = [
                row
                for job_id in job_ids
                if (row := known.get(job_id)) and (permits is None or permits(row.job.service))
            ]
            ids = [row.id for row in rows]
            latest = job_figures.latest_runs(connection, ids, 1)
            return JobPage(rows, len(rows), _facts(connection, ids, now), latest)

        return await self._database.read(read)

    async def latest(self, job_id: int) -> Sequence[LatestRun]:
        """Return the latest runs of a job, oldest first."""
        found = await self._database.read(lambda c: job_figures.latest_runs(c, [job_id]))
        return found.get(job_id, ())

    async def runs(
        self, wanted: RunFilter, limit: int, *, permits: Permits | None = None
    ) -> RunPage:
        """Return runs of all jobs, newest first; those in flight here with their starts."""
        page = await self._database.read(lambda c: find_runs(c, wanted, limit, permits))
        return RunPage([self._with_start(row) for row in page.rows], page.next_before)

    def _with_start(self, row: RunRow) -> RunRow:
        if row.outcome != "running":
            return row
        return msgspec.structs.replace(row, started_at=self._scheduler.started_at(row.id))

    async def figures(
        self, query: FiguresQuery, *, has_times: bool, permits: Permits | None = None
    ) -> Figures:
        """Return counts of runs and slots; with ``has_times``, also delays and durations."""
        now = self._clock.now()

        def read(connection: Connection) -> Figures:
            visible = visible_jobs(connection, permits)
            names = []
            if query.group == "job":
                names = jobs.get_by_ids(connection, query.job_ids or ())
            return Figures(
                now,
                figures.count_outcomes(connection, query, now, visible),
                figures.last_hour(connection, query, now, visible),
                {
                    row.id: row.job.name
                    for row in names
                    if permits is None or permits(row.job.service)
                },
                figures.read_times(connection, query, now, visible) if has_times else None,
            )

        return await self._database.read(read)

    @property
    def node_id(self) -> int:
        """This process's number among the nodes."""
        return self._scheduler.node_id

    @property
    def capacity(self) -> int:
        """The maximum number of runs of this node at the same time."""
        return self._scheduler.capacity

    async def status(self) -> Status:
        """Return the state of the scheduler now."""
        now = self._clock.now()
        return await self._database.read(lambda c: read_status(c, now))

    async def services(self) -> Sequence[str]:
        """Return the services of all active jobs; of many jobs, those of a minute ago."""
        now, known = self._clock.now(), self._services
        if known is not None and now - known[0] < _SERVICES_FOR:
            return known[1]
        last = await self._database.read(attention.last_job)
        found: set[str] = set()
        for after in range(0, last, _SERVICES_PART):
            stop = after + _SERVICES_PART
            read = partial(attention.services_of_jobs, after=after, last=stop)
            found.update(await self._database.read(read))
        if last > _SERVICES_PART:
            self._services = now, sorted(found)
        return sorted(found)

    async def troubles(
        self,
        kinds: Collection[Kind],
        limit: int,
        *,
        undeployed: Collection[str],
        permits: Permits | None = None,
    ) -> Troubles:
        """Return up to ``limit`` jobs with each kind of trouble, and the numbers of all of them.

        ``undeployed`` are the services of jobs that are not deployed.
        """
        now = self._clock.now()

        def read(connection: Connection) -> Troubles:
            visible = visible_jobs(connection, permits)
            found: dict[Kind, tuple[Sequence[Trouble], int]] = {
                kind: attention.find_troubles(
                    connection, kind, now, limit, undeployed=undeployed, visible=visible
                )
                for kind in kinds
            }
            failing = [each.job_id for each in found.get("failing", ((), 0))[0]]
            return Troubles(now, found, job_figures.latest_runs(connection, failing))

        return await self._database.read(read)

    async def lanes(
        self, job_ids: Sequence[int], start: Instant, until: Instant
    ) -> Mapping[int, Lane]:
        """Return the past of each of these jobs in [start, until)."""
        lanes = await self._database.read(lambda c: timeline.read_lanes(c, job_ids, start, until))
        return {job_id: self._with_starts(lane) for job_id, lane in lanes.items()}

    def _with_starts(self, lane: Lane) -> Lane:
        """Add the starts of runs in flight here; their rows have none before they have ended."""
        if all(run.outcome != "running" for run in lane.runs):
            return lane
        started_at = self._scheduler.started_at
        runs = [
            run._replace(started_at=started_at(run.id)) if run.outcome == "running" else run
            for run in lane.runs
        ]
        return lane._replace(runs=runs)

    async def facts(self, job_ids: Collection[int]) -> Facts:
        """Return what the state of these jobs depends on besides their rows."""
        now = self._clock.now()
        return await self._database.read(lambda c: _facts(c, job_ids, now))


def _require_few(total: int, page: Page) -> None:
    if total > MAX_SORTED:
        text = (
            f"sort: {total} jobs are too many to be sorted by {page.sort!r}; select at most"
            f" {MAX_SORTED}, or sort by 'name', 'next' or 'failed'"
        )
        raise BadInputError.of([FieldError("sort", page.sort, text)])


def _facts(connection: Connection, job_ids: Collection[int], now: Instant) -> Facts:
    missed = job_filter.missed_jobs(connection, job_ids, now)
    return Facts(now, pauses.get_pause(connection), missed)
