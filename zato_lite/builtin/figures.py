"""Figures of a span of time: outcomes in equal parts of it, delays and durations."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from zato_lite.builtin.input import Also, Id, Input, Moment, Name
from zato_lite.builtin.output import iso
from zato_lite.builtin.permissions import authority_of, visible_to
from zato_lite.builtin.span import Until, check_span
from zato_lite.errors import FieldError
from zato_lite.scheduler.job_lists import Figures, JobLists
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.service.offload import offload_long
from zato_lite.store.figures import Count, FiguresQuery, Group, Times
from zato_lite.store.job_figures import percentile
from zato_lite.timetable.job import DAY

_MAX_SPAN = 400 * DAY
_MAX_BUCKETS = 400
_MAX_IDS = 200


class FiguresInput(Input, forbid_unknown_fields=True, kw_only=True):
    """A span of at most 400 days in equal parts, and jobs: all, or by ids or a service."""

    start: Moment
    until: Until
    buckets: Annotated[int, Meta(ge=1, le=_MAX_BUCKETS)] = 60
    ids: Annotated[list[Id], Meta(max_length=_MAX_IDS)] | None = None
    service_name: Name | None = None
    group: Group = "none"
    include: Annotated[list[Literal["percentiles"]], Meta(max_length=1), Also("with")] | None = (
        None
    )

    @classmethod
    def check(cls, values: dict[str, Any], errors: list[FieldError]) -> None:
        check_span(values, errors, _MAX_SPAN)
        if values.get("group") == "job" and values.get("ids") is None:
            text = "group: send `ids` with 'job'; at most 200 jobs have figures of their own"
            errors.append(FieldError("group", "job", text))

    @property
    def query(self) -> FiguresQuery:
        """The query that the fields make."""
        width = -(-(self.until - self.start) // self.buckets)
        return FiguresQuery(
            self.start,
            self.until,
            width,
            self.buckets,
            self.ids,
            self.service_name or "",
            self.group,
        )


class Percentiles(TypedDict):
    """Percentiles by part, in ms; null for a part without a run that succeeded."""

    p50_ms: list[float | None]
    p95_ms: list[float | None]


class Series(TypedDict):
    """Counts of a job (``id``), of a service (``name``) or of all: by outcome, then by part."""

    id: int | None
    name: str
    counts: dict[str, list[int]]
    totals: dict[str, int]
    duration: NotRequired[Percentiles]
    lateness: NotRequired[Percentiles]


class FiguresItem(TypedDict):
    """Counts in parts of ``bucket_ms``; ``last_hour`` has the runs that ended within an hour.

    ``is_sampled`` says that the percentiles are of some of the runs.
    """

    now_iso: str
    start_iso: str
    until_iso: str
    bucket_ms: float
    groups: list[Series]
    last_hour: dict[str, int]
    is_sampled: NotRequired[bool]


class GetFigures(Service[FiguresInput, FiguresItem]):
    """Count runs and slots without a run by outcome, in equal parts of a span of time."""

    name = "zato.scheduler.get-figures"
    role = "viewer"
    scope = "own"
    lists = needs(JobLists)

    async def handle(self) -> None:
        params = self.request.input
        has_times = bool(params.include)
        permits = visible_to(authority_of(self))
        found = await self.lists.figures(params.query, has_times=has_times, permits=permits)
        self.response.payload = await offload_long(_figures, params, found)


def _figures(params: FiguresInput, found: Figures) -> FiguresItem:
    query = params.query
    keys = {count.key for count in found.counts}
    if params.group == "none":
        keys = {""}
    if params.group == "job":
        keys |= {str(job_id) for job_id in found.names}
    counts, times = _by_key(found.counts), _by_key(found.times or ())
    answer: FiguresItem = {
        "now_iso": iso(found.now),
        "start_iso": iso(query.start),
        "until_iso": iso(query.until),
        "bucket_ms": query.width / 1_000,
        "groups": [
            _series(key, query, counts.get(key, ()), times.get(key, ()), found)
            for key in sorted(keys)
        ],
        "last_hour": {**found.last_hour},
    }
    if found.times is not None:
        answer["is_sampled"] = found.is_sampled
    return answer


def _by_key(rows: Iterable[Any]) -> Mapping[str, Sequence[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.key].append(row)
    return found


def _series(
    key: str, query: FiguresQuery, counts: Sequence[Count], times: Sequence[Times], found: Figures
) -> Series:
    by_outcome: dict[str, list[int]] = {}
    totals: Counter[str] = Counter()
    for _, part, outcome, number in counts:
        by_outcome.setdefault(outcome, [0] * query.number)[part] += number
        totals[outcome] += number
    is_job = query.group == "job"
    series: Series = {
        "id": int(key) if is_job else None,
        "name": found.names.get(int(key), "") if is_job else key,
        "counts": by_outcome,
        "totals": {**totals},
    }
    if found.times is not None:
        parts = [(each.slot - query.start) // query.width for each in times]
        series["duration"] = _percentiles(query, parts, [each.took for each in times])
        series["lateness"] = _percentiles(query, parts, [each.delay for each in times])
    return series


def _percentiles(query: FiguresQuery, parts: Sequence[int], values: Sequence[int]) -> Percentiles:
    found: list[list[int]] = [[] for _ in range(query.number)]
    for part, value in zip(parts, values, strict=True):
        found[part].append(value)
    return {
        "p50_ms": [_ms(each, 0.5) for each in found],
        "p95_ms": [_ms(each, 0.95) for each in found],
    }


def _ms(values: Sequence[int], share: float) -> float | None:
    value = percentile(values, share)
    return None if value is None else value / 1_000
