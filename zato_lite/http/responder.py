"""Responder: makes responses of outcomes and errors; counts, logs and audits them."""

import logging
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from zato_lite.errors import NotFoundError, UnauthorizedError, ZatoLiteError
from zato_lite.http.admission import Admission, challenge_for
from zato_lite.http.audit import AuditTrail
from zato_lite.http.auth import ExpiredKeyError
from zato_lite.http.explain import explain
from zato_lite.http.large import is_large
from zato_lite.http.message import Request, Response
from zato_lite.http.metrics import LatencyRecorder
from zato_lite.http.request_invoker import CachedRequest
from zato_lite.http.responses import error_response, response_in_parts, response_of
from zato_lite.http.streamed import answer_file, stream_response
from zato_lite.service.message import Outcome
from zato_lite.service.stream import FileAnswer, Stream
from zato_lite.store.audit import AuditRecord

_LOGGED_STATUSES = frozenset({500, 501})
LATER = frozenset({Stream, FileAnswer})
"""Types of payloads whose responses are made step by step."""

_AUDITED_STATUSES = frozenset({401, 403, 429})

_log = logging.getLogger(__name__)


class Responder:
    """The last step of a request that the fast path did not answer.

    Args:
        admission: knows callers.
        audit: records changes and refusals.
        latency: counts responses.
        new_cid: makes correlation ids.
        project: the folder of a development server, whose admins get the errors of services.
    """

    def __init__(
        self,
        admission: Admission,
        audit: AuditTrail,
        latency: LatencyRecorder,
        new_cid: Callable[[], str],
        project: Path | None = None,
    ) -> None:
        self._project = project
        self._admission, self._audit = admission, audit
        self._latency, self._new_cid = latency, new_cid

    def answer(
        self, cached: CachedRequest, request: Request, outcome: Outcome
    ) -> Response | Coroutine[Any, Any, Response]:
        """Return the response to an outcome, or of a stream or file the coroutine for it."""
        if type(outcome.payload) in LATER:
            return self.answer_in_parts(cached, request, outcome)
        return self._answered(cached, request, outcome, response_of(outcome))

    async def answer_in_parts(
        self, cached: CachedRequest, request: Request, outcome: Outcome
    ) -> Response:
        """Return the response to an outcome; others have their turn while a large one is made."""
        if isinstance(outcome.payload, Stream):
            response = await stream_response(outcome, cached.service, cached.timeout)
        elif isinstance(outcome.payload, FileAnswer):
            response = await answer_file(outcome, request)
        elif is_large(outcome.payload):
            response = await response_in_parts(outcome, cached.caller.principal)
        else:
            response = response_of(outcome)
        return self._answered(cached, request, outcome, response)

    def _answered(
        self, cached: CachedRequest, request: Request, outcome: Outcome, response: Response
    ) -> Response:
        """Count, log and audit a response, and return it."""
        self._latency.add(response.status, outcome.seconds)
        if outcome.error is not None and response.status in _LOGGED_STATUSES:
            # The caller gets only the cid; the log has the error under it.
            if self._project is not None and "admin" in cached.caller.roles:
                explain(response, outcome.error, self._project)
            fields = {"service": cached.service, "cid": outcome.cid}
            _log.error("service failed", exc_info=outcome.error, extra=fields)
        if cached.is_change:
            who, status = cached.caller.shown, str(response.status)
            record = AuditRecord(who, "invoke", cached.service, status, outcome.cid)
            self._audit.record_change(record, request)
        return response

    def answer_later(
        self, cached: CachedRequest, request: Request, outcome: Outcome | Awaitable[Outcome]
    ) -> Response | Coroutine[Any, Any, Response]:
        """Return the response to an outcome, or the coroutine that awaits the outcome first."""
        if isinstance(outcome, Outcome):
            return self.answer(cached, request, outcome)
        return self._await_and_answer(cached, request, outcome)

    def answer_error(self, request: Request, error: Exception) -> Response:
        """Return the response to an error outside of a service."""
        cid = self._new_cid()
        if not isinstance(error, ZatoLiteError):
            fields = {"cid": cid, "path": request.path}
            _log.error("request failed", exc_info=error, extra=fields)
            return error_response(error, cid)
        name, outcome, text = self._admission.remembered_name(request), str(error.status), ""
        if isinstance(error, ExpiredKeyError):
            name, outcome, text = error.key, f"{error.status}: {error}", str(error)
        if error.status in _AUDITED_STATUSES and name is not None:
            record = AuditRecord(name, "refused", request.path, outcome, cid)
            self._audit.record_refusal(record, request)
        if isinstance(error, UnauthorizedError):
            shown = UnauthorizedError(f"{text or 'Unauthorized'}; cid={cid}")
            response = error_response(shown, cid)
            response.headers += (("WWW-Authenticate", challenge_for(request)),)
            return response
        return error_response(error, cid)

    def answer_unknown_url(self) -> Response:
        """Return the response to a request for an unknown URL."""
        cid = self._new_cid()
        return error_response(NotFoundError(f"URL not found (CID:{cid})"), cid)

    async def _await_and_answer(
        self, cached: CachedRequest, request: Request, outcome: Awaitable[Outcome]
    ) -> Response:
        try:
            return await self.answer_in_parts(cached, request, await outcome)
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            return self.answer_error(request, error)
