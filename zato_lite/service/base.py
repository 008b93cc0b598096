"""``Service``: what every service is, and what it finds in ``self``."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from pathlib import PurePath
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar, cast, overload

import typing_extensions

from zato_lite.clock import to_instant
from zato_lite.service.both import blocking
from zato_lite.service.bunch import Config
from zato_lite.service.cache import Cache
from zato_lite.service.locks import BlockingLock, Lock
from zato_lite.service.logger import ServiceLogger, service_logger
from zato_lite.service.message import Caller, HttpContext, Invocation, JobContext
from zato_lite.service.naming import service_name
from zato_lite.service.needs import Provider
from zato_lite.service.patterns import BlockingPatterns, Patterns
from zato_lite.service.payload import embed
from zato_lite.service.ports import Locks
from zato_lite.service.request import In, Out, Request, Response
from zato_lite.service.schedule import BlockingSchedule, Schedule
from zato_lite.service.schema import plain
from zato_lite.service.timing import Time
from zato_lite.timetable.job import SECOND, Job, OneTime
from zato_lite.wire import encode

T = TypeVar("T")
B = TypeVar("B")
Answer = typing_extensions.TypeVar("Answer", default=Any)


class Known(Protocol):
    """What is known of a deployed service: its name, and how often it was invoked."""

    name: str
    calls: int


class InvokerPort(Provider, Protocol):
    """The invoker, as a service sees it.

    Attributes:
        locks, cache, config: what ``self.lock``, ``self.cache`` and ``self.config`` are made of.
    """

    cluster_id: int
    server_name: str
    locks: Locks
    cache: Cache
    config: Config

    def call(
        self,
        parent: "Service[Any, Any]",
        target: "str | type[Service[Any, Any]]",
        payload: Any,
        timeout: float | None,
    ) -> Coroutine[Any, Any, Any]:
        """Invoke another service on behalf of ``parent``."""
        ...

    def wait(self, awaitable: Awaitable[T]) -> T:
        """From a worker thread: what the loop makes of it."""
        ...

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """From a worker thread: have the loop do it, whether or not somebody still waits."""
        ...

    def run_in_thread(self, function: Callable[[], T]) -> Coroutine[Any, Any, T]:
        """Call a function in a worker thread."""
        ...

    def spawn(self, function: Callable[[], T]) -> Future[T]:
        """The same, from a worker thread or the loop, for nobody who waits."""
        ...

    def known(self, name: str) -> Known | None:
        """The deployed service of this name."""
        ...

    def known_by_id(self, service_id: int) -> Known:
        """The deployed service of this id."""
        ...

    def new_instance(self, parent: "Service[Any, Any]", name: str) -> "Service[Any, Any]":
        """An instance of another service, made for ``parent`` and not invoked."""
        ...

    def now(self) -> datetime:
        """Wall time, aware."""
        ...

    def invoke_async(self, job: Job, cid: str) -> Coroutine[Any, Any, int]:
        """Run a service once, durably; the run's id."""
        ...

    def time_left(self, service: "Service[Any, Any]") -> float | None:
        """Seconds until the service's time is up; None for no limit."""
        ...


class _Seen:
    """What both kinds of ``self.server`` are made of."""

    __slots__ = ("_service", "cluster_id", "name")

    def __init__(self, service: "Service[Any, Any]", door: InvokerPort) -> None:
        self._service = service
        self.cluster_id = door.cluster_id
        self.name = door.server_name


class Server(_Seen):
    """The server that a service runs in, as the service sees it.

    Attributes:
        cluster_id: always 1, as in Zato.
    """

    __slots__ = ()

    def invoke(
        self,
        /,
        service: "str | type[Service[Any, Answer]]",
        payload: Any = None,
        **options: Any,
    ) -> Coroutine[Any, Any, Answer]:
        """The same as the service's own ``invoke``."""
        return self._service.invoke(service, payload, **options)


class BlockingServer(_Seen):
    """The same in a worker thread."""

    __slots__ = ()

    invoke = blocking(Server.invoke)


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


class SyncAwareMethod(Generic[V, B]):
    """The same, of one kind in async services and of another one in blocking services.

    Type checkers go by the class, what happens by where the service runs.
    """

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: "BlockingService[Any, Any]", owner: type) -> B: ...
    @overload
    def __get__(self, instance: "Service[Any, Any]", owner: type) -> V: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._make(instance)
        return value


class Service(Generic[In, Out]):
    """A named piece of work; subclasses have ``async def handle(self)``.

    A plain ``def handle`` runs in a worker thread, where ``self.invoke`` and the rest return what
    they would otherwise have to be awaited for.
    """

    name: ClassVar[str] = ""
    """The name to be invoked by; without one it is made of the file's and the class's name."""

    input: ClassVar[Any] = None
    """What it takes: a type (msgspec, dataclass, pydantic, Model), or names of elements."""

    output: ClassVar[Any] = None
    """What it gives, declared in the same ways."""

    reads_input: ClassVar[bool] = True
    """False: ``input`` is only described; ``handle`` reads ``request.payload``."""

    takes: ClassVar[Mapping[str, Any] | None] = None
    """A JSON Schema to describe it with, of one that reads its payload by itself."""

    # What the invoker sets for each invocation. Slots without defaults in the class: Python
    # reads and writes those fastest.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_deadline",
        "_depth",
        "_door",
        "_in_thread",
        "_parent",
        "_payload",
        "_request",
        "_response",
        "_root",
    )
    _door: InvokerPort
    _root: Invocation
    _parent: "Service[Any, Any] | None"
    _payload: Any
    _depth: int
    _deadline: float | None
    _in_thread: bool
    _request: Request[In] | None
    _response: Response[Out] | None

    def handle(self) -> Any:
        """Do the work. What it returns becomes the response's payload if that was not set."""
        raise NotImplementedError(f"{type(self).__qualname__} has no handle()")

    def accept(self) -> Any:
        """Hook: False refuses the invocation."""

    def before_job(self) -> Any:
        """Hook: before ``handle``, when a job invokes it."""

    def before_one_time_job(self) -> Any:
        """Hook: before ``handle``, when a one-time job invokes it."""

    def before_interval_based_job(self) -> Any:
        """Hook: before ``handle``, when an interval-based job invokes it."""

    def before_cron_style_job(self) -> Any:
        """Hook: before ``handle``, when a cron-style job invokes it."""

    def before_handle(self) -> Any:
        """Hook: before ``handle``."""

    def validate_input(self) -> Any:
        """Hook: what it raises refuses the input."""

    def validate_output(self) -> Any:
        """Hook: what it raises refuses the answer."""

    def after_handle(self) -> Any:
        """Hook: after a ``handle`` that did not raise."""

    def after_one_time_job(self) -> Any:
        """Hook: after ``handle``, when a one-time job invoked it."""

    def after_interval_based_job(self) -> Any:
        """Hook: after ``handle``, when an interval-based job invoked it."""

    def after_cron_style_job(self) -> Any:
        """Hook: after ``handle``, when a cron-style job invoked it."""

    def after_job(self) -> Any:
        """Hook: after ``handle``, when a job invoked it."""

    def finalize_handle(self) -> Any:
        """Hook: at the end, whether or not something raised."""

    @classmethod
    def before_add_to_store(cls, logger: ServiceLogger) -> Any:
        """Hook: before it is deployed; False leaves it out."""

    @classmethod
    def after_add_to_store(cls, logger: ServiceLogger) -> Any:
        """Hook: after it was deployed."""

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
        service: "str | type[Service[Any, Answer]]",
        payload: Any = None,
        *,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, Answer]:
        """Invoke another service and have what it answers.

        Args:
            service: its name or its class.
            payload: what it receives; without one, the other keyword arguments.
            timeout: seconds that it may take; the time that is left to this service bounds it too.
            kwargs: the payload, when none is given.
        """
        if kwargs:
            payload = payload_or(kwargs, payload)
        answer = self._door.call(self, service, payload, timeout)
        return self._door.wait(answer) if self._in_thread else answer

    def invoke_async(
        self,
        service: "str | type[Service[Any, Any]]",
        payload: Any = None,
        *,
        delay: float = 0,
        retries: int = 0,
        retry_delay: float = 1,
        retry_backoff: float = 2,
        timeout: float | None = None,
        callback: "str | type[Service[Any, Any]] | None" = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, int]:
        """Have another service invoked soon, by any node, even if this one crashes now.

        What it takes is what ``invoke`` does, and JSON must be able to hold the payload. It
        begins after ``delay`` seconds. An attempt that fails is followed by up to ``retries``
        more, the first after ``retry_delay`` seconds, the others ``retry_backoff`` times as long
        after each other; each may take ``timeout`` seconds. The service ``callback`` is invoked
        in the end, whatever came of it; it must be deployed already. What comes back is the id of
        the run.
        """
        if kwargs:
            payload = payload_or(kwargs, payload)
        target = service if isinstance(service, str) else service.get_name()
        after = callback if callback is None or isinstance(callback, str) else callback.get_name()
        job = Job(
            name=f"{target} async {self.cid}",
            service=target,
            trigger=OneTime(start=to_instant(self._door.now()) + int(delay * SECOND)),
            extra=None if payload is None else encode(embed(payload), plain).decode(),
            max_retries=retries,
            retry_delay_ms=int(retry_delay * 1000),
            retry_backoff=retry_backoff,
            max_execution_time_ms=None if timeout is None else int(timeout * 1000),
            on_success_service=after,
            on_error_service=after,
        )
        return self._give(self._door.invoke_async(job, self.cid))

    def sleep(self, seconds: float = 1) -> Coroutine[Any, Any, None]:
        """Do nothing for a while; to be awaited in async services."""
        return self._give(asyncio.sleep(seconds))

    def lock(self, name: str = "", ttl: float = 20, block: float = 10) -> Lock:
        """A lock: ``async with self.lock("name")``, or ``with`` in a plain ``handle``.

        Args:
            name: what is locked; the service's own name if none is given.
            ttl: it lapses after so many seconds.
            block: seconds to wait for it.
        """
        name = name or self.get_name()
        lock = Lock(self._door.locks, name, self.cid, (ttl, block))
        return cast("Lock", BlockingLock(lock, self._door)) if self._in_thread else lock

    @property
    def cid(self) -> str:
        """The correlation id: the same in all invocations that come of one from outside."""
        return self._root.cid

    @property
    def time_left(self) -> float | None:
        """Seconds until the time of this invocation is up; None when it has no limit.

        It is the nearest of all limits: of the invocation itself, of those above it, of the HTTP
        request (``Request-Timeout``), of the run of a job (``max_execution_time_ms``).
        """
        return self._door.time_left(self)

    @property
    def request(self) -> Request[In]:
        """What the service was invoked with."""
        request = self._request
        if request is None:
            request = self._request = Request.of(
                self._payload, None if self._parent else self._root
            )
        return request

    @property
    def response(self) -> Response[Out]:
        """What the service answers."""
        response = self._response
        if response is None:
            response = self._response = Response()
        return response

    @_Lazy
    def logger(self) -> ServiceLogger:
        """A logger named after the service; its lines carry the cid."""
        return service_logger(self.get_name())

    server = SyncAwareMethod[Server, "BlockingServer"](lambda self: self._server())
    """The server that the service runs in."""

    schedule = SyncAwareMethod[Schedule, BlockingSchedule](lambda self: self._schedule())
    """Schedules services."""

    patterns = SyncAwareMethod[Patterns, BlockingPatterns](lambda self: self._patterns())
    """Several services at once, or one until it works."""

    @_Lazy
    def time(self) -> Time:
        """What time it is."""
        return Time(self._door.now)

    @property
    def cache(self) -> Cache:
        """Values shared by all services of this process."""
        return self._door.cache

    @property
    def config(self) -> Config:
        """The user's own part of the configuration."""
        return self._door.config

    @property
    def user_config(self) -> Config:
        """The same as ``config``."""
        return self._door.config

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
    def path(self) -> tuple[str, ...]:
        """The names of the services on the way to this one, outermost first, itself included."""
        before = self._parent.path if self._parent else self._root.path
        return (*before, self.get_name())

    def _server(self) -> Server | BlockingServer:
        return (BlockingServer if self._in_thread else Server)(self, self._door)

    def _schedule(self) -> Schedule | BlockingSchedule:
        kind = BlockingSchedule if self._in_thread else Schedule
        return kind(self._invoke_for, self.cid, self._door.now)

    def _patterns(self) -> Patterns | BlockingPatterns:
        kind = BlockingPatterns if self._in_thread else Patterns
        return kind(partial(self._door.call, self, timeout=None), self._give)

    def _invoke_for(self, service: str, payload: Any, pick: Callable[[Any], T]) -> Any:
        """Invoke, and pick something from the answer: at once here, or awaited by the caller."""

        async def invoked_and_picked() -> T:
            return pick(await self._door.call(self, service, payload, None))

        return self._give(invoked_and_picked())

    def _give(self, answer: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        """To be awaited by an async service; to a blocking one, what it comes to."""
        if self._in_thread:
            return cast("Coroutine[Any, Any, T]", self._door.wait(answer))
        return answer


class BlockingService(Service[In, Out]):
    """A service whose plain ``handle`` runs in a worker thread, as type checkers see it."""

    # What a base's method gives to be awaited is here the thing itself: that is all there is to
    # the overrides, and why checkers are told to look away.

    def invoke(  # type: ignore[override]
        self,
        service: str | type[Service[Any, Answer]],
        payload: Any = None,
        *,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Answer:
        """Invoke another service and return what it answers."""
        answer = super().invoke(service, payload, timeout=timeout, **kwargs)
        return cast("Answer", answer)

    def invoke_async(  # type: ignore[override]
        self,
        service: str | type[Service[Any, Any]],
        payload: Any = None,
        *,
        delay: float = 0,
        retries: int = 0,
        retry_delay: float = 1,
        retry_backoff: float = 2,
        timeout: float | None = None,
        callback: str | type[Service[Any, Any]] | None = None,
        **kwargs: Any,
    ) -> int:
        """Have another service invoked soon; the id of the run."""
        run = super().invoke_async(
            service,
            payload,
            delay=delay,
            retries=retries,
            retry_delay=retry_delay,
            retry_backoff=retry_backoff,
            timeout=timeout,
            callback=callback,
            **kwargs,
        )
        return cast("int", run)

    def sleep(self, seconds: float = 1) -> None:  # type: ignore[override]
        """Do nothing for a while."""
        _ = super().sleep(seconds)

    def lock(  # type: ignore[override]
        self, name: str = "", ttl: float = 20, block: float = 10
    ) -> BlockingLock:
        """A lock: ``with self.lock("name")``."""
        return cast("BlockingLock", super().lock(name, ttl, block))


def payload_or(kwargs: dict[str, Any], payload: Any) -> Any:
    """The keyword arguments, as the payload of an invocation that has no other.

    Raises:
        TypeError: there is another one; neither is dropped in silence.
    """
    if payload is None or payload == "":
        return kwargs
    names = ", ".join(kwargs)
    raise TypeError(f"a payload, or keyword arguments that are one, but not both: {names}")
