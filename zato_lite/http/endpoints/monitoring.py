"""``/healthz``, ``/readyz`` and ``/metrics``: the state of the server for machines."""

from collections.abc import Awaitable, Callable, Mapping

from zato_lite.errors import ForbiddenError
from zato_lite.http.message import TEXT, Request, Response
from zato_lite.http.metrics import LatencyRecorder
from zato_lite.http.routes import Route
from zato_lite.redaction import without_secrets
from zato_lite.service.message import Caller
from zato_lite.wire import encode

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Readiness = Callable[[], Awaitable[Mapping[str, str]]]
"""Returns a reason for each part that cannot take work now; empty if all can."""

RenderMetrics = Callable[[LatencyRecorder], Awaitable[bytes]]
"""Returns the body of ``/metrics``."""


def monitoring_routes(
    readiness: Readiness | None,
    latency: LatencyRecorder,
    render: RenderMetrics | None,
    warnings: Callable[[], Mapping[str, str]] = dict,
) -> list[Route]:
    """Return ``/healthz`` and ``/readyz``, open to all callers, and ``/metrics`` for viewers."""

    async def healthz(request: Request, caller: Caller | None) -> Response:
        return Response(200, b"ok\n", TEXT)

    async def readyz(request: Request, caller: Caller | None) -> Response:
        reasons = await readiness() if readiness is not None else {}
        found = {"is_ready": not reasons, "reasons": without_secrets(reasons)}
        if notes := warnings():
            found["warnings"] = without_secrets(notes)
        body = encode(found)  # strangers read it
        return Response(503 if reasons else 200, body)

    async def metrics(request: Request, caller: Caller | None) -> Response:
        if caller is not None and caller.patterns:
            who = f"{caller.kind} {caller.shown!r}"
            text = f"{who} has patterns; the metrics are those of all services"
            raise ForbiddenError(text)
        body = b"" if render is None else await render(latency)
        return Response(200, body, METRICS_TYPE)

    return [
        Route(("GET",), "/healthz", healthz, role=None),
        Route(("GET",), "/readyz", readyz, role=None),
        Route(("GET",), "/metrics", metrics),
    ]
