"""Services to try things out with."""

import asyncio
import random
from typing import Annotated, Any, NoReturn, TypedDict

from msgspec import Meta

from zato_lite.builtin.input import Input
from zato_lite.service.base import Service

Seconds = Annotated[float, Meta(ge=0, le=86_400)]


class SleepInput(Input):
    """The mean duration, and how far from it a random one may be."""

    seconds: Seconds = 3.0
    jitter: Seconds = 1.5


class Pong(TypedDict):
    """The correlation id of the invocation."""

    is_ok: bool
    cid: str


class Slept(TypedDict):
    """The duration in a sentence."""

    message: str


class Ping(Service[Any, Pong]):
    """Return the correlation id."""

    name = "demo.ping"
    role = "viewer"

    async def handle(self) -> None:
        self.response.payload = {"is_ok": True, "cid": self.cid}


class Echo(Service):
    """Return the request's payload."""

    name = "demo.echo"
    role = "operator"
    is_safe = True

    async def handle(self) -> None:
        self.response.payload = self._payload


class Sleep(Service[SleepInput, Slept]):
    """Sleep for ``seconds`` (3), plus or minus up to ``jitter`` (1.5)."""

    name = "demo.sleep"
    role = "operator"
    is_safe = True

    async def handle(self) -> None:
        mean, jitter = self.request.input.seconds, self.request.input.jitter
        seconds = max(0.1, mean + random.uniform(-jitter, jitter))  # noqa: S311 - a demo
        await asyncio.sleep(seconds)
        self.response.payload = {"message": f"OK, slept for {seconds:.2f} s"}


class Raise(Service):
    """Raise an error."""

    name = "test.raise"
    role = "operator"
    is_safe = True

    async def handle(self) -> NoReturn:
        raise RuntimeError("Test exception")
