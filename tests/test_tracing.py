import asyncio
import dataclasses
import http.client
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.faults.process import Server as Process
from zato_lite.clock import SystemClock
from zato_lite.config import Observe, Server, Settings, Store
from zato_lite.errors import BadInputError, ConfigError
from zato_lite.outgoing.http import RestRequest, RestResponse
from zato_lite.server import open_server
from zato_lite.service.base import Service
from zato_lite.service.blocking import BlockingService
from zato_lite.service.invoker import Invoker
from zato_lite.testing.app import Sandbox, sandbox
from zato_lite.tracing import TracedInvoker, _provider, tracing

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
SETTINGS = Settings(
    store=Store("sqlite:///:memory:"), server=Server(grace=0.0, port=0), observe=Observe(otel=True)
)


class Outer(Service[Any, Any]):
    """Makes a span of its own, and invokes another service within it."""

    name = "crm.outer"
    rest = "GET /customers/{id}"

    async def handle(self) -> None:
        with trace.get_tracer("the user's").start_as_current_span("mine"):
            await asyncio.sleep(0)
            await self.invoke(Inner)
        self.response.payload = {}


class Inner(BlockingService):
    """Runs in a thread, and invokes one more from there."""

    name = "crm.inner"

    def handle(self) -> Any:
        with trace.get_tracer("the user's").start_as_current_span("in the thread"):
            return self.invoke("crm.innermost")


class Innermost(Service[Any, Any]):
    name = "crm.innermost"

    async def handle(self) -> None:
        self.response.payload = 7


class Fails(Service[Any, Any]):
    name = "crm.fails"

    async def handle(self) -> None:
        match self.request.payload:
            case "input":
                raise BadInputError("not this")
            case "status":
                self.response.status_code = 503
            case "inside":
                await self.invoke(Broken)
            case _:
                raise ValueError("broken")


class Broken(Service[Any, Any]):
    name = "crm.broken"

    async def handle(self) -> None:
        raise ValueError("broken inside")


@pytest.fixture(scope="module")
def memory() -> InMemorySpanExporter:
    """Where the spans of this process go: a provider can be set but once."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
async def it(memory: InMemorySpanExporter) -> AsyncIterator[Sandbox]:
    services = (Outer, Inner, Innermost, Fails, Broken)
    async with sandbox(*services, settings=SETTINGS) as opened:
        memory.clear()
        yield opened


def spans(memory: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    """The spans that have ended, by name."""
    return {span.name: span for span in memory.get_finished_spans()}


def told(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def parents(found: dict[str, ReadableSpan]) -> dict[str, str | None]:
    """Each span's name, and the name of the one that it is in."""
    names = {span.context.span_id: name for name, span in found.items() if span.context}
    return {
        name: names.get(span.parent.span_id, "elsewhere") if span.parent else None
        for name, span in found.items()
    }


async def ask(it: Sandbox, method: str, path: str, body: str = "", **headers: str) -> Any:
    """Ask a server of the app; the status and the cid that it answered with."""
    fields = {"Authorization": "Basic " + b64encode(b"admin.invoke:secret").decode(), **headers}
    app = dataclasses.replace(it.app, clock=SystemClock())

    def speak(port: int) -> tuple[int, str | None]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request(method, path, body, fields)
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.headers["X-Zato-CID"]
        finally:
            connection.close()

    async with open_server(app, {"ZATO_LITE_ADMIN_PASSWORD": "secret"}) as server:
        return await asyncio.to_thread(speak, server.port)


async def test_a_request_continues_its_callers_trace_down_to_the_innermost_service(
    it: Sandbox, memory: InMemorySpanExporter
) -> None:
    status, cid = await ask(it, "GET", "/customers/7", traceparent=f"00-{TRACE}-{PARENT}-01")

    found = spans(memory)
    request = found["GET /customers/{id}"]
    assert status == 200
    assert parents(found) == {
        "GET /customers/{id}": "elsewhere",
        "mine": "GET /customers/{id}",
        "crm.inner": "mine",
        "in the thread": "crm.inner",
        "crm.innermost": "in the thread",
    }
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == PARENT
    assert {f"{s.context.trace_id:032x}" for s in found.values() if s.context} == {TRACE}
    assert request.kind is trace.SpanKind.SERVER
    attributes = told(request)
    assert attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/customers/{id}",
        "url.path": "/customers/7",
        "url.scheme": "http",
        "client.address": "127.0.0.1",
        "code.function.name": f"{__name__}.Outer.handle",
        "zato.service": "crm.outer",
        "zato.channel": "http",
        "zato.cid": cid,
    }
    assert told(found["crm.innermost"])["zato.cid"] == cid


async def test_a_request_without_a_trace_starts_a_trace(
    it: Sandbox, memory: InMemorySpanExporter
) -> None:
    for number in range(2):
        await ask(it, "POST", "/zato/api/invoke/crm.innermost", traceparent="nonsense")
        assert len(memory.get_finished_spans()) == number + 1

    one, other = memory.get_finished_spans()
    assert one.name == "POST /zato/api/invoke/crm.innermost"
    assert one.parent is None
    assert one.context is not None
    assert other.context is not None
    assert one.context.trace_id != other.context.trace_id


@pytest.mark.parametrize(
    ("payload", "status", "kind"),
    [
        ('"broken"', 500, "builtins.ValueError"),
        ('"input"', 400, "zato_lite.errors.BadInputError"),
        ('"status"', 503, "503"),
    ],
)
async def test_an_error_is_recorded_on_the_span(
    it: Sandbox, memory: InMemorySpanExporter, payload: str, status: int, kind: str
) -> None:
    await ask(it, "POST", "/zato/api/invoke/crm.fails", payload)

    (span,) = memory.get_finished_spans()
    assert told(span)["http.response.status_code"] == status
    assert told(span)["error.type"] == kind
    assert (span.status.status_code is trace.StatusCode.ERROR) is (status >= 500)
    assert [event.name for event in span.events] == ([] if kind == "503" else ["exception"])


async def test_an_inner_error_is_recorded_on_each_span_that_it_passes(
    it: Sandbox, memory: InMemorySpanExporter
) -> None:
    with pytest.raises(ValueError, match="broken inside"):
        await it.invoke("crm.fails", "inside")

    found = spans(memory)
    assert parents(found) == {"crm.broken": "crm.fails", "crm.fails": None}
    for span in found.values():
        assert span.kind is trace.SpanKind.INTERNAL
        assert span.status.status_code is trace.StatusCode.ERROR
        assert span.status.description == "broken inside"
        assert told(span)["error.type"] == "builtins.ValueError"


async def test_each_run_of_a_job_is_a_trace_that_names_job_run_and_slot(
    it: Sandbox, memory: InMemorySpanExporter
) -> None:
    job = {
        "name": "often",
        "service": "crm.inner",
        "job_type": "interval_based",
        "start_date": "2020-01-01",
        "seconds": 1,
    }
    job_id = (await it.invoke("zato.scheduler.job.create", job))["id"]
    memory.clear()

    await it.advance(seconds=2)

    runs = [span for span in memory.get_finished_spans() if span.name == "crm.inner"]
    assert [told(span)["zato.job.run"] for span in runs] == [1, 2]
    assert len({span.context.trace_id for span in runs if span.context}) == 2
    assert (
        told(runs[0]).items()
        >= {
            "zato.channel": "scheduler",
            "zato.job.id": job_id,
            "zato.job.name": "often",
            "zato.job.attempt": 1,
        }.items()
    )
    assert told(runs[0])["zato.job.slot"].endswith("+00:00")
    assert all(span.parent is None for span in runs)


async def test_an_unknown_service_and_a_cancelled_one_are_spans_too(
    it: Sandbox, memory: InMemorySpanExporter
) -> None:
    class Stays(Service[Any, Any]):
        name = "crm.stays"

        async def handle(self) -> None:
            await asyncio.Event().wait()

    it.app.registry.add(Stays)
    staying = asyncio.ensure_future(it.invoke("crm.stays"))
    await asyncio.sleep(0)
    staying.cancel()
    await asyncio.wait([staying])
    with pytest.raises(Exception, match="nothing"):
        await it.invoke("nothing.there")

    assert [
        told(span)["error.type"].rpartition(".")[2] for span in memory.get_finished_spans()
    ] == [
        "CancelledError",
        "ServiceMissingError",
    ]


@pytest.mark.e2e
async def test_opentelemetry_is_not_imported_unless_it_is_enabled() -> None:
    async with sandbox() as plain:
        assert type(plain.app.invoker) is Invoker

    script = "import zato_lite.server, zato_lite.cli.main, sys; print(*sys.modules)"
    loaded = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], capture_output=True, check=True
    )
    assert b"zato_lite.service.invoker" in loaded.stdout
    assert b"opentelemetry" not in loaded.stdout


async def test_an_existing_provider_is_used(it: Sandbox, memory: InMemorySpanExporter) -> None:
    assert isinstance(it.app.invoker, TracedInvoker)
    async with tracing({"OTEL_TRACES_EXPORTER": "nonsense"}) as tracer:
        tracer.start_span("here").end()

    assert [span.name for span in memory.get_finished_spans()] == ["here"]


def test_an_exporter_that_is_not_installed_is_refused_with_the_available_ones() -> None:
    with pytest.raises(ConfigError, match=r"'otlp_proto_grpc' is not installed; available: con"):
        _provider({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})


@pytest.mark.parametrize(
    ("environ", "name"),
    [({}, "zato-lite"), ({"OTEL_SERVICE_NAME": "shop"}, "shop"),
     ({"OTEL_RESOURCE_ATTRIBUTES": "a=b,service.name=till"}, "till")],
)  # fmt: skip
def test_the_environment_sets_the_name_of_the_server(
    environ: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)

    provider = _provider({**environ, "OTEL_TRACES_EXPORTER": "none"})

    assert provider.resource.attributes["service.name"] == name


class Collector(ThreadingHTTPServer):
    """Takes what an OTLP exporter sends."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[tuple[str, bytes]] = []


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        cast("Collector", self.server).bodies.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.e2e
def test_a_server_exports_its_traces_to_the_endpoint_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collector: Collector
) -> None:
    monkeypatch.setenv("ZATO_LITE_OBSERVE__OTEL", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
    server = Process(tmp_path)
    server.start()
    try:
        server.invoke("demo.echo", {"a": 1})
        assert not collector.bodies
    finally:
        server.stop()

    assert {path for path, _ in collector.bodies} == {"/v1/traces"}
    sent = b"".join(body for _, body in collector.bodies)
    assert b"POST /zato/api/invoke/demo.echo" in sent
    assert b"zato-lite" in sent


async def test_an_outgoing_request_is_a_span_and_carries_the_trace(
    memory: InMemorySpanExporter,
) -> None:
    class Asks(Service[Any, Any]):
        name = "crm.asks"

        async def handle(self) -> Any:
            return (await self.out.rest["crm"].get("/customers")).status_code

    requests: list[RestRequest] = []

    def crm(request: RestRequest) -> RestResponse:
        requests.append(request)
        return RestResponse(404)

    memory.clear()
    async with sandbox(Asks, settings=SETTINGS, outgoing={"rest.crm": crm}) as opened:
        await opened.invoke("crm.asks")

    span = next(span for span in memory.get_finished_spans() if span.name == "GET crm")
    assert span.parent is not None
    assert span.context is not None
    assert (
        f"{span.context.trace_id:032x}-{span.context.span_id:016x}"
        in (requests[0].headers["traceparent"])
    )
    attributes = dict(span.attributes or {})
    assert attributes["http.response.status_code"] == 404
    assert attributes["url.path"] == "/customers"
    assert not span.status.is_ok
