"""Services for sessions: users list and end their own, admins those of all users.

A caller with patterns, even an admin, has to do only with users who have no more rights than it.
"""

from collections.abc import Sequence
from typing import TypedDict

from zato_lite.builtin.accounts import CredentialIssuer, with_no_more_rights
from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.input import Input, Name
from zato_lite.clock import Clock
from zato_lite.errors import BadInputError, ForbiddenError, NotFoundError
from zato_lite.service.base import Service
from zato_lite.service.message import SYSTEM, Caller
from zato_lite.service.needs import needs
from zato_lite.service.offload import offload_long
from zato_lite.store.accounts import Accounts
from zato_lite.store.sessions import Session, SessionItem, Sessions, session_item

_ADMIN = "admin"


class SessionOwner(Input, forbid_unknown_fields=True):
    """Owner of the sessions that are meant: the caller by default, a user, or all users."""

    user: Name | None = None
    all: bool = False

    def user_of(self, caller: Caller) -> str | None:
        """Return the user that is meant, or None for all.

        Raises:
            BadInputError: the input means both.
            ForbiddenError: the caller may not see other users' sessions.
        """
        if self.all and self.user is not None:
            raise BadInputError("user and all exclude each other; send one of them")
        own = _own_name(caller)
        user = None if self.all else self.user or own
        if user != own and not _is_admin(caller):
            message = f"{caller.kind} {caller.shown!r} has to do with its own sessions only"
            raise ForbiddenError(f"{message}; role 'admin' is needed for those of other users")
        return user


class SessionRef(Input, forbid_unknown_fields=True):
    """A session, by the id that the list shows."""

    id: Name


class Ended(TypedDict):
    """The number of sessions that were ended."""

    ended: int


class GetSessions(Service[SessionOwner, list[SessionItem]]):
    """Return the sessions of the caller, of ``user``, or of ``all`` users, newest first."""

    name = "zato.security.session.get-list"
    role = "viewer"
    scope = "own"
    sessions = needs(Sessions)
    accounts = needs(Accounts)
    clock = needs(Clock)

    async def handle(self) -> None:
        user = self.request.input.user_of(self.caller)
        found = await _permitted(self.caller, self.sessions, self.accounts, self.clock, user)
        self.response.payload = [session_item(each, self.sessions.limits) for each in found]


class DeleteSession(AuditedService[SessionRef, Ended]):
    """End a session of the caller; an admin may also end those of others."""

    name = "zato.security.session.delete"
    role = "viewer"
    scope = "own"
    sessions = needs(Sessions)
    accounts = needs(Accounts)
    issuer = needs(CredentialIssuer)

    async def change(self, params: SessionRef) -> str:
        user = None if _is_admin(self.caller) else _own_name(self.caller)
        found = await _permitted(self.caller, self.sessions, self.accounts, self.clock, user)
        hashes = [each.hash for each in found if each.id == params.id]
        if not hashes:
            raise NotFoundError(f"Session `{params.id}` not found")
        self.record_with_change(params.id)
        await self.sessions.delete(hashes)
        self.issuer.forget_sessions(hashes)
        self.response.payload = {"ended": len(hashes)}
        return params.id


class DeleteAllSessions(AuditedService[SessionOwner, Ended]):
    """End the sessions of the caller, of ``user``, or of ``all`` users."""

    name = "zato.security.session.delete-all"
    role = "viewer"
    scope = "own"
    sessions = needs(Sessions)
    accounts = needs(Accounts)
    issuer = needs(CredentialIssuer)

    async def change(self, params: SessionOwner) -> str:
        user = params.user_of(self.caller)
        found = await _permitted(self.caller, self.sessions, self.accounts, self.clock, user)
        hashes = [each.hash for each in found]
        self.record_with_change(user or "all users")
        await self.sessions.delete(hashes)
        self.issuer.forget_sessions(hashes)
        self.response.payload = {"ended": len(hashes)}
        return user or "all users"


async def _permitted(
    caller: Caller, sessions: Sessions, accounts: Accounts, clock: Clock, user: str | None
) -> Sequence[Session]:
    """Return the sessions of a user, or of all, that the caller has to do with."""
    found = await sessions.list(clock.now(), user)
    if caller is SYSTEM or not caller.patterns:
        return found
    users = await accounts.list("user")
    covered = {each.name for each in await offload_long(with_no_more_rights, users, caller)}
    return [each for each in found if each.user == _own_name(caller) or each.user in covered]


def _own_name(caller: Caller) -> str:
    """Return the caller's user name; empty for a key, even if a user has the key's name."""
    return caller.name if caller.kind == "user" else ""


def _is_admin(caller: Caller) -> bool:
    return caller is SYSTEM or _ADMIN in caller.roles
