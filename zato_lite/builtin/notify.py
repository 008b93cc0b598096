"""Telling people that a job failed: webhooks and e-mail, as services to be called back.

``on_error_service: zato.notify.webhook`` on a job is all it takes; where to is in ``[notify]`` of
the settings. What they are told is what a callback is told.
"""

import asyncio
from collections.abc import Mapping
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
        # Slow to import, and rarely used.
        from zato_lite.builtin._delivery import delivered, post  # noqa: PLC0415

        body = encode(told_of(self.request.payload))
        posts = [
            delivered(post, url, body, self.settings.timeout) for url in self.settings.webhooks
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
        from zato_lite.builtin._delivery import delivered, message_of, send  # noqa: PLC0415

        told = told_of(self.request.payload)
        message = message_of(subject_of(told), told, settings)
        try:
            await delivered(send, message, settings)
        except OSError as error:  # smtplib's own errors are among them
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
