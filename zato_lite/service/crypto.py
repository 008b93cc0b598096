"""``self.crypto``: hashes, encryption and random secrets."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol, TypeVar

from zato_lite.errors import ConfigError
from zato_lite.outgoing.crypto import Cipher, decrypted, hash_secret, matches, random_text
from zato_lite.service.outgoing_call import Resolve
from zato_lite.service.sync_aware import blocking

T = TypeVar("T")


class RunInThread(Protocol):
    """Calls a function in a worker thread."""

    def __call__(self, function: Callable[[], T]) -> Coroutine[Any, Any, T]:
        """Return its result."""
        ...


class CryptoCalls:
    """Common part of ``Crypto`` and ``BlockingCrypto``."""

    __slots__ = ("_cipher", "_resolve", "_run")

    def __init__(self, cipher: Cipher | None, run: RunInThread, resolve: Resolve) -> None:
        self._cipher, self._run, self._resolve = cipher, run, resolve

    def encrypt(self, data: str | bytes) -> str:
        """Return the data encrypted by the key of ``[crypto]``."""
        plain = data.encode() if isinstance(data, str) else data
        return self._needed().encrypt(plain).decode()

    def decrypt(self, text: str | bytes) -> str:
        """Return the text that ``encrypt`` was given.

        Raises:
            BadInputError: it was not encrypted by a key of ``[crypto]``, or was changed.
        """
        return decrypted(self._needed(), text).decode()

    def decrypt_bytes(self, text: str | bytes) -> bytes:
        """Return the bytes that ``encrypt`` was given."""
        return decrypted(self._needed(), text)

    def generate_secret(self, bits: int = 256) -> str:
        """Return a random text."""
        return random_text(bits)

    def generate_password(self, bits: int = 192) -> str:
        """Return a random password."""
        return random_text(bits)

    def _needed(self) -> Cipher:
        if self._cipher is None:
            raise ConfigError("[crypto] key is not set; self.crypto.encrypt and .decrypt need it")
        return self._cipher


class Crypto(CryptoCalls):
    """Cryptography of a service; hashing takes time, so it is awaited."""

    __slots__ = ()

    def hash(self, secret: str | bytes) -> Coroutine[Any, Any, str]:
        """Return the hash of a secret, by argon2."""
        return self._resolve(self._run(partial(hash_secret, secret)))

    def verify(self, secret: str | bytes, hashed: str) -> Coroutine[Any, Any, bool]:
        """Return True if the hash is that of the secret."""
        return self._resolve(self._run(partial(matches, secret, hashed)))

    hash_secret = hash  # noqa: A003 - the method above
    verify_hash = verify


class BlockingCrypto(CryptoCalls):
    """``Crypto`` for blocking services."""

    __slots__ = ()

    hash = blocking(Crypto.hash)
    verify = blocking(Crypto.verify)
    hash_secret = blocking(Crypto.hash)
    verify_hash = blocking(Crypto.verify)
