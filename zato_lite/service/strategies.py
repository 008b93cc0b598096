"""Strategies: the ways in which the invoker runs a service, chosen at its registration.

Only module that changes the counters of entries. ``Plain.start`` and ``Plain.perform`` are
written for speed: they repeat a few lines rather than calling functions for them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Protocol, cast

from zato_lite.errors import DeadlineError, InvocationError, ServiceInactiveError
from zato_lite.log import invocation_context
from zato_lite.service.base import InvokerPort, bind
from zato_lite.service.containment import (
    absorb_cancellations,
    is_cancelled_by_owner,
    self_cancelled,
)
from zato_lite.service.eager import Stepper
from zato_lite.service.entry import AnyService, Entry, Strategy
from zato_lite.service.lifecycle import (
    answer_of,
    read_input,
    read_outer_input,
    run_lifecycle,
    run_lifecycle_in_thread,
)
from zato_lite.service.message import UNREAD_CHANNELS, FastOutcome, Invocation, Outcome
from zato_lite.service.middleware import Call
from zato_lite.service.needs import needs_of, with_uses
from zato_lite.service.stream import ORDINARY, Stream, as_stream
from zato_lite.service.threads import WorkerPool
from zato_lite.service.typed import is_stream

_CONTEXT = invocation_context

MAX_DEPTH = 64
"""Invocations that may be nested in one another; a deeper one is refused."""


class Runtime(InvokerPort, Protocol):
    """The invoker, as strategies use it.

    Attributes:
        stepper: the stepper for the next eager start; None while a service uses it.
    """

    stepper: Stepper | None
    pool: WorkerPool


class _Counted:
    """Common part of the strategies that run the whole lifecycle of a service."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry

    def start(
        self, invoker: Runtime, invocation: Invocation, now: float
    ) -> Coroutine[Any, Any, Outcome]:
        """Return the coroutine that runs the invocation."""
        return self._run(invoker, invocation, now)

    async def perform(self, invoker: Runtime, service: AnyService) -> Any:
        """Run the service and return its payload."""
        entry = self.entry
        entry.calls += 1
        started = invoker.monotonic()
        try:
            return await self._work(invoker, service)
        except BaseException as error:
            if (contained := entry.count_error(error)) is error:
                raise
            raise contained from error
        finally:
            entry.ended += 1
            seconds = invoker.monotonic() - started
            entry.seconds += seconds
            entry.latest.append(seconds)

    async def _run(self, invoker: Runtime, invocation: Invocation, started: float) -> Outcome:
        service = token = None
        try:
            service = new_service(invoker, self.entry, invocation)
            token = _CONTEXT.set(invocation)
            if invocation.timeout is None:
                payload = await self.perform(invoker, service)
            else:
                payload = await perform_within(invocation.timeout, invoker, service, self)
            payload = as_stream(payload, invocation, self.entry)
            if type(payload) is Stream and invocation.channel in UNREAD_CHANNELS:
                payload = await self._make(invoker, service, started, payload)
        except BaseException as error:  # noqa: BLE001 - the outcome holds it
            seconds = invoker.monotonic() - started
            failed = failed_outcome(error, service, invocation, seconds)
            return await _absorbed(invocation, failed) if self_cancelled and service else failed
        finally:
            if token is not None:
                _CONTEXT.reset(token)
        if self_cancelled:
            await absorb_cancellations(invocation)
        seconds = invoker.monotonic() - started
        return Outcome(invocation.cid, payload, service._response, seconds)

    async def _make(
        self, invoker: Runtime, service: AnyService, started: float, items: Stream
    ) -> Any:
        """Make a stream and count its error; no payload is left."""
        try:
            await _make_in_time(invoker, service, started, items)
        except BaseException as error:
            if (contained := self.entry.count_error(error)) is error:
                raise
            raise contained from error

    def _work(self, invoker: Runtime, service: AnyService) -> Awaitable[Any]:
        raise NotImplementedError


class Hooked(_Counted):
    """Strategy for an async ``handle`` with hooks or separate HTTP methods."""

    def _work(self, invoker: Runtime, service: AnyService) -> Awaitable[Any]:
        return run_lifecycle(service, self.entry)


class Threaded(_Counted):
    """Strategy for a plain ``handle``, which runs in a worker thread."""

    def _work(self, invoker: Runtime, service: AnyService) -> Awaitable[Any]:
        service._in_thread = True
        entry, wait = self.entry, invoker.wait
        run = _run_and_hold if entry.needs else run_lifecycle_in_thread
        return invoker.pool.run(lambda: run(service, entry, wait))


def _run_and_hold(service: AnyService, entry: Entry, wait: Callable[[Any], Any]) -> Any:
    """Run the lifecycle in a thread; if it is abandoned, it still uses resources."""
    hold = object()
    entry.holds.add(hold)
    try:
        return run_lifecycle_in_thread(service, entry, wait)
    finally:
        entry.holds.discard(hold)


class Surrounded(_Counted):
    """Strategy for a service with middleware: it surrounds the whole lifecycle."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry)
        self._inner = (Threaded if entry.is_blocking else Hooked)(entry)
        self._has_needs = any(needs_of(type(each)) for each in entry.middleware)

    def _work(self, invoker: Runtime, service: AnyService) -> Awaitable[Any]:
        run = partial(self._inner._work, invoker, service)
        call = Call(invoker, service, run, self.entry.middleware)
        return with_uses(invoker, call.next) if self._has_needs else call.next()


Started = FastOutcome | Outcome | Coroutine[Any, Any, Outcome]
"""The outcome of a service that has ended, or the coroutine that ends one which has to wait."""


class Plain:
    """Strategy for an async ``handle`` without hooks: it starts eagerly, in the caller's task."""

    __slots__ = ("entry", "is_typed", "may_stream")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.is_typed = entry.read is not None or entry.new_response is not None
        self.may_stream = entry.write is None or is_stream(entry.output)

    def start(  # noqa: C901 - written for speed
        self, invoker: Runtime, invocation: Invocation, now: float
    ) -> Started:
        """Run ``handle`` until it ends or has to wait; a service that waits returns the rest."""
        entry, monotonic, timeout = self.entry, invoker.monotonic, invocation.timeout
        entry.calls += 1
        has_ended, seconds, path = True, 0.0, invocation.path
        service = overrides = None
        token = _CONTEXT.set(invocation)
        try:
            if path or not entry.is_active:
                _check(entry, path)
            service = entry.cls()  # the same as ``bind``, without the call
            service._invoker, service._root = invoker, invocation
            service._payload, service._in_thread = invocation.payload, False
            service._depth = len(path) if path else 0
            service._parent = service._deadline = service._request = service._response = None
            if timeout is not None:  # the caller's reading of the clock may be too old for it
                service._deadline = (now := monotonic()) + timeout
            if self.is_typed:
                read_outer_input(service, entry, invocation)
            stepper, invoker.stepper = invoker.stepper or Stepper(), None
            awaited = stepper.send(service.handle())
            if awaited is not stepper:
                has_ended = False
                return self._finish(invoker, service, now, stepper.suspended(awaited))
            payload, stepper.returned, invoker.stepper = stepper.returned, None, stepper
            response: Any = service._response
            if response is None:
                payload = payload if entry.write is None else answer_of(service, entry, payload)
            else:
                said, write = response.payload, entry.write
                is_final = payload is None and (write is None or type(said) is entry.output)
                payload = said if is_final else answer_of(service, entry, payload)
                is_default = response.status_code is response.content_type is None
                overrides = None if is_default and response.sent_headers is None else response
            if payload is not None and self.may_stream and type(payload) not in ORDINARY:
                payload = as_stream(payload, invocation, entry)
                if type(payload) is Stream and invocation.channel in UNREAD_CHANNELS:
                    has_ended, service.response.payload = False, None
                    return self._finish(invoker, service, now, payload.drain())
            if timeout is not None and monotonic() - now > timeout:
                raise TooLateError(service, timeout)  # noqa: TRY301 - counted as any error
        except BaseException as error:  # noqa: BLE001 - the outcome holds it
            return self._failed(error, service, invocation, monotonic() - now)
        finally:
            _CONTEXT.reset(token)
            if has_ended:
                entry.ended += 1
                seconds = monotonic() - now
                entry.seconds += seconds
                entry.latest.append(seconds)
        done = payload, overrides, seconds
        return _absorbed(invocation, Outcome(invocation.cid, *done)) if self_cancelled else done

    async def perform(self, invoker: Runtime, service: AnyService) -> Any:
        """Run the service and return its payload."""
        entry, monotonic = self.entry, invoker.monotonic
        entry.calls += 1
        started = monotonic()
        try:
            if self.is_typed:
                read_input(service, entry)
            returned = await service.handle()
            response = service._response
            if response is None:
                if entry.write is None:
                    return returned
            elif returned is None and type(response.payload) is entry.output:
                return response.payload
            return answer_of(service, entry, returned)
        except BaseException as error:
            if (contained := entry.count_error(error)) is error:
                raise
            raise contained from error
        finally:
            entry.ended += 1
            seconds = monotonic() - started
            entry.seconds += seconds
            entry.latest.append(seconds)

    def _failed(
        self,
        error: BaseException,
        service: AnyService | None,
        invocation: Invocation,
        seconds: float,
    ) -> Outcome | Coroutine[Any, Any, Outcome]:
        counted = self.entry.count_error(error)
        failed = failed_outcome(counted, service, invocation, seconds)
        return _absorbed(invocation, failed) if self_cancelled and service else failed

    async def _finish(
        self, invoker: Runtime, service: AnyService, started: float, rest: Awaitable[Any]
    ) -> Outcome:
        """Run the rest of a service that has suspended, or make the stream of a run."""
        entry, invocation, monotonic = self.entry, service._root, invoker.monotonic
        timeout = invocation.timeout
        token = _CONTEXT.set(invocation)
        seconds = 0.0
        try:
            if timeout is None:
                returned = await rest
            else:
                left = timeout - (monotonic() - started)
                returned = await _in_time(service, timeout, left, rest)
            payload = as_stream(answer_of(service, entry, returned), invocation, entry)
            if type(payload) is Stream and invocation.channel in UNREAD_CHANNELS:
                await _make_in_time(invoker, service, started, payload)
                payload = None
        except BaseException as error:  # noqa: BLE001 - the outcome holds it
            counted = entry.count_error(error)
            failed = failed_outcome(counted, service, invocation, monotonic() - started)
            return await _absorbed(invocation, failed) if self_cancelled else failed
        finally:
            entry.ended += 1
            seconds = monotonic() - started
            entry.seconds += seconds
            entry.latest.append(seconds)
            _CONTEXT.reset(token)
        if self_cancelled:
            await absorb_cancellations(invocation)
        return Outcome(invocation.cid, payload, service._response, seconds)


class TooLateError(DeadlineError):
    """The deadline of a service passed before it ended."""

    def __init__(self, service: AnyService, seconds: float) -> None:
        super().__init__(f"Service `{service.name}` took longer than {seconds:g} s")
        self.service = service


def choose_strategy(entry: Entry) -> Strategy:
    """Return the strategy that runs a service."""
    if entry.middleware:
        return Surrounded(entry)
    if entry.is_blocking:
        return Threaded(entry)
    if entry.hooks or entry.verbs or entry.is_stream:
        return Hooked(entry)
    return Plain(entry)


def new_service(invoker: InvokerPort, entry: Entry, invocation: Invocation) -> AnyService:
    """Create the service of an invocation from outside."""
    path = invocation.path
    _check(entry, path)
    return bind(entry.cls(), invoker, invocation, None, invocation.payload, len(path))


def _check(entry: Entry, path: tuple[str, ...]) -> None:
    if len(path) > MAX_DEPTH or not entry.is_active:
        raise refusal(entry, len(path), path)


def refusal(entry: Entry, depth: int, path: tuple[str, ...]) -> Exception:
    """Return the error of an invocation that is inactive, too deep, or of itself."""
    if not entry.is_active:
        return ServiceInactiveError(f"`{entry.name}` is inactive")
    if depth > MAX_DEPTH:
        way = " → ".join((*path[:6], "…", *path[-1:], entry.name))
        return InvocationError(f"Services are nested more than {MAX_DEPTH} deep: {way}")
    return InvocationError(f"A service cannot invoke itself, name:[{entry.name}]")


def failed_outcome(
    error: BaseException, service: AnyService | None, invocation: Invocation, seconds: float
) -> Outcome:
    """Return the outcome of an error; raise a cancellation by the owner of the task."""
    is_cancelled = isinstance(error, asyncio.CancelledError)
    if is_cancelled and is_cancelled_by_owner(invocation if service else None):
        raise error
    return Outcome(
        invocation.cid,
        seconds=seconds,
        error=error,
        is_timeout=isinstance(error, TooLateError) and error.service is service,
        is_cancelled=is_cancelled,
    )


async def perform_within(
    seconds: float, invoker: Runtime, service: AnyService, strategy: Strategy
) -> Any:
    """Run a service with a deadline and return its payload; the nearer deadline counts."""
    deadline = invoker.monotonic() + seconds
    inherited = deadline_of(service._parent)
    if inherited is not None and inherited <= deadline:
        return await strategy.perform(invoker, service)
    service._deadline = deadline
    return await _in_time(service, seconds, seconds, strategy.perform(invoker, service))


def deadline_of(service: AnyService | None) -> float | None:
    """Return the deadline of a service: that of the innermost service above it that has one."""
    while service is not None:
        if service._deadline is not None:
            return service._deadline
        service = service._parent
    return None


async def _make_in_time(
    invoker: Runtime, service: AnyService, started: float, items: Stream
) -> None:
    """Make a stream without a reader, within what is left of the invocation's time."""
    timeout = service._root.timeout
    if timeout is None:
        await items.drain()
    else:
        left = timeout - (invoker.monotonic() - started)
        await _in_time(service, timeout, left, items.drain())


async def _in_time(service: AnyService, seconds: float, left: float, work: Awaitable[Any]) -> Any:
    """Return the result of the work; raise TooLateError if it does not end within ``left``."""
    task = cast("asyncio.Task[Any]", asyncio.current_task())
    is_expired = False

    def expire() -> None:
        nonlocal is_expired
        is_expired = True
        task.cancel()

    cancelled_before = task.cancelling()
    timer = task.get_loop().call_later(max(0.0, left), expire)
    try:
        result = await work
    except BaseException as error:
        if is_expired and task.uncancel() <= cancelled_before:
            raise TooLateError(service, seconds) from error
        raise
    finally:
        timer.cancel()
    if is_expired:  # the service ignored the cancellation; its result comes too late
        task.uncancel()
        raise TooLateError(service, seconds)
    return result


async def _absorbed(invocation: Invocation, outcome: Outcome) -> Outcome:
    await absorb_cancellations(invocation)
    return outcome
