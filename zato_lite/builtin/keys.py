"""Services for API keys: a secret is shown once and stored as a hash.

People know a key by its name, programs by its prefix, which never changes.
"""

import re
from typing import Annotated, Any, TypedDict

import msgspec
from msgspec import Meta

from zato_lite.builtin.accounts import (
    AccountService,
    Rights,
    require_rights,
    rights_of,
    visible_credentials,
)
from zato_lite.builtin.audit_subject import differences
from zato_lite.builtin.input import (
    NAME_SCHEMA,
    Input,
    Moment,
    Name,
    NameRef,
    ParsedBy,
    as_mapping,
    parse_name,
)
from zato_lite.builtin.output import Empty, build, iso_or_none
from zato_lite.builtin.permissions import authority_of
from zato_lite.clock import Clock
from zato_lite.errors import BadInputError, ConflictError, FieldError, NotFoundError
from zato_lite.service.base import Service
from zato_lite.service.message import SYSTEM, Caller
from zato_lite.service.needs import needs
from zato_lite.store.accounts import Accounts, Credential
from zato_lite.timetable.job import SECOND, Instant
from zato_lite.timetable.zone import to_text

_DAY = 86_400 * SECOND
_HOUR = 3_600 * SECOND
_PREFIX = re.compile(r"[0-9a-f]{12}")
_DECLARED_PREFIX = re.compile(r"[0-9a-f]{24}")
"""Prefix of a key whose text is in the jobs file."""

NameOrNone = Annotated[str, ParsedBy(parse_name, {**NAME_SCHEMA, "minLength": 0})]
Days = Annotated[float, Meta(ge=0, le=36_500)]
Hours = Annotated[float, Meta(ge=0, le=24 * 366)]


class KeyFields(Rights, kw_only=True):
    """Fields of a key; ``expires_at`` or ``days`` from now, 0 for no expiry."""

    owner: Name | None = None
    expires_at: Moment | None = None
    days: Days | None = None

    @classmethod
    def check(cls, values: dict[str, Any], errors: list[FieldError]) -> None:
        if "expires_at" in values and "days" in values:
            text = "days and expires_at exclude each other; send one of them"
            errors.append(FieldError("days", values["days"], text))
        field = "new_name" if "new_name" in cls.__struct_fields__ else "name"
        name = values.get(field, "")
        if _PREFIX.fullmatch(name) or _DECLARED_PREFIX.fullmatch(name):
            text = f"{field}: {name!r} looks like the prefix of a key; use another name"
            errors.append(FieldError(field, name, text))

    def of(self, before: Credential, now: Instant = 0) -> Credential:
        """Return the key with the fields that were sent.

        Raises:
            BadInputError: it would have expired already.
        """
        key = super().of(before)
        expires_at = before.expires_at
        if self.expires_at is not None:
            if self.expires_at <= now:
                text = f"expires_at: {to_text(self.expires_at)} has passed; use a later time"
                raise BadInputError.of([FieldError("expires_at", None, text)])
            expires_at = self.expires_at
        elif self.days is not None:
            expires_at = now + int(self.days * _DAY) if self.days else None
        owner = before.owner if self.owner is None else self.owner
        return msgspec.structs.replace(key, owner=owner, expires_at=expires_at)


class NewKeyInput(KeyFields, kw_only=True):
    """A key to create; its owner is the caller by default."""

    name: Name | None = None


class ChangedKey(KeyFields, kw_only=True):
    """Fields of a key to change; ``name`` is its name or its prefix.

    An empty text is not a field that was not sent, as elsewhere: it removes the name or the owner.
    """

    name: Name
    new_name: NameOrNone | None = None
    owner: NameOrNone | None = None

    @classmethod
    def collect(cls, payload: Any, errors: list[FieldError]) -> dict[str, Any]:
        sent = as_mapping(payload)
        removed = {name: "" for name in ("new_name", "owner") if sent.get(name) == ""}
        return super().collect(sent, errors) | removed


class Rotation(Input, forbid_unknown_fields=True):
    """A key, by its name or prefix, and the hours for which its old secret stays valid."""

    name: Name
    grace_hours: Hours = 24.0


class KeyItem(TypedDict):
    """The public fields of a key; null for a time that does not exist or is not known.

    ``used`` is the last use, at most some minutes late. ``old_secret_until`` is the end of the
    secret before the last rotation. Without a name, a key is called by its prefix.
    """

    prefix: str
    name: str
    owner: str
    roles: list[str]
    patterns: list[str]
    is_active: bool
    created: str | None
    expires: str | None
    used: str | None
    old_secret_until: str | None


class CreatedKey(TypedDict):
    """A new key: ``key`` is what a program sends, and is shown only here."""

    name: str
    prefix: str
    key: str
    expires: str | None


class RotatedKey(TypedDict):
    """The new secret of a key, which is shown only here, and the end of the old one."""

    name: str
    prefix: str
    key: str
    old_secret_until: str | None


class NamedKey(TypedDict):
    """A key that was changed."""

    name: str
    prefix: str


class GetKeys(Service[Any, list[KeyItem]]):
    """Return all API keys; a caller with patterns sees those with no more rights."""

    name = "zato.security.key.get-list"
    role = "admin"
    is_safe = True
    accounts = needs(Accounts)
    clock = needs(Clock)

    async def handle(self) -> None:
        found = await visible_credentials(self.accounts, "key", authority_of(self))
        uses, now = await self.accounts.uses(), self.clock.now()
        self.response.payload = [
            build(
                KeyItem,
                each,
                **_public(each),
                **rights_of(each),
                created=iso_or_none(each.created_at),
                expires=iso_or_none(each.expires_at),
                used=iso_or_none(uses.get(each.name)),
                old_secret_until=iso_or_none(_old_until(each, now)),
            )
            for each in found
        ]


class CreateKey(AccountService[NewKeyInput, CreatedKey]):
    """Create an API key, shown only in this response; for ``X-API-Key`` or a bearer token."""

    name = "zato.security.key.create"

    async def change(self, params: NewKeyInput) -> str:
        new, now = self.issuer.new_key(), self.clock.now()
        default = Credential(
            "key",
            new.name,
            new.hash,
            frozenset({"operator"}),
            label=params.name or "",
            owner=await _owner_of(self.caller, self.accounts),
            created_at=now,
        )
        key = params.of(default, now)
        await require_rights(self.caller, "create a key", key)
        self.record_with_change(key.shown, lambda _: _changes(None, key))
        await self.accounts.change(key, None)
        expires = iso_or_none(key.expires_at)
        self.response.payload = {**_public(key), "key": new.text, "expires": expires}
        return key.shown


class EditKey(AccountService[ChangedKey, NamedKey]):
    """Change those fields of a key that are sent; its secret stays."""

    name = "zato.security.key.edit"

    async def change(self, params: ChangedKey) -> str:
        before = await _find(self.accounts, params.name)
        key = params.of(before, self.clock.now())
        if params.new_name is not None:
            key = msgspec.structs.replace(key, label=params.new_name)
        for version in (before, key):
            await require_rights(self.caller, f"change key `{before.shown}`", version)
        self.record_with_change(before.shown, lambda _: _changes(before, key))
        await self.accounts.change(key, before)
        self.response.payload = _public(key)
        return before.shown


class RotateKey(AccountService[Rotation, RotatedKey]):
    """Give a key a new secret; the old one stays valid for ``grace_hours``, 24 by default."""

    name = "zato.security.key.rotate"

    async def change(self, params: Rotation) -> str:
        before = await _find(self.accounts, params.name)
        await require_rights(self.caller, f"rotate key `{before.shown}`", before)
        now = self.clock.now()
        if _DECLARED_PREFIX.fullmatch(before.name):
            raise ConflictError(
                f"Key `{before.shown}` is declared in the jobs file; change its password there"
            )
        if before.has_expired(now):
            raise ConflictError(
                f"Key `{before.shown}` has expired; set a later expires_at before its rotation"
            )
        new = self.issuer.new_key(before.name)
        until = now + int(params.grace_hours * _HOUR)
        key = msgspec.structs.replace(before, hash=new.hash, old_hash=before.hash, old_until=until)
        self.record_with_change(before.shown, lambda _: _changes(before, key))
        await self.accounts.change(key, before)
        old_until = iso_or_none(_old_until(key, now))
        self.response.payload = {**_public(key), "key": new.text, "old_secret_until": old_until}
        return before.shown


class DeleteKey(AccountService[NameRef, Empty]):
    """Delete an API key, by its name or prefix; other nodes refuse it within seconds."""

    name = "zato.security.key.delete"

    async def change(self, params: NameRef) -> str:
        key = await _find(self.accounts, params.name)
        await require_rights(self.caller, f"delete key `{key.shown}`", key)
        self.record_with_change(key.shown, lambda _: _changes(key, None))
        await self.accounts.delete("key", key.name)
        self.response.payload = {}
        return key.shown


async def _find(accounts: Accounts, name: str) -> Credential:
    """Return the key with a prefix or a name.

    Raises:
        NotFoundError: it does not exist.
        ConflictError: several keys have this name.
    """
    found = await accounts.keys_named(name)
    if not found:
        raise NotFoundError(f"Key `{name}` not found")
    if len(found) > 1:
        prefixes = ", ".join(each.name for each in found)
        raise ConflictError(f"{len(found)} keys have the name `{name}`; use a prefix: {prefixes}")
    return found[0]


async def _owner_of(caller: Caller, accounts: Accounts) -> str:
    """Return the owner of what a caller creates: the user, or the owner of the calling key."""
    if caller is SYSTEM:
        return ""
    if caller.kind == "user":
        return caller.name
    key = await accounts.find("key", caller.name)
    return key.owner if key is not None else ""


class _Public(TypedDict):
    name: str
    prefix: str


def _public(key: Credential) -> _Public:
    return {"name": key.label or key.name, "prefix": key.name}


def _old_until(key: Credential, now: Instant) -> Instant | None:
    """Return the end of the old secret; None if it has ended."""
    return key.old_until if key.old_until is not None and key.old_until > now else None


class _Shown(Rights, kw_only=True):
    """The fields of a key that the audit log compares."""

    name: str
    owner: str
    expires: str | None


def _changes(before: Credential | None, after: Credential | None) -> dict[str, Any]:
    """Return the changed fields of a key, for the audit log; no hash."""
    changes = differences(*(None if it is None else _shown(it) for it in (before, after)))
    if before is not None and after is not None and before.hash != after.hash:
        changes["secret"] = [None, "changed"]
        changes["old_secret_until"] = [None, iso_or_none(after.old_until)]
    return changes


def _shown(key: Credential) -> _Shown:
    expires = iso_or_none(key.expires_at)
    return _Shown(**rights_of(key), name=key.label, owner=key.owner, expires=expires)
