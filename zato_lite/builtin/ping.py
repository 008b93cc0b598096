"""``zato.ping``: is anybody there?"""

from zato_lite.service.base import Service


class Ping(Service):
    """Answers, and does nothing else."""

    name = "zato.ping"

    async def handle(self) -> None:
        self.response.payload = {"pong": "zato"}


class Ping2(Ping):
    """The same as `zato.ping`."""

    name = "zato.ping2"


class PublicPing(Ping):
    """The same as `zato.ping`."""

    name = "pub.zato.ping"
