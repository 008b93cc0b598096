"""The invoker: the one way to run a service, for HTTP, the scheduler, the CLI and services."""

import itertools
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from datetime import datetime
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from zato_lite.clock import Clock, SystemClock, to_datetime
from zato_lite.errors import InvocationError, UnavailableError
from zato_lite.outgoing.connections import Connections
from zato_lite.outgoing.crypto import Cipher
from zato_lite.service.attribute_dict import Config
from zato_lite.service.base import Service, bind
from zato_lite.service.cache import Cache
from zato_lite.service.eager import Stepper
from zato_lite.service.entry import Entry
from zato_lite.service.lifecycle import read_ahead
from zato_lite.service.locks import LocalLocks
from zato_lite.service.message import SYSTEM, Caller, FastOutcome, Invocation, Outcome
from zato_lite.service.naming import name_of
from zato_lite.service.needs import AsyncInvocations, Locks
from zato_lite.service.registry import Registry
from zato_lite.service.shared_cache import CacheStore
from zato_lite.service.strategies import (
    MAX_DEPTH,
    deadline_of,
    failed_outcome,
    perform_within,
    refusal,
)
from zato_lite.service.threads import WorkerPool
from zato_lite.timetable.job import Job

T = TypeVar("T")


class Invoker:
    """Invoker: finds services and runs each by its strategy.

    An error of a service ends its own invocation and nothing else.

    Args:
        registry: the deployed services.
        resources: objects that services may need, by type, or by type and name.
        clock: the clock for deadlines and for ``self.time``.
        cluster_id, server_name: for ``self.server``.
        config: the user's settings, for ``self.config``.
        max_threads: number of blocking services that run at the same time.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        resources: Mapping[Any, object] | None = None,
        clock: Clock | None = None,
        cluster_id: int = 1,
        server_name: str = "zato-lite",
        config: Mapping[str, Any] | None = None,
        max_threads: int = 32,
    ) -> None:
        self.registry = registry
        self.cluster_id = cluster_id
        self.server_name = server_name
        self.resources: dict[Any, Any] = {Registry: registry, **(resources or {})}
        self.config = Config(config or {})
        self._clock = clock or SystemClock()
        self.monotonic = self._clock.monotonic
        self.cache = Cache(self._clock)
        self.pool = WorkerPool(max_threads)
        self.locks = cast("Locks", self.resources.get(Locks) or LocalLocks(self._clock))
        self.connections = cast("Connections", self.resources.get(Connections) or Connections())
        self.max_cached = 1024 * 1024
        self.cipher: Cipher | None = None
        self.stepper: Stepper | None = None
        self._entries = registry.entries
        self._cid_prefix = f"zl-{secrets.token_hex(5)}-"
        self._cid_number = itertools.count(1)
        registry.require(self.resources)

    async def run(self, invocation: Invocation) -> Outcome:
        """Invoke a service from outside and return the outcome; service errors are not raised.

        Raises:
            CancelledError: the owner of the calling task has cancelled it. Hiding that would
                break the owner's timeouts and task groups. A ``CancelledError`` that a service
                raises itself is an outcome.
        """
        if not invocation.cid:
            cid = f"{self._cid_prefix}{next(self._cid_number)}"
            invocation = replace(invocation, cid=cid)
        started = self.begin(invocation, self.monotonic())
        if isinstance(started, tuple):
            payload, overrides, seconds = started
            return Outcome(invocation.cid, payload, overrides, seconds)
        return started if isinstance(started, Outcome) else await started

    def begin(
        self, invocation: Invocation, now: float
    ) -> FastOutcome | Outcome | Coroutine[Any, Any, Outcome]:
        """Invoke a service from outside, as far as possible without waiting.

        Args:
            invocation: the invocation; it has a cid.
            now: seconds, by the monotonic clock.

        Returns:
            ``FastOutcome`` on success, ``Outcome`` on an error, or a coroutine if the service has
            to wait; the caller awaits it in the same task without delay.
        """
        try:
            strategy = self._entries[invocation.service].strategy
        except KeyError:
            return self._missing(invocation, now)
        return strategy.start(self, invocation, now)

    def read_ahead(self, invocation: Invocation) -> tuple[type, Any] | None:
        """Return the value for ``Invocation.ahead``; None if the service is not deployed."""
        entry = self._entries.get(invocation.service)
        return None if entry is None else read_ahead(entry, invocation)

    async def invoke(
        self,
        service: str | type[Service[Any, Any]],
        payload: Any = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - part of the invocation
        cid: str = "",
        caller: Caller = SYSTEM,
    ) -> Any:
        """Invoke a service from outside and return its payload, or raise its error."""
        name = name_of(service)
        outcome = await self.run(
            Invocation(name, payload, cid=cid, timeout=timeout, caller=caller)
        )
        if outcome.error is not None:
            raise outcome.error
        return outcome.payload

    def call(
        self,
        parent: Service[Any, Any],
        target: str | type[Service[Any, Any]],
        payload: Any,
        timeout: float | None,
    ) -> Coroutine[Any, Any, Any]:
        """Invoke a service on behalf of another one, in the same task, with the same cid.

        All inner invocations log as part of the outermost one: cid and sink are the same.
        """
        try:
            entry = self._entries.get(target)  # type: ignore[arg-type] # not found: a class
            if entry is None:
                entry = self.registry.get(name_of(target))
            depth = parent._depth + 1
            if depth > MAX_DEPTH or entry.cls is type(parent) or not entry.is_active:
                raise refusal(entry, depth, parent.path)  # noqa: TRY301 - raised by the coroutine
            service = bind(entry.cls(), self, parent._root, parent, payload, depth)
        except Exception as error:  # noqa: BLE001 - raised where the invocation is awaited
            return _raise(error)
        if timeout is None:
            return entry.strategy.perform(self, service)
        return perform_within(timeout, self, service, entry.strategy)

    def new_instance(self, parent: Service[Any, Any], name: str) -> Service[Any, Any]:
        """Create an instance of another service for ``parent``, without invoking it."""
        cls = self.registry.get(name).cls
        service = bind(cls(), self, parent._root, parent, None, parent._depth + 1)
        service._in_thread = parent._in_thread
        return service

    @property
    def shared_cache(self) -> CacheStore | None:
        """Return the values that all nodes share, in Redis or in the store."""
        if (redis := self.connections.redis.shared.get("cache")) is not None:
            return redis.connection
        return cast("CacheStore | None", self.resources.get(CacheStore))

    def find_service(self, name: str) -> Entry | None:
        """Return the deployed service of this name."""
        return self._entries.get(name)

    def find_service_by_id(self, service_id: int) -> Entry:
        """Return the deployed service of this id."""
        return self.registry.by_id(service_id)

    def replace_config(self, config: Mapping[str, Any]) -> None:
        """Replace the user's settings, for invocations from now on."""
        self.config = Config(config)

    def close(self) -> None:
        """End idle threads; busy ones end with their work."""
        self.pool.close()

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Await in the loop, from a worker thread, and return the result."""
        return self.pool.wait(awaitable)

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run in the loop, from a worker thread, even if the invocation was given up."""
        self.pool.finish(coroutine)

    def run_in_thread(self, function: Callable[[], T]) -> Coroutine[Any, Any, T]:
        """Call a function in a worker thread."""
        return self.pool.run(lambda: _contained(function))

    def spawn(self, function: Callable[[], T]) -> Future[T]:
        """Call a function in a worker thread, from another one or the loop, without waiting."""
        return self.pool.submit(lambda: _contained(function))

    def now(self) -> datetime:
        """Return the current time, aware."""
        return to_datetime(self._clock.now())

    def time_left(self, service: Service[Any, Any]) -> float | None:
        """Return the seconds until the service's deadline; None if it has none."""
        deadline, until = deadline_of(service), service._root.until
        left = None if deadline is None else deadline - self.monotonic()
        if until is None:
            return left
        until_left = (until - self._clock.now()) / 1e6
        return until_left if left is None else min(left, until_left)

    async def invoke_async(self, job: Job, cid: str) -> int:
        """Save a single run of a service and return the run's id."""
        for service in (job.service, job.on_success_service, job.on_error_service):
            if service is not None:
                self.registry.get(service)  # raises ServiceMissingError
        store = cast("AsyncInvocations | None", self.resources.get(AsyncInvocations))
        if store is None:
            raise UnavailableError("invoke_async needs a store; none is configured")
        return await store.invoke_async(job, cid)

    def _missing(self, invocation: Invocation, now: float) -> Outcome:
        try:
            self.registry.get(invocation.service, invocation.caller.patterns)
        except Exception as error:  # noqa: BLE001 - the outcome holds it
            error.__context__ = None  # the look-up that failed says no more
            return failed_outcome(error, None, invocation, self.monotonic() - now)
        raise RuntimeError(f"Service `{invocation.service}` was deployed meanwhile")


def _contained(function: Callable[[], T]) -> T:
    """Call a function; an exception that would end the process becomes an ordinary error."""
    try:
        return function()
    except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
        raise InvocationError(f"a function of a service raised {error!r}") from error


async def _raise(error: Exception) -> Any:
    raise error
