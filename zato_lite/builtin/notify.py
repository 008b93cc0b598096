"""Telling people that a job failed: webhooks and e-mail, as services to be called back.

``on_error_service: zato.notify.webhook`` on a job is all it takes; where to is in ``[notify]`` of
the settings. What they are told is what a callback is told.
"""

import asyncio
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from zato_lite.config import Notify
from zato_lite.errors import BadInputError, UnavailableError
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.wire import decode, encode


class Webhook(Service):
    """Send what it is told to every URL of ``[notify] webhooks``, as a JSON object by POST."""

    name = "zato.notify.webhook"
    settings = needs(Notify)

    async def handle(self) -> None:
        if not self.settings.webhooks:
            raise BadInputError("[notify] webhooks: there are none")
        body = encode(told_of(self.request.payload))
        posts = [
            asyncio.to_thread(post, url, body, self.settings.timeout)
            for url in self.settings.webhooks
        ]
        answers = await asyncio.gather(*posts, return_exceptions=True)
        failed = [
            f"{url}: {answer}"
            for url, answer in zip(self.settings.webhooks, answers, strict=True)
            if isinstance(answer, BaseException)
        ]
        if failed:
            raise UnavailableError("; ".join(failed))
        self.response.payload = {"sent": len(answers)}


class Email(Service):
    """Send what it is told to ``[notify] mail_to``, by the mail server of ``smtp_host``."""

    name = "zato.notify.email"
    settings = needs(Notify)

    async def handle(self) -> None:
        settings = self.settings
        if not (settings.smtp_host and settings.mail_from and settings.mail_to):
            raise BadInputError("[notify] smtp_host, mail_from and mail_to are needed")
        message = message_of(told_of(self.request.payload), settings)
        try:
            await asyncio.to_thread(send, message, settings)
        except (OSError, smtplib.SMTPException) as error:
            raise UnavailableError(f"{settings.smtp_host}: {error}") from error
        self.response.payload = {"sent": len(settings.mail_to)}


def told_of(payload: Any) -> dict[str, Any]:
    """What a callback is told, whichever way it came: an object or its JSON text."""
    if isinstance(payload, str | bytes):
        try:
            payload = decode(payload)
        except BadInputError:
            payload = {"message": str(payload)}
    return dict(payload) if isinstance(payload, Mapping) else {"message": payload}


def subject_of(told: Mapping[str, Any]) -> str:
    """What a person reads first."""
    if "job_name" not in told:
        return f"zato-lite: {told.get('message', 'notification')}".splitlines()[0][:200]
    name = str(told["job_name"]).replace("\r", " ").replace("\n", " ")
    return f"zato-lite: {name}: {told.get('outcome', 'unknown')}"[:200]


def message_of(told: Mapping[str, Any], settings: Notify) -> EmailMessage:
    """The mail: a subject to see at a glance, and all that was told."""
    message = EmailMessage()
    message["Subject"] = subject_of(told)
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
        OSError, smtplib.SMTPException: it was not taken.
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
