"""``self.schedule``: from Python to jobs, through the scheduler's services."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from zato_lite.service.both import blocking
from zato_lite.service.moments import read_moment
from zato_lite.service.payload import embed
from zato_lite.wire import encode

T = TypeVar("T")


class Named(Protocol):
    """A service or its class."""

    def get_name(self) -> str:
        """What it is invoked by."""
        ...


class Invoke(Protocol):
    """Invokes a service and picks something from its answer.

    What comes back is awaited by services with an async ``handle``, and is the thing itself in
    those with a plain one.
    """

    def __call__(
        self, service: str, payload: Any, pick: Callable[[Any], T]
    ) -> Coroutine[Any, Any, T]:
        """Invoke it."""
        ...


class Scheduling:
    """What both kinds of ``self.schedule`` are made of."""

    def __init__(self, invoke: Invoke, cid: str, now: Callable[[], datetime]) -> None:
        self._invoke = invoke
        self._cid = cid
        self._now = now

    def _create(self, definition: dict[str, Any], data: Any) -> Coroutine[Any, Any, int]:
        request = {"cluster_id": 1, "is_active": True, **definition}
        if data or data in (0, False):
            request["extra"] = encode(embed(data)).decode()
        return self._invoke("zato.scheduler.job.create", request, _id)


class Schedule(Scheduling):
    """Creates and manages jobs. In async services each method must be awaited."""

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
    ) -> Coroutine[Any, Any, int]:
        """Run a service once: at ``start_date`` (UTC), or so long after now. Returns the job's id.

        A date in words will do, such as ``July 29 2027 11:35``, as long as it has but one reading.

        ``data`` is what the target finds in ``request.input``; ``prefix`` begins the job's name.
        """
        target = _name_of(target_service)
        now = self._now()
        if not name:
            before = f"{prefix} " if prefix else ""
            source = _name_of(invoking_service)
            name = f"{before}{source} -> {target} {now.isoformat()} {self._cid}"
        start = _start(_in_words(start_date), now, after_seconds + 60 * after_minutes)
        request = {"name": name, "job_type": "one_time", "service": target, "start_date": start}
        return self._create(request, data)

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
        **more: Any,
    ) -> Coroutine[Any, Any, int]:
        """Run a service over and over, so far apart. Returns the job's id.

        ``more`` is anything else that ``zato.scheduler.job.create`` takes: repeats, timezone, …
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
        return self._create(request, data)

    def cron(
        self,
        /,
        target_service: str | Named,
        name: str,
        cron_definition: str,
        *,
        start_date: str | datetime = "",
        data: Any = "",
        **more: Any,
    ) -> Coroutine[Any, Any, int]:
        """Run a service when a cron expression says so. Returns the job's id.

        ``more`` is anything else that ``zato.scheduler.job.create`` takes: timezone, repeats, …
        """
        request = {
            "name": name,
            "job_type": "cron_style",
            "service": _name_of(target_service),
            "start_date": _start(start_date, self._now(), 0),
            "cron_definition": cron_definition,
            **more,
        }
        return self._create(request, data)

    def get(self, job: int | str) -> Coroutine[Any, Any, dict[str, Any]]:
        """A job's definition, by its id or its name."""
        if isinstance(job, str):
            request = {"cluster_id": 1, "name": job}
            return self._invoke("zato.scheduler.job.get-by-name", request, _itself)
        return self._invoke("zato.scheduler.job.get-by-id", {"cluster_id": 1, "id": job}, _itself)

    def cancel(self, job: int) -> Coroutine[Any, Any, None]:
        """Delete a job, by its id."""
        return self._invoke("zato.scheduler.job.delete", {"id": job}, _nothing)

    # The last one: after it, ``list`` has another meaning in this class.
    def list(self, /, query: str = "", **more: Any) -> Coroutine[Any, Any, list[dict[str, Any]]]:
        """Jobs by name; ``query`` is words that the name must have."""
        request = {"cluster_id": 1, "query": query, **more}
        return self._invoke("zato.scheduler.job.get-list", request, _itself)


class BlockingSchedule(Scheduling):
    """The same in blocking services: what is to be awaited elsewhere is here the thing itself."""

    onetime = blocking(Schedule.onetime)
    interval = blocking(Schedule.interval)
    cron = blocking(Schedule.cron)
    get = blocking(Schedule.get)
    list = blocking(Schedule.list)
    cancel = blocking(Schedule.cancel)


def _id(response: Any) -> int:
    found: int = response["id"]
    return found


def _itself(response: Any) -> Any:
    return response


def _nothing(response: Any) -> None:
    return None


def _name_of(service: str | Named) -> str:
    return service if isinstance(service, str) else service.get_name()


def _start(start: str | datetime, now: datetime, after_seconds: float) -> str:
    """The instant as ISO 8601 in UTC; text is left to the scheduler, which says what is wrong."""
    if isinstance(start, datetime):
        aware = start if start.tzinfo else start.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat()
    if start:
        return start
    return datetime.fromtimestamp(now.timestamp() + after_seconds, UTC).isoformat()


def _in_words(start: str | datetime) -> str | datetime:
    """The moment that a text means which is not ISO 8601, if it is clear; else the text."""
    if isinstance(start, datetime) or not start:
        return start
    try:
        datetime.fromisoformat(start.strip())
    except ValueError:
        return read_moment(start) or start
    return start
