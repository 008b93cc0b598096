"""Puts the framework's own services into a registry."""

import inspect

from zato_lite.builtin import (
    audit,
    calendars,
    demo,
    helpers,
    notify,
    ping,
    scheduler_apply,
    scheduler_control,
    scheduler_history,
    scheduler_jobs,
    scheduler_preview,
    security,
    service,
    store,
    watch,
)
from zato_lite.builtin.takes import TAKES
from zato_lite.service.base import Service
from zato_lite.service.registry import Registry

MODULES = (
    ping,
    demo,
    helpers,
    notify,
    scheduler_jobs,
    scheduler_history,
    scheduler_control,
    scheduler_preview,
    scheduler_apply,
    calendars,
    audit,
    security,
    service,
    store,
    watch,
)


def deploy(registry: Registry) -> None:
    """Deploy every service that the framework brings along."""
    for module in MODULES:
        for cls in vars(module).values():
            is_own = inspect.isclass(cls) and cls.__module__ == module.__name__
            if is_own and issubclass(cls, Service):
                cls.takes = TAKES.get(cls.name)
                registry.add(cls, is_internal=True)
