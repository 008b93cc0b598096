"""The one door: HTTP, the scheduler, the CLI and ``self.invoke`` all come in here.

What a service may break is its own invocation and nothing else.
"""

import asyncio
import itertools
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from datetime import datetime
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from zato_lite.clock import Clock, SystemClock, to_datetime
from zato_lite.errors import DeadlineError, InvocationError, ServiceInactiveError, UnavailableError
from zato_lite.log import invocation_context
from zato_lite.service.base import Service
from zato_lite.service.blocking import WorkerPool
from zato_lite.service.bunch import Config
from zato_lite.service.cache import Cache
from zato_lite.service.containment import is_cancelled_by_others, noted, settle
from zato_lite.service.eager import Stepper, Suspended
from zato_lite.service.lifecycle import (
    answer_of,
    live,
    live_in_thread,
    read_first_input,
    read_input,
)
from zato_lite.service.locks import LocalLocks
from zato_lite.service.message import SYSTEM, Caller, FastOutcome, Invocation, Outcome, outcome_of
from zato_lite.service.ports import AsyncInvocations, Locks
from zato_lite.service.registry import Entry, Registry
from zato_lite.timetable.job import Job

T = TypeVar("T")

MAX_DEPTH = 64
"""How many invocations may be nested in one another."""

_CONTEXT = invocation_context


class Invoker:
    """Runs services.

    Args:
        registry: the services.
        resources: what services may need: protocols and what fulfils them.
        clock: what time it is.
        cluster_id, server_name: what services see in ``self.server``.
        config: what they see in ``self.config``.
        max_threads: how many blocking services run at once.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        resources: Mapping[type, object] | None = None,
        clock: Clock | None = None,
        cluster_id: int = 1,
        server_name: str = "zato-lite",
        config: Mapping[str, Any] | None = None,
        max_threads: int = 32,
    ) -> None:
        self.registry = registry
        self.cluster_id = cluster_id
        self.server_name = server_name
        self.resources = {Registry: registry, **(resources or {})}
        self.config = Config(config or {})
        self.cache = Cache(clock or SystemClock())
        self.pool = WorkerPool(max_threads)
        self._clock = clock or SystemClock()
        self.locks = cast("Locks", self.resources.get(Locks) or LocalLocks(self._clock))
        self._monotonic = self._clock.monotonic
        self._entries = registry.entries
        self._cid_prefix = f"zl-{secrets.token_hex(5)}-"
        self._cid_number = itertools.count(1)
        self._stepper: Stepper | None = None
        registry.require(self.resources)

    async def run(self, invocation: Invocation) -> Outcome:
        """Invoke a service from outside; whatever it does is told, never raised.

        The one thing raised is ``CancelledError``, and only when it is the calling task itself
        that its owner cancels: hiding that would break the owner's own timeouts and task groups.
        A ``CancelledError`` that a service makes up is an outcome like any other.
        """
        if not invocation.cid:
            invocation = replace(invocation, cid=self._new_cid())
        return await outcome_of(invocation.cid, self.begin(invocation, self._monotonic()))

    def begin(  # noqa: C901, PLR0912, PLR0915 - one step after the other, and fast
        self, invocation: Invocation, now: float
    ) -> FastOutcome | Outcome | Coroutine[Any, Any, Outcome]:
        """The same as ``run``, as far as that goes without waiting, which is mostly to the end.

        Args:
            invocation: what is invoked; it has a cid.
            now: seconds, by the monotonic clock.

        Returns:
            What came of it if it went well, or the outcome; or, of a service that waits for
            something, what is to be awaited for the outcome in the same task, at once.
        """
        entry = self._entries.get(invocation.service)
        if entry is None or not entry.is_plain:
            return self._run(invocation, now)
        timeout = invocation.timeout
        cls, monotonic = entry.cls, self._monotonic
        entry.calls += 1
        has_ended, seconds = True, 0.0
        service = token = manner = None
        try:
            if invocation.path or not entry.is_active:
                _check(entry, invocation.path)
            service = cls()  # from here on: see `_first`
            service._door = self
            service._root = invocation
            service._parent = None
            service._payload = invocation.payload
            service._depth = len(invocation.path)
            service._in_thread = False
            service._deadline = service._request = service._response = None
            token = _CONTEXT.set(invocation)
            if timeout is not None:
                now = monotonic()  # not whoever's clock: it is compared with this one
                service._deadline = now + timeout
            if entry.is_typed:
                read_first_input(service, entry, invocation)
            stepper, self._stepper = self._stepper or Stepper(), None
            send = stepper.send
            awaited = send(service.handle())
            if awaited is not stepper:
                has_ended = False
                return self._go_on(service, entry, now, stepper.suspended(awaited))
            payload, stepper.returned = stepper.returned, None
            self._stepper = stepper
            response: Any = service._response
            if response is None:
                if entry.write is not None:
                    payload = answer_of(service, entry, payload)
            else:
                said = response.payload
                if payload is None and (entry.write is None or type(said) is entry.output):
                    payload = said
                else:
                    payload = answer_of(service, entry, payload)
                if not (
                    response.status_code is None
                    and response.content_type is None
                    and response.sent_headers is None
                ):
                    manner = response
            if timeout is not None and monotonic() - now > timeout:
                raise _TooLateError(service, timeout)  # noqa: TRY301 - it is told
        except BaseException as error:  # noqa: BLE001 - it is told
            failed = self._failed(_counted(entry, error), service, invocation, now)
            return _settled(invocation, failed) if noted and service else failed
        finally:
            if token is not None:
                _CONTEXT.reset(token)
            if has_ended:
                entry.ended += 1
                seconds = monotonic() - now
                entry.seconds += seconds
        if noted:
            return _settled(invocation, Outcome(invocation.cid, payload, manner, seconds))
        return payload, manner, seconds

    async def _go_on(
        self, service: Service[Any, Any], entry: Entry, started: float, begun: Suspended
    ) -> Outcome:
        """Wait for what a service waits for, to its end."""
        invocation = service._root
        timeout = invocation.timeout
        token = _CONTEXT.set(invocation)
        seconds = 0.0
        try:
            if timeout is None:
                returned = await begun
            else:
                left = timeout - (self._monotonic() - started)
                returned = await _in_time(service, timeout, left, begun)
            payload = answer_of(service, entry, returned)
        except BaseException as error:  # noqa: BLE001 - it is told
            failed = self._failed(_counted(entry, error), service, invocation, started)
            return await _settled(invocation, failed) if noted else failed
        finally:
            entry.ended += 1
            seconds = self._monotonic() - started
            entry.seconds += seconds
            _CONTEXT.reset(token)
        if noted:
            await settle(invocation)
        return Outcome(invocation.cid, payload, service._response, seconds)

    async def _run(self, invocation: Invocation, started: float) -> Outcome:
        """Invoke from outside what takes more than a plain ``handle``."""
        service = token = None
        try:
            entry = self.registry.get(invocation.service)
            service = self._first(entry, invocation)
            token = _CONTEXT.set(invocation)
            if invocation.timeout is None:
                payload = await self._perform(service, entry)
            else:
                payload = await self._within(invocation.timeout, service, entry)
        except BaseException as error:  # noqa: BLE001 - it is told
            failed = self._failed(error, service, invocation, started)
            return await _settled(invocation, failed) if noted and service else failed
        finally:
            if token is not None:
                _CONTEXT.reset(token)
        if noted:
            await settle(invocation)
        seconds = self._monotonic() - started
        return Outcome(invocation.cid, payload, service._response, seconds)

    def _failed(
        self,
        error: BaseException,
        service: Service[Any, Any] | None,
        invocation: Invocation,
        started: float,
    ) -> Outcome:
        """What is told of an error; the owner's cancelling of its task is not told but raised."""
        is_cancelled = isinstance(error, asyncio.CancelledError)
        if is_cancelled and is_cancelled_by_others(invocation if service else None):
            raise error
        return Outcome(
            invocation.cid,
            seconds=self._monotonic() - started,
            error=error,
            is_timeout=isinstance(error, _TooLateError) and error.service is service,
            is_cancelled=is_cancelled,
        )

    async def invoke(
        self,
        service: str | type[Service[Any, Any]],
        payload: Any = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - it travels
        cid: str = "",
        caller: Caller = SYSTEM,
    ) -> Any:
        """Invoke a service from outside and have its payload, or its error raised."""
        name = service if isinstance(service, str) else service.get_name()
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
        """Invoke a service on behalf of another one, in the same task, with the same cid."""
        try:
            entry = self._entries.get(target)  # type: ignore[arg-type] # a class is not there
            if entry is None:
                entry = self.registry.get(_name_of(target))
            depth = parent._depth + 1
            if depth > MAX_DEPTH or entry.cls is type(parent) or not entry.is_active:
                raise _refusal(entry, depth, parent.path)  # noqa: TRY301 - it is handed over
            service = entry.cls()
        except Exception as error:  # noqa: BLE001 - it is the awaiting service's to handle
            return _raise(error)
        service._door = self
        service._root = parent._root
        service._parent = parent
        service._payload = payload
        service._depth = depth
        service._in_thread = False
        service._deadline = service._request = service._response = None
        if timeout is None:
            return self._perform(service, entry)
        return self._within(timeout, service, entry)

    def new_instance(self, parent: Service[Any, Any], name: str) -> Service[Any, Any]:
        """An instance of another service, made for ``parent`` and not invoked."""
        service = self.registry.get(name).cls()
        service._door, service._root, service._parent = self, parent._root, parent
        service._payload, service._depth = None, parent._depth + 1
        service._in_thread = parent._in_thread
        service._deadline = service._request = service._response = None
        return service

    def known(self, name: str) -> Entry | None:
        """The deployed service of this name."""
        return self._entries.get(name)

    def known_by_id(self, service_id: int) -> Entry:
        """The deployed service of this id."""
        return self.registry.by_id(service_id)

    def close(self) -> None:
        """Let idle threads go; what runs in others runs on."""
        self.pool.close()

    def wait(self, awaitable: Awaitable[T]) -> T:
        """From a worker thread: what the loop makes of it."""
        return self.pool.wait(awaitable)

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """From a worker thread: have the loop do it, whether or not somebody still waits."""
        self.pool.finish(coroutine)

    def run_in_thread(self, function: Callable[[], T]) -> Coroutine[Any, Any, T]:
        """Call a function in a worker thread."""
        return self.pool.run(lambda: _harmless(function))

    def spawn(self, function: Callable[[], T]) -> Future[T]:
        """The same, from a worker thread or the loop, for nobody who waits."""
        return self.pool.submit(lambda: _harmless(function))

    def resource(self, protocol: type[T]) -> T:
        """What fulfils the protocol."""
        return cast("T", self.resources[protocol])

    def now(self) -> datetime:
        """Wall time, aware."""
        return to_datetime(self._clock.now())

    def time_left(self, service: Service[Any, Any]) -> float | None:
        """Seconds until the service's time is up; None for no limit."""
        deadline, until = _deadline_of(service), service._root.until
        left = [] if deadline is None else [deadline - self._monotonic()]
        if until is not None:
            left.append((until - self._clock.now()) / 1e6)
        return min(left, default=None)

    async def invoke_async(self, job: Job, cid: str) -> int:
        """Run a service once, durably; the run's id."""
        for service in (job.service, job.on_success_service, job.on_error_service):
            if service is not None:
                self.registry.get(service)  # raises, with the nearest names, if there is none
        kept = cast("AsyncInvocations | None", self.resources.get(AsyncInvocations))
        if kept is None:
            raise UnavailableError("nothing here keeps invocations that are to be made later")
        return await kept.invoke_async(job, cid)

    def _new_cid(self) -> str:
        return f"{self._cid_prefix}{next(self._cid_number)}"

    def _first(self, entry: Entry, invocation: Invocation) -> Service[Any, Any]:
        """The service that is invoked from outside."""
        _check(entry, invocation.path)
        service = entry.cls()
        service._door, service._root, service._parent = self, invocation, None
        service._payload = invocation.payload
        service._depth = len(invocation.path)
        service._in_thread = False
        service._deadline = service._request = service._response = None
        return service

    async def _perform(self, service: Service[Any, Any], entry: Entry) -> Any:
        """Let the service work, and have its payload.

        What is logged in it is the outermost invocation's: the cid and the sink are the same.
        """
        entry.calls += 1
        started = self._monotonic()
        try:
            if entry.is_plain:
                if entry.is_typed:
                    read_input(service, entry)
                returned = await service.handle()
                response = service._response
                if response is None:
                    if entry.write is None:
                        return returned
                elif returned is None and type(response.payload) is entry.output:
                    return response.payload
                return answer_of(service, entry, returned)
            if entry.is_blocking:
                service._in_thread = True
                return await self.pool.run(lambda: live_in_thread(service, entry, self.wait))
            return await live(service, entry)
        except BaseException as error:
            if (told := _counted(entry, error)) is error:
                raise
            raise told from error
        finally:
            entry.ended += 1
            entry.seconds += self._monotonic() - started

    async def _within(self, seconds: float, service: Service[Any, Any], entry: Entry) -> Any:
        """The same, with a deadline; of two deadlines the nearer one counts."""
        deadline = self._monotonic() + seconds
        inherited = _deadline_of(service._parent)
        if inherited is not None and inherited <= deadline:
            return await self._perform(service, entry)
        service._deadline = deadline
        return await _in_time(service, seconds, seconds, self._perform(service, entry))


async def _settled(invocation: Invocation, outcome: Outcome) -> Outcome:
    await settle(invocation)
    return outcome


async def _in_time(
    service: Service[Any, Any], seconds: float, left: float, work: Awaitable[Any]
) -> Any:
    """What comes of the work, if it comes within what is left of the seconds."""
    task = cast("asyncio.Task[Any]", asyncio.current_task())
    is_expired = False

    def expire() -> None:
        nonlocal is_expired
        is_expired = True
        task.cancel()

    before = task.cancelling()
    timer = task.get_loop().call_later(max(0.0, left), expire)
    try:
        result = await work
    except BaseException as error:
        if is_expired and task.uncancel() <= before:
            raise _TooLateError(service, seconds) from error
        raise
    finally:
        timer.cancel()
    if is_expired:  # it went on regardless; what it says now comes too late
        task.uncancel()
        raise _TooLateError(service, seconds)
    return result


class _TooLateError(DeadlineError):
    def __init__(self, service: Service[Any, Any], seconds: float) -> None:
        super().__init__(f"Service `{service.name}` took longer than {seconds:g} s")
        self.service = service


def _harmless(function: Callable[[], T]) -> T:
    """What the function returns; what would end more than that becomes an ordinary error."""
    try:
        return function()
    except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
        raise InvocationError(f"a function of a service raised {error!r}") from error


def _counted(entry: Entry, error: BaseException) -> BaseException:
    """Count the error; what would end more than the invocation becomes an ordinary one."""
    entry.errors += 1
    if isinstance(error, (Exception, asyncio.CancelledError)):
        return error
    told = InvocationError(f"Service `{entry.name}` raised {error!r}")
    told.__cause__ = error
    return told


def _deadline_of(service: Service[Any, Any] | None) -> float | None:
    """The deadline that a service is under: of all those above it, the last one is nearest."""
    while service is not None:
        if service._deadline is not None:
            return service._deadline
        service = service._parent
    return None


def _name_of(target: str | type[Service[Any, Any]]) -> str:
    return target if isinstance(target, str) else target.get_name()


def _refusal(entry: Entry, depth: int, path: tuple[str, ...]) -> Exception:
    if not entry.is_active:
        return ServiceInactiveError(f"`{entry.name}` is inactive")
    if depth > MAX_DEPTH:
        way = " → ".join((*path[:6], "…", *path[-1:], entry.name))
        return InvocationError(f"Services are nested more than {MAX_DEPTH} deep: {way}")
    return InvocationError(f"A service cannot invoke itself, name:[{entry.name}]")


def _check(entry: Entry, path: tuple[str, ...]) -> None:
    if len(path) > MAX_DEPTH or not entry.is_active:
        raise _refusal(entry, len(path), path)


async def _raise(error: Exception) -> Any:
    raise error
