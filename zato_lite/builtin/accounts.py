"""Services for users and API keys; a secret is shown once and stored as a hash.

A caller cannot create, change or delete a credential with more rights than the caller has.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import msgspec

from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.fields import Read, Reader, flag, name, text
from zato_lite.errors import BadInputError, ConflictError, ForbiddenError, NotFoundError
from zato_lite.service.access import ROLES, beyond
from zato_lite.service.base import Service
from zato_lite.service.message import SYSTEM, Caller
from zato_lite.service.needs import needs
from zato_lite.store.accounts import ADMIN, Accounts, Credential, Kind, NewKey

_MIN_PASSWORD, _MAX_PASSWORD = 8, 1_000
_MAX_PATTERNS = 100


class CredentialIssuer(Protocol):
    """Hashes passwords, makes keys, and drops callers that were authenticated before."""

    async def hash(self, password: str) -> str:
        """Return the hash of a password."""
        ...

    def new_key(self) -> NewKey:
        """Return a new random API key."""
        ...

    def forget(self) -> None:
        """Authenticate all callers again: credentials were changed."""
        ...


class GetUsers(Service[Any, Any]):
    """All users by name."""

    name = "zato.security.user.get-list"
    kind: ClassVar[Kind] = "user"
    accounts = needs(Accounts)

    async def handle(self) -> None:
        self.response.payload = [item_of(found) for found in await self.accounts.list(self.kind)]


class GetKeys(GetUsers):
    """All API keys by their public part."""

    name = "zato.security.key.get-list"
    kind = "key"


class CreateUser(AuditedService):
    """Create a user with `roles`, for the services that `patterns` match."""

    name = "zato.security.user.create"
    accounts = needs(Accounts)
    issuer = needs(CredentialIssuer)

    async def change(self, params: Any) -> str:
        reader = Reader(self.request.payload)
        user_name = reader.required("name", name, "")
        password = reader.required("password", a_password, "")
        user = with_rights(reader, Credential("user", user_name, "", frozenset({"viewer"})))
        reader.only(("name", "password", "roles", "patterns", "is_active", "cluster_id"))
        reader.check()
        require_rights(self.caller, f"create user `{user_name}`", user)
        if await self.accounts.find("user", user_name) is not None:
            raise ConflictError(f"User `{user_name}` already exists")
        hashed = await self.issuer.hash(password)
        await self.accounts.save(msgspec.structs.replace(user, hash=hashed))
        self.response.payload = {"name": user_name}
        return user_name


class EditUser(AuditedService):
    """Change the fields that are sent of a user; the user's sessions end."""

    name = "zato.security.user.edit"
    accounts = needs(Accounts)
    issuer = needs(CredentialIssuer)

    async def change(self, params: Any) -> str:
        reader = Reader(self.request.payload)
        user_name = reader.required("name", name, "")
        reader.check()
        before = await find(self.accounts, "user", user_name)
        require_rights(self.caller, f"change user `{user_name}`", before)
        password = reader("password", a_password, None)
        user = with_rights(reader, before)
        reader.only(("name", "password", "roles", "patterns", "is_active", "cluster_id"))
        if user_name == ADMIN and not (user.is_active and "admin" in user.roles):
            reader.refuse("roles", f"`{ADMIN}` stays an active admin")
        reader.check()
        require_rights(self.caller, f"change user `{user_name}`", user)
        if password is not None:
            user = msgspec.structs.replace(user, hash=await self.issuer.hash(password))
        await self.accounts.save(user)
        self.issuer.forget()
        self.response.payload = {"name": user_name}
        return user_name


class DeleteUser(AuditedService):
    """Delete a user; the user's sessions end."""

    name = "zato.security.user.delete"
    kind: ClassVar[Kind] = "user"
    accounts = needs(Accounts)
    issuer = needs(CredentialIssuer)

    async def change(self, params: Any) -> str:
        reader = Reader(self.request.payload)
        wanted = reader.required("name", name, "")
        reader.check()
        if (self.kind, wanted) == ("user", ADMIN):
            raise BadInputError(f"`{ADMIN}` cannot be deleted; change its password instead")
        credential = await find(self.accounts, self.kind, wanted)
        require_rights(self.caller, f"delete {self.kind} `{wanted}`", credential)
        await self.accounts.delete(self.kind, wanted)
        self.issuer.forget()
        self.response.payload = {}
        return wanted


class CreateKey(AuditedService):
    """Create an API key, shown only in this response; for ``X-API-Key`` or a bearer token."""

    name = "zato.security.key.create"
    accounts = needs(Accounts)
    issuer = needs(CredentialIssuer)

    async def change(self, params: Any) -> str:
        reader = Reader(self.request.payload)
        new = self.issuer.new_key()
        key = with_rights(reader, Credential("key", new.name, new.hash, frozenset({"operator"})))
        reader.only(("roles", "patterns", "is_active", "cluster_id"))
        reader.check()
        require_rights(self.caller, "create a key", key)
        await self.accounts.save(key)
        self.response.payload = {"name": new.name, "key": new.text}
        return new.name


class DeleteKey(DeleteUser):
    """Delete an API key."""

    name = "zato.security.key.delete"
    kind = "key"


async def find(accounts: Accounts, kind: Kind, wanted: str) -> Credential:
    """Return the credential.

    Raises:
        NotFoundError: it does not exist.
    """
    found = await accounts.find(kind, wanted)
    if found is None:
        raise NotFoundError(f"{kind.title()} `{wanted}` not found")
    return found


def with_rights(reader: Reader, before: Credential) -> Credential:
    """Return the credential with the roles, patterns and active status that were sent."""
    return msgspec.structs.replace(
        before,
        roles=frozenset(reader("roles", some_of(ROLES), before.roles)),
        patterns=tuple(reader("patterns", patterns_of, before.patterns)),
        is_active=reader("is_active", flag, before.is_active),
    )


def require_rights(caller: Caller, action: str, credential: Credential) -> None:
    """Refuse a caller that has fewer rights than the credential.

    Raises:
        ForbiddenError: names the first missing right.
    """
    excess = beyond(caller, sorted(credential.roles), credential.patterns)
    if caller is not SYSTEM and excess:
        raise ForbiddenError(f"{caller.name} is not allowed to {action}: {excess}")


def some_of(allowed: Sequence[str]) -> Read[Sequence[str]]:
    """A list of some of the words."""

    def read(value: Any) -> Sequence[str]:
        if not isinstance(value, list) or not value or any(it not in allowed for it in value):
            raise ValueError(f"a list of {', '.join(allowed)}")
        return value

    return read


def patterns_of(value: Any) -> Sequence[str]:
    """Names of services, with ``*`` for any part of one; none for all services."""
    if not isinstance(value, list) or len(value) > _MAX_PATTERNS:
        raise ValueError(f"a list of at most {_MAX_PATTERNS} patterns such as crm.*")
    return [name(each) for each in value]


def a_password(value: Any) -> str:
    """A password; it is in no error message."""
    try:
        found = text(_MAX_PASSWORD)(value)
    except ValueError:
        found = ""
    if len(found) < _MIN_PASSWORD:
        raise BadInputError(f"{_MIN_PASSWORD} to {_MAX_PASSWORD} characters are needed")
    return found


def item_of(credential: Credential) -> dict[str, Any]:
    """Return the public fields of a user or a key."""
    return {
        "name": credential.name,
        "roles": sorted(credential.roles),
        "patterns": list(credential.patterns),
        "is_active": credential.is_active,
    }
