"""Users, API keys, what they did, and settings."""

from collections.abc import Sequence

import msgspec

from zato_lite.store.ports import Connection, Database
from zato_lite.store.statements import execute, fetch_all, fetch_value
from zato_lite.timetable.job import Instant


class User(msgspec.Struct, frozen=True):
    """A user, or an API key under its public part; of its secret only the hash."""

    name: str
    hash: str
    roles: frozenset[str] = frozenset()
    patterns: tuple[str, ...] = ()
    is_active: bool = True


class AuditRow(msgspec.Struct, frozen=True):
    """Something that a caller did or tried."""

    at: Instant
    who: str
    action: str
    subject: str
    outcome: str
    cid: str
    remote_address: str


_COLUMNS = """json_object('name', name, 'hash', hash, 'roles', json(roles),
    'patterns', json(patterns),
    'is_active', json(CASE is_active WHEN 1 THEN 'true' ELSE 'false' END)) AS line"""


class Accounts:
    """What ``http.users`` asks for, kept in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_user(self, name: str) -> User | None:
        return await self._database.read(lambda c: _find(c, "user", name))

    async def save_user(
        self,
        name: str,
        hashed: str,
        roles: frozenset[str],
        patterns: tuple[str, ...],
        active: bool,
    ) -> None:
        user = User(name, hashed, roles, patterns, active)
        await self._database.write(lambda c: _save(c, "user", user))

    async def remove_user(self, name: str) -> bool:
        return await self._database.write(lambda c: _remove(c, "user", name))

    async def list_users(self) -> Sequence[User]:
        return await self._database.read(lambda c: _all(c, "user"))

    async def find_key(self, name: str) -> User | None:
        return await self._database.read(lambda c: _find(c, "api_key", name))

    async def save_key(
        self,
        name: str,
        hashed: str,
        roles: frozenset[str],
        patterns: tuple[str, ...],
        active: bool,
    ) -> None:
        key = User(name, hashed, roles, patterns, active)
        await self._database.write(lambda c: _save(c, "api_key", key))

    async def remove_key(self, name: str) -> bool:
        return await self._database.write(lambda c: _remove(c, "api_key", name))

    async def list_keys(self) -> Sequence[User]:
        return await self._database.read(lambda c: _all(c, "api_key"))

    async def claim_setting(self, name: str, value: str) -> str:
        return await self._database.write(lambda c: _claim_setting(c, name, value))

    async def record_audit(
        self,
        *,
        at: int,
        who: str,
        action: str,
        subject: str,
        outcome: str,
        cid: str,
        remote_address: str,
    ) -> None:
        values = (at, who, action, subject, outcome, cid, remote_address)
        await self._database.write(
            lambda c: execute(
                c,
                "INSERT INTO audit (at, who, action, subject, outcome, cid, remote_address)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        )

    async def list_audit(self, limit: int = 50, offset: int = 0) -> Sequence[AuditRow]:
        """What was done, newest first."""
        return await self._database.read(
            lambda c: fetch_all(
                c,
                "SELECT json_object('at', at, 'who', who, 'action', action, 'subject', subject,"
                " 'outcome', outcome, 'cid', cid, 'remote_address', remote_address) AS line"
                " FROM audit ORDER BY id DESC LIMIT ? OFFSET ?",
                (limit, offset),
                AuditRow,
            )
        )


def _find(connection: Connection, table: str, name: str) -> User | None:
    rows = fetch_all(connection, f"SELECT {_COLUMNS} FROM {table} WHERE name = ?", (name,), User)
    return rows[0] if rows else None


def _all(connection: Connection, table: str) -> list[User]:
    return fetch_all(connection, f"SELECT {_COLUMNS} FROM {table} ORDER BY name", (), User)


def _save(connection: Connection, table: str, user: User) -> None:
    roles = msgspec.json.encode(sorted(user.roles)).decode()
    patterns = msgspec.json.encode(user.patterns).decode()
    execute(
        connection,
        f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?, ?)",
        (user.name, user.hash, roles, patterns, user.is_active),
    )


def _remove(connection: Connection, table: str, name: str) -> bool:
    return bool(execute(connection, f"DELETE FROM {table} WHERE name = ?", (name,)))


def _claim_setting(connection: Connection, name: str, value: str) -> str:
    execute(connection, "INSERT OR IGNORE INTO setting VALUES (?, ?)", (name, value))
    return str(fetch_value(connection, "SELECT value FROM setting WHERE name = ?", (name,)))
