"""Middleware: code of a project around the invocations of many services."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from zato_lite.errors import ConfigError
from zato_lite.service.base import Answer, InvokerPort, Service
from zato_lite.service.context import ServiceLogger
from zato_lite.service.message import Caller, HttpContext, Invocation, JobContext
from zato_lite.service.request import Request, Response


class Call:
    """An invocation on its way to a service, as middleware sees it.

    Middleware is ``async def __call__(self, call: Call)`` of an object, or a function with this
    argument. It returns the answer, mostly that of ``await call.next()``.
    """

    __slots__ = ("_invoker", "_rest", "_service", "_work")

    def __init__(
        self,
        invoker: InvokerPort,
        service: Service[Any, Any],
        work: Callable[[], Awaitable[Any]],
        rest: Sequence["Middleware"],
    ) -> None:
        self._invoker, self._service, self._work, self._rest = invoker, service, work, rest

    async def next(self) -> Any:
        """Run the rest of the middleware and the service; return its answer or raise its error.

        It may be awaited again, after an error for instance.
        """
        if self._rest:
            first, *rest = self._rest
            return await first(Call(self._invoker, self._service, self._work, rest))
        self._service._request = self._service._response = None
        return await self._work()

    async def invoke(
        self, service: str | type[Service[Any, Answer]], payload: Any = None
    ) -> Answer:
        """Invoke a service, as the service itself could, and return its answer."""
        answer: Answer = await self._invoker.call(self._service, service, payload, None)
        return answer

    @property
    def service(self) -> str:
        """Return the name of the service."""
        return self._service.get_name()

    @property
    def channel(self) -> str:
        """Return the way in which the invocation came in, as ``self.channel.type`` says it."""
        return self._service.channel.type

    @property
    def origin(self) -> str:
        """Return the channel of the request that names the service, or else ``channel``.

        By the built-in ``zato.service.invoke`` a request names another service than its own.
        """
        return self.root.channel if self._service.is_named_by_request else self.channel

    @property
    def caller(self) -> Caller:
        """Return the caller of the outermost invocation."""
        return self._service.caller

    @property
    def cid(self) -> str:
        """Return the correlation id."""
        return self._service.cid

    @property
    def logger(self) -> ServiceLogger:
        """Return the service's logger."""
        return self._service.logger

    @property
    def request(self) -> Request[Any]:
        """Return the request; before the service, its input is not of the declared type yet."""
        return self._service.request

    @property
    def response(self) -> Response[Any]:
        """Return the response, with its status and headers, once ``next`` has returned."""
        return self._service.response

    @property
    def http(self) -> HttpContext | None:
        """Return the HTTP request that invoked the service, or None."""
        return self._service.http

    @property
    def job(self) -> JobContext | None:
        """Return the job and the run that invoked the service, or None."""
        return self._service.job

    @property
    def root(self) -> Invocation:
        """Return the outermost invocation."""
        return self._service.root

    @property
    def time_left(self) -> float | None:
        """Return the seconds until the deadline of the invocation; None when it has none."""
        return self._service.time_left

    @property
    def invoker(self) -> InvokerPort:
        """Return the invoker: the clock, the locks."""
        return self._invoker


class Middleware(Protocol):
    """Code around invocations."""

    def __call__(self, call: Call, /) -> Awaitable[Any]:
        """Return the answer to an invocation, or raise an error."""
        ...


def checked(declared: Any, where: str) -> tuple[Middleware, ...]:
    """Return the middleware that a class or a folder declares.

    Raises:
        ConfigError: it is not a list of async functions, or of objects with such a ``__call__``.
    """
    if not isinstance(declared, list | tuple):
        raise ConfigError(f"{where}: middleware is not a list: {declared!r}")
    for each in declared:
        if not (
            inspect.iscoroutinefunction(each)
            or (
                not isinstance(each, type)
                and inspect.iscoroutinefunction(getattr(type(each), "__call__", None))  # noqa: B004
            )
        ):
            hint = f"; use {each.__name__}()" if isinstance(each, type) else ""
            text = f"middleware {each!r} has no `async def __call__(self, call)`"
            raise ConfigError(f"{where}: {text}{hint}")
    return tuple(declared)
