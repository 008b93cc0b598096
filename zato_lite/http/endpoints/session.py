"""``/zato/session``: sign-in and sign-out of browsers, by a cookie in place of a password."""

from typing import Any

import msgspec

from zato_lite.errors import BadInputError, UnauthorizedError, ZatoLiteError
from zato_lite.http.admission import refuse_other_sites
from zato_lite.http.audit import AuditTrail, describe_refusals
from zato_lite.http.auth import SESSION_COOKIE, SESSION_SECONDS, Authenticator
from zato_lite.http.message import Request, Response
from zato_lite.http.routes import Route
from zato_lite.service.message import Caller
from zato_lite.store.audit import AuditRecord
from zato_lite.wire import decode_strict, encode

PATH = "/zato/session"


class Login(msgspec.Struct):
    """A user's name and password."""

    username: str
    password: str


def session_routes(authenticator: Authenticator, audit: AuditTrail) -> list[Route]:
    """Return the routes: POST signs in, GET describes the caller, DELETE signs out."""

    async def sign_in(request: Request, caller: Caller | None) -> Response:
        refuse_other_sites(request.headers)
        try:
            login = msgspec.convert(decode_strict(request.body), Login)
        except msgspec.ValidationError as error:
            raise BadInputError(str(error)) from error
        record = AuditRecord(login.username, "login", "", "ok")
        try:
            token = await authenticator.log_in(
                login.username, login.password, request.remote_address
            )
        except ZatoLiteError:
            if count := audit.count_refusal(request):
                outcome = describe_refusals("refused", count)
                await audit.record(msgspec.structs.replace(record, outcome=outcome), request)
            raise
        await audit.record(record, request)
        rights = await authenticator.check(b"Session " + token.encode(), "")
        return _describe(rights.caller, _cookie(token, SESSION_SECONDS, request))

    async def show(request: Request, caller: Caller | None) -> Response:
        if caller is None:
            raise UnauthorizedError("Unauthorized")
        return _describe(caller, None)

    async def sign_out(request: Request, caller: Caller | None) -> Response:
        refuse_other_sites(request.headers)
        return Response(200, b"{}", headers=(("Set-Cookie", _cookie("", 0, request)),))

    return [
        Route(("POST",), PATH, sign_in, role=None),
        Route(("DELETE",), PATH, sign_out, role=None),
        Route(("GET",), PATH, show),
    ]


def _describe(caller: Caller, cookie: str | None) -> Response:
    body: dict[str, Any] = {
        "name": caller.name,
        "roles": sorted(caller.roles),
        "patterns": list(caller.patterns),
    }
    headers = (("Set-Cookie", cookie),) if cookie is not None else ()
    return Response(200, encode(body), headers=headers)


def _cookie(token: str, seconds: int, request: Request) -> str:
    secure = "; Secure" if request.is_secure else ""
    attributes = f"Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    return f"{SESSION_COOKIE}={token}; {attributes}"
