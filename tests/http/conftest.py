import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from argon2 import PasswordHasher

from zato_lite.clock import Alarm, SystemClock
from zato_lite.errors import BadInputError, FieldError, JobExistsError
from zato_lite.http.app import HttpApp
from zato_lite.http.auth import Authenticator
from zato_lite.http.first_start import apply_environment
from zato_lite.http.message import Request
from zato_lite.http.parser import Limits
from zato_lite.http.passwords import Passwords
from zato_lite.http.pipeline import App
from zato_lite.http.server import Server, serve
from zato_lite.service.access import declare_access
from zato_lite.service.message import Invocation, Outcome, ResponseOverrides
from zato_lite.service.registry import no_such_id
from zato_lite.service.request import Response as ServiceResponse
from zato_lite.store.accounts import Accounts
from zato_lite.store.audit import AuditLog
from zato_lite.store.ports import Database
from zato_lite.store.sessions import Sessions
from zato_lite.store.sqlite import open_store

BASIC = b"Basic YWRtaW4uaW52b2tlOnNlY3JldA=="
"""Credentials of admin.invoke with the password «secret»."""


class MovedClock:
    """The system clock, moved ahead by some seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._clock = SystemClock()

    def now(self) -> int:
        return self._clock.now() + int(self.seconds * 1_000_000)

    def monotonic(self) -> float:
        return self._clock.monotonic() + self.seconds

    def call_at(self, instant: int, wake: object) -> Alarm:
        raise NotImplementedError


class Entry(NamedTuple):
    """A deployed service."""

    name: str
    cls: type
    id: int = 0
    is_internal: bool = False
    input: Any = None
    output: Any = None


class Customers:
    """A service with REST channels."""

    rest = ("GET /customers/{id}", "POST,PUT /customers/{id}/notes", "GET /customers/new")


class Plain:
    """A service without channels."""


class Services:
    """Services with ordinary names, and with the names of routes."""

    def __init__(self) -> None:
        declare_access("zato.ping", "viewer", "service")
        names = ("zato.ping", "echo", "fail", "wrong", "taken", "slow", "none", "text", "page")
        odd = ("health", "ready", "static", "login", "metrics", "zato.user.create")
        self.entries = {name: Entry(name, Plain) for name in (*names, *odd)}
        self.entries["customers"] = Entry("customers", Customers)

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def suggestion(self, name: str, patterns: Collection[str]) -> str:
        return ""

    def by_id(self, service_id: Any) -> Entry:
        for entry in self:
            if entry.id == service_id:
                return entry
        raise no_such_id(service_id)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())


def overrides(
    status: int | None = None, content_type: str | None = None, **more: Any
) -> ResponseOverrides:
    """Return the overrides that a service makes."""
    said: ServiceResponse[Any] = ServiceResponse()
    said.status_code, said.content_type = status, content_type
    said.headers.update(more.get("headers", {}))
    return said


class Invoker:
    """Does what the name of the service says, and keeps the invocations."""

    def __init__(self) -> None:
        self.invocations: list[Invocation] = []
        self.was_called = asyncio.Event()
        self.may_go_on = asyncio.Event()

    def begin(self, invocation: Invocation, now: float) -> Awaitable[Outcome]:
        """Return the awaitable of the outcome."""
        return self.run(invocation)

    async def run(self, invocation: Invocation) -> Outcome:  # noqa: PLR0911 - a table
        self.invocations.append(invocation)
        self.was_called.set()
        cid = invocation.cid
        match invocation.service:
            case "zato.ping":
                return Outcome(cid, {"pong": "zato"})
            case "fail":
                return Outcome(cid, error=ZeroDivisionError("the secret of /etc/passwd"))
            case "wrong":
                fields = [FieldError("/age", "x", "not a number")]
                return Outcome(cid, error=BadInputError("Wrong", fields))
            case "taken":
                return Outcome(cid, error=JobExistsError("Job `x` already exists"))
            case "slow":
                await self.may_go_on.wait()
                return Outcome(cid, "done")
            case "none":
                return Outcome(cid)
            case "text":
                return Outcome(cid, "<b>", overrides(201, headers={"X-A": "1", "X-B": "a\r\nb"}))
            case "page":
                return Outcome(cid, "<html>", overrides(content_type="text/html"))
            case _:
                return Outcome(cid, invocation.payload)


@pytest.fixture
def invoker() -> Invoker:
    return Invoker()


@pytest.fixture
async def store() -> AsyncIterator[Database]:
    async with open_store(":memory:", SystemClock()) as opened:
        yield opened


@pytest.fixture
def users(store: Database) -> Accounts:
    return Accounts(store)


@pytest.fixture
def sessions(store: Database) -> Sessions:
    return Sessions(store)


@pytest.fixture
def audit_log(store: Database) -> AuditLog:
    return AuditLog(store)


@pytest.fixture
async def authenticator(users: Accounts, audit_log: AuditLog, sessions: Sessions) -> Authenticator:
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=32))
    await apply_environment(users, passwords, {"ZATO_LITE_ADMIN_PASSWORD": "secret"})
    return Authenticator(users, audit_log, passwords, SystemClock(), sessions)


@pytest.fixture
def app(invoker: Invoker, authenticator: Authenticator) -> HttpApp:
    return HttpApp(invoker.begin, Services(), authenticator)


Ask = Callable[..., Awaitable[tuple[int, dict[str, str], bytes]]]


@pytest.fixture
def ask(app: HttpApp) -> Ask:
    """Return a function that sends a request to the app, by default as admin.invoke."""

    async def ask(
        method: str,
        target: str,
        body: bytes = b"",
        *,
        auth: bytes | None = BASIC,
        **headers: str,
    ) -> tuple[int, dict[str, str], bytes]:
        path, _, query = target.partition("?")
        fields = {n.replace("_", "-").encode(): v.encode() for n, v in headers.items()}
        fields.setdefault(b"host", b"localhost")
        if auth is not None:
            fields[b"authorization"] = auth
        response = await app(Request(method, path, query.encode(), fields, body, "::1", path))
        found = {name.lower(): value for name, value in response.headers}
        found["content-type"] = response.content_type or ""
        found["x-zato-cid"] = response.cid
        return response.status, found, response.body

    return ask


class Client:
    """A client that sends bytes as they are, and reads the answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[bytes, bytes], bytes]:
        """Read one response with a Content-Length."""
        async with asyncio.timeout(10):
            head = await self.reader.readuntil(b"\r\n\r\n")
            first, *fields = head[:-4].split(b"\r\n")
            headers = {n.lower(): v for n, _, v in (field.partition(b": ") for field in fields)}
            body = await self.reader.readexactly(int(headers.get(b"content-length", b"0")))
            return int(first.split()[1]), headers, body

    async def rest(self) -> bytes:
        """Read all until the server closes."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


Connect = Callable[[], Awaitable[Client]]


class Running:
    """A running server with its clients."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.clients: list[Client] = []

    async def connect(self) -> Client:
        """Connect one more client."""
        client = Client(*await asyncio.open_connection("127.0.0.1", self.server.port))
        self.clients.append(client)
        return client


@asynccontextmanager
async def running(app: App, limits: Limits | None = None, **more: Any) -> AsyncIterator[Running]:
    """Run a server on a free port; its clients are closed first."""
    more.setdefault("clock", SystemClock())
    more = {"port": 0, "grace": 1.0, **more}
    async with serve(app, limits=limits, **more) as server:
        run = Running(server)
        try:
            yield run
        finally:
            for client in run.clients:
                client.writer.close()


@pytest.fixture
async def started(app: HttpApp) -> AsyncIterator[Running]:
    async with running(app) as run:
        yield run
