"""Schedules declared on services: ``schedule = every(…)`` or ``cron(…)`` in a class."""

from typing import Any, Unpack

from zato_lite.service.job_types import DeclaredOptions, DeclaredPeriod
from zato_lite.service.schedule import BlockingSchedule, Schedule, plain_fields
from zato_lite.service.sync_aware import SyncAwareMethod


class DeclaredSchedule(SyncAwareMethod[Schedule, BlockingSchedule]):
    """A schedule on a service's class; on an instance, ``self.schedule`` is a ``Schedule``.

    Attributes:
        fields: the fields of the job's definition.
    """

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(_inherited_schedule)
        self.fields = fields


def _inherited_schedule(service: Any) -> Any:
    for base in type(service).__mro__:
        inherited = vars(base).get("schedule")
        if inherited is not None and not isinstance(inherited, DeclaredSchedule):
            return inherited.__get__(service, type(service))
    raise AttributeError("schedule")


def cron(expression: str, /, **fields: Unpack[DeclaredOptions]) -> DeclaredSchedule:
    """Declare a schedule by a cron expression.

    ``schedule = cron("0 6 * * mon-fri", timezone="Europe/Warsaw")`` in the body of a class.

    Args:
        expression: 5 fields, or 6 with seconds first, or a macro such as ``@daily``.
        fields: any other field of a job: ``timezone``, ``extra``, ``on_overlap`` …
    """
    trigger = {"job_type": "cron_style", "cron_definition": expression}
    return DeclaredSchedule(trigger | plain_fields(fields))


def every(period: str = "", /, **fields: Unpack[DeclaredPeriod]) -> DeclaredSchedule:
    """Declare a schedule at an interval.

    ``schedule = every(minutes=5)`` or ``every("5 min")`` in the body of a class.

    Args:
        period: the period in words, such as ``1 h 30 min``, in place of its parts.
        fields: ``weeks``, ``days``, ``hours``, ``minutes``, ``seconds``, ``milliseconds``, and any
            other field of a job.
    """
    if period:
        if "every" in fields:
            raise TypeError("every() got the period twice")
        fields["every"] = period
    return DeclaredSchedule({"job_type": "interval_based"} | plain_fields(fields))
