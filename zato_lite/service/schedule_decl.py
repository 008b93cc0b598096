"""Schedules that are declared on a service's class: ``schedule = every(minutes=5)``."""

from typing import Any

from zato_lite.service.base import SyncAwareMethod
from zato_lite.service.schedule import BlockingSchedule, Schedule


class Declared(SyncAwareMethod[Schedule, BlockingSchedule]):
    """What makes a job of a service: the fields of its definition, as the surface calls them.

    On the class it is the declaration; on an instance ``self.schedule`` is what it always is.
    """

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(_what_it_always_is)
        self.fields = fields


def _what_it_always_is(service: Any) -> Any:
    for base in type(service).__mro__:
        inherited = vars(base).get("schedule")
        if inherited is not None and not isinstance(inherited, Declared):
            return inherited.__get__(service, type(service))
    raise AttributeError("schedule")


def cron(expression: str, /, **fields: Any) -> Declared:
    """A declaration that runs the service by cron.

    ``schedule = cron("0 6 * * mon-fri", timezone="Europe/Warsaw")`` in the body of a class.

    Args:
        expression: 5 fields, or 6 with seconds first, or a macro such as ``@daily``.
        fields: any other field of a job: ``timezone``, ``extra``, ``on_overlap`` …
    """
    return Declared({"job_type": "cron_style", "cron_definition": expression, **fields})


def every(**fields: Any) -> Declared:
    """A declaration that runs the service at an interval.

    ``schedule = every(minutes=5)`` in the body of a class.

    Args:
        fields: ``weeks``, ``days``, ``hours``, ``minutes``, ``seconds``, ``milliseconds``, and any
            other field of a job.
    """
    return Declared({"job_type": "interval_based", **fields})
