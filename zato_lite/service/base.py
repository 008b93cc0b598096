"""``Service``: what every service is, and what it finds in ``self``."""

import sys
from collections.abc import Awaitable, Callable
from pathlib import PurePath
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from zato_lite.log import Sink
from zato_lite.service.logger import ServiceLogger, service_logger
from zato_lite.service.message import Caller, HttpContext, Invocation, JobContext
from zato_lite.service.naming import service_name
from zato_lite.service.needs import Provider
from zato_lite.service.request import In, Out, Request, Response
from zato_lite.service.schedule import Schedule

T = TypeVar("T")


class Door(Provider, Protocol):
    """The invoker, as a service sees it."""

    cluster_id: int
    server_name: str

    def call(
        self,
        parent: "Service[Any, Any]",
        target: "str | type[Service[Any, Any]]",
        payload: Any,
        timeout: float | None,
    ) -> Awaitable[Any]:
        """Invoke another service on behalf of ``parent``."""
        ...

    def wait(self, awaitable: Awaitable[T]) -> T:
        """From a worker thread: what the loop makes of it."""
        ...

    def now_iso(self) -> str:
        """Wall time in UTC, as ISO 8601."""
        ...


class Server:
    """The server that a service runs in, as the service sees it.

    Attributes:
        cluster_id: always 1, as in Zato.
    """

    __slots__ = ("_service", "cluster_id", "name")

    def __init__(self, service: "Service[Any, Any]", door: Door) -> None:
        self._service = service
        self.cluster_id = door.cluster_id
        self.name = door.server_name

    def invoke(self, service: Any, payload: Any = None, **options: Any) -> Any:
        """The same as the service's own ``invoke``."""
        return self._service.invoke(service, payload, **options)


class Channel:
    """How the invocation came in.

    Attributes:
        type: invoke, async, scheduler, http, cli or startup.
        name: the job's name, the path of the HTTP request, or nothing.
        security: who asks.
    """

    __slots__ = ("data_format", "id", "name", "security", "type")

    def __init__(self, channel_type: str, name: str, caller: Caller) -> None:
        self.type = channel_type
        self.name = name
        self.id = 0
        self.data_format = "json"
        self.security = caller

    @property
    def sec(self) -> Caller:
        """The same as ``security``."""
        return self.security


V = TypeVar("V")


class _Lazy(Generic[V]):
    """Made at first sight, then an ordinary attribute: most services look at few of them."""

    def __init__(self, make: Callable[[Any], V]) -> None:
        self._make = make
        self._name = ""
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> V:
        if instance is None:
            return self  # type: ignore[return-value]
        value = instance.__dict__[self._name] = self._make(instance)
        return value


class Service(Generic[In, Out]):
    """A named piece of work; subclasses have ``async def handle(self)``.

    A plain ``def handle`` runs in a worker thread, where ``self.invoke`` and the rest return what
    they would otherwise have to be awaited for.
    """

    name: ClassVar[str] = ""
    """The name to be invoked by; without one it is made of the file's and the class's name."""

    # Set by the invoker for each invocation; a class-level value is what outsiders see.
    cid: str = ""
    _door: Door = None  # type: ignore[assignment]
    _root: Invocation = None  # type: ignore[assignment]
    _parent: "Service[Any, Any] | None" = None
    _payload: Any = None
    _depth: int = 0
    _deadline: float | None = None
    _in_thread: bool = False

    def handle(self) -> Any:
        """Do the work. What it returns becomes the response's payload if that was not set."""
        raise NotImplementedError(f"{type(self).__qualname__} has no handle()")

    @classmethod
    def get_name(cls) -> str:
        """The name that the service is, or would be, deployed under."""
        own = cls.__dict__.get("name")
        if isinstance(own, str) and own:
            return own
        module = sys.modules.get(cls.__module__)
        path = getattr(module, "__file__", None) or cls.__module__.replace(".", "/") + ".py"
        return service_name(PurePath(path), cls.__name__)

    def invoke(
        self,
        service: "str | type[Service[Any, Any]]",
        payload: Any = None,
        *,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Awaitable[Any]:
        """Invoke another service and have what it answers.

        Args:
            service: its name or its class.
            payload: what it receives; without one, the other keyword arguments.
            timeout: seconds that it may take; the time that is left to this service bounds it too.
            kwargs: the payload, when none is given.
        """
        if kwargs and (payload is None or payload == ""):
            payload = _without_options(kwargs)
        answer = self._door.call(self, service, payload, timeout)
        return self._door.wait(answer) if self._in_thread else answer

    @_Lazy
    def request(self) -> Request[In]:
        """What the service was invoked with."""
        return Request(self._payload, None if self._parent else self._root)

    @_Lazy
    def response(self) -> Response[Out]:
        """What the service answers."""
        return Response()

    @_Lazy
    def logger(self) -> ServiceLogger:
        """A logger named after the service; its lines carry the cid."""
        return service_logger(self.get_name())

    @_Lazy
    def server(self) -> Server:
        """The server that the service runs in."""
        return Server(self, self._door)

    @_Lazy
    def schedule(self) -> Schedule:
        """Schedules services."""
        return Schedule(self._invoke_for, self.cid, self._door.now_iso)

    @_Lazy
    def channel(self) -> Channel:
        """How the invocation came in."""
        if self._parent is not None:
            return Channel("invoke", self._parent.get_name(), self._root.caller)
        job, http = self._root.job, self._root.http
        name = job.name if job else http.path if http else ""
        return Channel(self._root.channel, name, self._root.caller)

    @property
    def chan(self) -> Channel:
        """The same as ``channel``."""
        return self.channel

    @property
    def job(self) -> JobContext | None:
        """The job and the run that invoked this service; None when it was somebody else."""
        return None if self._parent else self._root.job

    @property
    def job_type(self) -> str:
        """The job's type, or nothing."""
        return self.job.job_type if self.job else ""

    @property
    def caller(self) -> Caller:
        """Who asked for the outermost invocation."""
        return self._root.caller

    @property
    def http(self) -> HttpContext | None:
        """The HTTP request behind this service; None when there is none."""
        return None if self._parent else self._root.http

    @property
    def provider(self) -> Provider:
        """Who hands out what ``needs(…)`` asks for."""
        return self._door

    @property
    def sink(self) -> Sink | None:
        """Where the lines of this run go besides the log."""
        return self._root.sink

    @property
    def path(self) -> tuple[str, ...]:
        """The names of the services on the way to this one, outermost first, itself included."""
        before = self._parent.path if self._parent else self._root.path
        return (*before, self.get_name())

    def _invoke_for(self, service: str, payload: Any, pick: Callable[[Any], T]) -> Any:
        """Invoke, and pick something from the answer: at once here, or awaited by the caller."""

        async def invoked_and_picked() -> T:
            return pick(await self._door.call(self, service, payload, None))

        answer = invoked_and_picked()
        return self._door.wait(answer) if self._in_thread else answer


class BlockingService(Service[In, Out]):
    """A service whose plain ``handle`` runs in a worker thread, as type checkers see it."""

    def invoke(
        self, service: Any, payload: Any = None, *, timeout: float | None = None, **kwargs: Any
    ) -> Any:
        """Invoke another service and return what it answers."""
        return super().invoke(service, payload, timeout=timeout, **kwargs)


_OPTIONS = frozenset(
    ("channel", "data_format", "serialize", "as_bunch", "raise_timeout", "skip_response_elem")
)


def _without_options(kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """Keyword arguments less those that Zato's ``invoke`` takes for itself."""
    return {name: value for name, value in kwargs.items() if name not in _OPTIONS} or None
