"""Schedules of services: ``self.schedule``, and ``schedule = every(…)`` on a class.

Only module that imports dateutil.
"""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import product
from typing import Any, Literal, Protocol, TypeVar

from dateutil import parser

from zato_lite.service.payload import embed
from zato_lite.service.sync_aware import SyncAwareMethod, blocking
from zato_lite.wire import encode

T = TypeVar("T")

_DEFAULTS = (datetime(2000, 1, 1), datetime(2001, 2, 2))  # noqa: DTZ001 - for omitted parts of a date


OnBehalfOf = Literal["caller", "system"]
"""On whose behalf a job runs: of the invocation's caller, or of the system."""


class SystemJob(dict[str, Any]):
    """The definition of a job on behalf of the system; only code makes one, never a request."""


class Named(Protocol):
    """A service or its class."""

    def get_name(self) -> str:
        """Return the name of the service."""
        ...


class Invoke(Protocol):
    """Invocation of a service whose answer is converted.

    Services with an async ``handle`` await the result; those with a plain one receive it.
    """

    def __call__(
        self, service: str, payload: Any, convert: Callable[[Any], T]
    ) -> Coroutine[Any, Any, T]:
        """Invoke the service and convert its answer."""
        ...


class Scheduling:
    """Common part of ``Schedule`` and ``BlockingSchedule``."""

    def __init__(self, invoke: Invoke, cid: str, now: Callable[[], datetime]) -> None:
        self._invoke = invoke
        self._cid = cid
        self._now = now

    def _create(
        self, definition: dict[str, Any], data: Any, on_behalf_of: OnBehalfOf
    ) -> Coroutine[Any, Any, int]:
        if on_behalf_of not in {"caller", "system"}:
            raise ValueError(f"on_behalf_of {on_behalf_of!r} is unknown; use caller or system")
        request = {"cluster_id": 1, "is_active": True, **definition}
        if on_behalf_of == "system":
            request = SystemJob(request)
        if data or data in (0, False):
            request["extra"] = encode(embed(data)).decode()
        return self._invoke("zato.scheduler.job.create", request, _id_of)


class Schedule(Scheduling):
    """Creates and manages jobs. In async services each method must be awaited.

    A job runs on behalf of the caller of the invocation that creates it, whose rights must suffice
    for its services at each run; with ``on_behalf_of="system"``, on behalf of the system.
    """

    def onetime(
        self,
        invoking_service: Named,
        target_service: str | Named,
        name: str = "",
        *,
        prefix: str = "",
        start_date: str | datetime = "",
        after_seconds: float = 0,
        after_minutes: float = 0,
        data: Any = "",
        on_behalf_of: OnBehalfOf = "caller",
    ) -> Coroutine[Any, Any, int]:
        """Create a job that runs a service once, and return the job's id.

        It runs at ``start_date`` (UTC), or after the given seconds and minutes. The date may be
        in words, such as ``July 29 2027 11:35``, if it is not ambiguous. ``data`` becomes the
        target's ``request.input``; ``prefix`` is the start of the job's name.
        """
        target = _name_of(target_service)
        now = self._now()
        if not name:
            before = f"{prefix} " if prefix else ""
            source = _name_of(invoking_service)
            name = f"{before}{source} -> {target} {now.isoformat()} {self._cid}"
        start = _start(_from_words(start_date), now, after_seconds + 60 * after_minutes)
        request = {"name": name, "job_type": "one_time", "service": target, "start_date": start}
        return self._create(request, data, on_behalf_of)

    def interval(
        self,
        /,
        target_service: str | Named,
        name: str,
        *,
        weeks: int = 0,
        days: int = 0,
        hours: int = 0,
        minutes: int = 0,
        seconds: int = 0,
        start_date: str | datetime = "",
        data: Any = "",
        on_behalf_of: OnBehalfOf = "caller",
        **more: Any,
    ) -> Coroutine[Any, Any, int]:
        """Create a job that runs a service at an interval, and return the job's id.

        ``more`` is any other field of ``zato.scheduler.job.create``: repeats, timezone, …
        """
        request = {
            "name": name,
            "job_type": "interval_based",
            "service": _name_of(target_service),
            "start_date": _start(start_date, self._now(), 0),
            "weeks": weeks,
            "days": days,
            "hours": hours,
            "minutes": minutes,
            "seconds": seconds,
            **more,
        }
        return self._create(request, data, on_behalf_of)

    def cron(
        self,
        /,
        target_service: str | Named,
        name: str,
        cron_definition: str,
        *,
        start_date: str | datetime = "",
        data: Any = "",
        on_behalf_of: OnBehalfOf = "caller",
        **more: Any,
    ) -> Coroutine[Any, Any, int]:
        """Create a job that runs a service by a cron expression, and return the job's id.

        ``more`` is any other field of ``zato.scheduler.job.create``: timezone, repeats, …
        """
        request = {
            "name": name,
            "job_type": "cron_style",
            "service": _name_of(target_service),
            "start_date": _start(start_date, self._now(), 0),
            "cron_definition": cron_definition,
            **more,
        }
        return self._create(request, data, on_behalf_of)

    def get(self, job: int | str) -> Coroutine[Any, Any, dict[str, Any]]:
        """Return a job's definition, by its id or its name."""
        if isinstance(job, str):
            by_name = {"cluster_id": 1, "name": job}
            return self._invoke("zato.scheduler.job.get-by-name", by_name, _unchanged)
        return self._invoke(
            "zato.scheduler.job.get-by-id", {"cluster_id": 1, "id": job}, _unchanged
        )

    def cancel(self, job: int) -> Coroutine[Any, Any, None]:
        """Delete a job, by its id."""
        return self._invoke("zato.scheduler.job.delete", {"id": job}, _none)

    # Last in the class: after this method, ``list`` is no longer the type.
    def list(self, /, query: str = "", **more: Any) -> Coroutine[Any, Any, list[dict[str, Any]]]:
        """Return jobs by name; ``query`` holds words that the name must contain."""
        request = {"cluster_id": 1, "query": query, **more}
        return self._invoke("zato.scheduler.job.get-list", request, _unchanged)


class BlockingSchedule(Scheduling):
    """``Schedule`` for blocking services: methods return results, not coroutines."""

    onetime = blocking(Schedule.onetime)
    interval = blocking(Schedule.interval)
    cron = blocking(Schedule.cron)
    get = blocking(Schedule.get)
    list = blocking(Schedule.list)
    cancel = blocking(Schedule.cancel)


def _id_of(response: Any) -> int:
    found: int = response["id"]
    return found


def _unchanged(response: Any) -> Any:
    return response


def _none(response: Any) -> None:
    return None


def _name_of(service: str | Named) -> str:
    return service if isinstance(service, str) else service.get_name()


def _start(start: str | datetime, now: datetime, after_seconds: float) -> str:
    """Return the instant as ISO 8601 in UTC; text is unchanged, as the scheduler checks it."""
    if isinstance(start, datetime):
        aware = start if start.tzinfo else start.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat()
    if start:
        return start
    return datetime.fromtimestamp(now.timestamp() + after_seconds, UTC).isoformat()


def _from_words(start: str | datetime) -> str | datetime:
    """Return the moment that a date in words means, if it is unambiguous; else the text."""
    if isinstance(start, datetime) or not start:
        return start
    try:
        datetime.fromisoformat(start.strip())
    except ValueError:
        return read_moment(start) or start
    return start


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


def cron(expression: str, /, **fields: Any) -> DeclaredSchedule:
    """Declare a schedule by a cron expression.

    ``schedule = cron("0 6 * * mon-fri", timezone="Europe/Warsaw")`` in the body of a class.

    Args:
        expression: 5 fields, or 6 with seconds first, or a macro such as ``@daily``.
        fields: any other field of a job: ``timezone``, ``extra``, ``on_overlap`` …
    """
    return DeclaredSchedule({"job_type": "cron_style", "cron_definition": expression, **fields})


def every(**fields: Any) -> DeclaredSchedule:
    """Declare a schedule at an interval.

    ``schedule = every(minutes=5)`` in the body of a class.

    Args:
        fields: ``weeks``, ``days``, ``hours``, ``minutes``, ``seconds``, ``milliseconds``, and any
            other field of a job.
    """
    return DeclaredSchedule({"job_type": "interval_based", **fields})


def read_moment(text: str) -> datetime | None:
    """Return the moment that a text such as ``July 29 2027 11:35`` means, or None if ambiguous.

    The date must be complete and have a single reading, whichever of day, month and year comes
    first: ``29/07/2027`` is accepted, ``01/02/2027`` is not.
    """
    found: set[datetime] = set()
    try:
        for default, day_first, year_first in product(_DEFAULTS, (True, False), (True, False)):
            found.add(
                parser.parse(
                    text,
                    default=default,
                    dayfirst=day_first,
                    yearfirst=year_first,
                    tzinfos=_zone,
                )
            )
    except (ValueError, OverflowError, TypeError):
        return None
    return found.pop() if len(found) == 1 else None


def _zone(name: str | None, offset: int | None) -> tzinfo | None:
    """Return the zone of an offset; a name such as EST alone is ambiguous."""
    if offset is not None:
        return timezone(timedelta(seconds=offset))
    if name is not None:
        raise ValueError(f"not a UTC offset: {name}")
    return None
