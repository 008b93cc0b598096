"""What a browser may be tricked into, and what it may not: pure."""

import re
from collections.abc import Collection, Mapping

from zato_lite.errors import ForbiddenError, ZatoLiteError

_PORT = re.compile(rb":[0-9]{1,5}\Z")
_ADDRESS = re.compile(rb"(\[[0-9a-f:.]+\]|[0-9]{1,3}(\.[0-9]{1,3}){3})\Z")
_OWN = {b"localhost"}
_TRUSTED_SITES = {b"same-origin", b"none"}


class MisdirectedError(ZatoLiteError):
    """The request is for a host that is not served here."""

    status = 421


def is_served(host: bytes, allowed: Collection[str]) -> bool:
    """Whether a Host is one of ours: against names that are made to point here (DNS rebinding).

    An IP address cannot be made to point elsewhere, so that any is fine.
    """
    name = _PORT.sub(b"", host.lower())
    if name in _OWN or _ADDRESS.match(name) or "*" in allowed:
        return True
    return name.decode("latin-1") in {other.lower() for other in allowed}


def refuse_other_sites(headers: Mapping[bytes, bytes]) -> None:
    """Let no other site's page speak in the name of whoever looks at it.

    Browsers say where a request comes from in Sec-Fetch-Site; older ones in Origin. Whatever is
    no browser sends neither, and has no credentials that a page could use.

    Raises:
        ForbiddenError: the request comes from a page of another site.
    """
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        is_ours = site.lower() in _TRUSTED_SITES
    else:
        origin = headers.get(b"origin")
        is_ours = origin is None or origin.partition(b"://")[2] == headers.get(b"host")
    if not is_ours:
        raise ForbiddenError("The request comes from a page of another site")
