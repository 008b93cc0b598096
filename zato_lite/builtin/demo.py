"""Services to try things out with."""

import asyncio
import random

from zato_lite.builtin.fields import Reader, number
from zato_lite.service.base import Service

_LONGEST = 86_400


class Ping(Service):
    """Says that all is well, and under which correlation id."""

    name = "demo.ping"

    async def handle(self) -> None:
        self.response.payload = {"is_ok": True, "cid": self.cid}


class Echo(Service):
    """Answers what it was sent."""

    name = "demo.echo"

    async def handle(self) -> None:
        self.response.payload = self.request.payload


class Sleep(Service):
    """Sleeps for ``seconds`` (3), give or take up to ``jitter`` (1.5), and says for how long."""

    name = "demo.sleep"

    async def handle(self) -> None:
        reader = Reader(self.request.payload)
        middle = reader("seconds", number(0, _LONGEST), 3.0)
        jitter = reader("jitter", number(0, _LONGEST), 1.5)
        reader.check()
        seconds = max(0.1, middle + random.uniform(-jitter, jitter))  # noqa: S311 - a demo
        await asyncio.sleep(seconds)
        self.response.payload = {"message": f"OK, slept for {seconds:.2f} s"}


class Raise(Service):
    """Fails."""

    name = "test.raise"

    async def handle(self) -> None:
        raise RuntimeError("Test exception")
