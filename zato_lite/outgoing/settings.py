"""Settings of connections: checked, with the contents of the files that they name."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from zato_lite.errors import ConfigError
from zato_lite.outgoing_config import Rest


class Material(NamedTuple):
    """Contents of the files of an HTTP connection, and its secret.

    Attributes:
        secret: password, token or key.
        authorities: PEM of further authorities.
        identity: PEM of the client's certificate with its key.
    """

    secret: str = ""
    authorities: bytes = b""
    identity: bytes = b""


def require(module: str, extra: str) -> None:
    """Check that a library is installed.

    Raises:
        ConfigError: it is not; the message names the extra.
    """
    if find_spec(module) is None:
        raise ConfigError(f"{module} is not installed; pip install 'zato-lite[{extra}]'")


def secret_of(secret: str, file: str, folder: Path, key: str = "secret") -> str:
    """Return a secret of the settings or of the file that they name.

    Raises:
        ConfigError: both are given, or the file cannot be read.
    """
    if secret and file:
        raise ConfigError(f"{key} and {key}_file are given; use one of them")
    if not file:
        return secret
    return read_file(folder / file, f"{key}_file").decode(errors="replace").strip()


def material_of(rest: Rest, folder: Path) -> Material:
    """Return what an HTTP connection needs besides its settings.

    Raises:
        ConfigError: a file cannot be read, or a secret is missing.
    """
    if problems := [*_problems(rest)]:
        raise ConfigError("\n".join(problems))
    secret = secret_of(rest.secret, rest.secret_file, folder)
    if rest.auth != "none" and not secret:
        raise ConfigError(f"secret is missing; auth = {rest.auth!r} needs it")
    authorities = read_file(folder / rest.ca, "ca") if rest.ca else b""
    identity = read_file(folder / rest.certificate, "certificate") if rest.certificate else b""
    if rest.key:
        identity += b"\n" + read_file(folder / rest.key, "key")
    return Material(secret, authorities, identity)


def _problems(rest: Rest) -> Iterator[str]:
    """Yield what is wrong with the settings of an HTTP connection."""
    yield from _url_problems(rest.url)
    if rest.auth == "basic" and not rest.username:
        yield "username is missing; auth = 'basic' needs it"
    if rest.auth == "none" and (rest.secret or rest.secret_file):
        yield "auth is missing; use basic, bearer or api_key with a secret"
    if rest.auth == "api_key" and rest.follow_redirects:
        yield "follow_redirects would send the key to other hosts; use it with another auth"
    if rest.key and not rest.certificate:
        yield "certificate is missing; key needs it"


def _url_problems(url: str) -> Iterator[str]:
    use = "use http:// or https://, a host and a path"
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        yield f"url {url!r} is not valid; {use}"
        return
    if parts.username is not None:
        yield "url has a user; use auth, username and secret"
    elif "{" in parts.netloc:
        yield f"url {url!r} has a parameter in its host; use one in its path"
    elif not is_valid or parts.query or parts.fragment:
        yield f"url {url!r} is not valid; {use}, and no query string"


def read_file(path: Path, key: str) -> bytes:
    """Return the contents of a file that a key of the settings names.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{key}: {path}: {error.strerror or error}") from error
