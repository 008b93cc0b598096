"""Services for users, and what those for API keys share with them.

A caller cannot create, change or delete a credential with more rights than the caller has.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Any, Protocol, TypedDict

import msgspec

from zato_lite.builtin.audit_subject import differences
from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.input import Input, Name, NameRef, ParsedBy
from zato_lite.builtin.output import Empty, Named, build
from zato_lite.builtin.permissions import authority_of
from zato_lite.errors import (
    BadInputError,
    ConflictError,
    FieldError,
    ForbiddenError,
    NotFoundError,
)
from zato_lite.service.access import ROLES, missing_right
from zato_lite.service.base import Service
from zato_lite.service.message import SYSTEM, Caller
from zato_lite.service.needs import needs
from zato_lite.service.offload import offload_long
from zato_lite.service.request import In, Out
from zato_lite.store.accounts import (
    ADMIN,
    MAX_PASSWORD,
    MIN_PASSWORD,
    Accounts,
    Credential,
    Kind,
    NewKey,
)

_MAX_PATTERNS = 100
_RESERVED_NAMES = frozenset({SYSTEM.name.casefold()})
"""Names that would look like the server itself in the audit log."""


def _parse_roles(value: Any) -> Sequence[str]:
    if not isinstance(value, list) or not value or any(role not in ROLES for role in value):
        raise ValueError(f"a list of {', '.join(ROLES)}")
    return value


def _parse_password(value: Any) -> str:
    """Return the password; errors do not show it."""
    allowed = f"{MIN_PASSWORD} to {MAX_PASSWORD} characters are needed"
    if not isinstance(value, str) or not MIN_PASSWORD <= len(value) <= MAX_PASSWORD:
        raise BadInputError(allowed)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadInputError(allowed) from None
    return value


Roles = Annotated[
    Sequence[str],
    ParsedBy(_parse_roles, {"type": "array", "items": {"enum": [*ROLES]}, "minItems": 1}),
]
Patterns = Annotated[list[Name], msgspec.Meta(max_length=_MAX_PATTERNS)]
Password = Annotated[
    str,
    ParsedBy(
        _parse_password,
        {
            "type": "string",
            "minLength": MIN_PASSWORD,
            "maxLength": MAX_PASSWORD,
            "format": "password",
        },
    ),
]


class Rights(Input, forbid_unknown_fields=True):
    """The rights of a user or a key; those not sent stay as they are, or get their default."""

    roles: Roles | None = None
    patterns: Patterns | None = None
    is_active: bool | None = None

    def of(self, before: Credential) -> Credential:
        """Return the credential with the rights that were sent."""
        return msgspec.structs.replace(
            before,
            roles=before.roles if self.roles is None else frozenset(self.roles),
            patterns=before.patterns if self.patterns is None else tuple(self.patterns),
            is_active=before.is_active if self.is_active is None else self.is_active,
        )


class NewUser(Rights, kw_only=True):
    """A user to create."""

    name: Name
    password: Password

    @classmethod
    def check(cls, values: dict[str, Any], errors: list[FieldError]) -> None:
        name = values.get("name", "")
        if name.casefold() in _RESERVED_NAMES:
            message = f"user name {name!r} is reserved; use another one"
            errors.append(FieldError("name", name, message))
        elif ":" in name:
            message = (
                f"user name {name!r} has a colon, which ends the name in HTTP; use another one"
            )
            errors.append(FieldError("name", name, message))


class ChangedUser(Rights, kw_only=True):
    """A user's fields to change."""

    name: Name
    password: Password | None = None


class UserItem(TypedDict):
    """The public fields of a user."""

    name: str
    roles: list[str]
    patterns: list[str]
    is_active: bool


class CredentialIssuer(Protocol):
    """Hashes passwords, makes keys, and drops callers that were authenticated before."""

    async def hash(self, password: str) -> str:
        """Return the hash of a password."""
        ...

    def new_key(self, name: str = "") -> NewKey:
        """Return a new random API key, with this public part or a new one."""
        ...

    def forget_sessions(self, hashes: Collection[str]) -> None:
        """Forget the callers of these sessions: they have ended."""
        ...


class GetUsers(Service[Any, list[UserItem]]):
    """Return all users by name; a caller with patterns sees those with no more rights."""

    name = "zato.security.user.get-list"
    role = "admin"
    is_safe = True
    accounts = needs(Accounts)

    async def handle(self) -> None:
        found = await visible_credentials(self.accounts, "user", authority_of(self))
        self.response.payload = [build(UserItem, each, **rights_of(each)) for each in found]


async def visible_credentials(
    accounts: Accounts, kind: Kind, caller: Caller
) -> Sequence[Credential]:
    """Return all users or keys; those with no more rights than a caller with patterns has."""
    found = await accounts.list(kind)
    return await offload_long(with_no_more_rights, found, caller) if caller.patterns else found


class AccountService(AuditedService[In, Out]):
    """Base of the services that change credentials."""

    role = "admin"
    accounts = needs(Accounts)
    issuer = needs(CredentialIssuer)


class CreateUser(AccountService[NewUser, Named]):
    """Create a user with ``roles``, for the services that ``patterns`` match."""

    name = "zato.security.user.create"

    async def change(self, params: NewUser) -> str:
        user = params.of(Credential("user", params.name, "", frozenset({"viewer"})))
        await require_rights(self.caller, f"create user `{user.name}`", user)
        if await self.accounts.find("user", user.name) is not None:
            raise ConflictError(f"User `{user.name}` already exists")
        hashed = await self.issuer.hash(params.password)
        self.record_with_change(user.name, lambda _: _changes(None, user))
        await self.accounts.change(msgspec.structs.replace(user, hash=hashed), None)
        self.response.payload = {"name": user.name}
        return user.name


class EditUser(AccountService[ChangedUser, Named]):
    """Change those fields of a user that are sent; a new password ends its sessions."""

    name = "zato.security.user.edit"

    async def change(self, params: ChangedUser) -> str:
        before = await _find(self.accounts, params.name)
        user = params.of(before)
        for version in (before, user):
            await require_rights(self.caller, f"change user `{user.name}`", version)
        if user.name == ADMIN and not (user.is_active and "admin" in user.roles):
            message = f"`{ADMIN}` stays an active admin"
            raise BadInputError.of([FieldError("roles", params.roles, message)])
        if params.password is not None:
            hashed = await self.issuer.hash(params.password)
            user = msgspec.structs.replace(user, hash=hashed)
        self.record_with_change(user.name, lambda _: _changes(before, user))
        await self.accounts.change(user, before)
        self.response.payload = {"name": user.name}
        return user.name


class DeleteUser(AccountService[NameRef, Empty]):
    """Delete a user; the user's sessions end."""

    name = "zato.security.user.delete"

    async def change(self, params: NameRef) -> str:
        if params.name == ADMIN:
            raise BadInputError(f"`{ADMIN}` cannot be deleted; change its password instead")
        user = await _find(self.accounts, params.name)
        await require_rights(self.caller, f"delete user `{params.name}`", user)
        self.record_with_change(params.name, lambda _: _changes(user, None))
        await self.accounts.delete("user", params.name)
        self.response.payload = {}
        return params.name


async def require_rights(caller: Caller, action: str, credential: Credential) -> None:
    """Refuse a caller that has fewer rights than the credential; name the first that it lacks."""
    rights = caller, sorted(credential.roles), credential.patterns
    excess = (
        await offload_long(missing_right, *rights) if caller.patterns else missing_right(*rights)
    )
    if caller is not SYSTEM and excess:
        raise ForbiddenError(
            f"{caller.kind} {caller.shown!r} is not allowed to {action}: {excess}"
        )


def with_no_more_rights(found: Iterable[Credential], caller: Caller) -> list[Credential]:
    """Return the credentials with no more rights than the caller's; many patterns take long."""
    return [each for each in found if not missing_right(caller, each.roles, each.patterns)]


async def _find(accounts: Accounts, name: str) -> Credential:
    found = await accounts.find("user", name)
    if found is None:
        raise NotFoundError(f"User `{name}` not found")
    return found


def _changes(before: Credential | None, after: Credential | None) -> dict[str, Any]:
    """Return the changed fields of a user, for the audit log; no hash."""
    changes = differences(
        *(None if it is None else Rights(**rights_of(it)) for it in (before, after))
    )
    if before is not None and after is not None and before.hash != after.hash:
        changes["password"] = [None, "changed"]
    return changes


def rights_of(credential: Credential) -> dict[str, Any]:
    """Return the rights of a user or a key, as services show them."""
    return {
        "roles": sorted(credential.roles),
        "patterns": list(credential.patterns),
        "is_active": credential.is_active,
    }
