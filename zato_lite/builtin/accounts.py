"""Users and API keys as services, for admins; a secret is shown once and kept as a hash.

Nobody makes, changes or removes a user or a key that may do more than they may themselves.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.fields import Read, Reader, flag, name, text
from zato_lite.errors import BadInputError, ConflictError, ForbiddenError, NotFoundError
from zato_lite.service.access import ROLES, beyond
from zato_lite.service.base import Service
from zato_lite.service.message import SYSTEM, Caller
from zato_lite.service.needs import needs
from zato_lite.store.accounts import Accounts, User

FIRST = "admin.invoke"
"""The user that there always is."""

_PASSWORD_LEAST, _PASSWORD_MOST = 8, 1_000
_PATTERNS_MOST = 100


class Secret(NamedTuple):
    """An API key: what the program sends, the public part, and what is kept."""

    text: str
    name: str
    hash: str


class Credentials(Protocol):
    """Makes and forgets what callers prove themselves with."""

    async def hash(self, password: str) -> str:
        """What is kept of a password."""
        ...

    def new_key(self) -> Secret:
        """A key that nobody has had before."""
        ...

    def forget(self) -> None:
        """Ask for everybody's credentials again: some were changed."""
        ...


class GetUsers(Service[Any, Any]):
    """All users by name."""

    name = "zato.security.user.get-list"
    people = needs(Accounts)

    async def handle(self) -> None:
        self.response.payload = [shown(user) for user in await self.people.list_users()]


class CreateUser(AuditedService):
    """A new user, who may do what ``roles`` say, with the services that ``patterns`` fit."""

    name = "zato.security.user.create"
    credentials = needs(Credentials)

    async def change(self) -> str:
        reader = Reader(self.request.payload)
        user_name = reader.required("name", name, "")
        password = reader.required("password", a_password, "")
        roles, patterns, is_active = rights(reader, User("", "", frozenset({"viewer"})))
        reader.only(("name", "password", "roles", "patterns", "is_active", "cluster_id"))
        reader.check()
        must_be_theirs(self.caller, f"make user `{user_name}`", roles, patterns)
        if await self.people.find_user(user_name) is not None:
            raise ConflictError(f"User `{user_name}` already exists")
        hashed = await self.credentials.hash(password)
        await self.people.save_user(user_name, hashed, roles, patterns, is_active)
        self.response.payload = {"name": user_name}
        return user_name


class EditUser(AuditedService):
    """Change what is sent of a user; sessions and remembered credentials end at once."""

    name = "zato.security.user.edit"
    credentials = needs(Credentials)

    async def change(self) -> str:
        reader = Reader(self.request.payload)
        user_name = reader.required("name", name, "")
        reader.check()
        user = await self.people.find_user(user_name)
        if user is None:
            raise NotFoundError(f"User `{user_name}` not found")
        must_be_theirs(self.caller, f"change user `{user_name}`", user.roles, user.patterns)
        password = reader("password", a_password, None)
        roles, patterns, is_active = rights(reader, user)
        reader.only(("name", "password", "roles", "patterns", "is_active", "cluster_id"))
        if user_name == FIRST and not (is_active and "admin" in roles):
            reader.refuse("roles", f"`{FIRST}` stays an active admin")
        reader.check()
        must_be_theirs(self.caller, f"change user `{user_name}`", roles, patterns)
        hashed = user.hash if password is None else await self.credentials.hash(password)
        await self.people.save_user(user_name, hashed, roles, patterns, is_active)
        self.credentials.forget()
        self.response.payload = {"name": user_name}
        return user_name


class DeleteUser(AuditedService):
    """Let a user in no more."""

    name = "zato.security.user.delete"
    credentials = needs(Credentials)

    async def change(self) -> str:
        reader = Reader(self.request.payload)
        user_name = reader.required("name", name, "")
        reader.check()
        if user_name == FIRST:
            raise BadInputError(f"`{FIRST}` cannot be deleted; change its password instead")
        user = await self.people.find_user(user_name)
        if user is not None:
            must_be_theirs(self.caller, f"delete user `{user_name}`", user.roles, user.patterns)
        if not await self.people.remove_user(user_name):
            raise NotFoundError(f"User `{user_name}` not found")
        self.credentials.forget()
        self.response.payload = {}
        return user_name


class GetKeys(Service[Any, Any]):
    """All API keys by their public part."""

    name = "zato.security.key.get-list"
    people = needs(Accounts)

    async def handle(self) -> None:
        self.response.payload = [shown(key) for key in await self.people.list_keys()]


class CreateKey(AuditedService):
    """A new API key, shown this once: sent as ``X-API-Key``, or as a bearer token."""

    name = "zato.security.key.create"
    credentials = needs(Credentials)

    async def change(self) -> str:
        reader = Reader(self.request.payload)
        roles, patterns, is_active = rights(reader, User("", "", frozenset({"operator"})))
        reader.only(("roles", "patterns", "is_active", "cluster_id"))
        reader.check()
        must_be_theirs(self.caller, "make a key", roles, patterns)
        key = self.credentials.new_key()
        await self.people.save_key(key.name, key.hash, roles, patterns, is_active)
        self.response.payload = {"name": key.name, "key": key.text}
        return key.name


class DeleteKey(AuditedService):
    """Let an API key in no more."""

    name = "zato.security.key.delete"
    credentials = needs(Credentials)

    async def change(self) -> str:
        reader = Reader(self.request.payload)
        key_name = reader.required("name", name, "")
        reader.check()
        key = await self.people.find_key(key_name)
        if key is not None:
            must_be_theirs(self.caller, f"delete key `{key_name}`", key.roles, key.patterns)
        if not await self.people.remove_key(key_name):
            raise NotFoundError(f"Key `{key_name}` not found")
        self.credentials.forget()
        self.response.payload = {}
        return key_name


def rights(reader: Reader, before: User) -> tuple[frozenset[str], tuple[str, ...], bool]:
    """Roles, patterns and whether it is let in; those of ``before`` where nothing is sent."""
    return (
        frozenset(reader("roles", some_of(ROLES), before.roles)),
        tuple(reader("patterns", patterns_of, before.patterns)),
        reader("is_active", flag, before.is_active),
    )


def must_be_theirs(
    caller: Caller, what: str, roles: Iterable[str], patterns: Iterable[str]
) -> None:
    """Refuse a caller who has less than these rights.

    Raises:
        ForbiddenError: says which of them.
    """
    if caller is not SYSTEM and (excess := beyond(caller, sorted(roles), patterns)):
        raise ForbiddenError(f"{caller.name} may not {what}: {excess}")


def some_of(allowed: Sequence[str]) -> Read[Sequence[str]]:
    """A list of some of the words."""

    def read(value: Any) -> Sequence[str]:
        if not isinstance(value, list) or not value or any(it not in allowed for it in value):
            raise ValueError(f"a list of {', '.join(allowed)}")
        return value

    return read


def patterns_of(value: Any) -> Sequence[str]:
    """Names of services, with ``*`` for any part of one; none for all services."""
    if not isinstance(value, list) or len(value) > _PATTERNS_MOST:
        raise ValueError(f"a list of at most {_PATTERNS_MOST} patterns such as crm.*")
    return [name(each) for each in value]


def a_password(value: Any) -> str:
    """A password; it is in no error message."""
    try:
        found = text(_PASSWORD_MOST)(value)
    except ValueError:
        found = ""
    if len(found) < _PASSWORD_LEAST:
        raise BadInputError(f"{_PASSWORD_LEAST} to {_PASSWORD_MOST} characters are needed")
    return found


def shown(user: User) -> dict[str, Any]:
    """A user or a key without what is secret."""
    return {
        "name": user.name,
        "roles": sorted(user.roles),
        "patterns": list(user.patterns),
        "is_active": user.is_active,
    }
