"""Deployment of the built-in services: every class with a `name` in a module of this package."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from zato_lite import builtin
from zato_lite.builtin.audited import AuditedService
from zato_lite.service.access import ROLES, Scope, declare_access
from zato_lite.service.base import Service
from zato_lite.service.registry import Registry


def deploy(registry: Registry) -> None:
    """Deploy every built-in service, for callers with the role that its class declares.

    A class may also declare its ``scope``, see ``access.Scope``.
    """
    with _collection_paused():
        for cls in built_in_services():
            if not hasattr(cls, "role"):
                raise TypeError(
                    f"{cls.__module__}.{cls.__name__} declares no role; use {', '.join(ROLES)}"
                )
            scope: Scope = getattr(cls, "scope", "service")
            declare_access(cls.name, cls.role, scope, is_safe=is_safe(cls))
            registry.add(cls, is_internal=True)


@contextmanager
def _collection_paused() -> Iterator[None]:
    """Import modules without walking all that are loaded, several times, for garbage."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def is_safe(cls: Any) -> bool:
    """Return True if a service changes nothing, so that it can be invoked by GET.

    Services for viewers only read; others that only read declare ``is_safe = True``.
    """
    return not issubclass(cls, AuditedService) and getattr(cls, "is_safe", cls.role == "viewer")


def built_in_services() -> Iterator[Any]:
    """Yield the services of all modules here but those whose names begin with an underscore.

    Each has a ``role``: one without it is an error at the start of the server.
    """
    for module in iter_modules(builtin.__path__, f"{builtin.__name__}."):
        if not module.name.rpartition(".")[2].startswith("_"):
            for cls in vars(import_module(module.name)).values():
                is_own = isinstance(cls, type) and cls.__module__ == module.name
                if is_own and issubclass(cls, Service) and "name" in cls.__dict__:
                    yield cls
