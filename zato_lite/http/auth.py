"""Authentication: finds the caller behind a password, an API key or a session.

Results are remembered for a minute. Credentials come from the store's ``Accounts``.
"""

import asyncio
import binascii
import hashlib
import hmac
import secrets
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode

from zato_lite.clock import Clock
from zato_lite.errors import TooManyRequestsError, UnauthorizedError
from zato_lite.http.passwords import KEY_PREFIX, Passwords, hash_key
from zato_lite.http.throttle import Throttle
from zato_lite.service.access import ROLES, may_invoke
from zato_lite.service.message import Caller
from zato_lite.store.accounts import Accounts, Credential
from zato_lite.store.audit import AuditLog

SESSION_KEY = "http.session-key"
SESSION_COOKIE = "zato_lite_session"
SESSION_SECONDS = 12 * 3600

_REMEMBERED_S = 60.0
_MAX_REMEMBERED = 4096
_FAILURES_OF_USER = 5
_FAILURES_OF_ADDRESS = 50
_MAX_HASHING = 64
_MAX_NAME = 200


class CallerRights:
    """An admitted caller, and the monotonic time until which its rights need no new check."""

    __slots__ = ("_allowed", "caller", "until")

    def __init__(self, caller: Caller, until: float) -> None:
        self.caller, self.until = caller, until
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
    """Checks credentials, remembers the callers, and makes sessions."""

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
        self._digest_key = hashlib.blake2b(digest_size=16, key=secrets.token_bytes(32))
        self._session_key = session_key
        self._remembered: dict[bytes, CallerRights] = {}
        self._throttle = Throttle()
        self._hashing = 0
        self._checks: dict[bytes, asyncio.Task[Caller]] = {}
        self._changes = 0

    def remembered(self, authorization: bytes) -> CallerRights | None:
        """Return the caller with these credentials if they were checked within the last minute.

        The memory holds keyed digests: neither the credentials, nor anything that the time of a
        comparison could reveal.
        """
        rights = self._remembered.get(self._digest(authorization))
        if rights is not None and rights.until > self.clock.monotonic():
            return rights
        return None

    async def check(self, authorization: bytes, address: str) -> CallerRights:
        """Return the caller with these credentials.

        Raises:
            UnauthorizedError: the credentials are wrong.
            TooManyRequestsError: they were wrong too often; they are not checked now.
        """
        if (rights := self.remembered(authorization)) is not None:
            return rights
        digest = self._digest(authorization)
        while True:
            changes = self._changes
            check = self._checks.get(digest)
            if check is None:
                check = asyncio.ensure_future(self._check(authorization, address))
                self._checks[digest] = check
                check.add_done_callback(lambda done: self._check_ended(digest, done))
            caller = await asyncio.shield(check)  # other requests may wait for the same check
            if changes == self._changes:
                return self._remember(digest, caller)

    def forget(self) -> None:
        """Drop the remembered callers, because a user or a key was changed.

        Present checks are repeated, since they may have read the account before the change.
        """
        self._changes += 1
        self._checks.clear()
        self._forget_all()

    async def log_in(self, name: str, password: str, address: str) -> str:
        """Return the token of a new session of the user.

        Raises:
            UnauthorizedError: the password is wrong.
            TooManyRequestsError: it was wrong too often; it is not checked now.
        """
        user = await self._user(name, password, address)
        expiry = int(self.clock.now() // 1_000_000) + SESSION_SECONDS
        text = urlsafe_b64encode(f"{expiry} {name}".encode()).decode()
        return f"{text}.{self._sign(text, user.hash)}"

    async def session(self, token: str) -> Caller:
        """Return the caller of a session; a new password ends it.

        Raises:
            UnauthorizedError: the token is not valid, or the session has ended.
        """
        text, _, signature = token.partition(".")
        try:
            expiry, _, name = urlsafe_b64decode(text.encode()).decode().partition(" ")
            ends_at = int(expiry) * 1_000_000
        except ValueError as error:
            raise UnauthorizedError("Unauthorized") from error
        user = await self._accounts.find("user", name)
        is_signed = hmac.compare_digest(
            self._sign(text, user.hash if user else "").encode(), signature.encode()
        )
        if not is_signed or user is None or not user.is_active or ends_at < self.clock.now():
            raise UnauthorizedError("Unauthorized")
        return _caller(user)

    async def _check(self, authorization: bytes, address: str) -> Caller:
        scheme, _, text = authorization.partition(b" ")
        match scheme.lower():
            case b"basic":
                name, password = _parse_basic(text)
                return _caller(await self._user(name, password, address))
            case b"bearer":
                return _caller(await self._key(text.strip(), address))
            case b"session":
                return await self.session(text.decode("latin-1"))
            case _:
                raise UnauthorizedError("Unauthorized")

    async def _user(self, name: str, password: str, address: str) -> Credential:
        subject = f"{name[:_MAX_NAME]}\0{address}"
        now = self.clock.monotonic()
        self._throttle.check(subject, now)
        self._throttle.check(address, now)
        if self._hashing >= _MAX_HASHING:
            raise TooManyRequestsError("Too many sign-ins in progress; try again later")
        self._hashing += 1
        try:
            user = await self._accounts.find("user", name)
            hashed = user.hash if user is not None and user.is_active else None
            is_right = await self._passwords.matches(hashed, password)
        finally:
            self._hashing -= 1
        if user is None or not is_right:
            now = self.clock.monotonic()
            self._throttle.record_failure(subject, _FAILURES_OF_USER, now)
            self._throttle.record_failure(address, _FAILURES_OF_ADDRESS, now)
            raise UnauthorizedError("Unauthorized")
        self._throttle.record_success(subject)
        return user

    async def _key(self, text: bytes, address: str) -> Credential:
        self._throttle.check(address, self.clock.monotonic())
        prefix, _, rest = text.decode("ascii", "replace").partition("_")
        name, _, secret = rest.partition("_")
        key = await self._accounts.find("key", name) if prefix == KEY_PREFIX else None
        expected = key.hash if key is not None else hash_key("")
        is_right = hmac.compare_digest(hash_key(secret), expected)
        if key is None or not is_right or not key.is_active:
            now = self.clock.monotonic()
            self._throttle.record_failure(address, _FAILURES_OF_ADDRESS, now)
            raise UnauthorizedError("Unauthorized")
        return key

    def _remember(self, digest: bytes, caller: Caller) -> CallerRights:
        """Remember the caller as one object, so that ``forget`` ends what was handed out."""
        now = self.clock.monotonic()
        earlier = self._remembered.get(digest)
        if earlier is not None and earlier.until > now:
            return earlier
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._forget_all()
        rights = self._remembered[digest] = CallerRights(caller, now + _REMEMBERED_S)
        return rights

    def _forget_all(self) -> None:
        for rights in self._remembered.values():
            rights.until = 0.0
        self._remembered.clear()

    def _check_ended(self, digest: bytes, check: asyncio.Task[Caller]) -> None:
        if self._checks.get(digest) is check:
            del self._checks[digest]
        if not check.cancelled():
            check.exception()  # asyncio warns of an exception that no request has retrieved

    def _digest(self, authorization: bytes) -> bytes:
        digest = self._digest_key.copy()
        digest.update(authorization)
        return digest.digest()

    def _sign(self, text: str, hashed: str) -> str:
        message = f"{text}\0{hashed}".encode()
        return hmac.digest(self._session_key, message, "sha256").hex()


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
    return Caller(credential.name, credential.roles, credential.patterns)
