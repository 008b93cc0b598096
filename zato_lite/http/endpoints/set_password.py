"""``/zato/set-password``: the page to which the link of the first start leads."""

import html
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs

from zato_lite.http.admission import refuse_other_sites
from zato_lite.http.audit import AuditTrail, describe_refusals
from zato_lite.http.auth import Authenticator
from zato_lite.http.endpoints.session import session_cookie
from zato_lite.http.first_start import PATH, admin_with
from zato_lite.http.message import Request, Response
from zato_lite.http.routes import Route
from zato_lite.service.message import Caller
from zato_lite.store.accounts import ADMIN, MAX_PASSWORD, MIN_PASSWORD
from zato_lite.store.audit import AuditRecord
from zato_lite.store.sessions import PasswordCodes

_AFTERWARDS = "../dashboard/"
_BAD_INPUT, _FORBIDDEN = 400, 403
_MAX_FIELDS = 10

_STYLE = Path(__file__).with_suffix(".css").read_text("utf-8")
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:"
    "; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = (("Content-Security-Policy", _POLICY), ("Cache-Control", "no-store"))

# The referrer's policy keeps the code from other sites, and lets the form send its Origin.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="referrer" content="same-origin">
<title>Set the password - zato-lite</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<main>
<svg viewBox="0 0 24 24" aria-hidden="true">
<rect width="24" height="24" rx="6.5" fill="#0b5cad"/>
<path d="M6 8h7.5M8.5 12h9.5M6 16h6" fill="none" stroke="#fff" stroke-width="2.3"/>
</svg>
<h1>Set the password</h1>
{content}
</main>
</body>
</html>
"""
_FORM = f"""<p>Choose a password for {ADMIN}, the user who may do everything.</p>
<form method="post" action="set-password">
<input type="hidden" name="code" value="{{code}}">
<label for="username">User</label>
<input id="username" name="username" value="{ADMIN}" autocomplete="username" readonly>
<label for="password">Password, {MIN_PASSWORD} characters or more</label>
<input id="password" name="password" type="password" minlength="{MIN_PASSWORD}"
 maxlength="{MAX_PASSWORD}" autocomplete="new-password" required autofocus>
<label for="repeated">The same password again</label>
<input id="repeated" name="repeated" type="password" autocomplete="new-password" required>
<button>Set the password</button>
</form>"""
_ENDED = """<p role="alert">This link is not valid. It has been used, is older than 15 minutes, or
a later start has replaced it.</p>
<p>If the password is not set yet, start the server again on a terminal.</p>"""


def set_password_routes(
    authenticator: Authenticator, audit: AuditTrail, codes: PasswordCodes
) -> list[Route]:
    """Return the routes: GET shows a form, POST sets the password and signs in."""
    endpoint = SetPasswordEndpoint(authenticator, audit, codes)
    return [
        Route(("GET",), PATH, endpoint.show, role=None),
        Route(("POST",), PATH, endpoint.set_password, role=None),
    ]


class SetPasswordEndpoint:
    """The handlers of ``/zato/set-password``."""

    def __init__(
        self, authenticator: Authenticator, audit: AuditTrail, codes: PasswordCodes
    ) -> None:
        self._authenticator, self._audit, self._codes = authenticator, audit, codes

    async def show(self, request: Request, caller: Caller | None) -> Response:
        """Show the form, if the code in the query is valid."""
        code = _fields(request.query).get("code", "")
        if not await self._is_valid(code):
            return await self._refuse(request)
        return _page(200, _FORM.format(code=html.escape(code)))

    async def set_password(self, request: Request, caller: Caller | None) -> Response:
        """Set the password, sign in and redirect; the code is used up."""
        refuse_other_sites(request.headers)
        fields = _fields(request.body)
        code, password = fields.get("code", ""), fields.get("password", "")
        if not await self._is_valid(code):
            return await self._refuse(request)
        if mistake := find_mistake(password, fields.get("repeated", "")):
            form = _FORM.format(code=html.escape(code))
            return _page(_BAD_INPUT, f'<p role="alert">{mistake}</p>\n{form}')
        admin = admin_with(await self._authenticator.passwords.hash(password))
        if not await self._codes.redeem(code, admin, self._authenticator.clock.now()):
            return await self._refuse(request)  # used meanwhile
        self._authenticator.forget()
        await self._audit.record(AuditRecord(ADMIN, "set-password", ADMIN, "ok"), request)
        agent = request.headers.get(b"user-agent", b"").decode("latin-1")
        token = await self._authenticator.begin_session(admin, request.remote_address, agent)
        limits = self._authenticator.sessions.limits
        cookie = session_cookie(token, limits, request) if token is not None else ()
        return Response(303, b"", None, (("Location", _AFTERWARDS), *cookie))

    async def _is_valid(self, code: str) -> bool:
        if not code:
            return False
        return await self._codes.user_of(code, self._authenticator.clock.now()) == ADMIN

    async def _refuse(self, request: Request) -> Response:
        if count := self._audit.count_refusal(request):
            outcome = describe_refusals("refused", count)
            await self._audit.record(AuditRecord("", "set-password", ADMIN, outcome), request)
        return _page(_FORBIDDEN, _ENDED)


def find_mistake(password: str, repeated: str) -> str:
    """Return a sentence on what is wrong with a new password, or an empty text."""
    try:
        password.encode()
    except UnicodeEncodeError:
        return "The password has a character that cannot be stored."
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        return f"The password needs {MIN_PASSWORD} to {MAX_PASSWORD} characters."
    return "" if password == repeated else "The two passwords differ."


def _fields(text: bytes) -> dict[str, str]:
    """Return the fields of a query or form, each once; nothing if it is not valid."""
    try:
        found = parse_qs(text.decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        return {}
    return {name: values[0] for name, values in found.items() if len(values) == 1}


def _page(status: int, content: str) -> Response:
    page = _PAGE.format(style=_STYLE, content=content)
    return Response(status, page.encode(), "text/html; charset=utf-8", _HEADERS)
