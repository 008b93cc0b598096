"""Passwords and API keys, stored as hashes only."""

import asyncio
import ctypes
import hashlib
import os
import secrets
import threading
from base64 import b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from zato_lite.errors import ConfigError
from zato_lite.store.accounts import NewKey

PASSWORD_VARIABLE = "ZATO_LITE_ADMIN_PASSWORD"  # noqa: S105 - the name of it
KEY_PREFIX = "zl"
THREADS = 2
_NICENESS = 2
"""Priority of the threads below that of the event loop, which guesses must not slow down."""


def new_key(name: str = "") -> NewKey:
    """Return a new random API key, with this public part or a new one; 256 bits are secret."""
    name, secret = name or secrets.token_hex(6), secrets.token_urlsafe(32)
    return NewKey(f"{KEY_PREFIX}_{name}_{secret}", name, hash_key(secret))


def hash_key(secret: str) -> str:
    """Return the hash of an API key; a key is random, so a slow hash would add no protection."""
    return hashlib.sha256(secret.encode()).hexdigest()


def foreign_key_name(key: str) -> str:
    """Return the public part of an API key that this server has not made."""
    return hashlib.sha256(b"name of a key: " + key.encode()).hexdigest()[:24]


def _return_large_blocks() -> None:
    """Have the C library return freed blocks of 4 MiB or more to the system.

    glibc raises its limit to the size of the blocks that it sees freed, up to 32 MiB, and keeps
    smaller ones: 19 MiB for each thread that has made a hash, for as long as the server runs.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 4 * 1024 * 1024)


_MMAP_THRESHOLD = -3
"""``M_MMAP_THRESHOLD`` of malloc.h."""


class Passwords:
    """Argon2id hashes, made and checked in a few threads of their own.

    The parameters are OWASP's: 19 MiB, two iterations, one lane; about 20 ms.
    """

    def __init__(self, hasher: PasswordHasher | None = None, threads: int = THREADS) -> None:
        _return_large_blocks()
        self._hasher = hasher or PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._threads = ThreadPoolExecutor(threads, "argon2", initializer=_lower_priority)
        self._stand_in = stand_in(self._hasher)

    async def hash(self, password: str) -> str:
        """Return the hash of a password."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._hasher.hash, password)

    async def matches(self, hashed: str | None, password: str) -> bool:
        """Return True if the hash is the password's.

        Without a hash (no such user) it takes as long: the time does not reveal who exists.
        """
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(
            self._threads, self._verify, hashed or self._stand_in, password
        )
        return right and hashed is not None

    def is_outdated(self, hashed: str) -> bool:
        """Return True if a hash was made with other parameters than the present ones."""
        try:
            return self._hasher.check_needs_rehash(hashed)
        except InvalidHashError:
            return False

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False


def _lower_priority() -> None:
    with suppress(OSError):  # on Linux, a thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


def stand_in(hasher: PasswordHasher) -> str:
    """Return a hash that matches no password, and takes as long to check as any other.

    It is composed of random bytes: computing one would take 64 MB and 0.1 s of every start.
    """
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, digest = (
        b64encode(secrets.token_bytes(size)).decode().rstrip("=")
        for size in (hasher.salt_len, hasher.hash_len)
    )
    return f"$argon2id$v={ARGON2_VERSION}${cost}${salt}${digest}"


def password_of(environ: Mapping[str, str]) -> str | None:
    """Return the admin's password from the environment, or None."""
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
