"""``zato.service.*``: which services there are, and invoking them by name."""

import base64
from pathlib import PurePath
from typing import Annotated, Any

import msgspec

from zato_lite.deploy.deployer import Deployer
from zato_lite.errors import BadInputError, ForbiddenError
from zato_lite.service.access import may_invoke
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.service.registry import Entry, Registry
from zato_lite.service.schema import schema_of


class ListRequest(msgspec.Struct):
    """Which services: names that have all words of ``query``, built in or not."""

    cluster_id: Any = 1
    query: str = ""
    name_filter: str = ""
    is_internal: bool | None = None


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


class ServiceDetail(ServiceItem):
    """A deployed service, and what it takes and gives."""

    description: str = ""
    input_schema: dict[str, Any] = {}
    output_schema: dict[str, Any] = {}


class Named(msgspec.Struct):
    """A service, by its name or its id."""

    name: str = ""
    id: int | None = None
    cluster_id: Any = 1


class GetList(Service[ListRequest, list[ServiceItem]]):
    """The deployed services, by name."""

    name = "zato.service.get-list"
    registry = needs(Registry)

    async def handle(self) -> None:
        asked = self.request.input
        words = (asked.query or asked.name_filter).lower().split()
        self.response.payload = [
            item_of(entry)
            for entry in self.registry
            if asked.is_internal in (None, entry.is_internal)
            and all(word in entry.name.lower() for word in words)
        ]


class GetByName(Service[Named, ServiceDetail]):
    """One service, with the JSON Schema of what it takes and gives."""

    name = "zato.service.get-by-name"
    registry = needs(Registry)

    async def handle(self) -> None:
        entry = find(self.registry, self.request.input)
        self.response.payload = ServiceDetail(
            **msgspec.structs.asdict(item_of(entry)),
            description=description_of(entry),
            input_schema=schema_of(entry.input) or dict(entry.cls.takes or {}),
            output_schema=schema_of(entry.output),
        )


class Deployed(msgspec.Struct):
    """Whether a service is deployed."""

    is_deployed: bool


class IsDeployed(Service[Named, Deployed]):
    """Whether a service of this name is deployed."""

    name = "zato.service.is-deployed"
    registry = needs(Registry)

    async def handle(self) -> None:
        self.response.payload = Deployed(self.request.input.name in self.registry)


class EditRequest(Named):
    """Whether a service accepts invocations."""

    is_active: bool = True


class Edit(Service[EditRequest, ServiceItem]):
    """Makes a service active or inactive, until the server's next start."""

    name = "zato.service.edit"
    registry = needs(Registry)

    async def handle(self) -> None:
        entry = find(self.registry, self.request.input)
        entry.is_active = self.request.input.is_active
        self.response.payload = item_of(entry)


Timeout = Annotated[float, msgspec.Meta(ge=0, le=31_622_400)]
"""Seconds, up to a year; 0 for no limit, as in Zato."""


class InvokeRequest(Named):
    """What to invoke, with what, and for how many seconds at most."""

    payload: Any = None
    timeout: Timeout | None = None
    is_async: bool = False


class Invoke(Service[InvokeRequest]):
    """Invokes a service; with ``is_async`` it is kept and run soon, and its run's id is told."""

    name = "zato.service.invoke"
    registry = needs(Registry)

    async def handle(self) -> None:
        asked = self.request.input
        name = find(self.registry, asked).name
        if name == self.name:
            raise BadInputError(f"`{name}` does not invoke itself")
        if not may_invoke(self.caller, name):
            raise ForbiddenError(f"{self.caller.name} may not invoke `{name}`")
        if asked.is_async:
            run = await self.invoke_async(name, asked.payload, timeout=asked.timeout or None)
            self.response.payload = {"run_id": run}
        else:
            timeout = asked.timeout or None
            self.response.payload = await self.invoke(name, asked.payload, timeout=timeout)


class FileItem(msgspec.Struct):
    """A file of services; with an error, what is served is an earlier version, if anything."""

    source: str
    services: tuple[str, ...]
    is_ok: bool
    error: str
    details: str


class GetDeploymentInfoList(Service[Any, list[FileItem]]):
    """The files of services, and what is wrong with those that could not be deployed."""

    name = "zato.service.get-deployment-info-list"
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
    """A Python file: its name, and its bytes in base64."""

    payload_name: str
    payload: str
    cluster_id: Any = 1


class HotDeploy(Service[UploadRequest]):
    """Puts a file into the folder of services and deploys it, if the server accepts uploads."""

    name = "zato.hot-deploy.create"
    deployer = needs(Deployer)

    async def handle(self) -> None:
        asked = self.request.input
        if PurePath(asked.payload_name).name != asked.payload_name:
            raise BadInputError(f"not the name of a file: {asked.payload_name!r}")
        try:
            data = base64.b64decode(asked.payload, validate=True)
        except ValueError as error:
            raise BadInputError(f"payload is not base64: {error}") from error
        status = await self.deployer.upload(asked.payload_name, data)
        self.response.payload = {"is_deployed": status.failure is None}


def find(registry: Registry, named: Named) -> Entry:
    """The service that is meant."""
    if named.name:
        return registry.get(named.name)
    return registry.by_id(named.id)


def item_of(entry: Entry) -> ServiceItem:
    """What is said of a service in a list."""
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
    )


def description_of(entry: Entry) -> str:
    """The first sentence of a service's docstring."""
    return (entry.cls.__dict__.get("__doc__") or "").strip().split("\n\n")[0]
