"""``Service``: the base class of all services, and the interface of the invoker that it uses."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar, cast

import typing_extensions

from zato_lite.clock import to_instant
from zato_lite.outgoing.connections import Connections
from zato_lite.outgoing.crypto import Cipher
from zato_lite.service.answers import Answer as DeclaredAnswer
from zato_lite.service.attribute_dict import Config
from zato_lite.service.cache import Cache
from zato_lite.service.context import Channel, ServiceLogger, Time, service_logger
from zato_lite.service.crypto import BlockingCrypto, Crypto
from zato_lite.service.kvdb import BlockingKvdb, Kvdb
from zato_lite.service.locks import BlockingLock, Lock
from zato_lite.service.message import (
    SYSTEM,
    Caller,
    HttpContext,
    Invocation,
    JobContext,
    Outcome,
    opened,
    principal_of,
)
from zato_lite.service.naming import default_name
from zato_lite.service.needs import HasProvider, Locks, Provider
from zato_lite.service.outgoing import BlockingOutgoing, Outgoing
from zato_lite.service.patterns import BlockingPatterns, Patterns
from zato_lite.service.request import In, Out, Request, Response
from zato_lite.service.schedule import BlockingSchedule, Schedule
from zato_lite.service.shared_cache import BlockingCaches, Caches, CacheStore
from zato_lite.service.single_run import MAX_DELAY_S, define, number_of, target_of
from zato_lite.service.sync_aware import LazyAttribute, SyncAwareMethod, blocking
from zato_lite.service.uploads import BodyLimits
from zato_lite.timetable.job import CODE, SECOND, Job

T = TypeVar("T")
Answer = typing_extensions.TypeVar("Answer", default=Any)


class ServiceInfo(Protocol):
    """A deployed service: its name and its number of invocations."""

    name: str
    calls: int


class InvokerPort(Provider, Protocol):
    """The invoker, as services use it.

    Attributes:
        monotonic: the clock for deadlines and durations.
        locks, cache, config: the sources of ``self.lock``, ``self.cache`` and ``self.config``.
        connections: the source of ``self.out``.
        max_cached: maximum bytes of a value in the shared cache.
        cipher: encrypts for ``self.crypto``; None without a key.
    """

    cluster_id: int
    server_name: str
    monotonic: Callable[[], float]
    locks: Locks
    cache: Cache
    config: Config
    connections: Connections
    max_cached: int
    cipher: Cipher | None

    @property
    def shared_cache(self) -> CacheStore | None:
        """The values that all nodes share, in Redis or in the store; None without a store."""
        ...

    def call(
        self,
        parent: "Service[Any, Any]",
        target: "str | type[Service[Any, Any]]",
        payload: Any,
        timeout: float | None,
    ) -> Coroutine[Any, Any, Any]:
        """Invoke another service on behalf of ``parent``."""
        ...

    def run(self, invocation: Invocation) -> Coroutine[Any, Any, Outcome]:
        """Invoke a service from outside; its errors are in the outcome."""
        ...

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Await in the loop, from a worker thread, and return the result."""
        ...

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run in the loop, from a worker thread, even if the invocation was given up."""
        ...

    def run_in_thread(self, function: Callable[[], T]) -> Coroutine[Any, Any, T]:
        """Call a function in a worker thread."""
        ...

    def spawn(self, function: Callable[[], T]) -> Future[T]:
        """Call a function in a worker thread, from another one or the loop, without waiting."""
        ...

    def find_service(self, name: str) -> ServiceInfo | None:
        """Return the deployed service of this name."""
        ...

    def find_service_by_id(self, service_id: int) -> ServiceInfo:
        """Return the deployed service of this id."""
        ...

    def new_instance(self, parent: "Service[Any, Any]", name: str) -> "Service[Any, Any]":
        """Create an instance of another service for ``parent``, without invoking it."""
        ...

    def now(self) -> datetime:
        """Return the current time, aware."""
        ...

    def invoke_async(self, job: Job, cid: str) -> Coroutine[Any, Any, int]:
        """Save a single run of a service and return the run's id."""
        ...

    def time_left(self, service: "Service[Any, Any]") -> float | None:
        """Return the seconds until the service's deadline; None if it has none."""
        ...


class ServerInfo:
    """Common part of ``Server`` and ``BlockingServer``."""

    __slots__ = ("_service", "cluster_id", "name")

    def __init__(self, service: "Service[Any, Any]", invoker: InvokerPort) -> None:
        self._service = service
        self.cluster_id = invoker.cluster_id
        self.name = invoker.server_name


class Server(ServerInfo):
    """The server in which a service runs.

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
        """Invoke a service, as the service's own ``invoke`` does."""
        return self._service.invoke(service, payload, **options)


class BlockingServer(ServerInfo):
    """``Server`` for blocking services."""

    __slots__ = ()

    invoke = blocking(Server.invoke)


class Service(HasProvider, Generic[In, Out]):
    """Base class of services; subclasses define ``async def handle(self)``.

    A plain ``def handle`` runs in a worker thread, where ``self.invoke`` and the other methods
    return results instead of coroutines.
    """

    name: ClassVar[str] = ""
    """Name of the service; the default is built from the names of the file and the class."""

    input: ClassVar[Any] = None
    """Declared input: a type (msgspec, dataclass, pydantic, Model), or names of elements."""

    output: ClassVar[Any] = None
    """Declared output, in the same forms."""

    answers: ClassVar[Mapping[int, str | DeclaredAnswer]] = {}
    """Answers over HTTP by status, with a description; the first success is the default."""

    body_limits: ClassVar[BodyLimits | None] = None
    """Limits of its bodies over HTTP; None for the server's."""

    is_built_in: ClassVar[bool] = False
    """True for services of the framework, which check their callers; set by deployment."""

    middleware: ClassVar[Sequence[Callable[[Any], Awaitable[Any]]]] = ()
    """Middleware around invocations of the service, the first one outermost."""

    reads_input: ClassVar[bool] = True
    """False: ``input`` is only described; ``handle`` reads ``request.payload``."""

    # Set by ``bind`` for each invocation. Slots without defaults are the fastest attributes.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_deadline",
        "_depth",
        "_in_thread",
        "_invoker",
        "_parent",
        "_payload",
        "_request",
        "_response",
        "_root",
    )
    _invoker: InvokerPort
    _root: Invocation
    _parent: "Service[Any, Any] | None"
    _payload: Any
    _depth: int
    _deadline: float | None
    _in_thread: bool
    _request: Request[In] | None
    _response: Response[Out] | None

    def handle(self) -> Any:
        """Do the work; the result becomes the response's payload unless that was set."""
        raise NotImplementedError(f"{type(self).__qualname__} has no handle()")

    def accept(self) -> Any:
        """Refuse the invocation by returning False."""

    def before_job(self) -> Any:
        """Run before ``handle`` if a job invokes the service."""

    def before_one_time_job(self) -> Any:
        """Run before ``handle`` if a one-time job invokes the service."""

    def before_interval_based_job(self) -> Any:
        """Run before ``handle`` if an interval-based job invokes the service."""

    def before_cron_style_job(self) -> Any:
        """Run before ``handle`` if a cron-style job invokes the service."""

    def before_handle(self) -> Any:
        """Run before ``handle``."""

    def validate_input(self) -> Any:
        """Refuse the input by raising an exception."""

    def validate_output(self) -> Any:
        """Refuse the answer by raising an exception."""

    def after_handle(self) -> Any:
        """Run after ``handle`` if it did not raise."""

    def after_one_time_job(self) -> Any:
        """Run after ``handle`` if a one-time job invoked the service."""

    def after_interval_based_job(self) -> Any:
        """Run after ``handle`` if an interval-based job invoked the service."""

    def after_cron_style_job(self) -> Any:
        """Run after ``handle`` if a cron-style job invoked the service."""

    def after_job(self) -> Any:
        """Run after ``handle`` if a job invoked the service."""

    def finalize_handle(self) -> Any:
        """Run at the end, also after an exception."""

    @classmethod
    def before_add_to_store(cls, logger: ServiceLogger) -> Any:
        """Run before deployment; return False to leave the service out."""

    @classmethod
    def after_add_to_store(cls, logger: ServiceLogger) -> Any:
        """Run after deployment."""

    @classmethod
    def get_name(cls) -> str:
        """Return the name under which the service is, or would be, deployed."""
        own = cls.__dict__.get("name")
        return own if isinstance(own, str) and own else default_name(cls)

    def invoke(
        self,
        service: "str | type[Service[Any, Answer]]",
        payload: Any = None,
        *,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, Answer]:
        """Invoke another service and return its answer.

        Args:
            service: its name or its class.
            payload: its payload; the default is the other keyword arguments.
            timeout: seconds that it may take, at most those that are left to this service.
            kwargs: the payload, when none is given.
        """
        if kwargs:
            payload = payload_or(kwargs, payload)
        answer = self._invoker.call(self, service, payload, timeout)
        return self._invoker.wait(answer) if self._in_thread else answer

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
        on_behalf_of: Literal["caller", "system"] = "caller",
        **kwargs: Any,
    ) -> Coroutine[Any, Any, int]:
        """Save an invocation of another service, to be made by any node, and return the run's id.

        It survives a crash of this node. Service and payload are those of ``invoke``; JSON must
        be able to hold the payload. The run begins after ``delay`` seconds. A failed attempt is
        followed by up to ``retries`` more, the first after ``retry_delay`` seconds, each later
        one after ``retry_backoff`` times the delay before; each may take ``timeout`` seconds.
        The service ``callback``, which must be deployed, is invoked with the outcome. The run and
        its callback are made on behalf of the caller of this invocation, whose rights must then
        suffice, or of the system.
        """
        if kwargs:
            payload = payload_or(kwargs, payload)
        target = target_of(service)
        delay_s = number_of("delay", delay, -MAX_DELAY_S, MAX_DELAY_S)
        job = define(
            f"{target} async {self.cid}",
            target,
            payload,
            to_instant(self._invoker.now()) + int(delay_s * SECOND),
            principal=self._principal(on_behalf_of),
            retries=retries,
            retry_delay=retry_delay,
            retry_backoff=retry_backoff,
            timeout=timeout,
            callback=None if callback is None else target_of(callback, "callback"),
        )
        return self._resolve(self._invoker.invoke_async(job, self.cid))

    def sleep(self, seconds: float = 1) -> Coroutine[Any, Any, None]:
        """Sleep; async services await it."""
        return self._resolve(asyncio.sleep(seconds))

    def lock(self, name: str = "", ttl: float = 20, block: float = 10) -> Lock:
        """Return a lock, for ``async with self.lock("name")``, or ``with`` in a plain ``handle``.

        Args:
            name: the lock's name; the default is the service's name.
            ttl: seconds until the lock lapses.
            block: seconds to wait for the lock.
        """
        name = name or self.get_name()
        lock = Lock(self._invoker.locks, name, self.cid, (ttl, block))
        return cast("Lock", BlockingLock(lock, self._invoker)) if self._in_thread else lock

    @property
    def cid(self) -> str:
        """Return the correlation id, shared by an invocation and all that it invokes."""
        return self._root.cid

    @property
    def time_left(self) -> float | None:
        """Return the seconds until the deadline of this invocation; None when it has none.

        The nearest deadline counts: that of the invocation, of those above it, of the HTTP
        request (``Request-Timeout``), of the job's run (``max_execution_time_ms``).
        """
        return self._invoker.time_left(self)

    @property
    def request(self) -> Request[In]:
        """Return the request of this invocation."""
        request = self._request
        if request is None:
            root = None if self._parent else self._root
            if root is not None and root.ahead is not None and root.ahead[0] is type(self):
                request = root.ahead[1]  # there is no error, for there is no declared input
            else:
                request = Request.of(self._payload, root)
            self._request = request
        return request

    @property
    def response(self) -> Response[Out]:
        """Return the response to this invocation."""
        response = self._response
        if response is None:
            response = self._response = Response()
        return response

    @LazyAttribute
    def logger(self) -> ServiceLogger:
        """Return the logger named after the service; its lines carry the cid."""
        return service_logger(self.get_name())

    server = SyncAwareMethod[Server, "BlockingServer"](lambda self: self._server())
    """The server in which the service runs."""

    schedule = SyncAwareMethod[Schedule, BlockingSchedule](lambda self: self._schedule())
    """Creates and manages scheduler jobs."""

    patterns = SyncAwareMethod[Patterns, BlockingPatterns](lambda self: self._patterns())
    """Parallel invocations and retries."""

    cache = SyncAwareMethod[Caches, BlockingCaches](lambda self: self._caches(), is_kept=False)
    """Values of this process; ``cache.default``: values that services share on all nodes."""

    crypto = SyncAwareMethod[Crypto, BlockingCrypto](lambda self: self._crypto(), is_kept=False)
    """Hashes, encryption and random secrets."""

    kvdb = SyncAwareMethod[Kvdb, BlockingKvdb](
        lambda self: (BlockingKvdb if self._in_thread else Kvdb)(self._invoker.connections)
    )
    """Redis or Valkey, if ``[cache] url`` names one: ``await self.kvdb.conn.get("key")``."""

    out = SyncAwareMethod[Outgoing, BlockingOutgoing](lambda self: self._out(), is_kept=False)
    """Outgoing connections by name: ``self.out.rest["crm"].get("/customers")``."""

    @LazyAttribute
    def time(self) -> Time:
        """Return the current time in several forms."""
        return Time(self._invoker.now)

    @property
    def config(self) -> Config:
        """Return the user's part of the configuration."""
        return self._invoker.config

    @property
    def user_config(self) -> Config:
        """Return ``config``, under Zato's name."""
        return self._invoker.config

    @LazyAttribute
    def channel(self) -> Channel:
        """Return the way in which the invocation came in."""
        if self._parent is not None:
            return Channel("invoke", self._parent.get_name(), self._root.caller)
        job, http = self._root.job, self._root.http
        name = job.name if job else http.path if http else ""
        return Channel(self._root.channel, name, self._root.caller)

    @property
    def chan(self) -> Channel:
        """Return ``channel``, under Zato's short name."""
        return self.channel

    @property
    def job(self) -> JobContext | None:
        """Return the job and run that invoked this service; None for any other caller."""
        return None if self._parent else self._root.job

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """Return the transaction of this run, as ``self.job.transaction()`` does.

        A run of ``invoke_async`` or ``zato_lite.enqueue`` has one too, and no job.

        Raises:
            InvocationError: this is not a run.
        """
        return opened(None if self._parent else self._root.opener)

    @property
    def job_type(self) -> str:
        """Return the job's type, or an empty text."""
        return self.job.job_type if self.job else ""

    @property
    def caller(self) -> Caller:
        """Return the caller of the outermost invocation."""
        return self._root.caller

    @property
    def root(self) -> Invocation:
        """Return the outermost invocation, which all inner ones share."""
        return self._root

    @property
    def is_invoked_by_code(self) -> bool:
        """Return True if a service of the project invoked this one."""
        return self._parent is not None and not self._parent.is_built_in

    @property
    def is_named_by_request(self) -> bool:
        """Return True if a built-in service has invoked this one, as its request asked."""
        parent = self._parent
        return parent is not None and parent.is_built_in and parent._parent is None

    @property
    def http(self) -> HttpContext | None:
        """Return the HTTP request that invoked this service, or None."""
        return None if self._parent else self._root.http

    @property
    def provider(self) -> Provider:
        """Return the source of the resources that ``needs(…)`` declares."""
        return self._invoker

    @property
    def path(self) -> tuple[str, ...]:
        """Return the names of the services from the outermost to this one."""
        before = self._parent.path if self._parent else self._root.path
        return (*before, self.get_name())

    def _principal(self, on_behalf_of: str) -> str:
        principal = principal_of(on_behalf_of, self.caller)
        return principal if self.is_built_in or self.caller is SYSTEM else CODE + principal

    def _server(self) -> Server | BlockingServer:
        return (BlockingServer if self._in_thread else Server)(self, self._invoker)

    def _schedule(self) -> Schedule | BlockingSchedule:
        schedule_type = BlockingSchedule if self._in_thread else Schedule
        return schedule_type(self, self._invoker, self._resolve)

    def _caches(self) -> Caches | BlockingCaches:
        invoker, caches_type = self._invoker, BlockingCaches if self._in_thread else Caches
        return caches_type(invoker.cache, invoker.shared_cache, invoker.max_cached, self._resolve)

    def _crypto(self) -> Crypto | BlockingCrypto:
        invoker, crypto_type = self._invoker, BlockingCrypto if self._in_thread else Crypto
        return crypto_type(invoker.cipher, invoker.run_in_thread, self._resolve)

    def _out(self) -> Outgoing | BlockingOutgoing:
        out_type = BlockingOutgoing if self._in_thread else Outgoing
        return out_type(self, self._invoker.connections, self._resolve)

    def _patterns(self) -> Patterns | BlockingPatterns:
        patterns_type = BlockingPatterns if self._in_thread else Patterns
        return patterns_type(partial(self._invoker.call, self, timeout=None), self._resolve)

    def _resolve(self, answer: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        """Return the coroutine to an async service, its result to a blocking one."""
        if self._in_thread:
            return cast("Coroutine[Any, Any, T]", self._invoker.wait(answer))
        return answer


def bind(  # noqa: PLR0917 - called for each invocation; keywords are slower
    service: Service[Any, Any],
    invoker: InvokerPort,
    root: Invocation,
    parent: Service[Any, Any] | None,
    payload: Any,
    depth: int,
) -> Service[Any, Any]:
    """Attach a new service to its invocation and return it."""
    service._invoker = invoker
    service._root = root
    service._parent = parent
    service._payload = payload
    service._depth = depth
    service._in_thread = False
    service._deadline = service._request = service._response = None
    return service


def payload_or(kwargs: dict[str, Any], payload: Any) -> Any:
    """Return the keyword arguments as the payload of an invocation that has no other.

    Raises:
        TypeError: a payload was given too.
    """
    if payload is None or payload == "":
        return kwargs
    names = ", ".join(kwargs)
    raise TypeError(f"a payload and keyword arguments given, but not both allowed: {names}")
