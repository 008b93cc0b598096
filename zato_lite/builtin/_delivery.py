"""Handing a message to a URL or to a mail server, in threads that nothing else waits for."""

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

_AT_ONCE = anyio.CapacityLimiter(16)
"""So many deliveries go on at a time: others wait for one of those."""


async def delivered(function: Callable[..., Result], *arguments: Any) -> Result:
    """What ``post`` or ``send`` gives; a receiver that does not answer holds up deliveries only.

    The server's own few threads are for backups and for looking ahead.
    """
    return await anyio.to_thread.run_sync(
        function, *arguments, limiter=_AT_ONCE, abandon_on_cancel=True
    )


def message_of(subject: str, told: Mapping[str, Any], settings: Notify) -> EmailMessage:
    """The mail: a subject to see at a glance, and all that was told."""
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = settings.mail_from
    message["To"] = ", ".join(settings.mail_to)
    message.set_content("\n".join(f"{key}: {value}" for key, value in told.items()) + "\n")
    return message


def post(url: str, body: bytes, timeout: float) -> int:
    """Send the body to a URL; the status of its answer.

    Raises:
        OSError: it was not taken.
        ValueError: it is no URL of HTTP.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError("a URL that begins with http:// or https://")
    headers = {"Content-Type": "application/json", "User-Agent": "zato-lite"}
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        error.close()
        raise OSError(str(error)) from None


def send(message: EmailMessage, settings: Notify) -> None:
    """Hand the message to the mail server.

    Raises:
        OSError: it was not taken; smtplib's errors are such.
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
