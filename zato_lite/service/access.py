"""Invocation rights: decided by the caller's roles and patterns and the service's name."""

import re
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase, translate
from functools import lru_cache
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


def lacking(caller: Caller, service: str) -> str:
    """Return the role that a caller lacks for a service, or "patterns" if those refuse it."""
    least = needed_role(service)
    has_role = any(role in caller.roles for role in ROLES[ROLES.index(least) :])
    return "patterns" if has_role else least


def refusal(caller: Caller, service: str, deed: str = "invoke") -> str:
    """Return the sentence for a caller that may not invoke a service, with the right it lacks."""
    right = lacking(caller, service)
    if right != "patterns":
        why = f"role {right!r} is needed"
    elif _scopes.get(service) == "all":
        why = "it is for callers without patterns"
    else:
        why = f"it matches none of the patterns of this {caller.kind}"
    return f"{caller.kind} {caller.shown!r} is not allowed to {deed} service {service!r}; {why}"


def is_built_in(service: str) -> bool:
    """Return True for the framework's services, also unknown ones; False for the project's."""
    return service in _built_in or service.startswith("zato.")


def is_notification(service: str) -> bool:
    """Return True for the project's own services and for those that only send a notification."""
    return not is_built_in(service) or service.startswith(_NOTIFICATIONS)


def matches(service: str, patterns: Collection[str]) -> bool:
    """Return True if a pattern matches the service, or if the patterns are empty."""
    return not patterns or any(fnmatchcase(service, pattern) for pattern in patterns)


def owns_jobs_of(patterns: Collection[str], service: str) -> bool:
    """Return True if the jobs of a service are among those that the patterns confine to.

    A job of a built-in service that concerns everything is not, whatever the patterns match.
    """
    return not patterns or (_scopes.get(service) != "all" and matches(service, patterns))


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


def is_within(pattern: str, bound: str) -> bool:
    """Return True if the bound certainly matches every name that the pattern matches."""
    return _bound(bound).covers(pattern)


class _Bound:
    """A pattern that confines other ones.

    The places between its pieces are bits: `covers` finds those that the pieces of the other
    pattern can reach, in time proportional to the length of both.
    """

    def __init__(self, pattern: str) -> None:
        self._equal: dict[str, int] = {}
        self._classes: list[tuple[re.Pattern[str], int]] = []
        place, before = 1, ""
        for piece in _pieces(pattern):
            if piece == before == "*":
                continue  # ``_beyond_stars`` takes one step
            self._equal[piece] = self._equal.get(piece, 0) | place
            if len(piece) > 1:
                self._classes.append((re.compile(translate(piece)), place))
            place, before = place << 1, piece
        self._end = place
        self._stars, self._any = self._equal.get("*", 0), self._equal.get("?", 0)

    def covers(self, pattern: str) -> bool:
        """Return True if this pattern certainly matches all that the other one matches."""
        masks: dict[str, int] = {}
        reached = self._beyond_stars(1)
        for piece in _pieces(pattern):
            if (covering := masks.get(piece)) is None:
                covering = masks[piece] = self._covering(piece)
            met = reached & covering
            reached = self._beyond_stars((met & self._stars) | (met & ~self._stars) << 1)
            if not reached:
                return False
        return bool(reached & self._end)

    def _beyond_stars(self, places: int) -> int:
        """Return these places and those behind a star, which matches empty text."""
        return places | (places & self._stars) << 1

    def _covering(self, piece: str) -> int:
        """Return the places whose piece matches all that another piece matches."""
        found = self._stars | self._equal.get(piece, 0)
        if piece == "*":
            return found
        found |= self._any
        if len(piece) == 1 and piece != "?":
            for wanted, place in self._classes:
                if wanted.match(piece):
                    found |= place
        return found


@lru_cache(maxsize=1024)
def _bound(pattern: str) -> _Bound:
    return _Bound(pattern)


def _pieces(pattern: str) -> list[str]:
    """Return the parts of a pattern that match a letter each, and its stars."""
    pieces, at, last = [], 0, pattern.rfind("]")
    while at < len(pattern):
        end = at + 1
        if pattern[at] == "[":
            first = end + pattern.startswith("!", end)
            first += pattern.startswith("]", first)
            if first <= last:  # otherwise no bracket closes it, and it stands for itself
                end = pattern.index("]", first) + 1
        pieces.append(pattern[at:end])
        at = end
    return pieces
