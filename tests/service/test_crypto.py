"""``self.crypto`` in async, blocking and Zato's services."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from zato_lite.config import Server, Settings, Store
from zato_lite.errors import BadInputError, ConfigError
from zato_lite.outgoing.crypto import cipher_of
from zato_lite.outgoing_config import Crypto
from zato_lite.service.base import Service
from zato_lite.testing.app import sandbox
from zato_lite.zato.service import Service as ZatoService

KEY, OLD = (Fernet.generate_key().decode() for _ in range(2))


class Use(Service[Any, Any]):
    name = "use"

    async def handle(self) -> Any:
        crypto = self.crypto
        hashed = await crypto.hash("pass")
        return [
            await crypto.verify("pass", hashed),
            await crypto.verify("word", hashed),
            await crypto.verify("pass", "no hash"),
            crypto.decrypt(crypto.encrypt("żółć")),
            crypto.decrypt_bytes(crypto.encrypt(b"\xff")) == b"\xff",
            len(crypto.generate_secret(256)),
            crypto.generate_password() != crypto.generate_password(),
        ]


class UseAsZato(ZatoService):
    name = "use.zato"

    def handle(self) -> None:
        crypto = self.crypto
        hashed = crypto.hash_secret("pass")
        self.response.payload = [
            crypto.verify_hash("pass", hashed),
            crypto.verify("word", hashed),
            crypto.verify("pass", "no hash"),
            crypto.decrypt(crypto.encrypt("żółć")),
            crypto.decrypt_bytes(crypto.encrypt(b"\xff")) == b"\xff",
            len(crypto.generate_secret(256)),
            crypto.generate_password() != crypto.generate_password(),
        ]


class Decrypt(Service[Any, Any]):
    name = "decrypt"

    async def handle(self) -> Any:
        return self.crypto.decrypt(self.request.payload)


def settings(**crypto: Any) -> Settings:
    return Settings(
        store=Store("sqlite:///:memory:"), server=Server(grace=0.0), crypto=Crypto(**crypto)
    )


@pytest.mark.parametrize("name", ["use", "use.zato"])
async def test_services_hash_and_encrypt(name: str) -> None:
    async with sandbox(Use, UseAsZato, settings=settings(key=KEY)) as it:
        assert await it.invoke(name) == [True, False, False, "żółć", True, 43, True]


async def test_old_keys_decrypt_and_others_do_not() -> None:
    text = Fernet(OLD).encrypt(b"mine").decode()

    async with sandbox(Decrypt, settings=settings(key=KEY, old_keys=(OLD,))) as it:
        assert await it.invoke("decrypt", text) == "mine"
        with pytest.raises(BadInputError, match="was not encrypted by a key"):
            await it.invoke("decrypt", "nonsense")
    async with sandbox(Decrypt, settings=settings(key=KEY)) as it:
        with pytest.raises(BadInputError, match="was not encrypted by a key"):
            await it.invoke("decrypt", text)


async def test_without_a_key_the_setting_is_named() -> None:
    async with sandbox(Decrypt) as it:
        with pytest.raises(ConfigError, match=r"\[crypto\] key is not set"):
            await it.invoke("decrypt", "text")


@pytest.mark.parametrize(
    ("crypto", "expected"),
    [
        (Crypto(key="short"), r"\[crypto\] a key is not valid; make one by python -c"),
        (Crypto(key=KEY, old_keys=("x",)), r"\[crypto\] a key is not valid"),
        (Crypto(key_file="gone"), r"\[crypto\] key_file: .*gone: No such file"),
        (Crypto(key=KEY, key_file="gone"), r"\[crypto\] key and key_file are given"),
    ],
)
def test_settings_with_mistakes_are_named(tmp_path: Path, crypto: Crypto, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected) as caught:
        cipher_of(crypto, tmp_path)

    assert KEY not in str(caught.value)


def test_a_key_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")

    assert cipher_of(Crypto(key_file="key"), tmp_path) is not None
