"""Mail: messages, and connections to mail servers."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, Protocol

from zato_lite.errors import BadInputError, OutgoingTimeoutError
from zato_lite.outgoing.figures import Figures
from zato_lite.outgoing_config import Smtp

if TYPE_CHECKING:
    from email.message import EmailMessage

Addresses = str | Iterable[str]

_log = logging.getLogger(__name__)


class Attachment(NamedTuple):
    """A file of a message."""

    name: str
    contents: bytes


class SMTPMessage:
    """A message to be sent.

    Attributes:
        to, cc, bcc: addresses, as a list or between commas.
        from_: the sender; by default that of the connection.
        subject: its subject.
        body: its text.
        is_html: the text is HTML.
        headers: further headers.
        charset: of the text.
        attachments: its files.
    """

    def __init__(
        self,
        to: Addresses = "",
        subject: str = "",
        body: str = "",
        *,
        from_: str = "",
        cc: Addresses = "",
        bcc: Addresses = "",
        is_html: bool = False,
        headers: Mapping[str, str] | None = None,
        charset: str = "utf-8",
    ) -> None:
        self.to, self.cc, self.bcc = to, cc, bcc
        self.from_, self.subject, self.body = from_, subject, body
        self.is_html, self.charset = is_html, charset
        self.headers = dict(headers or {})
        self.attachments: list[Attachment] = []

    def attach(self, name: str, contents: bytes | str) -> None:
        """Add a file."""
        data = contents.encode() if isinstance(contents, str) else bytes(contents)
        self.attachments.append(Attachment(name, data))


class Mail(NamedTuple):
    """A message as it is handed to a server."""

    sender: str
    recipients: list[str]
    message: "EmailMessage"


def mail_of(message: SMTPMessage, default_from: str) -> Mail:
    """Return the mail of a message.

    Raises:
        BadInputError: an address is missing, or a header contains a line break, which could add
            others.
    """
    # Slow to import, and not needed by most servers.
    from email.message import EmailMessage  # noqa: PLC0415
    from email.policy import SMTP  # noqa: PLC0415
    from email.utils import formatdate, make_msgid, parseaddr  # noqa: PLC0415

    sender = message.from_ or default_from
    to, cc, bcc = (_addresses(each) for each in (message.to, message.cc, message.bcc))
    fields = {"From": sender, "To": ", ".join(to), "Cc": ", ".join(cc), "Subject": message.subject}
    fields |= message.headers
    recipients = [parseaddr(address)[1] for address in (*to, *cc, *bcc)]
    problems = [*_problems(sender, recipients, {**fields, "Bcc": ", ".join(bcc)}, message)]
    if problems:
        raise BadInputError(f"mail: {'; '.join(problems)}")
    built = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    for name, value in fields.items():
        if value:
            built[name] = value
    for name, value in (("Date", formatdate()), ("Message-ID", make_msgid(domain="zato-lite"))):
        if name not in built:
            built[name] = value
    subtype = "html" if message.is_html else "plain"
    built.set_content(message.body, subtype=subtype, charset=message.charset)
    for name, contents in message.attachments:
        built.add_attachment(
            contents, maintype="application", subtype="octet-stream", filename=name
        )
    return Mail(parseaddr(sender)[1], recipients, built)


def _addresses(value: Addresses) -> list[str]:
    parts = value.split(",") if isinstance(value, str) else value
    return [part.strip() for part in parts if part.strip()]


def _problems(
    sender: str, recipients: list[str], fields: Mapping[str, str], message: SMTPMessage
) -> Iterator[str]:
    if not sender:
        yield "from_ is missing; set it, or mail_from of the connection"
    if not recipients:
        yield "to is missing"
    for address in recipients:
        if "@" not in address:
            yield f"address {address!r} is not valid; use name@host"
    named = {
        **fields,
        **{f"name of attachment {n.name[:20]!r}": n.name for n in message.attachments},
    }
    for name, value in named.items():
        if any(char in f"{name}{value}" for char in "\r\n\0"):
            yield f"{name!r:.40} contains a line break"


class Courier(Protocol):
    """Hands mails to a server; in tests, an outbox."""

    async def send(self, mail: Mail, message: SMTPMessage) -> None:
        """Send a mail.

        Raises:
            OutgoingError: the server does not accept it.
        """
        ...


class Outbox:
    """List of messages in place of a server, in tests."""

    def __init__(self, messages: list[SMTPMessage]) -> None:
        self._messages = messages

    async def send(self, mail: Mail, message: SMTPMessage) -> None:
        """Add the message to the list."""
        self._messages.append(message)


class SmtpConnection:
    """Mail server by name."""

    def __init__(self, name: str, settings: Smtp, courier: Courier, figures: Figures) -> None:
        self._name, self._settings = name, settings
        self._courier, self._figures = courier, figures

    async def send(self, message: SMTPMessage, from_: str, left: float | None) -> None:
        """Send a message within the seconds that the invocation has left.

        Raises:
            BadInputError: the message is not valid.
            OutgoingTimeoutError: the server does not answer in time.
            OutgoingError: the server cannot be reached, or does not accept the message.
        """
        mail = mail_of(message, from_ or self._settings.mail_from)
        seconds = self._settings.timeout if left is None else min(self._settings.timeout, left)
        began, is_sent = monotonic(), False
        try:
            with self._figures.counted():
                await self._hand_over(mail, message, seconds)
            is_sent = True
        finally:
            level, text = (
                (logging.DEBUG, "mail sent") if is_sent else (logging.WARNING, "mail not sent")
            )
            took_ms = round((monotonic() - began) * 1000, 1)
            fields = {"connection": self._name, "recipients": len(mail.recipients)}
            _log.log(level, text, extra={**fields, "took_ms": took_ms})

    async def _hand_over(self, mail: Mail, message: SMTPMessage, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._courier.send(mail, message)
        except TimeoutError as error:
            text = f"[outgoing.smtp.{self._name}] not sent within {seconds:g} s"
            raise OutgoingTimeoutError(text) from error

    async def close(self) -> None:
        """Do nothing: each mail has a connection."""
