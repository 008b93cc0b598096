"""``self.out.smtp``: mail servers by name, as a service uses them."""

from collections.abc import Coroutine
from typing import Any

from zato_lite.outgoing.mail import SmtpConnection, SMTPMessage
from zato_lite.service.outgoing_call import NamedConnection
from zato_lite.service.sync_aware import blocking


class SmtpCalls(NamedConnection[SmtpConnection]):
    """Common part of ``Smtp`` and ``BlockingSmtp``."""

    __slots__ = ()
    KIND = "smtp"

    async def _send(self, message: SMTPMessage, from_: str) -> None:
        async with self._kind[self._name] as connection:
            await connection.send(message, from_, self._service.time_left)


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
