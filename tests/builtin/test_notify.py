import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from zato_lite.builtin.notify import Email, Webhook, fields_of, subject_of
from zato_lite.config import Notify
from zato_lite.errors import BadInputError, UnavailableError
from zato_lite.service.invoker import Invoker
from zato_lite.service.registry import Registry
from zato_lite.wire import decode

FIELDS = {"job_id": 1, "job_name": "nightly", "outcome": "error", "error_traceback": "no rows"}


class Receiver(BaseHTTPRequestHandler):
    received: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        self.received.append(decode(self.rfile.read(int(self.headers["Content-Length"]))))
        status = int(self.path[1:4]) if self.path[1:4].isdigit() else 500
        self.send_response(200 if self.path == "/ok" else status)
        if 300 <= status < 400:
            self.send_header("Location", self.path[4:] or "/ok")
        self.end_headers()

    def do_GET(self) -> None:
        self.received.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Receiver.received.clear()
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
async def mail() -> AsyncIterator[tuple[int, list[str]]]:
    """A mail server that takes everything."""
    lines: list[str] = []
    ended = asyncio.Event()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        in_data = False
        async for read in reader:
            lines.append(line := read.decode().rstrip())
            if in_data:
                in_data = line != "."
                answer = b"" if in_data else b"250 taken\r\n"
            elif line.lower() == "data":
                in_data, answer = True, b"354 go on\r\n"
            else:
                answer = b"221 bye\r\n" if line.lower() == "quit" else b"250 fine\r\n"
            writer.write(answer)
        writer.close()
        await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], lines
    await ended.wait()
    server.close()
    await server.wait_closed()


def _invoker(settings: Notify) -> Invoker:
    registry = Registry()
    registry.add(Webhook)
    registry.add(Email)
    return Invoker(registry, resources={Notify: settings})


async def test_a_webhook_receives_the_fields_of_the_callback(url: str) -> None:
    invoker = _invoker(Notify(webhooks=(f"{url}/ok",)))

    answer = await invoker.invoke("zato.notify.webhook", FIELDS)

    assert answer == {"sent": 1}
    assert Receiver.received == [FIELDS]


async def test_a_failing_webhook_does_not_stop_the_others(url: str) -> None:
    invoker = _invoker(Notify(webhooks=(f"{url}/no", f"{url}/ok", "ftp://x")))

    with pytest.raises(UnavailableError, match=r"127.0.0.1: answered with status 500; x: .*http"):
        await invoker.invoke("zato.notify.webhook", FIELDS)

    assert len(Receiver.received) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/ok", "http://127.0.0.1:1/meta-data", "ftp://127.0.0.1/x"])
async def test_a_redirection_is_a_failure_and_is_not_followed(
    url: str, status: int, location: str
) -> None:
    invoker = _invoker(Notify(webhooks=(f"{url}/{status}{location}",)))

    with pytest.raises(UnavailableError, match=f"answered with status {status}"):
        await invoker.invoke("zato.notify.webhook", FIELDS)

    assert Receiver.received == [FIELDS]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/services/T000/SECRET",
        "https://127.0.0.1:1/SECRET?sig=SECRET",
        "http://user:SECRET@127.0.0.1:1/",
        "file:///SECRET",
        "http://[SECRET",
        "http://SECRET.invalid:99999/",
    ],
)
async def test_an_error_does_not_repeat_the_secret_in_a_url(url: str) -> None:
    invoker = _invoker(Notify(webhooks=(url,)))

    with pytest.raises(UnavailableError) as found:
        await invoker.invoke("zato.notify.webhook", FIELDS)

    assert "SECRET" not in str(found.value).replace("secret.invalid", "")


@pytest.mark.parametrize(
    ("hosts", "is_allowed"),
    [
        ((), True),
        (("127.0.0.1",), True),
        (("example.com", "127.0.0.1"), True),
        (("*.0.0.1",), True),
        (("example.com",), False),
        (("*.example.com",), False),
        (("27.0.0.1",), False),
    ],
)
async def test_webhooks_are_confined_to_the_listed_hosts(
    url: str, hosts: tuple[str, ...], is_allowed: bool
) -> None:
    invoker = _invoker(Notify(webhooks=(f"{url}/ok",), webhook_hosts=hosts))

    if is_allowed:
        assert await invoker.invoke("zato.notify.webhook", FIELDS) == {"sent": 1}
    else:
        with pytest.raises(UnavailableError, match="webhook_hosts"):
            await invoker.invoke("zato.notify.webhook", FIELDS)
    assert len(Receiver.received) == is_allowed


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]"])  # noqa: S104
async def test_private_addresses_can_be_refused_however_they_are_written(
    url: str, host: str
) -> None:
    port = url.rpartition(":")[2]
    settings = Notify(webhooks=(f"http://{host}:{port}/ok",), webhook_private_addresses=False)

    with pytest.raises(UnavailableError, match=r"not public|cannot connect"):
        await _invoker(settings).invoke("zato.notify.webhook", FIELDS)

    assert Receiver.received == []


@pytest.fixture
async def silent() -> AsyncIterator[tuple[str, asyncio.Semaphore]]:
    """A server that takes connections, which can be counted, and never answers."""
    come, is_over = asyncio.Semaphore(0), asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        come.release()
        await is_over.wait()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", come
    is_over.set()
    server.close()
    await server.wait_closed()


async def test_webhooks_that_do_not_answer_leave_the_threads_of_others_free(
    silent: tuple[str, asyncio.Semaphore],
) -> None:
    url, come = silent
    threads = ThreadPoolExecutor(2)
    asyncio.get_running_loop().set_default_executor(threads)
    invoker = _invoker(Notify(webhooks=(url,) * 3))

    sending = asyncio.create_task(invoker.invoke("zato.notify.webhook", FIELDS))
    async with asyncio.timeout(10):
        for _ in range(3):
            await come.acquire()
        assert await asyncio.to_thread(len, "abc") == 3

    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending


async def test_a_mail_names_the_job_and_its_outcome(mail: tuple[int, list[str]]) -> None:
    port, lines = mail
    settings = Notify(
        smtp_host="127.0.0.1", smtp_port=port, smtp_tls="none", mail_from="a@b.c",
        mail_to=("d@e.f", "g@h.i"),
    )  # fmt: skip

    answer = await _invoker(settings).invoke("zato.notify.email", FIELDS)

    assert answer == {"sent": 2}
    assert "Subject: zato-lite: nightly: error" in lines
    assert "error_traceback: no rows" in lines


async def test_missing_receivers_are_an_error_that_names_the_setting() -> None:
    invoker = _invoker(Notify())

    with pytest.raises(BadInputError, match="webhooks: the list is empty"):
        await invoker.invoke("zato.notify.webhook", FIELDS)
    with pytest.raises(BadInputError, match="smtp_host"):
        await invoker.invoke("zato.notify.email", FIELDS)


async def test_an_unreachable_mail_server_is_named_in_the_error() -> None:
    settings = Notify(smtp_host="127.0.0.1", smtp_port=1, mail_from="a@b.c", mail_to=("d@e.f",))

    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1"):
        await _invoker(settings).invoke("zato.notify.email", FIELDS)


def test_fields_come_from_an_object_or_its_text() -> None:
    assert fields_of('{"a": 1}') == {"a": 1}
    assert fields_of("plain") == {"message": "plain"}
    assert fields_of([1]) == {"message": [1]}


def test_a_subject_is_one_line() -> None:
    assert subject_of({"job_name": "a\r\nBcc: x@y.z", "outcome": "error"}) == (
        "zato-lite: a  Bcc: x@y.z: error"
    )
    assert subject_of({"message": "two\nlines"}) == "zato-lite: two"
