"""Metrics of one process and their sums over workers. Only importer of prometheus_client."""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from zato_lite import config
from zato_lite.clock import Clock
from zato_lite.http.metrics import BUCKETS_S, LatencyRecorder
from zato_lite.outgoing.connections import Connections
from zato_lite.outgoing.figures import EDGES_S as OUTGOING_EDGES_S
from zato_lite.scheduler.history import RunHistory
from zato_lite.scheduler.metrics import EDGES_S, RunMetrics
from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.service.invoker import Invoker
from zato_lite.service.registry import Registry
from zato_lite.store.health import BUCKETS_S as COMMIT_BUCKETS_S
from zato_lite.store.health import Commits
from zato_lite.store.rows import RunRow, Summary

MAX_SUMMARY_AGE_S = 5.0
"""Seconds for which figures read from the store are reused by later scrapes."""

MIN_CLOCK_JUMP_S = 1.0
"""Seconds by which wall time must leave monotonic time to count as a clock jump."""

SAVE_INTERVAL_S = 1.0
"""Seconds by which the figures of another worker may lag behind in a scrape."""

_QUANTILES = (0.5, 0.99)
_CUMULATIVE = frozenset({"counter", "histogram"})
_MAXIMA = frozenset(
    {
        "zato_lite_loop_lag_seconds",
        "zato_lite_store_commit_p95_seconds",
        "zato_scheduler_uptime_seconds",
    }
)
"""Gauges of which workers show the largest value; other gauges are summed."""


class Sources(NamedTuple):
    """Objects whose figures are exposed.

    Attributes:
        queued: returns the numbers of writes and reads that wait for the store.
        lag: returns the longest delay of the event loop within the last minute, in seconds.
        restarts: returns how often the server restarted itself within this process.
        commits: returns figures of the store's commits; None without a store.
    """

    history: RunHistory
    scheduler: Scheduler
    invoker: Invoker
    clock: Clock
    queued: Callable[[], tuple[int, int]]
    lag: Callable[[], float]
    restarts: Callable[[], int] = int
    commits: Callable[[], Commits] | None = None


class Exposition:
    """Answer of ``/metrics``: figures of this process, or sums over all workers."""

    def __init__(self, sources: Sources, file: "WorkerFile | None" = None) -> None:
        self._sources, self._file = sources, file
        self._started_at = sources.clock.monotonic()
        self._jumps = ClockJumps(sources.clock)
        self._summary: tuple[float, Summary] | None = None

    @property
    def is_shared(self) -> bool:
        """True if other workers answer scrapes too."""
        return self._file is not None

    async def render(self, latency: LatencyRecorder) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        families = self.collect(latency)
        if self._file is not None:
            families = self._file.merge(families, self._sources.restarts())
        # Every worker reads the same store: these are not summed.
        return rendered([*_of_summary(await self._recent_summary()), *families])

    def collect(self, latency: LatencyRecorder) -> list[Metric]:
        """Return the metrics of this process."""
        sources = self._sources
        uptime = sources.clock.monotonic() - self._started_at
        return [
            *_of_scheduler(sources.scheduler, uptime, self._jumps.count()),
            *_of_runs(sources.scheduler.metrics),
            *_of_services(sources.invoker.registry),
            *of_http(latency),
            *_of_outgoing(sources.invoker.connections),
            *_of_server(sources, self._restarts()),
            *(() if sources.commits is None else _of_commits(sources.commits())),
        ]

    def _restarts(self) -> int:
        counted = 0 if self._file is None else self._file.counted_restarts
        return self._sources.restarts() - counted

    async def save_repeatedly(self, latency: LatencyRecorder) -> None:
        """Write this worker's snapshot once a second, for scrapes that another worker answers."""
        while self._file is not None:
            self._file.save(self.collect(latency), self._sources.restarts())
            await asyncio.sleep(SAVE_INTERVAL_S)

    async def _recent_summary(self) -> Summary:
        now = self._sources.clock.monotonic()
        if self._summary is None or self._summary[0] < now - MAX_SUMMARY_AGE_S:
            self._summary = (now, await self._sources.history.summary(buckets=1))
        return self._summary[1]


def rendered(families: Iterable[Metric]) -> bytes:
    """Return metric families in the text format of Prometheus."""
    registry = CollectorRegistry()
    registry.register(_Families(families))
    return generate_latest(registry)


class _Families(Collector):
    """Collector of families that are computed already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Return the families."""
        return self._families


class ClockJumps:
    """Counter of the times that wall time left monotonic time between two scrapes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._count = 0
        self._offset = self._current_offset()

    def count(self) -> int:
        """Return the number of jumps so far."""
        before, self._offset = self._offset, self._current_offset()
        self._count += abs(self._offset - before) > MIN_CLOCK_JUMP_S
        return self._count

    def _current_offset(self) -> float:
        return self._clock.now() / 1e6 - self._clock.monotonic()


# Sums over workers


class Family(msgspec.Struct, array_like=True):
    """Metric family in a snapshot."""

    name: str
    kind: str
    text: str
    samples: list[tuple[str, dict[str, str], float]]


class Snapshot(msgspec.Struct):
    """Metrics of one worker, with those of the dead workers whose place it took.

    Attributes:
        pid: of the worker; its gauges count while it lives.
        restarts: of the server within this process, which ``families`` include.
    """

    pid: int
    families: list[Family]
    restarts: int = 0


class WorkerFile:
    """Snapshot file of one worker, beside those of the other workers in a folder.

    A worker that replaces a dead one is given its file and adds the counters found there to its
    own. So a counter that a scrape has shown never decreases, whichever worker is killed.

    Attributes:
        counted_restarts: restarts within this process that the inherited counters include.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        snapshot = _read(path)
        self._inherited = _cumulative(snapshot)
        # The process, with its count of restarts, outlives a restart of its server.
        is_own = snapshot is not None and snapshot.pid == os.getpid()
        self.counted_restarts = snapshot.restarts if snapshot is not None and is_own else 0

    def save(self, families: Iterable[Metric], restarts: int = 0) -> list[Family]:
        """Write the snapshot and return its families, inherited counters included."""
        own = _added([*map(_family_of, families), *self._inherited])
        beside = self._path.with_suffix(".new")
        beside.write_bytes(msgspec.json.encode(Snapshot(os.getpid(), own, restarts)))
        beside.replace(self._path)  # another worker reads the old or the new file, never a part
        return own

    def merge(self, families: Iterable[Metric], restarts: int = 0) -> list[Metric]:
        """Save these metrics of this worker and return the sums over all workers."""
        found = self.save(families, restarts)  # before the answer: what a scrape shows is on disk
        for path in sorted(self._path.parent.glob("*.json")):
            if path != self._path and (snapshot := _read(path)) is not None:
                found += snapshot.families if _is_alive(snapshot.pid) else _cumulative(snapshot)
        return [_metric_of(family) for family in _added(found)]


def worker_file(environ: Mapping[str, str]) -> WorkerFile | None:
    """Return the snapshot file that the supervisor assigned to this worker, if any."""
    path = environ.get(config.METRICS_FILE)
    return WorkerFile(Path(path)) if path else None


def _added(families: Iterable[Family]) -> list[Family]:
    """Combine families of the same name, sample by sample."""
    firsts: dict[str, Family] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for family in families:
        firsts.setdefault(family.name, family)
        sums = values.setdefault(family.name, {})
        for name, labels, value in family.samples:
            key = (name, tuple(labels.items()))
            before = sums.get(key, 0.0)
            sums[key] = max(before, value) if family.name in _MAXIMA else before + value
    return [
        msgspec.structs.replace(
            first, samples=[(name, dict(labels), v) for (name, labels), v in values[key].items()]
        )
        for key, first in firsts.items()
    ]


def _read(path: Path) -> Snapshot | None:
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(path.read_bytes(), type=Snapshot)
    return None


def _cumulative(snapshot: Snapshot | None) -> list[Family]:
    families = () if snapshot is None else snapshot.families
    return [family for family in families if family.kind in _CUMULATIVE]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _family_of(metric: Metric) -> Family:
    samples = [(found.name, found.labels, found.value) for found in metric.samples]
    return Family(metric.name, metric.type, metric.documentation, samples)


def _metric_of(family: Family) -> Metric:
    metric = Metric(family.name, family.text, family.kind)
    for name, labels, value in family.samples:
        metric.add_sample(name, labels, value)
    return metric


# Figures of this process


def _of_scheduler(scheduler: Scheduler, uptime: float, jumps: int) -> Iterator[Metric]:
    gauge, counter = GaugeMetricFamily, CounterMetricFamily
    in_flight = scheduler.in_flight
    yield gauge("zato_scheduler_in_flight", "Runs in flight.", in_flight)
    yield gauge("zato_scheduler_jobs_in_flight", "Runs in flight, by Zato's name.", in_flight)
    yield gauge("zato_scheduler_uptime_seconds", "Seconds since the server started.", uptime)
    metrics = scheduler.metrics
    yield counter("zato_scheduler_ticks_total", "Searches for due slots.", metrics.claims)
    text = "Results refused because another node had taken the run over."
    yield counter("zato_scheduler_late_results_refused_total", text, metrics.refused_results)
    text = "Times that the wall clock was found set by more than a second."
    yield counter("zato_scheduler_clock_jumps_total", text, jumps)


def _of_runs(runs: RunMetrics) -> Iterator[Metric]:
    text = "Attempts by job and outcome; jobs beyond the first 200 together."
    ended = CounterMetricFamily(
        "zato_scheduler_executions_total", text, labels=("job_name", "outcome")
    )
    text = "Duration of attempts in seconds."
    took = HistogramMetricFamily(
        "zato_scheduler_execution_duration_seconds", text, labels=["job_name"]
    )
    for name, job in runs.jobs.items():
        for outcome, number in job.outcomes.items():
            ended.add_metric([name, outcome], number)
        took.add_metric([name], _buckets(EDGES_S, job.below), job.microseconds / 1e6)
    yield ended
    yield took


def _of_services(registry: Registry) -> Iterator[Metric]:
    texts = {
        "invocations": "Invocations.",
        "errors": "Invocations that ended with an error.",
        "seconds": "Total duration of invocations in seconds.",
    }
    families = {
        name: CounterMetricFamily(f"zato_lite_service_{name}_total", text, labels=["service"])
        for name, text in texts.items()
    }
    for entry in registry:
        if entry.calls:
            families["invocations"].add_metric([entry.name], entry.calls)
            families["errors"].add_metric([entry.name], entry.errors)
            families["seconds"].add_metric([entry.name], entry.seconds)
    yield from families.values()


def of_http(latency: LatencyRecorder) -> Iterator[Metric]:
    """Yield the metrics of invocations over HTTP."""
    text = "Duration of invocations over HTTP in seconds."
    took = HistogramMetricFamily("zato_lite_http_invocation_seconds", text)
    took.add_metric([], _buckets(BUCKETS_S, latency.counts()), latency.seconds)
    yield took
    text = "Invocations over HTTP by response status."
    by_status = CounterMetricFamily("zato_lite_http_invocations_total", text, labels=["status"])
    for status, count in latency.statuses():
        by_status.add_metric([str(status)], count)
    yield by_status


def _of_outgoing(connections: Connections) -> Iterator[Metric]:
    labels = ["kind", "connection"]
    text = "Duration of calls of outgoing connections in seconds, with retries."
    took = HistogramMetricFamily("zato_lite_outgoing_seconds", text, labels=labels)
    text = "Calls of outgoing connections by result: a status, ok, error, timeout or cancelled."
    calls = CounterMetricFamily("zato_lite_outgoing_total", text, labels=[*labels, "result"])
    for (kind, name), figures in connections.figures.items():
        took.add_metric([kind, name], _buckets(OUTGOING_EDGES_S, figures.counts), figures.seconds)
        for result, count in figures.results.items():
            calls.add_metric([kind, name, str(result)], count)
    if connections.figures:
        yield took
        yield calls


def _of_server(sources: Sources, restarts: int) -> Iterator[Metric]:
    pool = sources.invoker.pool
    waiting = GaugeMetricFamily(
        "zato_lite_store_queue", "Operations that wait for the store.", labels=["kind"]
    )
    for kind, number in zip(("write", "read"), sources.queued(), strict=True):
        waiting.add_metric([kind], number)
    yield waiting
    gauges = {
        "threads_limit": ("Maximum of blocking services that run at the same time.", pool.limit),
        "threads_busy": ("Threads that run blocking services.", pool.busy),
        "threads_waiting": ("Blocking services that wait for a thread.", pool.waiting),
        "threads_abandoned": ("Threads that still run after their timeout.", pool.abandoned),
        "loop_lag_seconds": ("Longest delay of the loop in the last minute.", sources.lag()),
    }
    for name, (text, value) in gauges.items():
        yield GaugeMetricFamily(f"zato_lite_{name}", text, value)
    text = "Restarts of the server after a service ended its main task."
    yield CounterMetricFamily("zato_lite_restarts_total", text, restarts)


def _of_commits(commits: Commits) -> Iterator[Metric]:
    text = "Duration of the store's commits in seconds."
    took = HistogramMetricFamily("zato_lite_store_commit_seconds", text)
    took.add_metric([], _buckets(COMMIT_BUCKETS_S, commits.counts), commits.seconds)
    yield took
    text = "95th percentile of commits within the last 10 s, in seconds; slow from 0.25 on."
    yield GaugeMetricFamily("zato_lite_store_commit_p95_seconds", text, commits.p95)


# Figures of the store, the same for every worker


def _of_summary(summary: Summary) -> Iterator[Metric]:
    yield GaugeMetricFamily("zato_scheduler_jobs_total", "Jobs.", summary.total_jobs)
    yield GaugeMetricFamily("zato_scheduler_jobs_active", "Active jobs.", summary.active_jobs)
    states = {"active": summary.active_jobs, "paused": summary.paused_jobs}
    yield _labelled("zato_scheduler_jobs", "Jobs by state.", "state", states)
    text = "Slots in history by outcome, with and without a run."
    yield _labelled("zato_scheduler_slots", text, "outcome", summary.outcomes)
    text = "Runs that ended within the last hour, by outcome."
    yield _labelled("zato_scheduler_last_hour", text, "outcome", summary.last_hour)
    late = _lateness(summary.recent)
    values = {
        str(quantile): late[min(int(quantile * len(late)), len(late) - 1)]
        for quantile in (_QUANTILES if late else ())
    }
    text = "Start delay of the latest hundred scheduled runs in seconds."
    yield _labelled("zato_scheduler_lateness_seconds", text, "quantile", values)


def _labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family


def _buckets(edges: Sequence[float], counts: Iterable[int]) -> list[tuple[str, float]]:
    """Return cumulative buckets, as Prometheus has them, from a count between edges each."""
    below, found = 0, []
    for edge, count in zip((*edges, "+Inf"), counts, strict=True):
        below += count
        found.append((str(edge), float(below)))
    return found


def _lateness(runs: Iterable[RunRow]) -> list[float]:
    return sorted(
        (run.started_at - run.slot) / 1e6
        for run in runs
        if run.kind == "scheduled" and run.started_at is not None
    )
