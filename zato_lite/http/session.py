"""Logging in and out: a cookie for the page, in place of a password with each request."""

from typing import Any

import msgspec

from zato_lite.errors import BadInputError, UnauthorizedError, ZatoLiteError
from zato_lite.http.auth import SESSION_SECONDS, Authenticator
from zato_lite.http.message import Request, Response
from zato_lite.http.refusals import outcome
from zato_lite.http.routes import Route
from zato_lite.http.security import refuse_other_sites
from zato_lite.service.message import Caller
from zato_lite.store.audit import AuditRecord
from zato_lite.wire import decode_strict, encode

SESSION = "/zato/session"
COOKIE = "zato_lite_session"


class Login(msgspec.Struct):
    """Who comes in, and how it is known."""

    username: str
    password: str


def session_routes(authenticator: Authenticator) -> list[Route]:
    """POST comes in, GET says who one is, DELETE goes out."""

    async def log_in(request: Request, caller: Caller | None) -> Response:
        refuse_other_sites(request.headers)
        try:
            login = msgspec.convert(decode_strict(request.body), Login)
        except msgspec.ValidationError as error:
            raise BadInputError(str(error)) from error
        try:
            token = await authenticator.log_in(
                login.username, login.password, request.remote_address
            )
        except ZatoLiteError:
            now = authenticator.clock.monotonic()
            if times := authenticator.refusals.take(request.remote_address, now):
                record = AuditRecord(login.username, "login", "", outcome("refused", times))
                await authenticator.audit(record, request)
            raise
        await authenticator.audit(AuditRecord(login.username, "login", "", "ok"), request)
        known = (await authenticator.check(b"Session " + token.encode(), "")).caller
        return _who(known, _cookie(token, SESSION_SECONDS, request))

    async def look(request: Request, caller: Caller | None) -> Response:
        if caller is None:
            raise UnauthorizedError("Unauthorized")
        return _who(caller, None)

    async def log_out(request: Request, caller: Caller | None) -> Response:
        refuse_other_sites(request.headers)
        return Response(200, b"{}", headers=(("Set-Cookie", _cookie("", 0, request)),))

    return [
        Route(("POST",), SESSION, log_in, role=None),
        Route(("DELETE",), SESSION, log_out, role=None),
        Route(("GET",), SESSION, look),
    ]


def _who(caller: Caller, cookie: str | None) -> Response:
    who: dict[str, Any] = {"name": caller.name, "roles": sorted(caller.roles)}
    headers = (("Set-Cookie", cookie),) if cookie is not None else ()
    return Response(200, encode({**who, "patterns": list(caller.patterns)}), headers=headers)


def _cookie(token: str, seconds: int, request: Request) -> str:
    secure = "; Secure" if request.is_secure else ""
    return f"{COOKIE}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
