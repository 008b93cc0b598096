"""``/zato/session``: sign-in and sign-out of browsers, by a cookie in place of a password."""

from typing import Any

import msgspec

from zato_lite import __version__
from zato_lite.clock import to_datetime
from zato_lite.errors import BadInputError, UnauthorizedError, ZatoLiteError
from zato_lite.http.admission import credentials_of, refuse_other_sites, session_token
from zato_lite.http.audit import AuditTrail, describe_refusals
from zato_lite.http.auth import SESSION_COOKIE, Authenticator
from zato_lite.http.message import Request, Response
from zato_lite.http.routes import Route, Services
from zato_lite.service.access import lacking, may_invoke
from zato_lite.service.message import Caller
from zato_lite.store.audit import AuditRecord
from zato_lite.store.sessions import SessionLimits, session_item
from zato_lite.wire import decode_strict, encode

PATH = "/zato/session"

SCHEDULER_ZONE = "UTC"
"""Time zone of jobs that name none."""

_ALL = (b"all", b"all=true", b"all=1", b"all=")


class Login(msgspec.Struct):
    """A user's name and password."""

    username: str
    password: str


def session_routes(
    authenticator: Authenticator, audit: AuditTrail, services: Services
) -> list[Route]:
    """Return the routes: POST signs in, GET describes the caller, DELETE signs out."""
    endpoint = SessionEndpoint(authenticator, audit, services)
    return [
        Route(("POST",), PATH, endpoint.sign_in, role=None),
        Route(("DELETE",), PATH, endpoint.sign_out, role=None),
        Route(("GET",), PATH, endpoint.show),
    ]


class SessionEndpoint:
    """The handlers of ``/zato/session``."""

    def __init__(
        self, authenticator: Authenticator, audit: AuditTrail, services: Services
    ) -> None:
        self._authenticator, self._audit, self._services = authenticator, audit, services

    async def sign_in(self, request: Request, caller: Caller | None) -> Response:
        """Check a name and a password, and set the cookie of a new session."""
        refuse_other_sites(request.headers)
        try:
            login = msgspec.convert(decode_strict(request.body), Login)
        except msgspec.ValidationError as error:
            raise BadInputError(str(error)) from error
        record = AuditRecord(login.username, "login", "", "ok")
        try:
            token = await self._authenticator.log_in(
                login.username,
                login.password,
                request.remote_address,
                request.headers.get(b"user-agent", b"").decode("latin-1"),
            )
        except ZatoLiteError:
            if count := self._audit.count_refusal(request):
                outcome = describe_refusals("refused", count)
                await self._audit.record(msgspec.structs.replace(record, outcome=outcome), request)
            raise
        await self._audit.record(record, request)
        caller = await self._authenticator.session(token)
        body = await self._describe(caller, token)
        limits = self._authenticator.sessions.limits
        return Response(200, encode(body), headers=session_cookie(token, limits, request))

    async def show(self, request: Request, caller: Caller | None) -> Response:
        """Describe the caller and what it may do; with ``?all``, list the caller's sessions."""
        if caller is None:
            raise UnauthorizedError("Unauthorized")
        token = session_token(request.headers)
        body = await self._describe(caller, token)
        if request.query in _ALL:
            now = self._authenticator.clock.now()
            current = await self._authenticator.find_session(token)
            body["sessions"] = [
                {
                    **session_item(found, self._authenticator.sessions.limits),
                    "is_current": current is not None and found.hash == current.hash,
                }
                for found in await self._authenticator.sessions.list(now, _own_name(caller))
            ]
        return Response(200, encode(body))

    async def sign_out(self, request: Request, caller: Caller | None) -> Response:
        """End the session of the cookie; with ``?all``, all sessions of its user."""
        refuse_other_sites(request.headers)
        ended = await self._authenticator.end_session(session_token(request.headers))
        if request.query in _ALL:
            user = ended.user if ended is not None else await self._caller_of(request)
            count = await self._authenticator.end_sessions_of(user) + (ended is not None)
            record = AuditRecord(user, "logout", f"all sessions, {count}", "ok")
            await self._audit.record(record, request)
        elif ended is not None:
            await self._audit.record(AuditRecord(ended.user, "logout", ended.id, "ok"), request)
        return Response(200, b"{}", headers=session_cookie("", None, request))

    async def _caller_of(self, request: Request) -> str:
        """Return the name of a caller without a session."""
        credentials = credentials_of(request.headers)
        if credentials is None:
            raise UnauthorizedError("Unauthorized")
        rights = await self._authenticator.check(credentials, request.remote_address)
        return _own_name(rights.caller)

    async def _describe(self, caller: Caller, token: str) -> dict[str, Any]:
        session = await self._authenticator.find_session(token)
        ends_at = None
        if session is not None and session.user == caller.name:
            ends_at = session.ends_at(self._authenticator.sessions.limits)
        built_in = sorted(entry.name for entry in self._services if entry.is_internal)
        return {
            "name": caller.name,
            "roles": sorted(caller.roles),
            "patterns": list(caller.patterns),
            "may": [name for name in built_in if may_invoke(caller, name)],
            "may_not": {
                name: lacking(caller, name) for name in built_in if not may_invoke(caller, name)
            },
            "version": __version__,
            "zone": SCHEDULER_ZONE,
            "expires": None if ends_at is None else to_datetime(ends_at).isoformat(),
        }


def _own_name(caller: Caller) -> str:
    """Return the caller's user name; empty for a key, even if a user has the key's name."""
    return caller.name if caller.kind == "user" else ""


def session_cookie(
    token: str, limits: SessionLimits | None, request: Request
) -> tuple[tuple[str, str], ...]:
    """Return the field that sets the session's cookie; without limits, the one that deletes it."""
    seconds = 0 if limits is None else max(1, limits.lifetime // 1_000_000)
    secure = "; Secure" if request.is_secure else ""
    attributes = f"Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    return (("Set-Cookie", f"{SESSION_COOKIE}={token}; {attributes}"),)
