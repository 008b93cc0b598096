"""``zato.ping`` and its other names: services that show that the server answers."""

from typing import Any, TypedDict

from zato_lite.service.base import Service


class Pong(TypedDict):
    """The answer to a ping."""

    pong: str


class Ping(Service[Any, Pong]):
    """Return a constant."""

    name = "zato.ping"
    role = "viewer"
    is_safe = True

    async def handle(self) -> None:
        self.response.payload = {"pong": "zato"}


class Ping2(Ping):
    """Return a constant, as `zato.ping` does."""

    name = "zato.ping2"
    role = "admin"


class PublicPing(Ping):
    """Return a constant, as `zato.ping` does."""

    name = "pub.zato.ping"
    role = "operator"
