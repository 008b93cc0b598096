"""Services for users and API keys; a secret is shown once and stored as a hash.

A caller cannot create, change or delete a credential with more rights than the caller has.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Any, ClassVar, Protocol, TypedDict

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


class CredentialItem(TypedDict):
    """The public fields of a user or a key."""

    name: str
    roles: list[str]
    patterns: list[str]
    is_active: bool


class NewKeyItem(TypedDict):
    """The public part of a key, and the key."""

    name: str
    key: str


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

    def forget_sessions(self, hashes: Collection[str]) -> None:
        """Forget the callers of these sessions: they have ended."""
        ...


class GetUsers(Service[Any, list[CredentialItem]]):
    """Return all users by name; a caller with patterns sees those with no more rights."""

    name = "zato.security.user.get-list"
    role = "admin"
    is_safe = True
    kind: ClassVar[Kind] = "user"
    accounts = needs(Accounts)

    async def handle(self) -> None:
        caller = authority_of(self)
        found = await self.accounts.list(self.kind)
        if caller.patterns:
            found = await offload_long(with_no_more_rights, found, caller)
        self.response.payload = [_item(each) for each in found]


class GetKeys(GetUsers):
    """Return all API keys by their public part."""

    name = "zato.security.key.get-list"
    kind = "key"


class AccountService(AuditedService[In, Out]):
    """Base of the services that change credentials."""

    role = "admin"
    kind: ClassVar[Kind] = "user"
    accounts = needs(Accounts)
    issuer = needs(CredentialIssuer)


class CreateUser(AccountService[NewUser, Named]):
    """Create a user with ``roles``, for the services that ``patterns`` match."""

    name = "zato.security.user.create"

    async def change(self, params: NewUser) -> str:
        user = params.of(Credential("user", params.name, "", frozenset({"viewer"})))
        await _require_rights(self.caller, f"create user `{user.name}`", user)
        if await self.accounts.find("user", user.name) is not None:
            raise ConflictError(f"User `{user.name}` already exists")
        hashed = await self.issuer.hash(params.password)
        self.record_with_change(user.name, lambda _: _changes(None, user))
        await self.accounts.save(msgspec.structs.replace(user, hash=hashed))
        self.response.payload = {"name": user.name}
        return user.name


class EditUser(AccountService[ChangedUser, Named]):
    """Change those fields of a user that are sent; a new password ends its sessions."""

    name = "zato.security.user.edit"

    async def change(self, params: ChangedUser) -> str:
        before = await _find(self.accounts, "user", params.name)
        user = params.of(before)
        for version in (before, user):
            await _require_rights(self.caller, f"change user `{user.name}`", version)
        if user.name == ADMIN and not (user.is_active and "admin" in user.roles):
            message = f"`{ADMIN}` stays an active admin"
            raise BadInputError.of([FieldError("roles", params.roles, message)])
        if params.password is not None:
            hashed = await self.issuer.hash(params.password)
            user = msgspec.structs.replace(user, hash=hashed)
        self.record_with_change(user.name, lambda _: _changes(before, user))
        await self.accounts.save(user)
        self.issuer.forget()
        self.response.payload = {"name": user.name}
        return user.name


class DeleteUser(AccountService[NameRef, Empty]):
    """Delete a user; the user's sessions end."""

    name = "zato.security.user.delete"

    async def change(self, params: NameRef) -> str:
        if (self.kind, params.name) == ("user", ADMIN):
            raise BadInputError(f"`{ADMIN}` cannot be deleted; change its password instead")
        credential = await _find(self.accounts, self.kind, params.name)
        await _require_rights(self.caller, f"delete {self.kind} `{params.name}`", credential)
        self.record_with_change(params.name, lambda _: _changes(credential, None))
        await self.accounts.delete(self.kind, params.name)
        self.issuer.forget()
        self.response.payload = {}
        return params.name


class DeleteKey(DeleteUser):
    """Delete an API key."""

    name = "zato.security.key.delete"
    kind = "key"


class CreateKey(AccountService[Rights, NewKeyItem]):
    """Create an API key, shown only in this response; for ``X-API-Key`` or a bearer token."""

    name = "zato.security.key.create"

    async def change(self, params: Rights) -> str:
        new = self.issuer.new_key()
        key = params.of(Credential("key", new.name, new.hash, frozenset({"operator"})))
        await _require_rights(self.caller, "create a key", key)
        self.record_with_change(new.name, lambda _: _changes(None, key))
        await self.accounts.save(key)
        self.response.payload = {"name": new.name, "key": new.text}
        return new.name


async def _require_rights(caller: Caller, action: str, credential: Credential) -> None:
    """Refuse a caller that has fewer rights than the credential; name the first that it lacks."""
    rights = caller, sorted(credential.roles), credential.patterns
    excess = (
        await offload_long(missing_right, *rights) if caller.patterns else missing_right(*rights)
    )
    if caller is not SYSTEM and excess:
        raise ForbiddenError(f"user {caller.name!r} is not allowed to {action}: {excess}")


def with_no_more_rights(found: Iterable[Credential], caller: Caller) -> list[Credential]:
    """Return the credentials with no more rights than the caller's; many patterns take long."""
    return [each for each in found if not missing_right(caller, each.roles, each.patterns)]


async def _find(accounts: Accounts, kind: Kind, name: str) -> Credential:
    found = await accounts.find(kind, name)
    if found is None:
        raise NotFoundError(f"{kind.title()} `{name}` not found")
    return found


def _changes(before: Credential | None, after: Credential | None) -> dict[str, Any]:
    """Return the changed fields of a credential, for the audit log; no hash."""
    shown = (None if it is None else Rights(*_rights(it)) for it in (before, after))
    changes = differences(*shown)
    if before is not None and after is not None and before.hash != after.hash:
        changes["password"] = [None, "changed"]
    return changes


def _rights(credential: Credential) -> tuple[list[str], list[str], bool]:
    return sorted(credential.roles), list(credential.patterns), credential.is_active


def _item(credential: Credential) -> CredentialItem:
    roles, patterns = sorted(credential.roles), list(credential.patterns)
    return build(CredentialItem, credential, roles=roles, patterns=patterns)
