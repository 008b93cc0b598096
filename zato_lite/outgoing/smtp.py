"""Delivery of mails over aiosmtplib. Imported only if a mail server is configured."""

import socket
import ssl
from typing import Any

import aiosmtplib

from zato_lite.errors import ConfigError, OutgoingError
from zato_lite.outgoing.mail import Mail, SMTPMessage
from zato_lite.outgoing_config import Smtp

_WRONG_PASSWORD = 535


class _WrongPasswordError(aiosmtplib.SMTPException):
    """Refusal of the password, after which no other method is tried: it would lock accounts."""


class _Client(aiosmtplib.SMTP):
    """Client that tries a refused password once; the library tries it by each method."""

    async def execute_command(self, *args: bytes, **options: Any) -> aiosmtplib.SMTPResponse:
        response = await super().execute_command(*args, **options)
        if response.code == _WRONG_PASSWORD:
            raise _WrongPasswordError(f"({response.code}, {response.message!r})")
        return response


class SmtpCourier:
    """Hands mails to a server, each over one connection.

    Args:
        name: of the connection, for messages.
        settings: its settings. password: its password.
        authorities: PEM of further authorities.

    Raises:
        ConfigError: the authorities are not valid.
    """

    def __init__(self, name: str, settings: Smtp, password: str, authorities: bytes) -> None:
        self._name, self._settings, self._password = name, settings, password
        self._own_name = socket.gethostname()  # the library's default waits for a name server
        self._context = ssl.create_default_context()
        if authorities:
            try:
                self._context.load_verify_locations(cadata=authorities.decode())
            except (ssl.SSLError, ValueError) as error:
                raise ConfigError(f"ca is not valid: {error}") from error

    async def send(self, mail: Mail, message: SMTPMessage) -> None:
        """Send a mail.

        Raises:
            OutgoingError: the server cannot be reached, or does not accept the mail.
        """
        settings = self._settings
        try:
            client = _Client(
                hostname=settings.host,
                local_hostname=self._own_name,
                port=settings.port,
                username=settings.username or None,
                password=self._password or None,
                use_tls=settings.tls == "tls",
                start_tls=settings.tls == "starttls",
                tls_context=None if settings.tls == "none" else self._context,
                timeout=settings.timeout,
            )
            async with client:
                await client.send_message(
                    mail.message, sender=mail.sender, recipients=mail.recipients
                )
        except aiosmtplib.SMTPTimeoutError as error:
            raise TimeoutError from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise OutgoingError(f"[outgoing.smtp.{self._name}] not sent: {error}") from error
