"""``self.out.smtp``: mail servers by name, as a service uses them."""

from collections.abc import Coroutine
from typing import Any

from zato_lite.outgoing.connections import Connections
from zato_lite.outgoing.mail import SMTPMessage
from zato_lite.service.outgoing_call import CallingService, Resolve
from zato_lite.service.sync_aware import blocking


class SmtpCalls:
    """Common part of ``Smtp`` and ``BlockingSmtp``."""

    __slots__ = ("_connections", "_name", "_resolve", "_service")

    def __init__(
        self, service: CallingService, connections: Connections, resolve: Resolve, name: str
    ) -> None:
        self._service, self._connections, self._resolve = service, connections, resolve
        self._name = name
        connections.smtp[name]  # raises UnknownConnectionError

    async def _send(self, message: SMTPMessage, from_: str) -> None:
        shared = self._connections.smtp[self._name]
        connection = shared.begin()
        try:
            await connection.send(message, from_, self._service.time_left)
        finally:
            if shared.end():
                await shared.close()


class Smtp(SmtpCalls):
    """Mail server: ``await self.out.smtp["mail"].send(SMTPMessage(to, subject, body))``."""

    __slots__ = ()

    def send(self, message: SMTPMessage, from_: str = "") -> Coroutine[Any, Any, None]:
        """Send a message.

        Raises:
            BadInputError: an address is missing, or a header contains a line break.
            OutgoingError: the server cannot be reached, or does not accept the message.
        """
        return self._resolve(self._send(message, from_ or ""))


class BlockingSmtp(SmtpCalls):
    """``Smtp`` for blocking services."""

    __slots__ = ()

    send = blocking(Smtp.send)

    @property
    def conn(self) -> "BlockingSmtp":
        """Return the connection itself, under Zato's name."""
        return self
