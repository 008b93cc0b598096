"""What callers prove themselves with, and what is kept of it; the only module that knows argon2.

A password or a key is never kept, only its hash.
"""

import asyncio
import hashlib
import secrets
from base64 import b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from zato_lite.errors import ConfigError
from zato_lite.store.accounts import ADMIN, Accounts, Credential, NewKey

PASSWORD_VARIABLE = "ZATO_LITE_ADMIN_PASSWORD"  # noqa: S105 - the name of it
KEY_PREFIX = "zl"


def new_key() -> NewKey:
    """Return a new random API key; 256 bits of it are secret."""
    name, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    return NewKey(f"{KEY_PREFIX}_{name}_{secret}", name, hash_key(secret))


def hash_key(secret: str) -> str:
    """What is kept of an API key: it is random, so that a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Passwords:
    """Makes and checks argon2id hashes in threads of its own, a few at a time."""

    def __init__(self, hasher: PasswordHasher | None = None, threads: int = 2) -> None:
        self._hasher = hasher or PasswordHasher()
        self._threads = ThreadPoolExecutor(threads, "argon2")
        self._nobody = stand_in(self._hasher)

    async def hash(self, password: str) -> str:
        """The hash to keep."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._hasher.hash, password)

    async def matches(self, hashed: str | None, password: str) -> bool:
        """Whether it is the password; takes as long when there is no such user (None)."""
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(
            self._threads, self._verify, hashed or self._nobody, password
        )
        return right and hashed is not None

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False


def stand_in(hasher: PasswordHasher) -> str:
    """A hash that no known password has; checking one against it takes as long as any other.

    It is written rather than computed: a hash takes 64 MB and a tenth of a second of each start.
    """
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, digest = (
        b64encode(secrets.token_bytes(size)).decode().rstrip("=")
        for size in (hasher.salt_len, hasher.hash_len)
    )
    return f"$argon2id$v={ARGON2_VERSION}${cost}${salt}${digest}"


async def first_admin(
    accounts: Accounts, passwords: Passwords, environ: Mapping[str, str]
) -> str | None:
    """See to it that there is an admin; the password to print if one was made up.

    ``ZATO_LITE_ADMIN_PASSWORD``, or the file that ``ZATO_LITE_ADMIN_PASSWORD_FILE`` names, sets
    it, also later on; without them a random one is made at the first start.
    """
    given = password_of(environ)
    known = await accounts.find("user", ADMIN)
    if given is None and known is not None:
        return None
    if given is not None and known is not None and await passwords.matches(known.hash, given):
        return None
    password = given or secrets.token_urlsafe(18)
    hashed = await passwords.hash(password)
    await accounts.save(Credential("user", ADMIN, hashed, frozenset({"admin"})))
    return None if given else password


def password_of(environ: Mapping[str, str]) -> str | None:
    """The admin's password that the environment gives, if it does."""
    if password := environ.get(PASSWORD_VARIABLE):
        return password
    if not (name := environ.get(PASSWORD_VARIABLE + "_FILE")):
        return None
    try:
        password = Path(name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{PASSWORD_VARIABLE}_FILE: {error}") from error
    if not password:
        raise ConfigError(f"{PASSWORD_VARIABLE}_FILE: {name} is empty")
    return password
