"""What a machine asks of the server: is it well, is it ready, how much did it do."""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

from zato_lite.http.message import TEXT, Request, Response
from zato_lite.http.routes import Route
from zato_lite.service.message import Caller
from zato_lite.wire import encode

Readiness = Callable[[], Awaitable[Mapping[str, str]]]
"""Why work cannot be taken now: a reason for each part that is not ready; empty if all are."""

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Sample(NamedTuple):
    """A figure for ``/metrics``: ``kind`` is counter, gauge or histogram."""

    name: str
    kind: str
    text: str
    value: float
    labels: Mapping[str, str] = {}


Metrics = Callable[[], Awaitable[Iterable[Sample]]]
"""All that can be counted just now."""


def observe_routes(readiness: Readiness | None, metrics: Iterable[Metrics]) -> list[Route]:
    """``/healthz`` for anybody, ``/readyz`` for anybody, ``/metrics`` for viewers."""
    sources = tuple(metrics)

    async def healthz(request: Request, caller: Caller | None) -> Response:
        return Response(200, b"ok\n", TEXT)

    async def readyz(request: Request, caller: Caller | None) -> Response:
        reasons = dict(await readiness()) if readiness is not None else {}
        body = encode({"is_ready": not reasons, "reasons": reasons})
        return Response(503 if reasons else 200, body)

    async def tell(request: Request, caller: Caller | None) -> Response:
        samples = [sample for source in sources for sample in await source()]
        return Response(200, exposition(samples).encode(), METRICS_TYPE)

    return [
        Route(("GET",), "/healthz", healthz, role=None),
        Route(("GET",), "/readyz", readyz, role=None),
        Route(("GET",), "/metrics", tell),
    ]


def exposition(samples: Iterable[Sample]) -> str:
    """The samples in the text format of Prometheus, those of one name together."""
    families: dict[str, list[Sample]] = {}
    for sample in samples:
        families.setdefault(_family(sample), []).append(sample)
    lines = []
    for name, found in families.items():
        lines += [f"# HELP {name} {found[0].text}", f"# TYPE {name} {found[0].kind}"]
        lines += [_line(sample) for sample in found]
    return "\n".join(lines) + "\n" if lines else ""


QUICK_S = BUCKETS_S[0]
"""Up to so many seconds an invocation is quick."""


class Latency:
    """How long invocations over HTTP took, and with which status they were answered.

    Attributes:
        quick: how many took up to ``QUICK_S`` and were answered 200; nearly all, so that whoever
            answers counts them here by itself. seconds: how long all took together.
    """

    __slots__ = ("_counts", "_statuses", "quick", "seconds")

    def __init__(self) -> None:
        self.quick = 0
        self.seconds = 0.0
        self._counts = [0] * (len(BUCKETS_S) + 1)
        self._statuses = [0] * _STATUSES

    def add(self, status: int, seconds: float) -> None:
        """Count one."""
        self.seconds += seconds
        self._statuses[status] += 1
        self._counts[bisect_left(BUCKETS_S, seconds)] += 1

    async def samples(self) -> Iterable[Sample]:
        """The figures."""
        name, text = "zato_lite_http_invocation_seconds", "How long invocations over HTTP took."
        below, found = 0, []
        counts = [self._counts[0] + self.quick, *self._counts[1:]]
        for edge, count in zip((*BUCKETS_S, "+Inf"), counts, strict=True):
            below += count
            found.append(Sample(f"{name}_bucket", "histogram", text, below, {"le": str(edge)}))
        found.append(Sample(f"{name}_sum", "histogram", text, self.seconds))
        found.append(Sample(f"{name}_count", "histogram", text, below))
        told = "Invocations over HTTP by the status of their answer."
        found += [
            Sample("zato_lite_http_invocations_total", "counter", told, n, {"status": str(status)})
            for status, count in enumerate(self._statuses)
            if (n := count + self.quick * (status == _OK))
        ]
        return found


_STATUSES = 600
"""Statuses are below this."""

_OK = 200


def _family(sample: Sample) -> str:
    if sample.kind != "histogram":
        return sample.name
    return sample.name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")


def _line(sample: Sample) -> str:
    labels = ",".join(f'{name}="{_escaped(text)}"' for name, text in sample.labels.items())
    value = f"{sample.value:.10g}" if sample.value != int(sample.value) else str(int(sample.value))
    return f"{sample.name}{{{labels}}} {value}" if labels else f"{sample.name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
