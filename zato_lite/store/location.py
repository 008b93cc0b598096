"""Location of a project's store: the path that its URL means."""

from pathlib import Path

from zato_lite.errors import ConfigError
from zato_lite.redaction import redacted
from zato_lite.store.postgres_url import SCHEMES
from zato_lite.store.private import make_folder

_SQLITE = "sqlite:///"
_ALLOWED = f"use {_SQLITE} and a path, or {SCHEMES[0]}"
_MEMORY = ":memory:"
_NO_FILE = "[store] url: a store in memory has no file"


def path_of(folder: Path, url: str) -> str:
    """Return the path of the database that a URL means, and make its folder.

    Raises:
        ConfigError: the URL is not valid, or the folder cannot be made.
    """
    if not url.startswith(_SQLITE):
        raise ConfigError(f"[store] url: {redacted(url)!r} is not known; {_ALLOWED}")
    path = url.removeprefix(_SQLITE)
    if path == _MEMORY:
        return path
    place = folder / path
    try:
        make_folder(place.parent)
    except OSError as error:
        words = f"folder {place.parent} cannot be used: {error.strerror or error}"
        raise ConfigError(f"[store] url: {url!r}: {words}") from error
    return str(place)


def existing_path_of(folder: Path, url: str) -> Path | None:
    """Return the path of the database file if it exists, without making its folder.

    Raises:
        ConfigError: the URL is not valid.
    """
    if not url.startswith(_SQLITE):
        raise ConfigError(f"[store] url: {redacted(url)!r} is not known; {_ALLOWED}")
    path = folder / url.removeprefix(_SQLITE)
    return path if path.is_file() else None


def file_of(folder: Path, url: str) -> Path:
    """Return the path of the database file, which need not exist.

    Raises:
        ConfigError: the URL is not valid, or means a store in memory.
    """
    path = path_of(folder, url)
    if path == _MEMORY:
        raise ConfigError(_NO_FILE)
    return Path(path)


def existing_file_of(folder: Path, url: str) -> Path:
    """Return the path of the database file.

    Raises:
        ConfigError: the file does not exist, or the URL does not mean a file.
    """
    if url == f"{_SQLITE}{_MEMORY}":
        raise ConfigError(_NO_FILE)
    path = folder / url.removeprefix(_SQLITE)
    try:
        found = existing_path_of(folder, url)
    except OSError as error:
        raise ConfigError(f"[store] url: {path} cannot be read: {error.strerror}") from error
    if found is None:
        raise ConfigError(f"[store] url: file not found: {path}")
    return found
