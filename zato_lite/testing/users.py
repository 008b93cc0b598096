"""Users, keys and their deeds in memory, for tests of what needs a caller."""

from collections.abc import Sequence

import msgspec


class User(msgspec.Struct, frozen=True):
    """A user or a key."""

    name: str
    hash: str
    roles: frozenset[str]
    patterns: tuple[str, ...]
    is_active: bool


class MemoryUsers:
    """Keeps what ``zato_lite.http.auth.Users`` asks for, until it is dropped."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.keys: dict[str, User] = {}
        self.settings: dict[str, str] = {}
        self.audit: list[dict[str, str | int]] = []

    async def find_user(self, name: str) -> User | None:
        return self.users.get(name)

    async def save_user(
        self,
        name: str,
        hashed: str,
        roles: frozenset[str],
        patterns: tuple[str, ...],
        active: bool,
    ) -> None:
        self.users[name] = User(name, hashed, roles, patterns, active)

    async def remove_user(self, name: str) -> bool:
        return self.users.pop(name, None) is not None

    async def list_users(self) -> Sequence[User]:
        return sorted(self.users.values(), key=lambda user: user.name)

    async def find_key(self, name: str) -> User | None:
        return self.keys.get(name)

    async def save_key(
        self,
        name: str,
        hashed: str,
        roles: frozenset[str],
        patterns: tuple[str, ...],
        active: bool,
    ) -> None:
        self.keys[name] = User(name, hashed, roles, patterns, active)

    async def remove_key(self, name: str) -> bool:
        return self.keys.pop(name, None) is not None

    async def list_keys(self) -> Sequence[User]:
        return sorted(self.keys.values(), key=lambda key: key.name)

    async def claim_setting(self, name: str, value: str) -> str:
        return self.settings.setdefault(name, value)

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
        self.audit.append(
            {
                "at": at,
                "who": who,
                "action": action,
                "subject": subject,
                "outcome": outcome,
                "cid": cid,
                "remote_address": remote_address,
            }
        )
