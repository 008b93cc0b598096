"""Fakes of services: values, functions, classes, and services that fail or are slow at first."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from datetime import timedelta
from types import new_class
from typing import Any

import msgspec

from zato_lite.service.base import Service
from zato_lite.service.entry import VERBS
from zato_lite.service.naming import name_of
from zato_lite.service.registry import Registry
from zato_lite.service.typed import declared
from zato_lite.timetable.durations import ALLOWED, parse_duration

AnyService = type[Service[Any, Any]]
Sleep = Callable[[Service[Any, Any], int], Awaitable[None]]
Prepare = Callable[[Service[Any, Any]], Awaitable[None]]


class Real(msgspec.Struct, frozen=True):
    """The service that is faked."""


class Fails(msgspec.Struct, frozen=True):
    """A service that fails a number of times; see ``fails``."""

    times: int
    error: Exception
    then: Any


class Slow(msgspec.Struct, frozen=True):
    """A service that takes its time; see ``slow``."""

    microseconds: int
    then: Any


def fails(times: int = 1, error: Exception | None = None, *, then: Any = Real()) -> Fails:  # noqa: B008
    """Return a fake that raises ``error`` the first times, and then acts as ``then``.

    Args:
        times: the number of failures.
        error: by default a ``RuntimeError``.
        then: another fake; by default the service itself.
    """
    return Fails(times, error or RuntimeError(f"the first {times} invocations fail"), then)


def slow(duration: str | timedelta, *, then: Any = Real()) -> Slow:  # noqa: B008
    """Return a fake that waits until the clock has advanced, and then acts as ``then``.

    Args:
        duration: as ``"90 s"``.
        then: another fake; by default the service itself.
    """
    return Slow(microseconds_of(duration), then)


def microseconds_of(duration: str | timedelta) -> int:
    """Return the microseconds of a duration.

    Raises:
        ValueError: the text is not a duration.
    """
    if isinstance(duration, timedelta):
        return duration // timedelta(microseconds=1)
    try:
        return parse_duration(duration) * 1000
    except ValueError:
        raise ValueError(f"not a valid duration: {duration!r}; use {ALLOWED}") from None


class Fakes:
    """The fakes of a sandbox, by the names of the services that they replace.

    Args:
        fakes: by name or class: a service's class, a function, async or not, from the input to
            the answer, an exception, ``fails(…)``, ``slow(…)``, or any other value, the answer.
        sleep: has a service wait for the clock.
    """

    def __init__(self, fakes: Mapping[Any, Any], sleep: Sleep) -> None:
        self._fakes = {name_of(key): fake for key, fake in fakes.items()}
        self._sleep = sleep

    def install(self, registry: Registry) -> None:
        """Replace services of the registry, and those that it gets later."""
        registry.stand_in = self._stand_in
        for name in self._fakes:
            if name in registry:
                cls = registry.get(name).cls
                registry.remove(name)
                registry.add(cls)

    def add_missing(self, registry: Registry) -> None:
        """Add the fakes that have replaced no service."""
        for name in self._fakes:
            if name not in registry:
                registry.add(type("Missing", (Service,), {"name": name}))

    def _stand_in(self, real: AnyService) -> AnyService:
        name = real.get_name()
        if name not in self._fakes:
            return real
        fake, steps = self._fakes[name], []
        while isinstance(fake, Fails | Slow):
            steps.append(self._step(fake))
            fake = fake.then

        async def prepare(service: Service[Any, Any]) -> None:
            for step in steps:
                await step(service)

        if isinstance(fake, Real):
            base, body = real, _wrapped(real, prepare)
        elif isinstance(fake, type) and issubclass(fake, Service):
            base, body = fake, _wrapped(fake, prepare)
        else:
            base, body = Service, _answering(real, fake, prepare)
        own = vars(real if base is Service else base)
        declarations = {
            "rest": getattr(base, "rest", getattr(real, "rest", None)),
            "schedule": own.get("schedule", vars(real).get("schedule")),
        }
        body |= {key: value for key, value in declarations.items() if value is not None}
        body |= {"name": name, "__module__": real.__module__}
        made: AnyService = new_class(real.__name__, (base,), {}, lambda names: names.update(body))
        return made

    def _step(self, fake: Fails | Slow) -> Prepare:
        left = fake.times if isinstance(fake, Fails) else 0

        async def step(service: Service[Any, Any]) -> None:
            nonlocal left
            if isinstance(fake, Slow):
                await self._sleep(service, fake.microseconds)
            elif left:
                left -= 1
                raise fake.error

        return step


def _wrapped(cls: AnyService, prepare: Prepare) -> dict[str, Any]:
    """Return the methods that handle, each after the fake's own steps."""
    names = ("handle", *(f"handle_{verb}" for verb in VERBS))
    return {
        name: _after(prepare, method)
        for name in names
        if (method := getattr(cls, name, Service.handle)) is not Service.handle
    }


def _after(prepare: Prepare, method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a method of the same kind: a generator, a coroutine, or one for a thread."""

    async def stream(self: Any) -> Any:
        await prepare(self)
        async for item in method(self):
            yield item

    async def wait(self: Any) -> Any:
        await prepare(self)
        return await method(self)

    def block(self: Any) -> Any:
        self._invoker.wait(prepare(self))
        return method(self)

    if inspect.isasyncgenfunction(method):
        return stream
    return wait if inspect.iscoroutinefunction(method) else block


def _answering(real: AnyService, fake: Any, prepare: Prepare) -> dict[str, Any]:
    """Return the body of a service with the declared types of another one, and its own answer."""

    async def handle(self: Any) -> Any:
        await prepare(self)
        if isinstance(fake, BaseException) or _is_error(fake):
            raise fake
        answer = fake(self.request.input) if callable(fake) else deepcopy(fake)
        return await answer if inspect.isawaitable(answer) else answer

    found = {side: declared(real, side) for side in ("input", "output")}
    return {"handle": handle, **{side: each.type for side, each in found.items() if each}}


def _is_error(fake: Any) -> bool:
    return isinstance(fake, type) and issubclass(fake, BaseException)
