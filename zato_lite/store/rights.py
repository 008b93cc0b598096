"""Rights of users and keys: what a run on their behalf may do, and the number of their version."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from zato_lite.store.accounts import CREDENTIALS_VERSION, Kind
from zato_lite.store.ports import Connection
from zato_lite.store.sql import fetch_value, read_rows
from zato_lite.timetable.job import Instant

_SELECT = "SELECT kind, name, roles, patterns, is_active, label, expires_at FROM credential"


class Rights(msgspec.Struct, frozen=True):
    """A user or a key with its rights, without its secret."""

    kind: Kind
    name: str
    roles: frozenset[str]
    patterns: tuple[str, ...]
    is_active: bool
    label: str
    expires_at: Instant | None


class AllRights(NamedTuple):
    """The rights of all users and keys, and the number of their version."""

    version: int
    rights: Sequence[Rights]


def changed_rights(connection: Connection, version: int | None) -> AllRights | None:
    """Return the rights of all users and keys if their version is another one, else None."""
    if version is None or fetch_value(connection, CREDENTIALS_VERSION) == version:
        return None
    return all_rights(connection)


def all_rights(connection: Connection) -> AllRights:
    """Return the rights of all users and keys."""
    version = fetch_value(connection, CREDENTIALS_VERSION)
    return AllRights(version, read_rows(connection, _SELECT, (), Rights))
