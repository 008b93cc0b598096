"""``self.schedule``: creates and manages jobs by way of the scheduler's services."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar, Unpack, overload

from zato_lite.service.dates import from_words, start_of
from zato_lite.service.job_answers import (
    CreatedJob,
    EditedJob,
    Explanation,
    HistoryPage,
    JobDetail,
    JobItem,
    ListedJob,
    NewRuns,
)
from zato_lite.service.job_types import (
    Date,
    JobEdits,
    JobFilters,
    JobRef,
    Named,
    NewJobOptions,
    OnBehalfOf,
    Outcome,
    ServiceRef,
)
from zato_lite.service.naming import name_of
from zato_lite.service.payload import embed, plain
from zato_lite.service.sync_aware import blocking
from zato_lite.wire import encode

T = TypeVar("T")

_JOB = "zato.scheduler.job"
_MAX_NAME = 200
_USE = {
    "onetime": "after_minutes=…",
    "interval": "name=…, minutes=…",
    "cron": "'0 6 * * *', name=…",
}
_ZATOS = ("invoking_service", "target_service")
_ONE_TIME = (*_ZATOS, "service", "name")
_FORMS = "write self.schedule.onetime('the.service', …) or self.schedule.onetime(self, Target, …)"
_METHODS = {"one_time": "onetime", "interval_based": "interval", "cron_style": "cron"}
_SERVICE_FIELDS = frozenset({"service", "service_name", "on_success_service", "on_error_service"})


class SystemJob(dict[str, Any]):
    """The definition of a job on behalf of the system; only code makes one, never a request."""


class Owner(Named, Protocol):
    """The service that schedules."""

    @property
    def cid(self) -> str:
        """Return the correlation id."""
        ...


class Port(Protocol):
    """The invoker, as ``self.schedule`` uses it."""

    def call(self, parent: Any, target: str, payload: Any, timeout: None) -> Awaitable[Any]:
        """Invoke another service on behalf of ``parent``."""
        ...

    def find_service(self, name: str) -> object | None:
        """Return the deployed service of this name."""
        ...

    def now(self) -> datetime:
        """Return the current time, aware."""
        ...


Resolve = Callable[[Coroutine[Any, Any, Any]], Coroutine[Any, Any, Any]]
"""Returns a coroutine to an async service, its result to a blocking one."""


class Scheduling:
    """Common part of ``Schedule`` and ``BlockingSchedule``."""

    def __init__(self, owner: Owner, invoker: Port, resolve: Resolve) -> None:
        self._owner, self._invoker, self._resolve = owner, invoker, resolve
        self._one_time_jobs = 0

    def _create(
        self, definition: dict[str, Any], data: Any, on_behalf_of: OnBehalfOf
    ) -> Coroutine[Any, Any, int]:
        if on_behalf_of not in {"caller", "system"}:
            raise ValueError(f"on_behalf_of {on_behalf_of!r} is unknown; use caller or system")
        name, target = definition["name"], definition["service"]
        own = self._owner.get_name()
        if target == own != name and self._invoker.find_service(name) is not None:
            method = _METHODS[definition["job_type"]]
            raise ValueError(
                f"job name {name!r} is the name of a service, and the job would run {own!r};"
                f" write self.schedule.{method}({name!r}, {_USE[method]}), or use another job name"
            )
        request = {"cluster_id": 1, "is_active": True, **definition}
        if on_behalf_of == "system":
            request = SystemJob(request)
        if data or data in (0, False):
            _put_data(request, data)
        return self._resolve(self._created(request))

    async def _created(self, request: dict[str, Any]) -> int:
        created: CreatedJob = await self._call("create", request)
        if "id" in created:
            return created["id"]
        return await self._id_of(request["name"])  # should_ignore_existing

    def _operate(
        self, service: str, job: JobRef, convert: Callable[[Any], T], fields: Mapping[str, Any]
    ) -> Coroutine[Any, Any, T]:
        """Invoke a service that takes a job's id, and convert its answer."""
        _require_job(job)

        async def operate() -> T:
            job_id = await self._id_of(job) if isinstance(job, str) else job
            return convert(await self._call(service, {"id": job_id, **fields}))

        return self._resolve(operate())

    def _ask(self, service: str, payload: Any) -> Coroutine[Any, Any, Any]:
        async def ask() -> Any:
            return await self._call(service, payload)

        return self._resolve(ask())

    async def _id_of(self, name: str) -> int:
        found: JobDetail = await self._call("get-by-name", {"name": name})
        return found["id"]

    def _call(self, service: str, payload: Any) -> Awaitable[Any]:
        return self._invoker.call(self._owner, f"{_JOB}.{service}", payload, None)

    def _one_time_name(self, words: str, now: datetime) -> str:
        """Return a name that no other one-time job has, though several are made together."""
        number = f" {self._one_time_jobs}" if self._one_time_jobs else ""
        self._one_time_jobs += 1
        end = f" {now.isoformat()} {self._owner.cid}{number}"
        return words[: _MAX_NAME - len(end)] + end


class Schedule(Scheduling):
    """Creates and manages jobs. In async services each method must be awaited.

    Services are given by name or class, jobs by id or name. A job runs on behalf of the caller of
    the invocation that creates it, whose rights must suffice for its services at each run; with
    ``on_behalf_of="system"``, on behalf of the system.
    """

    @overload
    def onetime(
        self,
        /,
        service: ServiceRef,
        name: str = "",
        *,
        prefix: str = "",
        start_date: Date = "",
        after_seconds: float = 0,
        after_minutes: float = 0,
        data: Any = "",
        on_behalf_of: OnBehalfOf = "caller",
        **options: Unpack[NewJobOptions],
    ) -> Coroutine[Any, Any, int]: ...
    @overload
    def onetime(
        self,
        /,
        invoking_service: Named,
        target_service: ServiceRef,
        name: str = "",
        *,
        prefix: str = "",
        start_date: Date = "",
        after_seconds: float = 0,
        after_minutes: float = 0,
        data: Any = "",
        on_behalf_of: OnBehalfOf = "caller",
        **options: Unpack[NewJobOptions],
    ) -> Coroutine[Any, Any, int]: ...
    def onetime(
        self,
        /,
        *services: Any,
        prefix: str = "",
        start_date: Date = "",
        after_seconds: float = 0,
        after_minutes: float = 0,
        data: Any = "",
        on_behalf_of: OnBehalfOf = "caller",
        **options: Any,
    ) -> Coroutine[Any, Any, int]:
        """Create a job that runs a service once, and return the job's id.

        It runs at ``start_date`` (UTC), or after the given seconds and minutes. The date may be
        in words, such as ``July 29 2027 11:35``, if it is not ambiguous. ``data`` becomes the
        target's ``request.input``; ``prefix`` is the start of the job's name. Zato's form, with
        the invoking service before the target, is accepted too.
        """
        source, target, name = _one_time(self._owner, services, options)
        now = self._invoker.now()
        if not name:
            before = f"{prefix} " if prefix else ""
            name = self._one_time_name(f"{before}{source} -> {target}", now)
        after = after_seconds + 60 * after_minutes
        start = start_of(from_words(start_date), now, after, options.get("timezone"))
        request = {"name": name, "job_type": "one_time", "service": target, "start_date": start}
        return self._create(request | plain_fields(options), data, on_behalf_of)

    @overload
    def interval(
        self,
        /,
        service: ServiceRef,
        name: str,
        *,
        weeks: int = 0,
        days: int = 0,
        hours: int = 0,
        minutes: int = 0,
        seconds: float = 0,
        milliseconds: int = 0,
        start_date: Date = "",
        data: Any = "",
        on_behalf_of: OnBehalfOf = "caller",
        **options: Unpack[NewJobOptions],
    ) -> Coroutine[Any, Any, int]: ...
    @overload
    def interval(
        self,
        /,
        service: ServiceRef,
        name: str,
        *,
        every: str,
        start_date: Date = "",
        data: Any = "",
        on_behalf_of: OnBehalfOf = "caller",
        **options: Unpack[NewJobOptions],
    ) -> Coroutine[Any, Any, int]: ...
    def interval(
        self,
        /,
        service: ServiceRef,
        *names: str,
        name: str | None = None,
        start_date: Date = "",
        data: Any = "",
        on_behalf_of: OnBehalfOf = "caller",
        **options: Any,
    ) -> Coroutine[Any, Any, int]:
        """Create a job that runs a service at an interval, and return the job's id.

        ``every`` is the period in words, such as ``1 h 30 min``, in place of numbers.
        """
        target, [name] = _target_of("interval", service, names, name)
        request = {
            "name": name,
            "job_type": "interval_based",
            "service": target,
            "start_date": start_of(start_date, self._invoker.now(), zone=options.get("timezone")),
            **dict.fromkeys(("weeks", "days", "hours", "minutes", "seconds"), 0),
        }
        return self._create(request | plain_fields(options), data, on_behalf_of)

    @overload
    def cron(
        self,
        /,
        service: ServiceRef,
        cron_definition: str,
        *,
        name: str,
        start_date: Date = "",
        data: Any = "",
        on_behalf_of: OnBehalfOf = "caller",
        **options: Unpack[NewJobOptions],
    ) -> Coroutine[Any, Any, int]: ...
    @overload
    def cron(
        self,
        /,
        service: ServiceRef,
        name: str,
        cron_definition: str,
        *,
        start_date: Date = "",
        data: Any = "",
        on_behalf_of: OnBehalfOf = "caller",
        **options: Unpack[NewJobOptions],
    ) -> Coroutine[Any, Any, int]: ...
    def cron(
        self,
        /,
        service: ServiceRef,
        *texts: str,
        name: str | None = None,
        cron_definition: str | None = None,
        start_date: Date = "",
        data: Any = "",
        on_behalf_of: OnBehalfOf = "caller",
        **options: Any,
    ) -> Coroutine[Any, Any, int]:
        """Create a job that runs a service by a cron expression, and return the job's id."""
        target, [name, cron_definition] = _target_of("cron", service, texts, name, cron_definition)
        request = {
            "name": name,
            "job_type": "cron_style",
            "service": target,
            "start_date": start_of(start_date, self._invoker.now(), zone=options.get("timezone")),
            "cron_definition": cron_definition,
        }
        return self._create(request | plain_fields(options), data, on_behalf_of)

    def get(self, job: JobRef) -> Coroutine[Any, Any, JobDetail]:
        """Return a job: its definition, its state and its last run."""
        _require_job(job)
        service, key = ("get-by-name", "name") if isinstance(job, str) else ("get-by-id", "id")
        return self._ask(service, {"cluster_id": 1, key: job})

    def edit(self, job: JobRef, /, **changes: Unpack[JobEdits]) -> Coroutine[Any, Any, EditedJob]:
        """Change the given fields of a job; None clears one. ``name`` is its new name.

        The job runs on behalf of the caller of this invocation from then on.
        """
        fields = plain_fields(changes)
        if "data" in fields:
            _put_data(fields, fields.pop("data"))
        return self._operate("edit", job, _unchanged, fields)

    def delete(self, job: JobRef) -> Coroutine[Any, Any, None]:
        """Delete a job; its history stays."""
        return self._operate("delete", job, lambda _: None, {})

    def cancel(self, job: JobRef) -> Coroutine[Any, Any, None]:
        """Delete a job, under an earlier name."""
        return self.delete(job)

    def pause(
        self, job: JobRef, note: str = "", until: Date | None = None
    ) -> Coroutine[Any, Any, JobItem]:
        """Start none of a job's slots until it is resumed, or until an instant (UTC)."""
        return self._operate(
            "pause", job, _unchanged, plain_fields({"note": note, "until": until})
        )

    def resume(self, job: JobRef) -> Coroutine[Any, Any, JobItem]:
        """Resume a paused job."""
        return self._operate("resume", job, _unchanged, {})

    def run(self, job: JobRef) -> Coroutine[Any, Any, int]:
        """Start a run of a job now, and return the run's number; its slots stay as they are."""
        return self._operate("execute", job, lambda answer: int(answer["current_run"]), {})

    def skip_next(self, job: JobRef, count: int = 1) -> Coroutine[Any, Any, JobItem]:
        """Skip a job's next slots; 0 skips none."""
        return self._operate("skip-next", job, _unchanged, {"count": count})

    def why(self, job: JobRef, at: Date) -> Coroutine[Any, Any, Explanation]:
        """Explain why a job did or did not run at an instant, naive in the job's time zone."""
        _require_job(job)
        key = "name" if isinstance(job, str) else "id"
        return self._ask("why", plain_fields({key: job, "at": at}))

    def history(
        self,
        job: JobRef,
        *,
        outcomes: Sequence[Outcome] = (),
        since: Date | None = None,
        page: int = 1,
        page_size: int = 50,
    ) -> Coroutine[Any, Any, HistoryPage]:
        """Return a page of a job's runs, newest first, or all since an instant (UTC)."""
        fields: dict[str, Any] = {"page": page, "page_size": page_size, "since_iso": since}
        fields |= {"outcomes": [*outcomes]} if outcomes else {}
        return self._operate("get-history", job, _unchanged, plain_fields(fields))

    def backfill(
        self, job: JobRef, first: Date, last: Date, *, force: bool = False, dry_run: bool = False
    ) -> Coroutine[Any, Any, NewRuns]:
        """Run each slot of a job between two instants, naive in the job's time zone.

        Both are included. ``force`` also runs slots before the job's start and after its end;
        ``dry_run`` only counts them. The answer's ``reason`` names slots that are left out.
        """
        fields = {"first": first, "last": last, "force": force, "dry_run": dry_run}
        return self._operate("backfill", job, _unchanged, plain_fields(fields))

    # Last in the class: after this method, ``list`` is no longer the type.
    def list(
        self, query: str = "", **filters: Unpack[JobFilters]
    ) -> Coroutine[Any, Any, list[ListedJob]]:
        """Return jobs by name; ``query`` holds words that the name must contain."""
        request = {"cluster_id": 1, "query": query, **plain_fields(filters)}

        async def rows() -> Any:
            answer = await self._call("get-list", request)
            return answer["rows"] if isinstance(answer, dict) and "rows" in answer else answer

        return self._resolve(rows())


class BlockingSchedule(Scheduling):
    """``Schedule`` for blocking services: methods return results, not coroutines."""

    onetime = blocking(Schedule.onetime)
    interval = blocking(Schedule.interval)
    cron = blocking(Schedule.cron)
    get = blocking(Schedule.get)
    edit = blocking(Schedule.edit)
    delete = blocking(Schedule.delete)
    cancel = blocking(Schedule.cancel)
    pause = blocking(Schedule.pause)
    resume = blocking(Schedule.resume)
    run = blocking(Schedule.run)
    skip_next = blocking(Schedule.skip_next)
    why = blocking(Schedule.why)
    history = blocking(Schedule.history)
    backfill = blocking(Schedule.backfill)
    list = blocking(Schedule.list)


def _target_of(
    method: str, service: Any, texts: Sequence[str], *named: str | None
) -> tuple[str, list[Any]]:
    """Return the target of a job, and the texts that are given by keyword or by position."""
    rest = [*texts]
    found = [rest.pop() if each is None and rest else each for each in reversed(named)]
    if _is_instance(service):
        service = texts[0] if texts else service
        why = "the first argument is the service to run, not the one that schedules it"
    elif rest or None in found:
        why = "arguments are missing or too many"
    else:
        return name_of(service), found[::-1]
    call = f"self.schedule.{method}({name_of(service)!r}, {_USE[method]})"
    raise TypeError(f"{method}: {why}; write {call}")


def _one_time(
    owner: Named, services: tuple[Any, ...], options: dict[str, Any]
) -> tuple[str, str, str]:
    """Return the source, the target and the name of a one-time job; remove them from options."""
    named = {key: options.pop(key) for key in _ONE_TIME if key in options}
    is_zatos = named.keys() & {*_ZATOS} or any(
        not isinstance(each, str) and (index or _is_instance(each))
        for index, each in enumerate(services[:2])
    )
    order = (*_ZATOS, "name") if is_zatos else ("service", "name")
    given = dict(zip(order, services, strict=False))
    if len(services) > len(order) or given.keys() & named.keys() or named.keys() - {*order}:
        raise TypeError(f"onetime: too many services or names given; {_FORMS}")
    given |= named
    target = given.get("target_service" if is_zatos else "service")
    if target is None:
        raise TypeError(f"onetime: the service to run is missing; {_FORMS}")
    source = given.get("invoking_service", owner)
    return name_of(source), name_of(target), given.get("name", "")


def _unchanged(answer: Any) -> Any:
    return answer


def _is_instance(service: Any) -> bool:
    return not isinstance(service, str | type) and hasattr(service, "get_name")


def _require_job(job: Any) -> None:
    if not isinstance(job, int | str) or isinstance(job, bool):
        raise TypeError(f"a job's id or name expected, not {type(job).__name__}")


def _put_data(fields: dict[str, Any], data: Any) -> None:
    if fields.get("extra") is not None:
        raise TypeError("data and extra given, but not both allowed")
    fields["extra"] = None if data is None else encode(embed(data), plain).decode()


def plain_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields with the names of services, and with dates as text."""
    found = {}
    for field, value in given.items():
        if field in _SERVICE_FIELDS and value is not None:
            found[field] = name_of(value)
        else:
            found[field] = value.isoformat() if isinstance(value, datetime) else value
    return found
