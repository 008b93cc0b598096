"""Invocation rights: decided by the caller's roles and patterns and the service's name."""

import re
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from typing import Literal

from zato_lite.service.message import Caller

Scope = Literal["service", "own", "all"]
"""Effect of a caller's patterns on a built-in service: they must match its name; it answers with
what they match, whatever its name; or it concerns everything, and is refused to a caller that has
patterns."""

ROLES = ("viewer", "operator", "editor", "admin")
"""Roles in ascending order; each includes the ones before it."""

AUDITED_ROLES = frozenset({"editor", "admin"})
"""Roles of the built-in services whose invocations are recorded in the audit log."""

_NOTIFICATIONS = "zato.notify."
_built_in: dict[str, str] = {}
_scopes: dict[str, Scope] = {}
"""Least role and scope of each built-in service, as its class declares them."""

_unsafe: set[str] = set()
"""The built-in services that change something; filled by deployment."""


def declare_access(service: str, role: str, scope: Scope, *, is_safe: bool = True) -> None:
    """Record who may invoke a built-in service, its scope, and if it only reads."""
    _built_in[service] = role
    _scopes[service] = scope
    (_unsafe.discard if is_safe else _unsafe.add)(service)


def is_safe(service: str) -> bool:
    """Return False if a built-in service changes something; the user's services decide alone."""
    return service not in _unsafe


def needed_role(service: str) -> str:
    """Return the least role that may invoke the service.

    Names that begin with ``zato.`` are the framework's: an unknown one is an admin's.
    """
    return _built_in.get(service) or ("admin" if service.startswith("zato.") else "operator")


def may_invoke(caller: Caller, service: str) -> bool:
    """Return True if the caller's role suffices and its patterns permit the service."""
    least = ROLES.index(needed_role(service))
    if not any(role in caller.roles for role in ROLES[least:]):
        return False
    if not caller.patterns:
        return True
    match _scopes.get(service, "service"):
        case "own":
            return True
        case "all":
            return False
        case _:
            return matches(service, caller.patterns)


def is_built_in(service: str) -> bool:
    """Return True for the framework's services, also unknown ones; False for the project's."""
    return service in _built_in or service.startswith("zato.")


def is_notification(service: str) -> bool:
    """Return True for the project's own services and for those that only send a notification."""
    return not is_built_in(service) or service.startswith(_NOTIFICATIONS)


def matches(service: str, patterns: Collection[str]) -> bool:
    """Return True if a pattern matches the service, or if the patterns are empty."""
    return not patterns or any(fnmatchcase(service, pattern) for pattern in patterns)


def missing_right(caller: Caller, roles: Iterable[str], patterns: Iterable[str]) -> str:
    """Return a sentence on the first of these rights that the caller lacks, or an empty text.

    A caller can grant or take over only rights that it has. No patterns mean all services.
    """
    own = max((ROLES.index(role) for role in caller.roles if role in ROLES), default=-1)
    for role in roles:
        if role not in ROLES or ROLES.index(role) > own:
            return f"the role {role} is above its own"
    if not caller.patterns:
        return ""
    own_patterns = f"its own patterns ({', '.join(caller.patterns)})"
    wanted = tuple(patterns)
    if not wanted:
        return f"no patterns, which is all services, is more than {own_patterns}"
    for pattern in wanted:
        if not any(is_within(pattern, bound) for bound in caller.patterns):
            return f"`{pattern}` is not within {own_patterns}"
    return ""


_PIECE = re.compile(r"\[!?\]?[^\]]*\]|.", re.DOTALL)


def is_within(pattern: str, bound: str) -> bool:
    """Return True if the bound certainly matches every name that the pattern matches."""
    wide: list[str] = _PIECE.findall(bound)
    reached = _with_stars(wide, {0})
    for piece in _PIECE.findall(pattern):
        reached = _with_stars(
            wide,
            {at if wide[at] == "*" else at + 1 for at in reached if _covers(wide[at:], piece)},
        )
    return len(wide) in reached


def _with_stars(wide: list[str], places: set[int]) -> set[int]:
    """Return these places in a pattern and those behind its stars, which match empty text."""
    reached = set(places)
    for at, piece in enumerate(wide):
        if piece == "*" and at in reached:
            reached.add(at + 1)
    return reached


def _covers(wide: list[str], piece: str) -> bool:
    """Return True if the first piece of ``wide`` matches all that another piece matches."""
    if not wide:
        return False
    if wide[0] == "*" or wide[0] == piece:
        return True
    if piece == "*" or len(piece) > 1:  # of any length, or one of several
        return wide[0] == "?" and piece != "*"
    if piece == "?":
        return False
    return fnmatchcase(piece, wide[0])
