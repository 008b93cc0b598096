"""What is kept of users, keys and their deeds, as HTTP asks for it; the store fills it."""

from collections.abc import Sequence
from typing import Protocol


class Credential(Protocol):
    """A user or an API key as the store keeps it."""

    @property
    def name(self) -> str:
        """The user's name, or the key's public part."""
        ...

    @property
    def hash(self) -> str:
        """Of a password: argon2id's own text; of a key: hex of SHA-256."""
        ...

    @property
    def roles(self) -> frozenset[str]:
        """Of viewer, operator, editor, admin."""
        ...

    @property
    def patterns(self) -> tuple[str, ...]:
        """The services that it may invoke (fnmatch); empty for no such limit."""
        ...

    @property
    def is_active(self) -> bool:
        """Whether it is let in."""
        ...


class Users(Protocol):
    """What is kept of users, keys, their deeds, and settings; implemented by the store."""

    async def find_user(self, name: str) -> Credential | None:
        """The user of this name."""
        ...

    async def save_user(
        self,
        name: str,
        hashed: str,
        roles: frozenset[str],
        patterns: tuple[str, ...],
        active: bool,
    ) -> None:
        """Keep the user, in place of the one of the same name if there is one."""
        ...

    async def remove_user(self, name: str) -> bool:
        """Forget the user; whether there was one."""
        ...

    async def list_users(self) -> Sequence[Credential]:
        """All users by name."""
        ...

    async def find_key(self, name: str) -> Credential | None:
        """The API key with this public part."""
        ...

    async def save_key(
        self,
        name: str,
        hashed: str,
        roles: frozenset[str],
        patterns: tuple[str, ...],
        active: bool,
    ) -> None:
        """Keep the key, in place of the one of the same name if there is one."""
        ...

    async def remove_key(self, name: str) -> bool:
        """Forget the key; whether there was one."""
        ...

    async def list_keys(self) -> Sequence[Credential]:
        """All keys by name."""
        ...

    async def claim_setting(self, name: str, value: str) -> str:
        """Keep the value if the setting has none yet; the one that is kept then."""
        ...

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
        """Add a line to the audit log."""
        ...
