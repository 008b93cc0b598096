"""URL of a PostgreSQL store: the parameters of its connections, and a form without secrets."""

from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlencode, urlsplit

from zato_lite.errors import ConfigError

SCHEMES = ("postgresql://", "postgres://")

PREPARE_AFTER = 2
"""Executions of a statement after which a connection prepares it."""

_SECRETS = ("password", "sslpassword")
_EXAMPLE = "postgresql://user@host:5432/database"


class Location(NamedTuple):
    """A database on a server.

    Attributes:
        url: without a password, as libpq reads it.
        parameters: of libpq, besides those of the URL: the password, ``options``.
        given: the names of the parameters in the URL.
        shown: the URL for messages and logs.
        prepare_threshold: None to prepare no statement.
        secrets: texts that no message may contain.
    """

    url: str
    parameters: dict[str, str]
    given: frozenset[str]
    shown: str
    prepare_threshold: int | None
    secrets: tuple[str, ...]

    def without_secrets(self, text: str) -> str:
        """Return a text with each secret replaced."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def is_postgres(url: str) -> bool:
    """Return True if a store's URL means a database of PostgreSQL."""
    return url.startswith(SCHEMES)


def shown(url: str) -> str:
    """Return a store's URL without secrets, for messages and logs."""
    if not is_postgres(url):
        return url
    try:
        parts = urlsplit(url)
        if not _is_ambiguous(parts):
            return _without_secrets(url, parts)
        return SCHEMES[0] + "***"
    except ValueError:
        return SCHEMES[0] + "***"


def has_password(url: str) -> bool:
    """Return True if a URL contains a password."""
    return is_postgres(url) and shown(url) != url


def parse(url: str, password: str = "") -> Location:
    """Return the location that a URL means.

    Args:
        url: ``postgresql://``, with parameters of libpq after the question mark, and
            ``prepare_threshold``: a number or ``none``.
        password: used if the URL contains none.

    Raises:
        ConfigError: the URL is not valid.
    """
    try:
        parts = urlsplit(url)
        query = _query(parts)
    except ValueError as error:
        raise ConfigError(f"[store] url: not a valid URL; use {_EXAMPLE}") from error
    if _is_ambiguous(parts):
        words = "percent-encode #, /, ? and @ in its user and password"
        raise ConfigError(f"[store] url: not a valid URL; {words}, as %23, %2F, %3F and %40")
    found = unquote(_password_of(parts)) or query.get("password", "") or password
    parameters: dict[str, Any] = {"password": found} if found else {}
    if "sslpassword" in query:
        parameters["sslpassword"] = query["sslpassword"]
    if "options" in query:
        parameters["options"] = query["options"]
    own = {"prepare_threshold", "options", *_SECRETS}
    left = {name: value for name, value in query.items() if name not in own}
    secrets = [parameters[name] for name in _SECRETS if name in parameters]
    return Location(
        url=_rebuilt(parts, left),
        parameters=parameters,
        given=frozenset(query),
        shown=_without_secrets(url, parts),
        prepare_threshold=_threshold(query.get("prepare_threshold")),
        secrets=(*secrets, *(quote(secret, safe="") for secret in secrets)),
    )


def _threshold(text: str | None) -> int | None:
    if text is None:
        return PREPARE_AFTER
    if text == "none":
        return None
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f"[store] url: prepare_threshold={text}; use a number or none")
    return int(text)


def _is_ambiguous(parts: SplitResult) -> bool:
    """Return True if a part may be the rest of a password that contains one of ``#/?``."""
    is_cut = "@" not in parts.netloc and "@" in f"{parts.path}?{parts.query}"
    return bool(parts.fragment) or "@" in parts.path or is_cut


def _password_of(parts: SplitResult) -> str:
    user, _, _ = parts.netloc.rpartition("@")
    return user.partition(":")[2]


def _rebuilt(parts: SplitResult, query: dict[str, str]) -> str:
    user, at, host = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}{at}{host}"
    text = f"?{urlencode(query, quote_via=quote)}" if query else ""
    return f"postgresql://{netloc}{parts.path}{text}"


def _query(parts: SplitResult) -> dict[str, str]:
    """Return the parameters; unlike in a form, a plus sign is itself."""
    items = (each.partition("=") for each in parts.query.split("&") if each)
    return {unquote(name): unquote(value) for name, _, value in items}


def _without_secrets(url: str, parts: SplitResult) -> str:
    query = _query(parts)
    if not _password_of(parts) and not any(name in _SECRETS for name in query):
        return url
    return _rebuilt(parts, {name: query[name] for name in query if name not in _SECRETS})
