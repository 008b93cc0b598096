"""Sessions: sign-ins of browsers; of the token in the cookie, only the hash is stored."""

import hashlib
import re
from collections.abc import Sequence
from typing import TypedDict

import msgspec

from zato_lite.clock import to_datetime
from zato_lite.store.accounts import Credential, save_credential
from zato_lite.store.companion import accompanied
from zato_lite.store.dialect import AMONG_TEXTS
from zato_lite.store.ports import Connection, Database
from zato_lite.store.sql import NO_LIMIT, execute, fetch_value, read_rows
from zato_lite.timetable.job import Instant

_MAX_PER_USER = 100
_ID_LENGTH = 16
_ID = re.compile(r"[0-9a-f]{16}")
_TOUCHES_PER_LIMIT = 60


class SessionLimits(msgspec.Struct, frozen=True):
    """The durations of a session in microseconds: without use, and in all."""

    idle: int = 2 * 3600 * 1_000_000
    lifetime: int = 12 * 3600 * 1_000_000


class Session(msgspec.Struct, frozen=True):
    """A session.

    Attributes:
        hash: of the token; a hash is not a credential.
        used_at: instant of the last use that was recorded.
    """

    hash: str
    user: str
    created_at: Instant
    used_at: Instant
    remote_address: str = ""
    user_agent: str = ""

    @property
    def id(self) -> str:
        """The public name of the session."""
        return self.hash[:_ID_LENGTH]

    def ends_at(self, limits: SessionLimits) -> Instant:
        """Return the instant at which the session ends without further use."""
        return min(self.created_at + limits.lifetime, self.used_at + limits.idle)


class SessionItem(TypedDict):
    """A session as its user sees it; the id is not a credential."""

    id: str
    user: str
    created: str
    used: str
    expires: str
    remote_address: str
    user_agent: str


_COLUMNS = 'hash, "user", created_at, used_at, remote_address, user_agent'
_SELECT = f"SELECT {_COLUMNS} FROM session"
_OF_USER = '(CAST(?1 AS TEXT) IS NULL OR "user" = ?1)'
_ALIVE = "created_at > ? AND used_at > ?"


class Sessions:
    """Repository of sessions.

    Attributes:
        limits: durations of a session; the settings', once the server has read them.
    """

    def __init__(self, database: Database, limits: SessionLimits | None = None) -> None:
        self._database, self.limits = database, limits or SessionLimits()

    async def add(self, session: Session, password_hash: str | None = None) -> bool:
        """Insert a session; delete those that have ended, and the oldest beyond 100 of a user.

        Args:
            session: the session.
            password_hash: of the password that was checked; unless the active user still has
                it, nothing is inserted and the result is False.
        """
        return await self._database.write(lambda c: self._add(c, session, password_hash))

    async def find(self, hashed: str, now: Instant) -> Session | None:
        """Return the session with this hash, or None if it does not exist or has ended."""
        found = await self._list(now, "hash = ?", hashed)
        return found[0] if found else None

    async def find_by_id(self, session_id: str, now: Instant) -> Session | None:
        """Return the session with this id, or None if it does not exist or has ended."""
        if not _ID.fullmatch(session_id):
            return None
        found = await self._list(now, "hash >= ? AND hash < ? || 'g'", session_id, session_id)
        return found[0] if found else None

    async def list(self, now: Instant, user: str | None = None) -> Sequence[Session]:
        """Return the sessions of a user, or of all users; newest first."""
        return await self._list(now, _OF_USER, user)

    async def record_use(self, session: Session, now: Instant) -> None:
        """Record that the session is in use; at most 60 times within the idle limit."""
        if now - session.used_at >= self.limits.idle / _TOUCHES_PER_LIMIT:
            await self._database.write(
                lambda c: execute(
                    c, "UPDATE session SET used_at = ? WHERE hash = ?", (now, session.hash)
                )
            )

    async def delete(self, hashes: Sequence[str]) -> None:
        """End the sessions with these hashes."""
        statement = f"DELETE FROM session WHERE hash {AMONG_TEXTS}"
        await self._database.write(accompanied(lambda c: execute(c, statement, (c.many(hashes),))))

    async def delete_of(self, user: str | None) -> Sequence[str]:
        """End the sessions of a user, or of all users; return their hashes."""
        return await self._database.write(lambda c: _delete_of(c, user))

    async def _list(self, now: Instant, condition: str, *values: str | None) -> Sequence[Session]:
        # The condition comes first, since it may number its parameters.
        statement = f"{_SELECT} WHERE {condition} AND {_ALIVE} ORDER BY created_at DESC, hash"
        earliest = (now - self.limits.lifetime, now - self.limits.idle)
        return await self._database.read(
            lambda c: read_rows(c, statement, (*values, *earliest), Session)
        )

    def _add(self, connection: Connection, session: Session, password_hash: str | None) -> bool:
        now = session.created_at
        earliest = (now - self.limits.lifetime, now - self.limits.idle)
        execute(connection, f"DELETE FROM session WHERE NOT ({_ALIVE})", earliest)
        execute(
            connection,
            'DELETE FROM session WHERE hash IN (SELECT hash FROM session WHERE "user" = ?'
            " ORDER BY created_at DESC LIMIT ? OFFSET ?)",
            (session.user, NO_LIMIT, _MAX_PER_USER - 1),
        )
        inserted = execute(
            connection,
            f"INSERT INTO session ({_COLUMNS}) SELECT ?1, ?2, ?3, ?4, ?5, ?6"
            " WHERE CAST(?7 AS TEXT) IS NULL OR EXISTS"
            " (SELECT 1 FROM credential"
            "  WHERE kind = 'user' AND name = ?2 AND hash = ?7 AND is_active)",
            (*msgspec.structs.astuple(session), password_hash),
        )
        return bool(inserted)


class PasswordCodes:
    """Codes with which the password of a user can be set once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, code: str, user: str, ends_at: Instant) -> None:
        """Store the hash of a code; delete earlier codes of the user."""

        def operation(connection: Connection) -> None:
            execute(connection, 'DELETE FROM password_code WHERE "user" = ?', (user,))
            values = (hash_token(code), user, ends_at)
            insert = 'INSERT INTO password_code (hash, "user", ends_at) VALUES (?, ?, ?)'
            execute(connection, insert, values)

        await self._database.write(operation)

    async def user_of(self, code: str, now: Instant) -> str | None:
        """Return the user whose password the code can set, or None if it is not valid."""
        return await self._database.read(lambda c: _user_of_code(c, code, now))

    async def redeem(self, code: str, credential: Credential, now: Instant) -> bool:
        """Save the user and delete the code in one transaction; False if it is not valid."""
        return await self._database.write(lambda c: _redeem(c, code, credential, now))


def session_item(session: Session, limits: SessionLimits) -> SessionItem:
    """Return the public fields of a session, with times as ISO 8601."""
    return {
        "id": session.id,
        "user": session.user,
        "created": to_datetime(session.created_at).isoformat(),
        "used": to_datetime(session.used_at).isoformat(),
        "expires": to_datetime(session.ends_at(limits)).isoformat(),
        "remote_address": session.remote_address,
        "user_agent": session.user_agent,
    }


def hash_token(token: str) -> str:
    """Return the hash of a random token; a slow hash would add no protection."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _delete_of(connection: Connection, user: str | None) -> Sequence[str]:
    hashes = read_rows(connection, f"SELECT hash FROM session WHERE {_OF_USER}", (user,), str)
    execute(connection, f"DELETE FROM session WHERE {_OF_USER}", (user,))
    return hashes


def _user_of_code(connection: Connection, code: str, now: Instant) -> str | None:
    statement = 'SELECT "user" FROM password_code WHERE hash = ? AND ends_at > ?'
    user: str | None = fetch_value(connection, statement, (hash_token(code), now))
    return user


def _redeem(connection: Connection, code: str, credential: Credential, now: Instant) -> bool:
    if _user_of_code(connection, code, now) != credential.name:
        return False
    save_credential(connection, credential)  # which deletes the user's codes, too
    return True
