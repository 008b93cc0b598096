"""A small HTTP client for the command line: one request, standard library only."""

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from zato_lite.config import Server
from zato_lite.errors import BadInputError, ConfigError, UnavailableError

_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared, not bound


_PASSWORD = "ZATO_LITE_ADMIN_PASSWORD"  # noqa: S105 - the name of a variable


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


def find_password(environ: Mapping[str, str], file: Path | None) -> str | None:
    """Return the password from a file or the environment, or None.

    Raises:
        ConfigError: the file cannot be read, or is empty.
    """
    if file is None and (password := environ.get(_PASSWORD)):
        return password
    option = "--password-file" if file is not None else f"{_PASSWORD}_FILE"
    name = file or environ.get(f"{_PASSWORD}_FILE")
    if not name:
        return None
    try:
        password = Path(name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{option}: {error}") from error
    if not password:
        raise ConfigError(f"{option}: {name} is empty")
    return password


def call(url: str, user: str, password: str, service: str, payload: str) -> tuple[int, str]:
    """Invoke a service of a running server; return the response's status and text.

    Raises:
        BadInputError: the URL is not an HTTP URL.
        UnavailableError: the server cannot be reached.
    """
    if not url.startswith(("http://", "https://")):
        raise BadInputError(f"--url: {url!r} does not begin with http:// or https://")
    if "@" in urllib.parse.urlsplit(url).netloc:
        raise BadInputError("--url: credentials are not allowed in it; use --user and a password")
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310
        f"{url.rstrip('/')}/zato/api/invoke/{service}",
        data=payload.encode(),
        method="POST",
        headers={"Authorization": f"Basic {credentials}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=3600) as response:  # noqa: S310 # nosec B310 - checked above
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
        raise UnavailableError(f"cannot connect to {url}: {error}") from error


def readable(answer: str) -> str:
    """Return JSON indented, and any other text unchanged."""
    try:
        return json.dumps(json.loads(answer), indent=2, ensure_ascii=False)
    except ValueError:
        return answer
