"""Mail to a real server."""

import logging
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, cast

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from tests.outgoing.certificates import make_certificates
from zato_lite import SMTPMessage
from zato_lite.config import Server, Settings, Store
from zato_lite.errors import BadInputError, ConfigError, OutgoingError, OutgoingTimeoutError
from zato_lite.outgoing.connections import Connections
from zato_lite.outgoing.mail import mail_of
from zato_lite.outgoing_config import Outgoing, Smtp
from zato_lite.service.base import Service
from zato_lite.service.blocking import BlockingService
from zato_lite.testing.app import Sandbox, sandbox
from zato_lite.zato.service import Service as ZatoService

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")


class Inbox:
    """Handler of a mail server, which keeps what it gets."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.answer = "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return self.answer


def mail_in(inbox: Inbox) -> EmailMessage:
    (envelope,) = inbox.envelopes
    return message_from_bytes(cast("bytes", envelope.content), policy=default)


@contextmanager
def mail_server(inbox: Inbox, **options: Any) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(inbox, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def settings(port: int, **more: Any) -> Settings:
    smtp = Smtp(**{"host": "localhost", "port": port, "tls": "none", **more})
    return Settings(
        store=Store("sqlite:///:memory:"),
        server=Server(grace=0.0),
        outgoing=Outgoing(smtp={"mail": smtp}),
    )


def message() -> SMTPMessage:
    found = SMTPMessage("Ann <ann@example.com>, bob@example.com", "Żółć", "Dzień dobry\n")
    found.from_, found.cc, found.bcc = "me@example.com", ["eve@example.com"], "hid@example.com"
    found.headers["X-Mine"] = "yes"
    found.attach("raport.txt", b"\x00\x01")
    return found


class Send(Service[Any, Any]):
    name = "send"

    async def handle(self) -> None:
        await self.out.smtp["mail"].send(message())


class SendBlocking(BlockingService[Any, Any]):
    name = "send.blocking"

    def handle(self) -> None:
        self.out.smtp["mail"].send(message())


class SendAsZato(ZatoService):
    name = "send.zato"

    def handle(self) -> None:
        conn = self.email.smtp.get("mail").conn
        conn.send(message())


SERVICES = (Send, SendBlocking, SendAsZato)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
async def it(inbox: Inbox) -> AsyncIterator[Sandbox]:
    with mail_server(inbox) as port:
        async with sandbox(*SERVICES, settings=settings(port)) as found:
            yield found


@pytest.mark.parametrize("name", ["send", "send.blocking", "send.zato"])
async def test_services_send_mail(it: Sandbox, inbox: Inbox, name: str) -> None:
    await it.invoke(name)

    (envelope,), mail = inbox.envelopes, mail_in(inbox)
    assert envelope.mail_from == "me@example.com"
    assert envelope.rcpt_tos == [
        "ann@example.com", "bob@example.com", "eve@example.com", "hid@example.com",
    ]  # fmt: skip
    assert (mail["Subject"], mail["X-Mine"], mail["Bcc"]) == ("Żółć", "yes", None)
    assert mail["To"] == "Ann <ann@example.com>, bob@example.com"
    assert mail["Date"] is not None
    assert mail["Message-ID"] is not None
    body = mail.get_body()
    assert body is not None
    assert body.get_content().strip() == "Dzień dobry"
    (file,) = mail.iter_attachments()
    assert (file.get_filename(), file.get_content()) == ("raport.txt", b"\x00\x01")
    assert it.app.invoker.connections.figures["smtp", "mail"].results == {"ok": 1}


async def test_credentials_are_sent_over_tls(tmp_path: Path, inbox: Inbox) -> None:
    make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem", tmp_path / "own.key.pem")
    seen = []

    def check(server: Any, session: Any, envelope: Any, kind: Any, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        seen.append((data.login, data.password))
        is_right = data.password == b"pw"
        return AuthResult(success=is_right, handled=is_right)

    options = {"tls_context": context, "authenticator": check, "auth_required": True}
    with mail_server(inbox, require_starttls=True, **options) as port:
        more = {"tls": "starttls", "ca": "ca.pem", "username": "ann", "timeout": 3.0}
        right = settings(port, **more, password="pw").outgoing  # noqa: S106
        wrong = settings(port, **more, password="hush-hush").outgoing  # noqa: S106
        for outgoing in (right, wrong):
            connections = Connections(tmp_path)
            connections.replace(outgoing)
            connection = connections.smtp["mail"].begin()
            if outgoing is right:
                await connection.send(message(), "", None)
            else:
                with pytest.raises(OutgoingError, match=r"not sent: .535, .*nvalid") as caught:
                    await connection.send(message(), "", None)
                assert "hush-hush" not in str(caught.value)

    assert seen == [(b"ann", b"pw"), (b"ann", b"hush-hush")]
    assert len(inbox.envelopes) == 1


async def test_a_refusal_is_an_outgoing_error(
    it: Sandbox, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    inbox.answer = "554 no"

    with pytest.raises(OutgoingError, match=r"\[outgoing.smtp.mail\] not sent: .*554"):
        await it.invoke("send")

    (record,) = [record for record in caplog.records if record.name.startswith("zato_lite.out")]
    assert record.message == "mail not sent"
    assert "ann@example.com" not in str(vars(record))


async def test_a_server_that_is_away_or_silent_is_an_outgoing_error(unused_port: int) -> None:
    async with sandbox(Send, settings=settings(unused_port, timeout=0.2)) as it:
        with pytest.raises(OutgoingTimeoutError, match=r"not sent within 0.2 s"):
            await it.invoke("send")
    async with sandbox(Send, settings=settings(1)) as it:
        with pytest.raises(OutgoingError, match="not sent"):
            await it.invoke("send")


@pytest.fixture
def unused_port() -> Iterator[int]:
    """The port of a server that accepts connections and says nothing."""

    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield silent.getsockname()[1]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"subject": "a\r\nBcc: evil@example.com"}, "'Subject' contains a line break"),
        ({"to": "a@example.com\nBcc: evil@example.com"}, "'To' contains a line break"),
        ({"bcc": "a@example.com\nX: y"}, "'Bcc' contains a line break"),
        ({"from_": "a@example.com\rX: y"}, "'From' contains a line break"),
        ({"headers": {"X-A": "b\nX-Evil: 1"}}, "'X-A' contains a line break"),
        ({"headers": {"X-A: 1\nX-Evil": "b"}}, "contains a line break"),
        ({"to": "", "cc": "", "bcc": ""}, "to is missing"),
        ({"to": "ann"}, "address 'ann' is not valid; use name@host"),
        ({"from_": ""}, "from_ is missing; set it, or mail_from of the connection"),
    ],
)
def test_a_message_with_mistakes_is_refused(changes: dict[str, Any], expected: str) -> None:
    found = message()
    vars(found).update(changes)

    with pytest.raises(BadInputError, match=expected):
        mail_of(found, "")


def test_the_name_of_a_file_cannot_add_a_header() -> None:
    found = message()
    found.attach("a\r\nX-Evil: 1.txt", "text")

    with pytest.raises(BadInputError, match="contains a line break"):
        mail_of(found, "")


def test_html_is_declared() -> None:
    found = SMTPMessage("ann@example.com", "s", "<b>x</b>", is_html=True)

    mail = mail_of(found, "Me <me@example.com>")

    assert mail.message.get_content_type() == "text/html"
    assert mail.sender == "me@example.com"


async def test_a_list_takes_the_place_of_a_mail_server() -> None:
    outbox: list[SMTPMessage] = []

    async with sandbox(*SERVICES, outgoing={"smtp.mail": outbox}) as it:
        await it.invoke("send")
        await it.invoke("send.zato")

    assert [sent.subject for sent in outbox] == ["Żółć", "Żółć"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"host": ""}, "host is missing"),
        ({"username": "ann"}, "username and password are needed together"),
        ({"password": "x"}, "username and password are needed together"),
        ({"ca": "gone"}, "ca: .*gone: No such file"),
        ({"ca": "nothing.pem"}, "ca is not valid"),
    ],
)
def test_settings_with_mistakes_are_named(
    tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    (tmp_path / "nothing.pem").write_text("nothing")

    with pytest.raises(ConfigError, match=rf"\[outgoing.smtp.mail\] {expected}"):
        Connections(tmp_path).replace(settings(25, **changes).outgoing)
