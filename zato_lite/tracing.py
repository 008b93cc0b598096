"""Tracing: a span for each invocation. Only importer of OpenTelemetry.

Imported only if ``[observe] otel`` is on; without it, invocations have no overhead.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import entry_points, version
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import propagate, trace
from opentelemetry.sdk.environment_variables import OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.semconv.attributes.client_attributes import CLIENT_ADDRESS
from opentelemetry.semconv.attributes.code_attributes import CODE_FUNCTION_NAME
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_METHOD,
    HTTP_RESPONSE_STATUS_CODE,
    HTTP_ROUTE,
)
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS
from opentelemetry.semconv.attributes.url_attributes import URL_PATH, URL_SCHEME
from opentelemetry.semconv.attributes.user_agent_attributes import USER_AGENT_ORIGINAL
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from zato_lite.errors import ConfigError
from zato_lite.http.responses import status_of
from zato_lite.outgoing.http import RestRequest, Traced
from zato_lite.service.base import Service
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import HttpContext, Invocation, JobContext, Outcome, outcome_of
from zato_lite.service.naming import name_of

CID = "zato.cid"
SERVICE = "zato.service"
CHANNEL = "zato.channel"
CONNECTION = "zato.connection"
_EXPORTERS = "opentelemetry_traces_exporter"
_FLUSH_TIMEOUT_MS = 5_000
"""Milliseconds that the last spans may take to be exported at the end."""

_MIN_FAULT = 500
"""Least HTTP status that marks a span as failed; below, the error is the caller's."""

_MIN_CLIENT_FAULT = 400
"""Least HTTP status of another server that marks the span of a request as failed."""

Attributes = dict[str, str | int]


def traced_requests(tracer: Tracer) -> Traced:
    """Return what opens a span for each request of an outgoing HTTP connection."""

    @contextmanager
    def traced(request: RestRequest, connection: str) -> Iterator[Callable[[int], None]]:
        url = urlsplit(request.url)
        attributes: Attributes = {
            HTTP_REQUEST_METHOD: request.method,
            URL_PATH: url.path or "/",
            SERVER_ADDRESS: url.hostname or "",
            CONNECTION: connection,
            CID: request.cid,
        }
        name = f"{request.method} {connection}"
        with tracer.start_as_current_span(
            name, None, SpanKind.CLIENT, attributes,
            record_exception=False, set_status_on_exception=False,
        ) as span:  # fmt: skip
            propagate.inject(request.headers)

            def answered(status: int) -> None:
                span.set_attribute(HTTP_RESPONSE_STATUS_CODE, status)
                if status >= _MIN_CLIENT_FAULT:
                    span.set_attribute(ERROR_TYPE, str(status))
                    span.set_status(StatusCode.ERROR)

            try:
                yield answered
            except BaseException as error:
                _fail(span, error)
                raise

    return traced


class TracedInvoker(Invoker):
    """Invoker with a span around each invocation, from outside and from other services.

    Spans that a service creates are inside the span of its invocation. An HTTP request continues
    the trace of its ``traceparent``.
    """

    def __init__(self, tracer: Tracer, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._tracer = tracer
        self.connections.traced = traced_requests(tracer)

    def begin(self, invocation: Invocation, now: float) -> Coroutine[Any, Any, Outcome]:
        """Invoke a service from outside in a new span; the result is always an awaitable."""
        return self._begin_in_span(invocation, now)

    async def _begin_in_span(self, invocation: Invocation, now: float) -> Outcome:
        http, job = invocation.http, invocation.job
        name, kind = invocation.service, SpanKind.INTERNAL
        attributes = {**self._attributes_of(name), CHANNEL: invocation.channel}
        context = None
        if http is not None:
            name, kind = f"{http.method} {http.route or http.path}", SpanKind.SERVER
            attributes |= _of_request(http)
            context = propagate.extract(http.headers)
        elif job is not None:
            attributes |= _of_job(job)
        with self._tracer.start_as_current_span(
            name, context, kind, attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                outcome = await outcome_of(invocation.cid, super().begin(invocation, now))
            except BaseException as error:
                _fail(span, error)
                raise
            span.set_attribute(CID, outcome.cid)
            if http is None:
                if outcome.error is not None:
                    _fail(span, outcome.error)
                return outcome
            status = status_of(outcome)
            span.set_attribute(HTTP_RESPONSE_STATUS_CODE, status)
            if outcome.error is not None:
                _fail(span, outcome.error, is_fault=status >= _MIN_FAULT)
            elif status >= _MIN_FAULT:
                span.set_attribute(ERROR_TYPE, str(status))
                span.set_status(StatusCode.ERROR)
            return outcome

    async def call(
        self,
        parent: Service[Any, Any],
        target: str | type[Service[Any, Any]],
        payload: Any,
        timeout: float | None,  # noqa: ASYNC109 - passed on
    ) -> Any:
        """Invoke a service on behalf of another one, in a span within the other's."""
        name = name_of(target)
        attributes = {**self._attributes_of(name), CHANNEL: "invoke", CID: parent.cid}
        with self._tracer.start_as_current_span(
            name, None, SpanKind.INTERNAL, attributes,
            record_exception=False, set_status_on_exception=False,
        ) as span:  # fmt: skip
            try:
                return await super().call(parent, target, payload, timeout)
            except BaseException as error:
                _fail(span, error)
                raise

    def _attributes_of(self, service: str) -> Attributes:
        entry = self.registry.entries.get(service)
        if entry is None:
            return {SERVICE: service}
        code = f"{entry.cls.__module__}.{entry.cls.__qualname__}.handle"
        return {SERVICE: service, CODE_FUNCTION_NAME: code}


@asynccontextmanager
async def tracing(environ: Mapping[str, str] = os.environ) -> AsyncIterator[Tracer]:
    """Open a tracer of the process's provider, or of a new one that ``OTEL_*`` configures.

    A provider exists already if the server runs under ``opentelemetry-instrument`` or user code
    created one. Remaining spans are exported at the end, within some seconds.

    Raises:
        ConfigError: an exporter is not installed.
    """
    provider: trace.TracerProvider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        provider = _provider(environ)
        trace.set_tracer_provider(provider)
    try:
        yield provider.get_tracer("zato_lite", version("zato-lite"))
    finally:
        if isinstance(provider, TracerProvider):
            await asyncio.to_thread(provider.force_flush, _FLUSH_TIMEOUT_MS)


def _provider(environ: Mapping[str, str]) -> TracerProvider:
    """Create a provider with the exporters of ``OTEL_TRACES_EXPORTER``.

    The SDK reads the other variables.
    """
    is_named = OTEL_SERVICE_NAME in environ or "service.name=" in environ.get(
        OTEL_RESOURCE_ATTRIBUTES, ""
    )
    resource = Resource.create({} if is_named else {"service.name": "zato-lite"})
    provider = TracerProvider(resource=resource)
    for name in environ.get("OTEL_TRACES_EXPORTER", "otlp").split(","):
        if (wanted := name.strip()) not in {"", "none"}:
            provider.add_span_processor(BatchSpanProcessor(_exporter(wanted, environ)))
    return provider


def _exporter(name: str, environ: Mapping[str, str]) -> Any:
    if name == "otlp":
        protocol = environ.get(
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        )
        name = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    installed = {entry.name: entry for entry in entry_points(group=_EXPORTERS)}
    if name not in installed:
        known = ", ".join(sorted(installed)) or "none"
        raise ConfigError(f"OTEL_TRACES_EXPORTER: {name!r} is not installed; available: {known}")
    return installed[name].load()()


def _of_request(http: HttpContext) -> Attributes:
    found: Attributes = {
        HTTP_REQUEST_METHOD: http.method,
        HTTP_ROUTE: http.route or http.path,
        URL_PATH: http.path,
        URL_SCHEME: "https" if http.is_secure else "http",
        CLIENT_ADDRESS: http.remote_address,
    }
    if agent := http.headers.get("user-agent"):
        found[USER_AGENT_ORIGINAL] = agent
    return found


def _of_job(job: JobContext) -> Attributes:
    return {
        "zato.job.id": job.id,
        "zato.job.name": job.name,
        "zato.job.run": job.run,
        "zato.job.attempt": job.attempt,
        "zato.job.slot": job.slot.isoformat(),
    }


def _fail(span: Span, error: BaseException, *, is_fault: bool = True) -> None:
    """Record an error on a span; a caller's error does not mark the span as failed."""
    span.record_exception(error)
    kind = type(error)
    span.set_attribute(ERROR_TYPE, f"{kind.__module__}.{kind.__qualname__}")
    if is_fault:
        span.set_status(StatusCode.ERROR, str(error))
