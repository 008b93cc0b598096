"""HTTP client of the command line: one connection, standard library only, errors in words."""

import base64
import json
import os
import stat
import urllib.parse
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from select import select
from ssl import SSLCertVerificationError, SSLContext, SSLError, create_default_context
from typing import Any, NamedTuple, NoReturn

import click

from zato_lite.cli.render import as_json, printed
from zato_lite.config import Server
from zato_lite.errors import BadInputError, ConfigError, UnavailableError, ZatoLiteError

ADMIN = "admin.invoke"
"""User of a command that names none."""

_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared, not bound
_ADMIN_PASSWORD = "ZATO_LITE_ADMIN_PASSWORD"  # noqa: S105 - the name of a variable
_PASSWORD = "ZATO_LITE_PASSWORD"  # noqa: S105
_KEY = "ZATO_LITE_API_KEY"
_REDIRECTED, _UNAUTHORIZED, _ERROR = 300, 401, 400
_READABLE_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class AnswerError(ZatoLiteError):
    """A server's error: its status, and the answer as it was sent."""

    def __init__(self, status: int, message: str, answer: str = "") -> None:
        super().__init__(message)
        self.code, self.answer = status, answer


class Secret(NamedTuple):
    """A password or a key, and the place that it comes from."""

    text: str
    place: str


class Credentials(NamedTuple):
    """The header field that authenticates a request; in words, whose it is and from where."""

    field: Mapping[str, str]
    words: str


def url_of(server: Server) -> str:
    """Return the URL of a server with these settings for clients on the same machine.

    Raises:
        ConfigError: the port is not known from the settings.
    """
    if server.unix_socket or not server.port:
        raise ConfigError("[server] does not set a fixed port; use --url")
    host = _LOOPBACK.get(server.host) or (
        f"[{server.host}]" if ":" in server.host else server.host
    )
    return f"http{'s' if server.certificate else ''}://{host}:{server.port}"


def find_secret(
    environ: Mapping[str, str], file: Path | None, option: str, *variables: str
) -> Secret | None:
    """Return a secret from a file, or from the first of the variables, ``_FILE`` included.

    Raises:
        ConfigError: the file cannot be read, or is empty.
    """
    if file is not None:
        return _secret_in(file, option)
    for variable in variables:
        if text := environ.get(variable):
            return Secret(text, variable)
        if name := environ.get(f"{variable}_FILE"):
            return _secret_in(Path(name), f"{variable}_FILE")
    return None


def _secret_in(path: Path, option: str) -> Secret:
    title = option.removesuffix(":")
    try:
        text = path.read_text(encoding="utf-8").strip()
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigError(f"{title}: {path}: {(error.strerror or '').lower()}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{title}: {path} is not text in UTF-8") from error
    if not text:
        raise ConfigError(f"{title}: {path} is empty")
    if not text.isprintable():
        raise ConfigError(f"{title}: {path} does not hold one line of text")
    if mode & _READABLE_BY_OTHERS and not path.is_symlink():
        words = f"other users of this machine can read it; chmod 600 {path}"
        click.echo(f"zato-lite: {title}: {words}", err=True)
    return Secret(text, f"{option} {path}")


def find_credentials(
    user: str,
    password_file: Path | None,
    key_file: Path | None,
    first_password: Path | None,
    environ: Mapping[str, str] = os.environ,
) -> Credentials | None:
    """Return the credentials of a key or a user, or None if a password has to be typed.

    Args:
        user: name of the user.
        password_file: file with its password.
        key_file: file with an API key, which needs no user.
        first_password: file in which a server leaves its admin's generated password.
        environ: variables.
    """
    key = None
    if password_file is None:
        key = find_secret(environ, key_file, "--key-file", _KEY)
    if key is not None:
        if not (
            key.text.isascii() and key.text.isprintable()
        ):  # http.client's error would show it
            raise ConfigError(f"the API key ({key.place}) has characters that no key has")
        return Credentials({"X-API-Key": key.text}, f"the API key ({key.place})")
    own = (_PASSWORD, _ADMIN_PASSWORD) if user == ADMIN else (_PASSWORD,)
    found = find_secret(environ, password_file, "--password-file", *own)
    if found is None and user == ADMIN and first_password is not None:
        found = _secret_in(first_password, "the server's first password:")
    return with_password(user, *found) if found else None


def with_password(user: str, password: str, place: str) -> Credentials:
    """Return the credentials of a user."""
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return Credentials({"Authorization": f"Basic {encoded}"}, f"user {user!r} ({place})")


class Client:
    """Connection to a server; opened by its first request, and again if the server closed it."""

    def __init__(
        self, url: str, credentials: Credentials, ca: Path | None = None, timeout: float = 3600
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise BadInputError(f"--url: {url!r} does not begin with http:// or https://")
        if "@" in parts.netloc:
            words = "credentials are not allowed in it; use --user and a password"
            raise BadInputError(f"--url: {words}")
        self.url, self._path = url.rstrip("/"), parts.path.rstrip("/")
        self._credentials = credentials
        self.now = 0.0
        """The server's time of its latest answer, in seconds since 1970."""
        self._connection = _connection(parts, ca, timeout)

    def invoke(self, service: str, payload: str) -> str:
        """Invoke a service; return the text of its answer.

        Raises:
            AnswerError: the answer is an error.
            UnavailableError: the server cannot be reached.
        """
        status, text = self.request(
            "POST", f"/zato/api/invoke/{urllib.parse.quote(service, safe='')}", payload
        )
        if status == _UNAUTHORIZED:
            words = f"{self._credentials.words} is not accepted by {self.url}"
            raise AnswerError(status, f"{words}; use --user and --password-file", text)
        if _REDIRECTED <= status < _ERROR:
            words = f"{self.url} redirects requests (status {status}); use the URL of the server"
            raise UnavailableError(words)
        if status >= _ERROR:
            raise AnswerError(status, details_of(text) or f"status {status}", text)
        return text

    def request(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        """Send a request; return the status and the text of the answer."""
        connection = self._connection
        try:
            if _is_closed_by_server(connection):
                connection.close()  # so that the request opens it again
            connection.request(
                method,
                self._path + path,
                None if body is None else body.encode(),
                {"Content-Type": "application/json", **self._credentials.field},
            )
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        except (OSError, HTTPException, UnicodeError) as error:
            connection.close()
            _raise_readable(self.url, error)
        if date := response.headers.get("Date"):
            with suppress(ValueError):
                self.now = parsedate_to_datetime(date).timestamp()
        return response.status, text

    def limit(self, seconds: float) -> None:
        """Set for how long the server may take from now on to answer a request."""
        self._connection.close()
        self._connection.timeout = seconds

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _connection(
    parts: urllib.parse.SplitResult, ca: Path | None, timeout: float
) -> HTTPConnection:
    try:
        port, host = parts.port, parts.hostname or ""
    except ValueError as error:
        raise BadInputError(f"--url: {error}") from error
    if parts.scheme == "http":
        return HTTPConnection(host, port, timeout=timeout)
    return HTTPSConnection(host, port, timeout=timeout, context=_tls(ca))


def _is_closed_by_server(connection: HTTPConnection) -> bool:
    """Return True if there is something to read before a request: the end of the connection."""
    return connection.sock is not None and bool(select([connection.sock], (), (), 0)[0])


def _tls(ca: Path | None) -> SSLContext:
    try:
        return create_default_context(cafile=ca)
    except SSLError as error:
        raise ConfigError(f"--ca: {ca} is not a file of certificates in PEM: {error}") from error
    except OSError as error:
        raise ConfigError(f"--ca: {ca}: {(error.strerror or '').lower()}") from error


def _raise_readable(url: str, error: Exception) -> NoReturn:
    """Raise the error of a connection in words, with the next step."""
    match error:
        case SSLCertVerificationError():
            words = f"the certificate of {url} is not trusted: {error.verify_message}"
            raise UnavailableError(f"{words}; use --ca FILE, the authority's certificate")
        case SSLError():
            raise UnavailableError(f"{url} does not speak TLS; use http://") from error
        case ConnectionRefusedError():
            words = "connection refused; is the server running? zato-lite serve starts it"
        case TimeoutError():
            words = "no answer in time"
        case HTTPException() | ConnectionResetError():
            words = "the answer is not HTTP; a server with a certificate needs https://"
        case OSError():
            words = (error.strerror or str(error)).lower()
        case _:
            words = str(error)
    raise UnavailableError(f"cannot connect to {url}: {words}") from error


def details_of(answer: str) -> str:
    """Return the sentence of an error's answer; the text itself if it has none."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return answer.strip()
    details = found.get("details") if isinstance(found, dict) else None
    if not isinstance(details, str):
        return answer.strip()
    hint = f"; {hint}" if (hint := found.get("hint")) else ""
    return f"{details}{hint}"


def decoded(answer: str) -> Any:
    """Return what an answer holds: JSON, or its text."""
    try:
        return json.loads(answer)
    except (ValueError, RecursionError):
        return answer


def readable(answer: str) -> str:
    """Return JSON indented, and any other text without control characters, for a terminal."""
    try:
        return as_json(json.loads(answer), indent=2)
    except (ValueError, RecursionError):
        return printed(answer)
