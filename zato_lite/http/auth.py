"""Authentication: finds the caller behind a password, an API key or a session.

Passwords and keys are remembered for a minute, sessions for seconds. All are in the store.
"""

import asyncio
import binascii
import hashlib
import hmac
import logging
import secrets
from base64 import b64decode
from collections.abc import Collection
from functools import partial
from typing import NamedTuple

import msgspec

from zato_lite.clock import Clock, to_datetime
from zato_lite.errors import UnauthorizedError, ZatoLiteError
from zato_lite.http.key_use import KeyUses
from zato_lite.http.passwords import KEY_PREFIX, THREADS, Passwords, foreign_key_name, hash_key
from zato_lite.http.throttle import SignIns, network_of
from zato_lite.http.turns import Turns
from zato_lite.service.access import ROLES, may_invoke
from zato_lite.service.message import Caller
from zato_lite.store.accounts import Accounts, Credential
from zato_lite.store.audit import AuditLog
from zato_lite.store.sessions import Session, Sessions, hash_token

SESSION_COOKIE = "zato_lite_session"

_REMEMBERED_S = 60.0
_SESSION_REMEMBERED_S = 3.0
"""Seconds after which a session is read again, since another process may have ended it."""

_MAX_REMEMBERED = 4096
_MAX_TOKEN = 200
_MAX_AGENT = 200
_ATTEMPTS = 3
"""Attempts of a sign-in whose user is changed meanwhile."""

_log = logging.getLogger(__name__)


class ExpiredKeyError(UnauthorizedError):
    """A key is right, and has expired.

    Attributes:
        key: its name for people.
    """

    def __init__(self, key: str, expired_at: int) -> None:
        super().__init__(f"API key {key} expired at {to_datetime(expired_at).isoformat()}")
        self.key = key


class Checked(NamedTuple):
    """The caller behind checked credentials.

    Attributes:
        session: the session, if they are a session's.
        ends_at: the instant from which they are not valid any more; None for no such instant.
    """

    caller: Caller
    session: Session | None = None
    ends_at: int | None = None


class CallerRights:
    """An admitted caller, and the monotonic time until which its rights need no new check.

    Attributes:
        session: hash of the session's token, if the caller has signed in.
    """

    __slots__ = ("_allowed", "caller", "session", "until")

    def __init__(self, caller: Caller, until: float, session: str = "") -> None:
        self.caller, self.until, self.session = caller, until, session
        self._allowed: dict[str, bool] = {}

    def may_invoke(self, service: str) -> bool:
        """Return True if the caller may invoke the service."""
        is_allowed = self._allowed.get(service)
        if is_allowed is None:
            is_allowed = may_invoke(self.caller, service)
            if len(self._allowed) < _MAX_REMEMBERED:
                self._allowed[service] = is_allowed
        return is_allowed

    def has_role(self, role: str) -> bool:
        """Return True if the caller has the role or a higher one."""
        return any(other in self.caller.roles for other in ROLES[ROLES.index(role) :])


class Authenticator:
    """Checks credentials, remembers the callers, and makes sessions.

    An API key or a session is a long random text, which cannot be guessed: only passwords are
    throttled, and only they wait for their turn.
    """

    def __init__(
        self,
        accounts: Accounts,
        audit_log: AuditLog,
        passwords: Passwords,
        clock: Clock,
        sessions: Sessions,
    ) -> None:
        self.accounts, self.audit_log, self.sessions = accounts, audit_log, sessions
        self.passwords, self.clock = passwords, clock
        self._digest_key = hashlib.blake2b(digest_size=16, key=secrets.token_bytes(32))
        self._remembered: dict[bytes, CallerRights] = {}
        self.key_uses = KeyUses(accounts, clock)
        self.sign_ins, self._turns = SignIns(), Turns(THREADS)
        self._checks: dict[bytes, asyncio.Task[Checked]] = {}
        self._session_checks: dict[bytes, asyncio.Task[Checked]] = {}
        self._changes = self._ended_sessions = 0

    def remembered(self, authorization: bytes, address: str) -> CallerRights | None:
        """Return the caller with these credentials if they were checked a short time ago.

        The memory holds keyed digests: neither the credentials, nor anything that the time of a
        comparison could reveal. The network is a part of each, so that guesses from elsewhere
        cannot find out what was right here.
        """
        rights = self._remembered.get(self._digest(authorization, address))
        if rights is not None and rights.until > self.clock.monotonic():
            return rights
        return None

    async def check(self, authorization: bytes, address: str) -> CallerRights:
        """Return the caller with these credentials.

        Raises:
            UnauthorizedError: the credentials are wrong.
            TooManyRequestsError: they were wrong too often; they are not checked now.
        """
        if (rights := self.remembered(authorization, address)) is not None:
            return rights
        digest = self._digest(authorization, address)
        is_session = authorization[:8].lower() == b"session "
        checks = self._session_checks if is_session else self._checks
        while True:
            before = self._changes, self._ended_sessions
            check = checks.get(digest)
            if check is None:
                check = asyncio.ensure_future(self._check(authorization, address))
                checks[digest] = check
                check.add_done_callback(partial(_check_ended, checks, digest))
            checked = await asyncio.shield(check)  # other requests may wait for the same check
            if before[0] != self._changes:
                continue
            if checked.session is None or before[1] == self._ended_sessions:
                return self._remember(digest, checked)

    def forget(self) -> None:
        """Drop the remembered callers, because a user or a key was changed.

        Present checks are repeated, since they may have read the account before the change.
        """
        self._changes += 1
        self._checks.clear()
        self._session_checks.clear()
        self._forget_all()

    def forget_sessions(self, hashes: Collection[str]) -> None:
        """Drop the callers of sessions that have ended; those with passwords stay."""
        self._ended_sessions += 1
        self._session_checks.clear()
        for digest, rights in tuple(self._remembered.items()):
            if rights.session in hashes:
                rights.until = 0.0
                del self._remembered[digest]

    async def log_in(self, name: str, password: str, address: str, agent: str = "") -> str:
        """Return the token of a new session of the user.

        Args:
            name: of the user.
            password: the user's.
            address: of the client.
            agent: the client's User-Agent, shown in the list of sessions.

        Raises:
            UnauthorizedError: the password is wrong.
            TooManyRequestsError: it was wrong too often; it is not checked now.
        """
        for _ in range(_ATTEMPTS):
            user = await self._user(name, password, address)
            if (token := await self.begin_session(user, address, agent)) is not None:
                return token
        raise UnauthorizedError("Unauthorized")

    async def begin_session(self, user: Credential, address: str, agent: str) -> str | None:
        """Return the token of a new session; None if the user was changed meanwhile."""
        token, now = secrets.token_urlsafe(32), self.clock.now()
        shown = "".join(c for c in agent[:_MAX_AGENT] if c.isprintable())
        session = Session(hash_token(token), user.name, now, now, address, shown)
        return token if await self.sessions.add(session, user.hash) else None

    async def session(self, token: str) -> Caller:
        """Return the caller of a session.

        Raises:
            UnauthorizedError: the token is not valid, or the session has ended.
        """
        return (await self._session(token)).caller

    async def find_session(self, token: str) -> Session | None:
        """Return the session of a token, or None if it has ended."""
        if not 0 < len(token) <= _MAX_TOKEN:
            return None
        return await self.sessions.find(hash_token(token), self.clock.now())

    async def end_session(self, token: str) -> Session | None:
        """End a session; return it, or None if it has ended already."""
        session = await self.find_session(token)
        if session is not None:
            await self.sessions.delete([session.hash])
            self.forget_sessions({session.hash})
        return session

    async def end_sessions_of(self, user: str) -> int:
        """End all sessions of a user; return their number."""
        ended = await self.sessions.delete_of(user)
        self.forget_sessions(frozenset(ended))
        return len(ended)

    async def _check(self, authorization: bytes, address: str) -> Checked:
        scheme, _, text = authorization.partition(b" ")
        match scheme.lower():
            case b"basic":
                name, password = _parse_basic(text)
                return Checked(_caller(await self._user(name, password, address)))
            case b"bearer":
                return await self._key(text.strip())
            case b"session":
                return await self._session(text.decode("latin-1"))
            case _:
                raise UnauthorizedError("Unauthorized")

    async def _session(self, token: str) -> Checked:
        session = await self.find_session(token)
        user = await self.accounts.find("user", session.user) if session is not None else None
        if session is None or user is None or not user.is_active:
            raise UnauthorizedError("Unauthorized")
        try:
            await self.sessions.record_use(session, self.clock.now())
        except ZatoLiteError as error:  # a full disk must not lock out its admin
            _log.warning("use of a session not recorded", extra={"error": str(error)})
        return Checked(_caller(user), session, session.ends_at(self.sessions.limits))

    async def _user(self, name: str, password: str, address: str) -> Credential:
        network, now = network_of(address), self.clock.monotonic()
        self.sign_ins.check(name, network, now)
        exists = await self.accounts.find("user", name) is not None
        rank = self.sign_ins.rank(name, network, now, exists=exists)
        async with self._turns.turn(rank, network):
            self.sign_ins.check(name, network, self.clock.monotonic())
            user = await self.accounts.find("user", name)
            hashed = user.hash if user is not None and user.is_active else None
            is_right = await self.passwords.matches(hashed, password)
            if user is not None and is_right:
                self.sign_ins.record_success(name, network)
                return await self._rehashed(user, password)
        now = self.clock.monotonic()
        self.sign_ins.record_failure(name, network, now, exists=user is not None)
        raise UnauthorizedError("Unauthorized")

    async def _rehashed(self, user: Credential, password: str) -> Credential:
        """Return the user, whose hash is brought to the present parameters if it is older."""
        if not self.passwords.is_outdated(user.hash):
            return user
        hashed = await self.passwords.hash(password)
        try:
            if await self.accounts.replace_hash(user.name, user.hash, hashed):
                return msgspec.structs.replace(user, hash=hashed)
        except ZatoLiteError as error:
            _log.warning("hash of a password not renewed", extra={"error": str(error)})
        return user

    async def _key(self, text: bytes) -> Checked:
        sent = text.decode("ascii", "replace")
        prefix, _, rest = sent.partition("_")
        name, _, secret = rest.partition("_")
        if prefix != KEY_PREFIX:
            name, secret = foreign_key_name(sent), sent
        key, now = await self.accounts.find("key", name), self.clock.now()
        expected = key.hash if key is not None else hash_key("")
        hashed = hash_key(secret)
        is_right, ends_at = hmac.compare_digest(hashed, expected), None
        if key is not None and not is_right and key.old_until is not None and now < key.old_until:
            is_right, ends_at = hmac.compare_digest(hashed, key.old_hash), key.old_until
        if key is None or not is_right or not key.is_active:
            raise UnauthorizedError("Unauthorized")
        if key.expires_at is not None:
            if key.has_expired(now):
                raise ExpiredKeyError(key.shown, key.expires_at)
            ends_at = min(key.expires_at, ends_at or key.expires_at)
        self.key_uses.add(key.name)
        return Checked(_caller(key), ends_at=ends_at)

    def _remember(self, digest: bytes, checked: Checked) -> CallerRights:
        """Remember the caller as one object, so that ``forget`` ends what was handed out."""
        now = self.clock.monotonic()
        earlier = self._remembered.get(digest)
        if earlier is not None and earlier.until > now:
            return earlier
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._forget_all()
        seconds, hashed = _REMEMBERED_S, ""
        if (session := checked.session) is not None:
            seconds, hashed = _SESSION_REMEMBERED_S, session.hash
        if checked.ends_at is not None:
            seconds = min(seconds, (checked.ends_at - self.clock.now()) / 1_000_000)
        rights = CallerRights(checked.caller, now + seconds, hashed)
        self._remembered[digest] = rights
        return rights

    def _forget_all(self) -> None:
        for rights in self._remembered.values():
            rights.until = 0.0
        self._remembered.clear()

    def _digest(self, authorization: bytes, address: str) -> bytes:
        digest = self._digest_key.copy()
        digest.update(b"%b\0%b" % (network_of(address).encode("utf-8", "replace"), authorization))
        return digest.digest()


def _check_ended(
    checks: dict[bytes, asyncio.Task[Checked]], digest: bytes, check: asyncio.Task[Checked]
) -> None:
    if checks.get(digest) is check:
        del checks[digest]
    if not check.cancelled():
        check.exception()  # asyncio warns of an exception that no request has retrieved


def _parse_basic(text: bytes) -> tuple[str, str]:
    try:
        decoded = b64decode(text.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise UnauthorizedError("Unauthorized") from error
    name, colon, password = decoded.partition(":")
    if not colon:
        raise UnauthorizedError("Unauthorized")
    return name, password


def _caller(credential: Credential) -> Caller:
    name, label = credential.name, credential.label
    return Caller(name, credential.roles, credential.patterns, credential.kind, label=label)
