"""Admission: decides whether a request may enter, by its Host, origin, credentials and role."""

import re
from collections.abc import Collection, Iterable, Mapping

from zato_lite.errors import ForbiddenError, UnauthorizedError, ZatoLiteError
from zato_lite.http.auth import SESSION_COOKIE, Authenticator, CallerRights
from zato_lite.http.cors import NO_ORIGIN, CorsPolicy
from zato_lite.http.message import Request
from zato_lite.service.access import matches
from zato_lite.service.built_in import refusal_of
from zato_lite.service.message import Caller

_MAX_HOSTS = 1000
_PORT = re.compile(rb":[0-9]{1,5}\Z")
_ADDRESS = re.compile(rb"(\[[0-9a-f:.]+\]|[0-9]{1,3}(\.[0-9]{1,3}){3})\Z")
_LOCALHOST = b"localhost"
_TRUSTED_SITES = {b"same-origin", b"none"}
_SITE_FIELDS = frozenset({b"sec-fetch-site", b"origin", b"referer"})
_AUTHORITY_END = re.compile(rb"[/?#]")
_COOKIE = SESSION_COOKIE.encode()


class MisdirectedError(ZatoLiteError):
    """The request is for a host that is not served here."""

    status = 421


class Admission:
    """Checks hosts, origins, credentials and roles; remembers the hosts that passed."""

    def __init__(
        self,
        authenticator: Authenticator,
        allowed_hosts: Iterable[str] = (),
        cors: CorsPolicy = NO_ORIGIN,
    ) -> None:
        self._authenticator, self._cors = authenticator, cors
        self._allowed_hosts = frozenset(allowed_hosts)
        self._known_hosts: set[bytes] = set()

    def check_host(self, headers: Mapping[bytes, bytes]) -> None:
        """Refuse a host name that is not served here.

        Raises:
            MisdirectedError: the Host is neither local, nor an address, nor allowed.
        """
        host = headers.get(b"host")
        if host is None or host in self._known_hosts:
            return  # only HTTP/1.0 gets here without a Host, and no browser speaks that
        if not is_served(host, self._allowed_hosts):
            raise MisdirectedError("host is not served here; allowed_hosts lists the names")
        if len(self._known_hosts) < _MAX_HOSTS:
            self._known_hosts.add(host)

    async def admit(self, request: Request) -> CallerRights:
        """Return the caller of a request with its rights.

        Raises:
            UnauthorizedError, TooManyRequestsError, ForbiddenError: the request is not admitted.
        """
        headers = request.headers
        if not self._cors.admits(headers):
            is_permitted = self._cors.permits(headers.get(b"origin"))
            refuse_other_sites(headers, _KEY_NEEDED if is_permitted else _OTHER_SITE)
        credentials = credentials_of(headers)
        if credentials is None:
            raise UnauthorizedError("Unauthorized")
        address = request.remote_address
        remembered = self._authenticator.remembered(credentials, address)
        return remembered or await self._authenticator.check(credentials, address)

    async def readmit(self, request: Request, rights: CallerRights) -> CallerRights:
        """Return the present rights of a caller that was admitted some time ago.

        Raises:
            UnauthorizedError, TooManyRequestsError, ForbiddenError: it is not admitted any more.
        """
        is_known = rights.until > self._authenticator.clock.monotonic()
        return rights if is_known else await self.admit(request)

    async def admit_to_service(self, request: Request, service: str) -> CallerRights:
        """Return the caller if it may invoke the service.

        Raises:
            UnauthorizedError, TooManyRequestsError, ForbiddenError: the request is not admitted.
        """
        rights = await self.admit(request)
        if not rights.may_invoke(service):
            raise refusal_of(rights.caller, service)
        return rights

    async def admit_with_role(self, request: Request, role: str) -> CallerRights:
        """Return the caller if it has the role or a higher one.

        Raises:
            UnauthorizedError, TooManyRequestsError, ForbiddenError: the request is not admitted.
        """
        rights = await self.admit(request)
        if not rights.has_role(role):
            caller = rights.caller
            raise ForbiddenError(
                f"{caller.kind} {caller.shown!r} is not allowed to do this;"
                f" role {role!r} is needed"
            )
        return rights

    def remembered_name(self, request: Request) -> str | None:
        """Return the caller's name, "" if it is unknown, or None without credentials."""
        credentials = credentials_of(request.headers)
        if credentials is None:
            return None
        rights = self._authenticator.remembered(credentials, request.remote_address)
        return rights.caller.shown if rights is not None else ""


def is_served(host: bytes, allowed: Collection[str]) -> bool:
    """Return True if a Host is local, an address, or allowed: a guard against DNS rebinding.

    DNS cannot make an IP address point elsewhere, so any address passes.
    """
    name = _PORT.sub(b"", host.lower())
    if name == _LOCALHOST or _ADDRESS.match(name) or "*" in allowed:
        return True
    return name.decode("latin-1") in {other.lower() for other in allowed}


_OTHER_SITE = "request comes from a page of another site"
_KEY_NEEDED = (
    "a page of this origin has to send an API key; "
    "passwords and cookies count with cors_credentials"
)


def refuse_other_sites(headers: Mapping[bytes, bytes], reason: str = _OTHER_SITE) -> None:
    """Refuse requests that a browser makes for a page of another site (CSRF).

    Browsers name the page's site in Sec-Fetch-Site; in plain HTTP to another machine only in
    Origin or Referer. Other clients send none of these fields.

    Raises:
        ForbiddenError: the request comes from a page of another site.
    """
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        is_trusted = site.lower() in _TRUSTED_SITES
    elif (origin := headers.get(b"origin")) is not None:
        is_trusted = origin.partition(b"://")[2] == headers.get(b"host")
    else:
        _, is_absolute, rest = headers.get(b"referer", b"").partition(b"://")
        referrer = _AUTHORITY_END.split(rest, maxsplit=1)[0]
        is_trusted = not is_absolute or referrer == headers.get(b"host")
    if not is_trusted:
        raise ForbiddenError(reason)


def refuse_hidden_site(method: str, headers: Mapping[bytes, bytes]) -> None:
    """Refuse a browser's GET that may come from any page, because no field names the site.

    A page can hide its site in plain HTTP to another machine, and browsers add a remembered
    Basic password to its requests. They send Origin with all methods but these.

    Raises:
        ForbiddenError: the request comes from a browser that names no site.
    """
    if method not in {"GET", "HEAD"} or not _SITE_FIELDS.isdisjoint(headers):
        return
    agent = headers.get(b"user-agent", b"")
    is_browser = agent.startswith(b"Mozilla/") and b"PowerShell" not in agent
    if is_browser and headers.get(b"authorization", b"")[:6].lower() == b"basic ":
        raise ForbiddenError(
            "request of a browser names no site: it may come from any page; "
            "use POST, HTTPS or a REST channel"
        )


def require_path(caller: Caller | None, path: str) -> None:
    """Raise ForbiddenError if the caller is confined to services, and no pattern has the path."""
    if caller is not None and not matches(path, caller.patterns):
        raise ForbiddenError(
            f"{caller.kind} {caller.shown!r} is not allowed to request {path!r};"
            f" it matches none of the patterns of this {caller.kind}"
        )


def credentials_of(headers: Mapping[bytes, bytes]) -> bytes | None:
    """Return the credentials of a request in the form of an Authorization field, or None."""
    if (authorization := headers.get(b"authorization")) is not None:
        return authorization
    if (key := headers.get(b"x-api-key")) is not None:
        return b"Bearer " + key
    if token := _session_token(headers):
        return b"Session " + token
    return None


def session_token(headers: Mapping[bytes, bytes]) -> str:
    """Return the token in the session's cookie, whatever the other credentials; or ""."""
    return _session_token(headers).decode("latin-1")


def _session_token(headers: Mapping[bytes, bytes]) -> bytes:
    for cookie in headers.get(b"cookie", b"").split(b";"):
        name, _, value = cookie.strip().partition(b"=")
        if name == _COOKIE:
            return value
    return b""


def challenge_for(request: Request) -> str:
    """Return the WWW-Authenticate field.

    A script's request gets no Basic challenge, which would open the browser's login window in
    the middle of a page.
    """
    is_script = request.headers.get(b"sec-fetch-dest") == b"empty"
    return 'Session realm="zato-lite"' if is_script else 'Basic realm="zato-lite", charset="UTF-8"'
