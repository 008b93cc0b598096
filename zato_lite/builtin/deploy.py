"""Puts the framework's own services into a registry."""

import inspect

from zato_lite.builtin import (
    accounts,
    apply,
    audit,
    calendars,
    control,
    deadman,
    demo,
    helpers,
    history,
    jobs,
    notify,
    ping,
    preview,
    services,
    store,
)
from zato_lite.builtin.takes import TAKES
from zato_lite.service.base import Service
from zato_lite.service.registry import Registry

MODULES = (
    ping,
    demo,
    helpers,
    notify,
    jobs,
    history,
    control,
    preview,
    apply,
    calendars,
    audit,
    accounts,
    services,
    store,
    deadman,
)


def deploy(registry: Registry) -> None:
    """Deploy every service that the framework brings along."""
    for module in MODULES:
        for cls in vars(module).values():
            is_own = inspect.isclass(cls) and cls.__module__ == module.__name__
            if is_own and issubclass(cls, Service):
                cls.takes = TAKES.get(cls.name)
                registry.add(cls, is_internal=True)
