"""Principals: on whose behalf an attempt is made, by the rights of users and keys at its start."""

from collections.abc import Awaitable, Callable

from zato_lite.clock import Clock
from zato_lite.errors import DeniedError
from zato_lite.service.access import is_built_in, is_notification, may_invoke, refusal
from zato_lite.service.message import SYSTEM, SYSTEM_PRINCIPAL, Caller, Invocation, Outcome
from zato_lite.store.attempts import ClaimedAttempt
from zato_lite.store.rights import AllRights, Rights
from zato_lite.timetable.job import CODE, NOTICE, Instant
from zato_lite.timetable.zone import to_text

FindCaller = Callable[[ClaimedAttempt], Caller]
"""Returns the caller of an attempt; one with a ``denial`` if it must not be made."""

Run = Callable[[Invocation], Awaitable[Outcome]]
"""Invokes a service; an error of the service is part of the outcome, never raised."""

ADOPT = "zato.scheduler.job.adopt"
"""Service by which an admin takes over jobs."""

_MAX_DECISIONS = 10_000


class Principals:
    """Rights of all users and keys in memory: a run costs no query for them.

    Args:
        on_update: called after each change of a user or key, also of its secret.

    Attributes:
        version: number of the version that is in memory; -1 before the first one.
    """

    def __init__(self, clock: Clock, on_update: Callable[[], object] = tuple) -> None:
        self.version, self._on_update = -1, on_update
        self._clock = clock
        self._callers: dict[str, Caller] = {}
        self._inactive: set[str] = set()
        self._expiries: dict[str, Instant] = {}
        self._next_expiry: Instant | None = None
        self._decisions: dict[tuple[str, str], Caller] = {}

    def update(self, found: AllRights) -> None:
        """Use these rights, unless later ones are known."""
        if found.version <= self.version:
            return
        callers = [(each, _caller(each)) for each in found.rights]
        self._callers = {caller.principal: caller for _, caller in callers}
        self._inactive = {caller.principal for each, caller in callers if not each.is_active}
        self._expiries = {
            caller.principal: each.expires_at
            for each, caller in callers
            if each.expires_at is not None
        }
        self._drop_decisions()
        self.version = found.version
        self._on_update()

    def caller_of(self, attempt: ClaimedAttempt) -> Caller:
        """Return the caller of an attempt; one with a ``denial`` if it must not be made."""
        if self._next_expiry is not None and self._next_expiry <= self._clock.now():
            self._drop_decisions()
        job = attempt.job
        caller = self._decision(job.principal, job.service)
        if attempt.kind == "callback" and attempt.requested_by and not caller.denial:
            by = self._decision(attempt.requested_by, job.service)
            if by.denial:
                return denied(caller.name, f"called back on behalf of another: {by.denial}")
        return caller

    def find(self, principal: str) -> Caller | None:
        """Return the user or key with its present rights, SYSTEM, or None if it does not exist."""
        return SYSTEM if principal == SYSTEM_PRINCIPAL else self._callers.get(principal)

    def _drop_decisions(self) -> None:
        """Drop all decisions: rights have changed, or a key has expired."""
        now = self._clock.now()
        self._next_expiry = min((at for at in self._expiries.values() if at > now), default=None)
        self._decisions.clear()

    def _decision(self, principal: str, service: str) -> Caller:
        key = (principal, service)
        decision = self._decisions.get(key)
        if decision is None:
            if len(self._decisions) >= _MAX_DECISIONS:
                self._decisions.clear()
            decision = self._decisions[key] = self._decide(principal, service)
        return decision

    def _decide(self, principal: str, service: str) -> Caller:
        if principal.startswith(NOTICE):
            return self._decide_notice(principal.removeprefix(NOTICE), service)
        is_by_code = principal.startswith(CODE)
        principal = principal.removeprefix(CODE)
        caller = self.find(principal)
        reason = self._absence(principal, caller)
        if caller is None or reason:
            return denied(principal.partition(":")[2], reason)
        is_own_code = is_by_code and not is_built_in(service)
        if caller is SYSTEM or is_own_code or may_invoke(caller, service):
            return caller
        return denied(caller.name, refusal(caller, service))

    def _absence(self, principal: str, caller: Caller | None) -> str:
        """Return why nothing runs on behalf of a principal; an empty text if something may."""
        kind, _, name = principal.partition(":")
        if not principal:
            return f"who created the job is not known; {ADOPT} adopts it"
        if caller is None:
            return f"{kind} {name!r} does not exist; {ADOPT} adopts the job"
        if principal in self._inactive:
            return f"{kind} {caller.shown!r} is inactive"
        expires_at = self._expiries.get(principal)
        if expires_at is not None and expires_at <= self._clock.now():
            return f"{kind} {caller.shown!r} expired at {to_text(expires_at)}"
        return ""

    def _decide_notice(self, principal: str, service: str) -> Caller:
        """Return the caller of an alert: the principal, or a caller without rights in its place.

        An alert is made for who has set it up, not by it: it is also made when the principal has
        lost its rights, but then only of a service that notifies, or of one of the project's.
        """
        caller = self._decision(principal, service)
        if caller.denial and is_notification(service):
            return Caller(caller.name, kind=caller.kind)
        return caller


def _caller(rights: Rights) -> Caller:
    name, label = rights.name, rights.label
    return Caller(name, rights.roles, rights.patterns, rights.kind, label=label)


def denied(name: str, reason: str) -> Caller:
    """Return a caller on whose behalf nothing is run."""
    return Caller(name, denial=reason)


def refuse_denied(run: Run) -> Run:
    """Return ``run`` with an error in place of an invocation whose caller has a denial."""

    def run_or_refuse(invocation: Invocation) -> Awaitable[Outcome]:
        return _refused(invocation) if invocation.caller.denial else run(invocation)

    return run_or_refuse


async def _refused(invocation: Invocation) -> Outcome:
    return Outcome(invocation.cid, error=DeniedError(invocation.caller.denial))


def system(attempt: ClaimedAttempt) -> Caller:
    """Return SYSTEM for every attempt, in programs without users."""
    return SYSTEM
