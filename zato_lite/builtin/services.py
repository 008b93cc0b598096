"""Services that list, describe, switch, upload and invoke the deployed services."""

import asyncio
import base64
from collections.abc import Sequence
from pathlib import PurePath
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec

from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.input import Input
from zato_lite.builtin.output import iso
from zato_lite.builtin.permissions import authority_of
from zato_lite.clock import Clock
from zato_lite.deploy.deployer import Deployer
from zato_lite.errors import BadInputError, FieldError
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.access import matches, may_invoke
from zato_lite.service.base import Service
from zato_lite.service.built_in import record_refusal, refusal_of
from zato_lite.service.entry import Entry, Failure
from zato_lite.service.message import Caller
from zato_lite.service.needs import needs
from zato_lite.service.registry import Registry, no_such_id
from zato_lite.service.request import In, Out
from zato_lite.service.typed import schema_of
from zato_lite.store.rows import JobRow
from zato_lite.timetable.describe import describe
from zato_lite.timetable.job import SECOND, Instant

_MAX_JOBS = 200


class ListRequest(msgspec.Struct):
    """Filter: names that contain all words of ``query``, built-in services or not.

    ``limit`` is the maximum of services; with ``prefix``, names that begin with it are first, and
    then those that contain it. ``with_errors`` asks for services that have had errors.
    """

    cluster_id: Any = 1
    query: str = ""
    name_filter: str = ""
    is_internal: bool | None = None
    prefix: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    with_errors: bool = False


class ServiceItem(msgspec.Struct):
    """A deployed service."""

    id: int
    name: str
    is_active: bool
    impl_name: str
    is_internal: bool
    may_be_deleted: bool
    is_blocking: bool
    source: str
    usage: int
    errors: int
    in_flight: int
    average_ms: float
    p50_ms: float | None = None
    p95_ms: float | None = None
    last_error: str = ""
    last_error_iso: str | None = None


class ErrorItem(msgspec.Struct, omit_defaults=True):
    """An error of a service; of a run, with its job."""

    at_iso: str
    error: str
    cid: str
    channel: str
    job_id: int | None = None
    job_name: str | None = None
    current_run: int | None = None


class JobOfService(msgspec.Struct):
    """A job that runs a service."""

    id: int
    name: str
    words: str
    is_active: bool


class ServiceDetail(ServiceItem):
    """A deployed service with the JSON Schemas of its input and output.

    ``recent_errors`` are at most 20, newest first; ``jobs`` are the first 200 of those that run
    it, by name, and ``job_count`` is the number of all.
    """

    description: str = ""
    input_schema: dict[str, Any] = {}
    output_schema: dict[str, Any] = {}
    recent_errors: list[ErrorItem] = []
    jobs: list[JobOfService] = []
    job_count: int = 0


class ServiceRef(msgspec.Struct):
    """A service, by its name or its id."""

    name: str = ""
    id: int | None = None
    cluster_id: Any = 1


class DetailRequest(ServiceRef):
    """A service; ``has_jobs`` says if the jobs that run it are listed, which reads all jobs."""

    has_jobs: bool = True


class RegistryService(Service[In, Out]):
    """Base of the services that read the registry."""

    role = "viewer"
    registry = needs(Registry)

    def is_visible(self, service: str) -> bool:
        """Return True if the caller's patterns match the service."""
        return matches(service, authority_of(self).patterns)

    def find(self, wanted: ServiceRef) -> Entry:
        """Return a service that the caller's patterns match, by its name or its id.

        Raises:
            ServiceMissingError: it is not deployed.
            ForbiddenError: the patterns do not match it.
        """
        return find(self.registry, wanted, authority_of(self))


class GetList(RegistryService[ListRequest, list[ServiceItem]]):
    """Return the deployed services, by name."""

    name = "zato.service.get-list"
    scope = "own"
    clock = needs(Clock)

    async def handle(self) -> None:
        query = self.request.input
        words = (query.query or query.name_filter).lower().split()
        prefix = query.prefix.lower()
        found = [
            entry
            for entry in self.registry
            if query.is_internal in (None, entry.is_internal)
            and self.is_visible(entry.name)
            and all(word in entry.name.lower() for word in (*words, prefix))
            and (entry.errors > 0 or not query.with_errors)
        ]
        if prefix:
            found.sort(key=lambda entry: not entry.name.lower().startswith(prefix))
        self.response.headers["X-Zato-Result-Total"] = str(len(found))
        now = self.clock.now()
        self.response.payload = [item_of(entry, now) for entry in found[: query.limit]]


class GetByName(RegistryService[DetailRequest, ServiceDetail]):
    """Return a service with the JSON Schemas of its input and output."""

    name = "zato.service.get-by-name"
    scope = "own"
    clock = needs(Clock)
    jobs = needs(JobCommands)

    async def handle(self) -> None:
        entry, now = self.find(self.request.input), self.clock.now()
        rows: Sequence[JobRow] = ()
        count = 0
        if self.request.input.has_jobs:
            rows, count = await self.jobs.list(service=entry.name, limit=_MAX_JOBS)
        jobs = [
            JobOfService(row.id, row.job.name, describe(row.job.trigger), row.job.is_active)
            for row in rows
        ]
        self.response.payload = ServiceDetail(
            **msgspec.structs.asdict(item_of(entry, now)),
            recent_errors=[_error_item(each, now) for each in reversed(entry.failures)],
            jobs=jobs,
            job_count=count,
            description=description_of(entry),
            input_schema=schema_of(entry.input),
            output_schema=schema_of(entry.output),
        )


class Deployed(msgspec.Struct):
    """True if the service is deployed."""

    is_deployed: bool


class IsDeployed(RegistryService[ServiceRef, Deployed]):
    """Return True if a service of this name is deployed."""

    name = "zato.service.is-deployed"
    scope = "own"

    async def handle(self) -> None:
        name = self.request.input.name
        self.response.payload = Deployed(name in self.registry and self.is_visible(name))


class EditRequest(Input):
    """A service, and True if it is to accept invocations."""

    name: str = ""
    id: int | None = None
    cluster_id: Any = 1
    is_active: bool = True


class Edit(AuditedService[EditRequest, ServiceItem]):
    """Make a service active or inactive, until the server's next start."""

    name = "zato.service.edit"
    role = "admin"
    registry = needs(Registry)

    async def change(self, params: EditRequest) -> str:
        wanted, authority = ServiceRef(params.name, params.id), authority_of(self)
        entry = find(self.registry, wanted, authority)
        if entry.is_internal and authority.patterns:  # all callers use it
            raise refusal_of(self.caller, entry.name)
        if entry.is_active != params.is_active:
            self.add_changes({"is_active": [entry.is_active, params.is_active]})
        entry.is_active = params.is_active
        self.response.payload = item_of(entry, self.clock.now())
        return entry.name


Timeout = Annotated[float, msgspec.Meta(ge=0, le=31_622_400)]
"""Seconds, up to a year; 0 means no limit, as in Zato."""


class InvokeRequest(ServiceRef):
    """A service to invoke, its payload, and a timeout in seconds."""

    payload: Any = None
    timeout: Timeout | None = None
    is_async: bool = False


class Invoke(RegistryService[InvokeRequest]):
    """Invoke a service; with ``is_async`` only enqueue it, and return the id of its run."""

    name = "zato.service.invoke"
    role = "operator"

    async def handle(self) -> None:
        query = self.request.input
        name = query.name or self.registry.by_id(query.id).name
        if name == self.name:
            raise BadInputError(f"`{name}` cannot invoke itself")
        if not may_invoke(self.caller, name):
            await record_refusal(self.provider, self.root, name)
            is_hidden = not query.name and self.caller.patterns
            raise no_such_id(query.id) if is_hidden else refusal_of(self.caller, name)
        self.registry.get(name, self.caller.patterns)
        if query.is_async:
            run = await self.invoke_async(name, query.payload, timeout=query.timeout or None)
            self.response.payload = {"run_id": run}
        else:
            timeout = query.timeout or None
            self.response.payload = await self.invoke(name, query.payload, timeout=timeout)


class FileItem(msgspec.Struct):
    """A file of services; with an error, its earlier version, if any, stays deployed."""

    source: str
    services: tuple[str, ...]
    is_ok: bool
    error: str
    details: str


class GetDeploymentInfoList(Service[Any, list[FileItem]]):
    """Return the files of services, with the errors of those that could not be deployed."""

    name = "zato.service.get-deployment-info-list"
    role = "viewer"
    scope = "all"
    deployer = needs(Deployer)

    async def handle(self) -> None:
        self.response.payload = [
            FileItem(
                status.source,
                status.services,
                status.failure is None,
                status.failure.message if status.failure else "",
                status.failure.details if status.failure else "",
            )
            for status in self.deployer.status()
        ]


class UploadRequest(msgspec.Struct):
    """A Python file: its name, and its content in base64; without both, nothing is deployed."""

    payload_name: str | None = None
    payload: str | None = None
    cluster_id: Any = 1


class Uploaded(TypedDict):
    """True, or False and the error in the file."""

    is_deployed: bool
    error: NotRequired[str]


class HotDeploy(Service[UploadRequest, Uploaded]):
    """Save a file in the folder of services and deploy it, if the server accepts uploads.

    A request without a file checks that it does.
    """

    name = "zato.hot-deploy.create"
    role = "admin"
    scope = "all"
    deployer = needs(Deployer)

    async def handle(self) -> None:
        name, payload = self.request.input.payload_name, self.request.input.payload
        if name is None and payload is None:
            self.deployer.require_uploads()
            self.response.payload = {"is_deployed": False}
            return
        if name is None or payload is None:
            missing = "payload_name" if name is None else "payload"
            raise BadInputError.of([FieldError(missing, None, f"{missing} is missing")])
        if PurePath(name).name != name:
            raise BadInputError(f"payload_name is not a file name: {name!r}")
        try:
            data = base64.b64decode(payload, validate=True)
        except ValueError as error:
            raise BadInputError(f"payload is not base64: {error}") from error
        failure = (await self.deployer.upload(name, data)).failure
        self.response.payload = {"is_deployed": failure is None}
        if failure is not None:
            self.response.payload["error"] = failure.message


def find(registry: Registry, wanted: ServiceRef, caller: Caller) -> Entry:
    """Return a service that the caller's patterns match, by its name or its id.

    Raises:
        ServiceMissingError: it is not deployed, or the id is that of another service.
        ForbiddenError: the patterns do not match the name.
    """
    if wanted.name and not matches(wanted.name, caller.patterns):
        raise refusal_of(caller, wanted.name)
    if wanted.name:
        return registry.get(wanted.name, caller.patterns)
    entry = registry.by_id(wanted.id)
    if not matches(entry.name, caller.patterns):
        raise no_such_id(wanted.id)
    return entry


def item_of(entry: Entry, now: Instant) -> ServiceItem:
    """Return a service as a list shows it."""
    latest = sorted(entry.latest)
    last = entry.failures[-1] if entry.failures else None
    return ServiceItem(
        id=entry.id,
        name=entry.name,
        is_active=entry.is_active,
        impl_name=f"{entry.cls.__module__}.{entry.cls.__qualname__}",
        is_internal=entry.is_internal,
        may_be_deleted=not entry.is_internal,
        is_blocking=entry.is_blocking,
        source=entry.source,
        usage=entry.calls,
        errors=entry.errors,
        in_flight=entry.in_flight,
        average_ms=round(entry.seconds / entry.calls * 1000, 3) if entry.calls else 0.0,
        p50_ms=_share(latest, 0.5),
        p95_ms=_share(latest, 0.95),
        last_error=last.error if last is not None else "",
        last_error_iso=iso(_instant_of(last, now)) if last is not None else None,
    )


def _share(latest: Sequence[float], share: float) -> float | None:
    """Return the milliseconds that this share of the latest invocations did not exceed."""
    if not latest:
        return None
    return round(latest[min(int(len(latest) * share), len(latest) - 1)] * 1000, 3)


def _instant_of(failure: Failure, now: Instant) -> Instant:
    elapsed = asyncio.get_running_loop().time() - failure.at if failure.at else 0.0
    return now - round(elapsed * SECOND)


def _error_item(failure: Failure, now: Instant) -> ErrorItem:
    job = failure.job
    item = ErrorItem(iso(_instant_of(failure, now)), failure.error, failure.cid, failure.channel)
    if job is not None:
        item.job_id, item.job_name, item.current_run = job.id, job.name, job.run
    return item


def description_of(entry: Entry) -> str:
    """Return the first paragraph of a service's docstring."""
    return (entry.cls.__dict__.get("__doc__") or "").strip().split("\n\n")[0]
