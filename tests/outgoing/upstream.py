"""Another server, for tests of outgoing connections: answers from a list, and keeps requests."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

JSON = "application/json"


@dataclass
class Request:
    """A request, as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """A response: closes the connection without one if the status is 0, and waits before it.

    With ``part``, only so many bytes of the body are sent, until the client leaves.
    """

    status: int = 200
    body: bytes = b'{"name": "Ann"}'
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": JSON})
    after: float = 0.0
    part: int | None = None


class Upstream:
    """The server. The last answer is repeated."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [Answer()]
        self.requests: list[Request] = []
        self.arrived = asyncio.Event()
        self.first_bytes = b""
        self.connections = 0
        self.tasks: list[asyncio.Task[None]] = []
        self.url = ""

    @property
    def request(self) -> Request:
        """The only request."""
        (request,) = self.requests
        return request

    @property
    def received(self) -> list[tuple[str, str, bytes]]:
        """Method, target and body of each request."""
        return [(each.method, each.target, each.body) for each in self.requests]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection."""
        self.connections += 1
        if task := asyncio.current_task():
            self.tasks.append(task)
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            self.connections -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        self.first_bytes = self.first_bytes or head
        first, *lines = head.decode().strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (ln.partition(": ") for ln in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, target, _ = first.split(" ")
        self.requests.append(Request(method, target, headers, body))
        self.arrived.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await asyncio.sleep(answer.after)
        if not answer.status:
            return False
        fields = {**answer.headers, "content-length": str(len(answer.body))}
        text = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        body = b"" if method == "HEAD" else answer.body[: answer.part]
        writer.write(f"HTTP/1.1 {answer.status} X\r\n{text}\r\n".encode() + body)
        await writer.drain()
        if answer.part is not None:
            await reader.read()
        return True


@asynccontextmanager
async def serving(context: ssl.SSLContext | None = None) -> AsyncIterator[Upstream]:
    """Run the server on a free port."""
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    scheme, host = ("http", "127.0.0.1") if context is None else ("https", "localhost")
    upstream.url = f"{scheme}://{host}:{port}"
    try:
        yield upstream
    finally:
        server.close()
        for task in upstream.tasks:
            task.cancel()
        await asyncio.gather(*upstream.tasks, return_exceptions=True)
        # A transport whose TLS handshake failed is in no stream.
        for transport in [*getattr(asyncio.get_running_loop(), "_transports", {}).values()]:
            transport.abort()
        await server.wait_closed()
        await asyncio.sleep(0)
