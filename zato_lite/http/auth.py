"""Who is calling: passwords, API keys and sessions, checked off the loop and remembered shortly.

Credentials come from the store's ``Accounts``.
"""

import asyncio
import binascii
import hashlib
import hmac
import secrets
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

from zato_lite.clock import Clock
from zato_lite.errors import TooManyRequestsError, UnauthorizedError
from zato_lite.http.passwords import KEY_PREFIX, Passwords, hash_key
from zato_lite.service.access import ROLES, may_invoke
from zato_lite.service.message import Caller
from zato_lite.store.accounts import Accounts, Credential
from zato_lite.store.audit import AuditLog

SESSION_KEY = "http.session-key"
SESSION_COOKIE = "zato_lite_session"
SESSION_SECONDS = 12 * 3600

_MEMORY_SECONDS = 60.0
_MEMORY_SIZE = 4096
_FREE_FAILURES = 5
_FREE_OF_ADDRESS = 50
_FORGOTTEN_S = 900.0
_MOST_HASHED = 64
_LONGEST_WAIT_S = 300.0
_FAILURES_KEPT = 10_000
_LONGEST_NAME = 200


class CallerRights:
    """A caller that was let in, and until when that holds without asking again."""

    __slots__ = ("_allowed", "caller", "until")

    def __init__(self, caller: Caller, until: float) -> None:
        self.caller, self.until = caller, until
        self._allowed: dict[str, bool] = {}

    def may_invoke(self, service: str) -> bool:
        """Whether the caller may invoke the service."""
        known = self._allowed.get(service)
        if known is None:
            known = may_invoke(self.caller, service)
            if len(self._allowed) < _MEMORY_SIZE:
                self._allowed[service] = known
        return known

    def has_role(self, role: str) -> bool:
        """Whether the caller has the role or one above it."""
        return any(other in self.caller.roles for other in ROLES[ROLES.index(role) :])


class _Failures(NamedTuple):
    """How often in a row it went wrong, and until when nothing is tried."""

    times: int
    until: float


class Authenticator:
    """One way in for HTTP, SSE and the page: from what a request carries to a caller."""

    def __init__(
        self,
        accounts: Accounts,
        audit_log: AuditLog,
        passwords: Passwords,
        clock: Clock,
        *,
        session_key: bytes,
    ) -> None:
        self._accounts, self.audit_log = accounts, audit_log
        self._passwords, self.clock = passwords, clock
        self._memory = hashlib.blake2b(digest_size=16, key=secrets.token_bytes(32))
        self._session_key = session_key
        self._known: dict[bytes, CallerRights] = {}
        self._failures: dict[str, _Failures] = {}
        self._being_hashed = 0
        self._checks: dict[bytes, asyncio.Task[Caller]] = {}
        self._changes = 0

    def remembered(self, authorization: bytes) -> CallerRights | None:
        """The caller whose credentials these are, if they were checked a short while ago.

        What is remembered is a keyed digest: neither the credentials themselves, nor anything
        that a comparison's timing could give away.
        """
        known = self._known.get(self._digest(authorization))
        if known is not None and known.until > self.clock.monotonic():
            return known
        return None

    async def check(self, authorization: bytes, address: str) -> CallerRights:
        """The caller whose credentials these are.

        Raises:
            UnauthorizedError: they are not right.
            TooManyRequestsError: they were wrong too often; they are not even looked at now.
        """
        if (known := self.remembered(authorization)) is not None:
            return known
        digest = self._digest(authorization)
        while True:
            changes = self._changes
            check = self._checks.get(digest)
            if check is None:
                check = asyncio.ensure_future(self._check(authorization, address))
                self._checks[digest] = check
                check.add_done_callback(lambda done: self._checked(digest, done))
            caller = await asyncio.shield(check)
            if changes == self._changes:
                return self._admitted(digest, caller)

    def forget(self) -> None:
        """Ask the store again for everyone: a user or a key was changed.

        Whoever is being checked just now is checked again: it may have been read before.
        """
        self._changes += 1
        self._checks.clear()
        self._forget_all()

    async def log_in(self, name: str, password: str, address: str) -> str:
        """A session's token for the user.

        Raises:
            UnauthorizedError, TooManyRequestsError: as ``check`` does.
        """
        user = await self._user(name, password, address)
        expiry = int(self.clock.now() // 1_000_000) + SESSION_SECONDS
        text = urlsafe_b64encode(f"{expiry} {name}".encode()).decode()
        return f"{text}.{self._sign(text, user.hash)}"

    async def session(self, token: str) -> Caller:
        """The caller whose session the token is of; it ends when the password is changed.

        Raises:
            UnauthorizedError: it is of no session, or of one that has ended.
        """
        text, _, signature = token.partition(".")
        try:
            expiry, _, name = urlsafe_b64decode(text.encode()).decode().partition(" ")
            ends = int(expiry)
        except ValueError as error:
            raise UnauthorizedError("Unauthorized") from error
        user = await self._accounts.find("user", name)
        right = hmac.compare_digest(
            self._sign(text, user.hash if user else "").encode(), signature.encode()
        )
        if not right or user is None or not user.is_active or ends * 1_000_000 < self.clock.now():
            raise UnauthorizedError("Unauthorized")
        return Caller(user.name, user.roles, user.patterns)

    async def _check(self, authorization: bytes, address: str) -> Caller:
        scheme, _, text = authorization.partition(b" ")
        match scheme.lower():
            case b"basic":
                name, password = _basic(text)
                return _caller(await self._user(name, password, address))
            case b"bearer":
                return _caller(await self._key(text.strip(), address))
            case b"session":
                return await self.session(text.decode("latin-1"))
            case _:
                raise UnauthorizedError("Unauthorized")

    async def _user(self, name: str, password: str, address: str) -> Credential:
        who = f"{name[:_LONGEST_NAME]}\0{address}"
        self._throttle(who)
        self._throttle(address)
        if self._being_hashed >= _MOST_HASHED:
            raise TooManyRequestsError("Too many log in at once; try again later")
        self._being_hashed += 1
        try:
            user = await self._user_with(name, password)
        finally:
            self._being_hashed -= 1
        if user is None:
            self._failed(who, _FREE_FAILURES)
            self._failed(address, _FREE_OF_ADDRESS)
            raise UnauthorizedError("Unauthorized")
        self._failures.pop(who, None)
        return user

    async def _user_with(self, name: str, password: str) -> Credential | None:
        user = await self._accounts.find("user", name)
        hashed = user.hash if user is not None and user.is_active else None
        return user if await self._passwords.matches(hashed, password) else None

    async def _key(self, text: bytes, address: str) -> Credential:
        self._throttle(address)
        prefix, _, rest = text.decode("ascii", "replace").partition("_")
        name, _, secret = rest.partition("_")
        key = await self._accounts.find("key", name) if prefix == KEY_PREFIX else None
        kept = key.hash if key is not None else hash_key("")
        right = hmac.compare_digest(hash_key(secret), kept)
        if key is None or not right or not key.is_active:
            self._failed(address, _FREE_OF_ADDRESS)
            raise UnauthorizedError("Unauthorized")
        return key

    def _admitted(self, digest: bytes, caller: Caller) -> CallerRights:
        """Remember it, once: what is handed out is what ``forget`` ends."""
        now = self.clock.monotonic()
        known = self._known.get(digest)
        if known is not None and known.until > now:
            return known
        if len(self._known) >= _MEMORY_SIZE:
            self._forget_all()
        admitted = self._known[digest] = CallerRights(caller, now + _MEMORY_SECONDS)
        return admitted

    def _forget_all(self) -> None:
        for admitted in self._known.values():
            admitted.until = 0.0
        self._known.clear()

    def _checked(self, digest: bytes, done: asyncio.Task[Caller]) -> None:
        if self._checks.get(digest) is done:
            del self._checks[digest]
        if not done.cancelled():
            done.exception()  # whoever asked may be gone

    def _throttle(self, who: str) -> None:
        failures = self._failures.get(who)
        if failures is not None and failures.until > self.clock.monotonic():
            raise TooManyRequestsError("Too many failed attempts; try again later")

    def _failed(self, who: str, free: int) -> None:
        """Let the next attempts wait, longer each time beyond the free ones, until it is quiet."""
        now = self.clock.monotonic()
        last = self._failures.get(who)
        times = 1 if last is None or last.until < now - _FORGOTTEN_S else last.times + 1
        wait = min(2.0 ** min(times - free, 20), _LONGEST_WAIT_S) if times > free else 0.0
        if len(self._failures) >= _FAILURES_KEPT:
            self._failures.clear()
        self._failures[who] = _Failures(times, now + wait)

    def _digest(self, authorization: bytes) -> bytes:
        digest = self._memory.copy()
        digest.update(authorization)
        return digest.digest()

    def _sign(self, text: str, hashed: str) -> str:
        message = f"{text}\0{hashed}".encode()
        return hmac.digest(self._session_key, message, "sha256").hex()


def _basic(text: bytes) -> tuple[str, str]:
    try:
        decoded = b64decode(text.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise UnauthorizedError("Unauthorized") from error
    name, colon, password = decoded.partition(":")
    if not colon:
        raise UnauthorizedError("Unauthorized")
    return name, password


def _caller(credential: Credential) -> Caller:
    return Caller(credential.name, credential.roles, credential.patterns)
