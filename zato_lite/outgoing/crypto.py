"""Hashes of secrets, and encryption by the keys of ``[crypto]``."""

import secrets
from pathlib import Path
from typing import Protocol

from zato_lite.errors import BadInputError, ConfigError
from zato_lite.outgoing.settings import require, secret_of
from zato_lite.outgoing_config import Crypto

_NEW_KEY = (
    "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
)


class Cipher(Protocol):
    """Encrypts and decrypts texts."""

    def encrypt(self, data: bytes, /) -> bytes:
        """Return the encrypted data."""
        ...

    def decrypt(self, data: bytes, /) -> bytes:
        """Return the data; raise an error if it was not encrypted by one of the keys."""
        ...


def hash_secret(secret: str | bytes) -> str:
    """Return the hash of a secret by argon2; it takes tens of milliseconds."""
    from argon2 import PasswordHasher  # noqa: PLC0415 - rarely used

    return PasswordHasher().hash(secret)


def matches(secret: str | bytes, hashed: str) -> bool:
    """Return True if the hash is that of the secret."""
    from argon2 import PasswordHasher  # noqa: PLC0415 - rarely used
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415

    try:
        return PasswordHasher().verify(hashed, secret)
    except (VerificationError, InvalidHashError):
        return False


def random_text(bits: int) -> str:
    """Return a random text of letters, digits, hyphens and underscores."""
    return secrets.token_urlsafe(max(1, bits // 8))


def decrypted(cipher: Cipher, text: str | bytes) -> bytes:
    """Return what a text was made of.

    Raises:
        BadInputError: it was not encrypted by one of the keys, or was changed.
    """
    from cryptography.fernet import InvalidToken  # noqa: PLC0415 - an extra

    data = text.encode() if isinstance(text, str) else text
    try:
        return cipher.decrypt(data)
    except InvalidToken as error:
        raise BadInputError("decrypt: the text was not encrypted by a key of [crypto]") from error


def cipher_of(settings: Crypto, folder: Path) -> Cipher | None:
    """Return the cipher of the settings; None without a key.

    Raises:
        ConfigError: a key is not valid, or the library is not installed.
    """
    try:
        key = secret_of(settings.key, settings.key_file, folder, "key")
        if not key:
            return None
        require("cryptography", "crypto")
        from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415 - an extra

        return MultiFernet([Fernet(each) for each in (key, *settings.old_keys)])
    except ValueError as error:
        raise ConfigError(f"[crypto] a key is not valid; make one by {_NEW_KEY}") from error
    except ConfigError as error:
        raise ConfigError(f"[crypto] {error}") from error
