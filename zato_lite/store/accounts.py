"""Accounts: credentials of users and API keys, and settings that the server makes up itself."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from zato_lite.errors import ConflictError
from zato_lite.store.companion import accompanied
from zato_lite.store.ports import Connection, Database
from zato_lite.store.sql import claim_setting, execute, fetch_value, read_rows
from zato_lite.timetable.job import Instant

ADMIN = "admin.invoke"
"""Name of the user that always exists and has every right."""

MIN_PASSWORD, MAX_PASSWORD = 8, 1_000
"""Characters of a password that is set."""

Kind = Literal["user", "key"]


class Credential(msgspec.Struct, frozen=True):
    """A user or an API key, with its rights.

    Attributes:
        name: the user's name, or the key's public part.
        hash: of a password, argon2id's own text; of a key, SHA-256 in hexadecimal.
        roles: subset of viewer, operator, editor, admin.
        patterns: invocable services, as fnmatch patterns; empty for all services.
        label: the name that people have given a key.
        owner: the user or team to ask about a key.
        expires_at: instant from which on a key is refused; None for never.
        old_hash: of a key's earlier secret, which is valid before ``old_until``.
    """

    kind: Kind
    name: str
    hash: str
    roles: frozenset[str] = frozenset()
    patterns: tuple[str, ...] = ()
    is_active: bool = True
    label: str = ""
    owner: str = ""
    created_at: Instant | None = None
    expires_at: Instant | None = None
    old_hash: str = ""
    old_until: Instant | None = None

    @property
    def shown(self) -> str:
        """The name for people: that of a key, with its public part."""
        return shown_name(self.name, self.label)

    def has_expired(self, now: Instant) -> bool:
        """Return True if it is a key that is refused because of its age."""
        return self.expires_at is not None and self.expires_at <= now


def shown_name(name: str, label: str) -> str:
    """Return the name of a user or a key for people."""
    return f"{label} ({name})" if label else name


class NewKey(NamedTuple):
    """A new API key: the text that a client sends, its public part, and the hash to store."""

    text: str
    name: str
    hash: str


CREDENTIALS_VERSION = "SELECT value FROM sequence WHERE name = 'credential'"
"""Statement for the number that grows with each change of a credential."""

_FIELDS = Credential.__struct_fields__
_COLUMNS = ", ".join(_FIELDS)
_SELECT = f"SELECT {_COLUMNS} FROM credential WHERE kind = ?"

_INSERT = f"INSERT INTO credential ({_COLUMNS}) VALUES ({', '.join('?' * len(_FIELDS))})"
_REPLACE = "ON CONFLICT (kind, name) DO UPDATE SET " + ", ".join(
    f"{field} = excluded.{field}" for field in _FIELDS[2:]
)
_RECORD_USE = """INSERT INTO key_use (name, used_at) SELECT ?1, ?2
    WHERE EXISTS (SELECT 1 FROM credential WHERE kind = 'key' AND name = ?1)
    ON CONFLICT (name) DO UPDATE SET used_at = excluded.used_at
    WHERE key_use.used_at < excluded.used_at"""


class KeyUse(NamedTuple):
    """The last recorded use of a key."""

    name: str
    used_at: Instant


class Accounts:
    """Repository of credentials and settings.

    Args:
        database: the store.
        on_change: awaited after each change of a credential, before the change is answered.
    """

    def __init__(
        self, database: Database, on_change: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        self._database, self._on_change = database, on_change

    async def find(self, kind: Kind, name: str) -> Credential | None:
        """Return the credential, or None if it does not exist."""
        if "\0" in name:  # which no store keeps
            return None
        rows = await self._database.read(
            lambda c: read_rows(c, f"{_SELECT} AND name = ?", (kind, name), Credential)
        )
        return rows[0] if rows else None

    async def list(self, kind: Kind) -> Sequence[Credential]:
        """Return all credentials of the kind, sorted by name."""
        return await self._database.read(
            lambda c: read_rows(c, f"{_SELECT} ORDER BY name", (kind,), Credential)
        )

    async def keys_named(self, name: str) -> Sequence[Credential]:
        """Return the key with this public part, or the keys to which people gave this name."""
        condition, values = "(name = ? OR label = ?)", ("key", name, name)
        found = await self._database.read(
            lambda c: read_rows(c, f"{_SELECT} AND {condition} ORDER BY name", values, Credential)
        )
        return [each for each in found if each.name == name] or found

    async def uses(self) -> Mapping[str, Instant]:
        """Return the last uses of keys."""
        select = "SELECT name, used_at FROM key_use"
        return dict(await self._database.read(lambda c: read_rows(c, select, (), KeyUse)))

    async def record_uses(self, uses: Mapping[str, Instant]) -> None:
        """Record the last uses of keys."""

        def operation(connection: Connection) -> None:
            for use in sorted(uses.items()):
                execute(connection, _RECORD_USE, use)

        await self._database.write(operation)

    async def change(self, credential: Credential, before: Credential | None) -> None:
        """Insert a new credential, or replace ``before``.

        Raises:
            ConflictError: another key has its name; the credential was changed meanwhile.
        """
        await self._database.write(accompanied(lambda c: _change(c, credential, before)))
        await self._changed()

    async def save(self, credential: Credential) -> None:
        """Insert the credential, or replace the one of the same kind and name.

        The sessions of a user end if the password is new or the user is not active.
        """
        await self._database.write(accompanied(lambda c: save_credential(c, credential)))
        await self._changed()

    async def add(self, credential: Credential) -> bool:
        """Insert the credential; return False, without any change, if it exists."""
        is_new = await self._database.write(lambda c: _add(c, credential))
        await self._changed()
        return is_new

    async def replace_hash(self, name: str, before: str, after: str) -> bool:
        """Replace the hash of a user's password by another hash of the same password.

        Sessions do not end. Returns False, without any change, if the hash is another one by now.
        """
        statement = "UPDATE credential SET hash = ? WHERE kind = 'user' AND name = ? AND hash = ?"
        return await self._database.write(
            lambda c: bool(execute(c, statement, (after, name, before)))
        )

    async def delete(self, kind: Kind, name: str) -> bool:
        """Delete the credential and end its sessions; return False if it does not exist."""
        existed = await self._database.write(accompanied(lambda c: _delete(c, kind, name)))
        await self._changed()
        return existed

    async def _changed(self) -> None:
        if self._on_change is not None:
            await self._on_change()

    async def claim_setting(self, name: str, value: str) -> str:
        """Save the value unless the setting has one already; return the value in effect."""
        return await self._database.write(lambda c: claim_setting(c, name, value))


def save_credential(connection: Connection, credential: Credential) -> None:
    """Insert or replace a credential within a transaction; see ``Accounts.save``."""
    if credential.kind == "user":
        name, hashed, is_active = credential.name, credential.hash, credential.is_active
        same = "SELECT 1 FROM credential WHERE kind = 'user' AND name = ?1 AND hash = ?2 AND ?3"
        for table in ("session", "password_code"):
            statement = f'DELETE FROM {table} WHERE "user" = ?1 AND NOT EXISTS ({same})'
            execute(connection, statement, (name, hashed, is_active))
    _insert(connection, credential, _REPLACE)


def _add(connection: Connection, credential: Credential) -> bool:
    return bool(_insert(connection, credential, "ON CONFLICT DO NOTHING"))


def _insert(connection: Connection, credential: Credential, otherwise: str) -> int:
    values = msgspec.structs.asdict(credential)
    values["roles"] = msgspec.json.encode(sorted(credential.roles)).decode()
    values["patterns"] = msgspec.json.encode(credential.patterns).decode()
    return execute(connection, f"{_INSERT} {otherwise}", [*values.values()])


def _change(connection: Connection, after: Credential, before: Credential | None) -> None:
    if connection.dialect == "postgres":  # changes of two nodes do not see each other
        execute(connection, "LOCK TABLE credential IN SHARE ROW EXCLUSIVE MODE")
    same = "SELECT name FROM credential WHERE kind = 'key' AND label = ? AND name <> ?"
    if after.label and (other := fetch_value(connection, same, (after.label, after.name))):
        raise ConflictError(f"Key `{shown_name(other, after.label)}` already exists")
    key = (after.kind, after.name)
    present = next(iter(read_rows(connection, f"{_SELECT} AND name = ?", key, Credential)), None)
    if present != before:
        name = f"{after.kind.capitalize()} `{(before or after).shown}`"
        if before is None:
            raise ConflictError(f"{name} already exists")
        raise ConflictError(f"{name} was changed meanwhile; try again")
    save_credential(connection, after)


def _delete(connection: Connection, kind: Kind, name: str) -> bool:
    if kind == "user":
        execute(connection, 'DELETE FROM session WHERE "user" = ?', (name,))
    else:
        execute(connection, "DELETE FROM key_use WHERE name = ?", (name,))
    statement = "DELETE FROM credential WHERE kind = ? AND name = ?"
    return bool(execute(connection, statement, (kind, name)))
