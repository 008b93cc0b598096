"""Who may invoke what: deny by default, decided from the caller and the service's name alone."""

import re
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from zato_lite.service.message import Caller

ROLES = ("viewer", "operator", "editor", "admin")
"""Each may do all that the ones before it may."""

_NEEDED = (
    ("zato.ping", "viewer"),
    ("demo.ping", "viewer"),
    ("zato.scheduler.*.get-*", "viewer"),
    ("zato.scheduler.job.why", "viewer"),
    ("zato.scheduler.job.validate", "viewer"),
    ("zato.scheduler.job.simulate", "viewer"),
    ("zato.scheduler.status", "viewer"),
    ("zato.service.get-*", "viewer"),
    ("zato.service.is-deployed", "viewer"),
    ("zato.scheduler.job.execute", "operator"),
    ("zato.scheduler.job.pause", "operator"),
    ("zato.scheduler.job.resume", "operator"),
    ("zato.scheduler.job.skip-next", "operator"),
    ("zato.scheduler.job.cancel-run", "operator"),
    ("zato.scheduler.job.retry-run", "operator"),
    ("zato.scheduler.job.backfill", "operator"),
    ("zato.scheduler.job.set-active-status", "operator"),
    ("zato.service.invoke", "operator"),
    ("zato.helpers.*", "operator"),
    ("zato.scheduler.pause", "editor"),
    ("zato.scheduler.resume", "editor"),
    ("zato.scheduler.*", "editor"),
    ("zato.*", "admin"),
    ("*", "operator"),
)
"""The first pattern that matches a service's name says which role it takes to invoke it."""

_declared_roles: dict[str, str] = {}


def declare_role(service: str, role: str) -> None:
    """Record the least role that may invoke a built-in service, as its class declares it."""
    _declared_roles[service] = role


def needed_role(service: str) -> str:
    """Return the least role that may invoke the service."""
    if (role := _declared_roles.get(service)) is not None:
        return role
    return next(role for pattern, role in _NEEDED if fnmatchcase(service, pattern))


def may_invoke(caller: Caller, service: str) -> bool:
    """Whether the caller has a role that suffices and, if it is confined to patterns, one fits."""
    least = ROLES.index(needed_role(service))
    if not any(role in caller.roles for role in ROLES[least:]):
        return False
    return fits(service, caller.patterns)


def fits(service: str, patterns: Collection[str]) -> bool:
    """Whether the service is one of those that the patterns confine to; none do not confine."""
    return not patterns or any(fnmatchcase(service, pattern) for pattern in patterns)


def beyond(caller: Caller, roles: Iterable[str], patterns: Iterable[str]) -> str:
    """Which of these rights the caller does not have, in words; nothing when it has them all.

    Nobody hands out, or takes over, what is not theirs. No patterns stand for all services.
    """
    own = max((ROLES.index(role) for role in caller.roles if role in ROLES), default=-1)
    for role in roles:
        if role not in ROLES or ROLES.index(role) > own:
            return f"the role {role} is above its own"
    if not caller.patterns:
        return ""
    theirs = f"its own patterns ({', '.join(caller.patterns)})"
    wanted = tuple(patterns)
    if not wanted:
        return f"no patterns, which is all services, is more than {theirs}"
    for pattern in wanted:
        if not any(is_within(pattern, bound) for bound in caller.patterns):
            return f"`{pattern}` is not within {theirs}"
    return ""


_PIECE = re.compile(r"\[!?\]?[^\]]*\]|.", re.DOTALL)


def is_within(pattern: str, bound: str) -> bool:
    """Whether whatever the pattern fits, the bound fits too; in doubt, not."""
    wide: list[str] = _PIECE.findall(bound)
    reached = _with_stars(wide, {0})
    for piece in _PIECE.findall(pattern):
        reached = _with_stars(
            wide,
            {at if wide[at] == "*" else at + 1 for at in reached if _takes(wide[at:], piece)},
        )
    return len(wide) in reached


def _with_stars(wide: list[str], places: set[int]) -> set[int]:
    """These places in a pattern, and those behind the stars there, which may stand for nothing."""
    found = set(places)
    for at, piece in enumerate(wide):
        if piece == "*" and at in found:
            found.add(at + 1)
    return found


def _takes(wide: list[str], piece: str) -> bool:
    """Whether the first piece of a pattern takes all that a piece of another one fits."""
    if not wide:
        return False
    if wide[0] == "*" or wide[0] == piece:
        return True
    if piece == "*" or len(piece) > 1:  # of any length, or one of several
        return wide[0] == "?" and piece != "*"
    if piece == "?":
        return False
    return fnmatchcase(piece, wide[0])
