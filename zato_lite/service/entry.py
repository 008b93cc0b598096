"""Entries of the registry: a service class with everything decided at its registration."""

import asyncio
import inspect
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol
from zlib import crc32

from zato_lite.errors import InvocationError
from zato_lite.log import invocation_context
from zato_lite.redaction import redacted
from zato_lite.service.answers import default_of
from zato_lite.service.base import Service
from zato_lite.service.binding import binding_of
from zato_lite.service.message import FastOutcome, Invocation, JobContext, Outcome
from zato_lite.service.middleware import checked
from zato_lite.service.needs import needs_of_all
from zato_lite.service.request import Response
from zato_lite.service.typed import declared, is_custom

AnyService = Service[Any, Any]

HOOKS = (
    "accept",
    "before_job",
    "before_one_time_job",
    "before_interval_based_job",
    "before_cron_style_job",
    "before_handle",
    "validate_input",
    "validate_output",
    "after_handle",
    "after_one_time_job",
    "after_interval_based_job",
    "after_cron_style_job",
    "after_job",
    "finalize_handle",
)
"""Hooks of a service, in the order in which they are called."""

_HOOKS = frozenset(HOOKS)

VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
"""HTTP methods for which a service may define ``handle_…``."""


MAX_LATEST = 100
"""Durations that are kept of a service."""

MAX_FAILURES = 20
"""Errors that are kept of a service."""

_MAX_ERROR = 500


class Failure(NamedTuple):
    """An error of a service, with the invocation in which it happened.

    Attributes:
        at: seconds by the clock of the event loop.
        error: its type and message, without secrets.
        job: the job and the run, if the scheduler made the invocation.
    """

    at: float
    error: str
    cid: str = ""
    channel: str = ""
    job: JobContext | None = None


def _failure(error: BaseException) -> Failure:
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - an error of the project's own
        message = ""
    text = redacted(f"{type(error).__name__}: {message}".removesuffix(": ")[:_MAX_ERROR])
    try:
        at = asyncio.get_running_loop().time()
    except RuntimeError:  # a blocking service in its thread
        at = 0.0
    invocation = invocation_context.get()
    if not isinstance(invocation, Invocation):
        return Failure(at, text)
    return Failure(at, text, invocation.cid, invocation.channel, invocation.job)


class Strategy(Protocol):
    """The way in which the invoker runs a service, chosen at its registration."""

    def start(
        self, invoker: Any, invocation: Invocation, now: float
    ) -> FastOutcome | Outcome | Coroutine[Any, Any, Outcome]:
        """Run an invocation from outside as far as possible without waiting."""
        ...

    def perform(self, invoker: Any, service: AnyService) -> Coroutine[Any, Any, Any]:
        """Run an invocation on behalf of another service and return its payload."""
        ...


class Entry:
    """A deployed service.

    Attributes:
        name: its name.
        cls: its class.
        source: path of its file; empty if it was not deployed from a file.
        is_internal: the service is part of the framework.
        is_active: False refuses invocations.
        is_blocking: its ``handle`` is a plain function, run in a worker thread.
        is_stream: its ``handle`` is an async generator.
        input, output: declared types, or None.
        read, write: functions that make the input of a payload and check an answer, or None.
        read_text: the same as ``read``, for a query string.
        is_native: msgspec converts to the declared input.
        is_direct: so it does for the body of an HTTP request, as no field has another source.
        binding: the fields of the declared input by name, or None.
        new_response: creates the response before ``handle``, or None.
        hooks, verbs: its hooks, and the HTTP methods that it handles separately.
        has_handle: it defines ``handle``.
        middleware: the code around each invocation, outermost first: of folders, then its own.
        needs: resources that it and its middleware need, by attribute.
        holds: work that outlives its invocation and may use resources: abandoned threads, streams.
        strategy: the way in which the invoker runs it.
        remarks: what its file uses that does not exist, for people.
        calls, ended, errors, seconds: counters; only strategies change them.
        latest: seconds of the latest invocations.
        failures: the latest errors, oldest first; none of built-in services.
    """

    __slots__ = (
        "binding",
        "calls",
        "cls",
        "ended",
        "errors",
        "failures",
        "has_handle",
        "holds",
        "hooks",
        "input",
        "is_active",
        "is_blocking",
        "is_direct",
        "is_internal",
        "is_native",
        "is_stream",
        "latest",
        "middleware",
        "name",
        "needs",
        "new_response",
        "output",
        "read",
        "read_text",
        "remarks",
        "seconds",
        "source",
        "strategy",
        "verbs",
        "write",
    )

    strategy: Strategy

    def __init__(self, cls: type[AnyService], *, source: str, is_internal: bool) -> None:
        self.name = cls.get_name()
        self.cls = cls
        self.source = source
        self.is_internal = cls.is_built_in = is_internal
        self.is_active = True
        self.hooks = _hooks_of(cls)
        self.verbs = frozenset(verb for verb in VERBS if hasattr(cls, f"handle_{verb}"))
        self.has_handle = cls.handle is not Service.handle
        handles = [f"handle_{verb}" for verb in self.verbs] + ["handle"] * self.has_handle
        functions = [getattr(cls, name) for name in handles]
        self.is_stream = any(map(inspect.isasyncgenfunction, functions))
        is_async = self.is_stream or any(map(inspect.iscoroutinefunction, functions))
        self.is_blocking = bool(functions) and not is_async
        declared_input, declared_output = declared(cls, "input"), declared(cls, "output")
        self.input = declared_input.type if declared_input else None
        self.output = declared_output.type if declared_output else None
        self.read = declared_input.reader() if declared_input and cls.reads_input else None
        self.is_native = declared_input.is_native if declared_input else False
        self.read_text = declared_input.reader(is_strict=False) if declared_input else None
        # The types of the framework's own answers are checked by mypy and by tests.
        self.write = declared_output.writer() if declared_output and not is_internal else None
        self.new_response = _new_response(
            declared_output.new_payload if declared_output else None, *default_of(cls)
        )
        self.binding = (
            binding_of(self.input, is_native=self.is_native)
            if self.read is not None and not is_custom(self.input)
            else None
        )
        self.is_direct = self.is_native and not (self.binding and self.binding.is_located)
        self.middleware = checked(cls.middleware, self.name)
        self.needs = needs_of_all(cls, self.middleware)
        self.holds: set[object] = set()
        self.remarks: Sequence[str] = ()
        self.calls = 0
        self.errors = 0
        self.ended = 0
        self.seconds = 0.0
        self.latest: deque[float] = deque(maxlen=MAX_LATEST)
        self.failures: deque[Failure] = deque(maxlen=MAX_FAILURES)

    @property
    def id(self) -> int:
        """Return a number derived from the name, the same on every node."""
        return crc32(self.name.encode())

    def count_error(self, error: BaseException) -> BaseException:
        """Count an error and return it, as an ordinary one if it would end the process."""
        self.errors += 1
        if not self.is_internal:  # theirs quote what callers have sent, and name what is others'
            self.failures.append(_failure(error))
        if isinstance(error, (Exception, asyncio.CancelledError)):
            return error
        contained = InvocationError(f"Service `{self.name}` raised {error!r}")
        contained.__cause__ = error
        return contained

    @property
    def in_flight(self) -> int:
        """Return the number of invocations that run now."""
        return self.calls - self.ended

    @property
    def is_idle(self) -> bool:
        """Return True if no invocation runs, and nothing that invocations have left."""
        return not (self.in_flight or self.holds)

    def __repr__(self) -> str:
        return f"<Entry {self.name}>"


def _hooks_of(cls: type[AnyService]) -> frozenset[str]:
    """Return the hooks that a class or its bases define, up to ``Service``, which has them all."""
    bases = cls.__mro__[: cls.__mro__.index(Service)]
    return frozenset().union(*(vars(base).keys() & _HOOKS for base in bases))


def _new_response(
    new_payload: Callable[[], Any] | None, status: int | None, content_type: str | None
) -> Callable[[], Response[Any]] | None:
    """Return the function that creates the response before ``handle``; None if none has to be."""
    if new_payload is not None:
        return lambda: Response(new_payload(), status, content_type)
    if status is None and content_type is None:
        return None
    return partial(Response, status_code=status, content_type=content_type)
