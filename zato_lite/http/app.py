"""HTTP application: from a request to a response; the parts and their wiring."""

import itertools
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from pathlib import Path

from zato_lite.errors import MethodNotAllowedError, ZatoLiteError
from zato_lite.http.access_log import AccessLog
from zato_lite.http.admission import Admission
from zato_lite.http.audit import AuditTrail
from zato_lite.http.auth import Authenticator, CallerRights
from zato_lite.http.body_reader import BodyReader
from zato_lite.http.cors import NO_ORIGIN, CorsPolicy
from zato_lite.http.cross_origin import CrossOrigin
from zato_lite.http.endpoints.envelope import envelope_routes
from zato_lite.http.endpoints.events import event_routes
from zato_lite.http.endpoints.ide_deploy import ide_deploy_route
from zato_lite.http.endpoints.json_channels import json_channels_route
from zato_lite.http.endpoints.monitoring import Readiness, RenderMetrics, monitoring_routes
from zato_lite.http.endpoints.openapi import UNTITLED, ApiInfo, openapi_route
from zato_lite.http.endpoints.pages import DOCS, accepts_page, page_routes, redirect
from zato_lite.http.endpoints.session import session_routes
from zato_lite.http.endpoints.set_password import set_password_routes
from zato_lite.http.events import EventLog
from zato_lite.http.fastpath import Answer, FastPath
from zato_lite.http.head import RefusedError
from zato_lite.http.message import Request, Response, await_response, close_stream
from zato_lite.http.metrics import LatencyRecorder
from zato_lite.http.mount import METHODS
from zato_lite.http.payloads import read_payload
from zato_lite.http.request_invoker import Begin, ReadAhead, RequestInvoker
from zato_lite.http.responder import Responder
from zato_lite.http.router import ChannelTable, Router, Target, WrongMethod
from zato_lite.http.routes import Channel, Entry, Route, Services, channels_of, parse_channel
from zato_lite.http.uploads import UploadFolder
from zato_lite.service.offload import OFFLOAD_FROM
from zato_lite.store.sessions import PasswordCodes


class HttpApp:
    """Maps a request to a response; knows nothing of sockets.

    Args:
        begin: the invoker.
        services: the deployed services.
        authenticator: checks credentials.
        allowed_hosts: host names besides localhost and addresses.
        routes: further routes of the server itself.
        channels: configured REST channels with the names of their services.
        events: published changes, or None.
        readiness: the reasons why the server is not ready.
        warnings: what needs attention although the server is ready.
        render_metrics: returns the body of ``/metrics``.
        self_audited: names of services that write audit records themselves.
        time_limit: seconds that any invocation may take, whatever its caller asks for.
        codes: with which the admin's password can be set once, or None.
        read_ahead: reads the input of a large payload; called in a thread.
        withheld: returns services that are not deployed, whose REST channels say why.
        info: the API's title, version and description.
        cors: the pages of other origins that may call the server.
        uploads: the folder of uploaded files; without one, forms are not parsed.
        max_body: bytes of a body for services without limits.
        home: the page that browsers are led to at ``/``, relative to it; none if empty.
        new_cid: makes correlation ids.
        develops: the project's folder, on a development server.
        slow_s: seconds from which the access log has a request; 0 for all, None for none.

    Attributes:
        begin: answers a request up to its first wait.
        latency: durations and statuses of the invocations so far.
    """

    def __init__(
        self,
        begin: Begin,
        services: Services,
        authenticator: Authenticator,
        *,
        allowed_hosts: Iterable[str] = (),
        routes: Iterable[Route] = (),
        channels: Mapping[str, str] | None = None,
        events: EventLog | None = None,
        readiness: Readiness | None = None,
        warnings: Callable[[], Mapping[str, str]] = dict,
        render_metrics: RenderMetrics | None = None,
        self_audited: Iterable[str] = (),
        time_limit: float | None = None,
        codes: PasswordCodes | None = None,
        read_ahead: ReadAhead | None = None,
        withheld: Callable[[], Iterable[Entry]] = tuple,
        info: ApiInfo = UNTITLED,
        cors: CorsPolicy = NO_ORIGIN,
        uploads: UploadFolder | None = None,
        max_body: int = 1024 * 1024,
        home: str = "",
        new_cid: Callable[[], str] | None = None,
        develops: Path | None = None,
        slow_s: float | None = None,
    ) -> None:
        self._services, self._channels = services, {} if channels is None else channels
        self._home, self._withheld = home, withheld
        self._new_cid = new_cid or cid_source()
        self._monotonic = authenticator.clock.monotonic
        self.latency, self.router = LatencyRecorder(), Router()
        self._admission = Admission(authenticator, allowed_hosts, cors)
        self.audit = AuditTrail(authenticator.audit_log, authenticator.clock, events, self_audited)
        self._responder = Responder(
            self._admission, self.audit, self.latency, self._new_cid, develops
        )
        self._invoker = RequestInvoker(
            begin,
            services,
            self._admission,
            self.router,
            self._monotonic,
            self._new_cid,
            time_limit,
            read_ahead,
        )
        self.router.add(envelope_routes(self._invoker, self._responder))
        self.router.add([json_channels_route(self._invoker, self._responder)])
        self.router.add([ide_deploy_route(self._invoker, self._responder)])
        self.router.add(self._sign_in_routes(authenticator, codes))
        self.router.add(monitoring_routes(readiness, self.latency, render_metrics, warnings))
        if events is not None:
            self.router.add(event_routes(events, self._invoker.ask))
        self.router.add([openapi_route(services, self._admission, self.router, info)])
        self.router.add(page_routes(DOCS, "/docs"))
        self.router.add(routes)
        fast_path = FastPath(self._invoker, self._responder, self.latency, self._answer_new_head)
        # The fast path's own method, so that a request costs one call less.
        self.begin: Callable[[Request], Answer] = fast_path.answer
        if cors.origins:
            check_host, refuse = self._admission.check_host, self._responder.answer_error
            self.begin = CrossOrigin(self.begin, cors, check_host, refuse).answer
        self._access_log: AccessLog | None = None
        if slow_s is not None:
            name_of = self._admission.remembered_name
            self._access_log = AccessLog(self.begin, self._monotonic, name_of, slow_s)
            self.begin = self._access_log.answer
        self._bodies = BodyReader(
            services,
            self.router,
            self._invoker,
            self._responder,
            folder=uploads,
            max_body=max_body,
        )
        self.plan_body = self._bodies.plan
        self.reload()

    def reload(self) -> None:
        """Read the services' REST channels again after a deployment."""
        self.router.table = ChannelTable(self._all_channels())
        self._bodies.reload()

    def note_refusal(self, refused: RefusedError, address: str) -> str:
        """Log the refusal of a malformed request; return its correlation id."""
        cid = self._new_cid()
        if self._access_log is not None:
            self._access_log.log_refusal(refused, address, cid)
        return cid

    async def __call__(self, request: Request) -> Response:
        """Answer the request, with an error response if need be."""
        return await await_response(self.begin(request))

    def _sign_in_routes(
        self, authenticator: Authenticator, codes: PasswordCodes | None
    ) -> Iterator[Route]:
        yield from session_routes(authenticator, self.audit, self._services)
        if codes is not None:
            yield from set_password_routes(authenticator, self.audit, codes)

    def _all_channels(self) -> Iterator[tuple[Channel, str]]:
        for text, service in self._channels.items():
            yield parse_channel(text), service
        for entry in (*self._services, *self._withheld()):
            for channel in channels_of(entry.cls):
                yield channel, entry.name

    async def _answer_new_head(self, request: Request) -> Response:
        """Route and admit the request, and cache the result for the next equal head."""
        try:
            self._admission.check_host(request.headers)
            match self.router.find(request.method, request.raw_path or request.path):
                case Target() as target:
                    return await self._answer_target(request, target)
                case Route() as route:
                    return await self._answer_route(request, route)
                case WrongMethod(allow):
                    error = MethodNotAllowedError("Method not allowed", allow)
                    return self._responder.answer_error(request, error)
                case None if request.path == "*":  # OPTIONS: the parser refuses other methods
                    return Response(204, b"", None, (("Allow", ", ".join(METHODS)),))
                case None:
                    return self._answer_unknown(request)
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            return self._responder.answer_error(request, error)

    def _answer_unknown(self, request: Request) -> Response:
        """Lead a browser at ``/`` to the home page, unless a REST channel answers there."""
        if self._home and request.path == "/" and accepts_page(request):
            return redirect(self._home)
        return self._responder.answer_unknown_url()

    async def _answer_target(self, request: Request, target: Target) -> Response:
        cached = await self._invoker.prepare(request, target)
        is_small = len(request.body) < OFFLOAD_FROM  # the fast path decodes in the loop's thread
        if self._bodies.reads(target.service, request):
            return await self._bodies.answer(cached, request)
        request.memo = cached if cached.is_shareable and is_small else None
        payload, raw = await read_payload(request, cached.query, cached.caller.principal)
        outcome = await self._invoker.invoke(cached, payload, raw)
        return await self._responder.answer_in_parts(cached, request, outcome)

    async def _answer_route(self, request: Request, route: Route) -> Response:
        rights = None
        if route.role is not None:
            rights = await self._admission.admit_with_role(request, route.role)
        response = await route.handler(request, None if rights is None else rights.caller)
        response.cid = response.cid or self._new_cid()
        if response.stream is not None and rights is not None:
            response.stream = self._while_unchanged(request, rights, response.stream)
        return response

    async def _while_unchanged(
        self, request: Request, rights: CallerRights, stream: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        """Yield a stream's pieces for as long as its caller is admitted with the same rights."""
        caller = rights.caller
        try:
            async for piece in stream:
                rights = await self._admission.readmit(request, rights)
                if rights.caller != caller:
                    return  # the client comes back, and the stream begins with its new rights
                yield piece
        except ZatoLiteError:
            return  # the client's next request gets the error
        finally:
            await close_stream(stream)


def cid_source() -> Callable[[], str]:
    """Return a function that makes correlation ids: unique among processes, and cheap."""
    prefix = f"K{secrets.token_hex(5)}-"
    numbers = itertools.count(1)
    return map(f"{prefix}%d".__mod__, numbers).__next__
