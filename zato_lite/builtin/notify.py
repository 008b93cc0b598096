"""Notification services: webhooks and e-mail, to be named as callbacks of jobs.

``on_error_service: zato.notify.webhook`` on a job is enough; the receivers are in ``[notify]`` of
the settings. A notification has the fields of a callback.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, TypedDict

from zato_lite.config import Notify
from zato_lite.errors import BadInputError, UnavailableError
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.wire import decode, encode


class Sent(TypedDict):
    """The number of receivers."""

    sent: int


class Webhook(Service[Any, Sent]):
    """Post the callback's fields to every URL of ``[notify] webhooks``, as a JSON object."""

    name = "zato.notify.webhook"
    role = "admin"
    settings = needs(Notify)

    async def handle(self) -> None:
        if not self.settings.webhooks:
            raise BadInputError("[notify] webhooks: the list is empty; add the URL of a receiver")
        # Slow to import, and rarely used.
        from zato_lite.builtin._delivery import deliver, host_of, post  # noqa: PLC0415

        body = encode(fields_of(self._payload))
        urls = self.settings.webhooks
        posts = [deliver(post, url, body, self.settings) for url in urls]
        answers = await asyncio.gather(*posts, return_exceptions=True)
        failed = [
            f"{host_of(url)}: {answer}"
            for url, answer in zip(urls, answers, strict=True)
            if isinstance(answer, BaseException)
        ]
        if failed:
            raise UnavailableError("; ".join(failed))
        self.response.payload = {"sent": len(answers)}


class Email(Service[Any, Sent]):
    """Send the callback's fields to ``[notify] mail_to``, by the mail server ``smtp_host``."""

    name = "zato.notify.email"
    role = "admin"
    settings = needs(Notify)

    async def handle(self) -> None:
        settings = self.settings
        if not (settings.smtp_host and settings.mail_from and settings.mail_to):
            raise BadInputError("[notify] smtp_host, mail_from and mail_to are needed")
        from zato_lite.builtin._delivery import build_mail, deliver, send  # noqa: PLC0415

        fields = fields_of(self._payload)
        message = await deliver(build_mail, subject_of(fields), fields, settings)
        try:
            await deliver(send, message, settings)
        except OSError as error:  # smtplib's own errors are of this type
            raise UnavailableError(f"{settings.smtp_host}: {error}") from error
        self.response.payload = {"sent": len(settings.mail_to)}


def fields_of(payload: Any) -> dict[str, Any]:
    """Return the callback's fields, from an object or from its JSON text."""
    if isinstance(payload, str | bytes):
        try:
            payload = decode(payload)
        except BadInputError:
            payload = {"message": str(payload)}
    return dict(payload) if isinstance(payload, Mapping) else {"message": payload}


def subject_of(fields: Mapping[str, Any]) -> str:
    """Return the subject of a mail: the job and its outcome."""
    if "job_name" not in fields:
        return f"zato-lite: {fields.get('message', 'notification')}".splitlines()[0][:200]
    name = str(fields["job_name"]).replace("\r", " ").replace("\n", " ")
    return f"zato-lite: {name}: {fields.get('outcome', 'unknown')}"[:200]
