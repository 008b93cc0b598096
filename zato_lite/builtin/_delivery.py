"""Delivery of notifications to URLs and mail servers, in threads of their own.

Imported when the first notification is sent, since its libraries are slow to import. The
underscore keeps it out of the search for built-in services, which would import it at the start.
"""

import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from zato_lite.config import Notify

Result = TypeVar("Result")

_LIMITER = anyio.CapacityLimiter(16)
"""Deliveries that run at the same time; further ones wait for one of those to end."""


async def deliver(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call ``post`` or ``send`` in a thread and return the result.

    A receiver that does not answer delays deliveries only: asyncio's own few threads stay free
    for backups and previews.
    """
    return await anyio.to_thread.run_sync(
        function, *arguments, limiter=_LIMITER, abandon_on_cancel=True
    )


def build_mail(subject: str, fields: Mapping[str, Any], settings: Notify) -> EmailMessage:
    """Return the mail with one line for each field."""
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = settings.mail_from
    message["To"] = ", ".join(settings.mail_to)
    message.set_content("\n".join(f"{key}: {value}" for key, value in fields.items()) + "\n")
    return message


def post(url: str, body: bytes, timeout: float) -> int:
    """Send the body to a URL; return the status of the response.

    Raises:
        OSError: it was not accepted.
        ValueError: it is not an HTTP URL.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError("a URL must begin with http:// or https://")
    headers = {"Content-Type": "application/json", "User-Agent": "zato-lite"}
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310
            status: int = response.status
            return status
    except urllib.error.HTTPError as error:
        error.close()
        raise OSError(str(error)) from None


def send(message: EmailMessage, settings: Notify) -> None:
    """Hand the message to the mail server.

    Raises:
        OSError: it was not accepted; smtplib's errors are of this type.
    """
    host, port, timeout = settings.smtp_host, settings.smtp_port, settings.timeout
    context = ssl.create_default_context()
    opened: smtplib.SMTP
    if settings.smtp_tls == "tls":
        opened = smtplib.SMTP_SSL(host, port, timeout=timeout, context=context)
    else:
        opened = smtplib.SMTP(host, port, timeout=timeout)
    with opened as server:
        if settings.smtp_tls == "starttls":
            server.starttls(context=context)
        if settings.smtp_user:
            password = Path(settings.smtp_password_file).read_text(encoding="utf-8").strip()
            server.login(settings.smtp_user, password)
        server.send_message(message)
