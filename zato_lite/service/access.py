"""Who may invoke what: deny by default, decided from the caller and the service's name alone."""

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
    ("zato.scheduler.simulate", "viewer"),
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


def needed_role(service: str) -> str:
    """The least role that may invoke the service."""
    return next(role for pattern, role in _NEEDED if fnmatchcase(service, pattern))


def may_invoke(caller: Caller, service: str) -> bool:
    """Whether the caller has a role that suffices and, if it is confined to patterns, one fits."""
    least = ROLES.index(needed_role(service))
    if not any(role in caller.roles for role in ROLES[least:]):
        return False
    return not caller.patterns or any(fnmatchcase(service, p) for p in caller.patterns)
