import asyncio
import dataclasses
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.documented import documented
from zato_lite.clock import SystemClock
from zato_lite.config import Mount, Server, Settings, Store
from zato_lite.errors import ConfigError, UnavailableError
from zato_lite.http.app import HttpApp
from zato_lite.http.asgi import AsgiApp, Message
from zato_lite.http.message import Request
from zato_lite.http.passwords import new_key
from zato_lite.server import application, open_edge
from zato_lite.store.accounts import Credential
from zato_lite.testing.app import sandbox

BASIC = b"Basic " + b64encode(b"admin.invoke:secret")
SECRET = {"ZATO_LITE_ADMIN_PASSWORD": "secret"}
WEB = """
lives = []


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        lives.append((await receive())["type"])
        scope["state"]["pool"] = "open"
        await send({"type": "lifespan.startup.complete"})
        lives.append((await receive())["type"])
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = f"{scope['method']} {scope['root_path']} {scope['path']} {scope['state']['pool']}"
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]})
    await send({"type": "http.response.body", "body": body.encode()})


async def without_life(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def lifeless(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})
"""


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """Write a module with ASGI applications and return its name."""
    name = f"web_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(WEB)
    (tmp_path / f"{name}_exits.py").write_text("raise SystemExit(1)")
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def settings(**mounts: Mount) -> Settings:
    paths = {f"/{name}": mount for name, mount in mounts.items()}
    server = Server(grace=0.0, port=0, mounts=paths)
    return Settings(store=Store("sqlite:///:memory:"), server=server)


async def ask(http: HttpApp, path: str, **headers: bytes) -> tuple[int, bytes, list[str]]:
    fields = {b"host": b"localhost"}
    fields |= {name.replace("_", "-").encode(): value for name, value in headers.items()}
    response = await http(Request("GET", path, b"", fields, b"", "127.0.0.1", path))
    cookies = [value for name, value in response.headers if name == "set-cookie"]
    return response.status, response.body, cookies


async def test_an_application_is_mounted_by_the_settings_and_lives_with_the_server(
    web: str,
) -> None:
    mounts = {
        "shop": Mount(f"{web}:app"),
        "open": Mount(f"{web}:app", "anybody"),
        "plain": Mount(f"{web}:without_life", "anybody"),
    }
    async with sandbox(settings=settings(**mounts)) as it:
        app = dataclasses.replace(it.app, clock=SystemClock())
        key = new_key()
        await app.accounts.save(
            Credential("key", key.name, key.hash, frozenset({"admin"}), ("crm.*",), True)
        )
        fit = new_key()
        await app.accounts.save(
            Credential("key", fit.name, fit.hash, frozenset({"viewer"}), ("/shop",), True)
        )
        async with open_edge(app, SECRET) as http:
            found = await ask(http, "/shop/a/b", authorization=BASIC)
            assert found == (200, b"GET /shop /shop/a/b open", ["a=1", "b=2"])
            assert (await ask(http, "/shop", authorization=BASIC))[1] == b"GET /shop /shop open"
            assert (await ask(http, "/shop/a"))[0] == 401
            assert (await ask(http, "/shopping", authorization=BASIC))[0] == 404
            assert (await ask(http, "/shop/a", x_api_key=key.text.encode()))[0] == 403
            assert (await ask(http, "/shop/a", x_api_key=fit.text.encode()))[0] == 200
            assert (await ask(http, "/open"))[1] == b"GET /open /open open"
            assert (await ask(http, "/plain/x"))[0] == 204
            lives = __import__(web).lives
            assert lives == ["lifespan.startup"] * 2

    assert lives == ["lifespan.startup"] * 2 + ["lifespan.shutdown"] * 2


@pytest.mark.parametrize(
    ("path", "app", "text"),
    [
        ("shop", "{web}:nothing", "cannot be imported"),
        ("shop", "no_such_module:app", "cannot be imported"),
        ("shop", "{web}_exits:app", "cannot be imported"),
        ("shop", "{web}:lifeless", "cannot start: no database"),
        ("zato/x", "{web}:app", "except the server's own paths"),
        ("docs", "{web}:app", "except the server's own paths"),
        ("shop/", "{web}:app", "use /name"),
    ],
)
async def test_an_application_that_cannot_be_mounted_is_an_error(
    web: str, path: str, app: str, text: str
) -> None:
    async with sandbox(settings=settings(**{path: Mount(app.format(web=web))})) as it:
        with pytest.raises(ConfigError, match=text):
            async with open_edge(it.app, SECRET):
                pass


# Embedded


class Caller:
    """Minimal ASGI server for one application."""

    def __init__(self, app: AsgiApp) -> None:
        self.app = app
        self.asked: asyncio.Queue[Message] = asyncio.Queue()
        self.told: asyncio.Queue[Message] = asyncio.Queue()
        self.life: asyncio.Task[None] | None = None

    async def lifespan_continues(self, word: str) -> str:
        """Send a lifespan event; return the answer."""
        if self.life is None:
            started = self.app({"type": "lifespan"}, self.asked.get, self.told.put)
            self.life = asyncio.ensure_future(started)
        await self.asked.put({"type": f"lifespan.{word}"})
        answer: str = (await self.told.get())["type"]
        return answer

    async def get(self, path: str, root: str = "") -> tuple[int, Any]:
        """Send a request; return the response."""
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b""}

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"authorization", BASIC)]
        scope = {"type": "http", "method": "GET", "path": root + path, "root_path": root}
        await self.app({**scope, "headers": headers}, receive, send)
        return sent[0]["status"], json.loads(sent[1]["body"])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "hello.py").write_text(
        "from zato_lite import Service\n\n\nclass Hello(Service):\n"
        "    async def handle(self):\n        return {'hello': 'you'}\n"
    )
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "zato-lite.toml").write_text("[services]\nreload = false\n")
    return tmp_path


@pytest.fixture
async def caller(project: Path) -> AsyncIterator[Caller]:
    caller = Caller(application(project, SECRET))
    yield caller
    if caller.life is None or not caller.life.done():
        await caller.lifespan_continues("shutdown")


async def test_a_complete_server_is_an_application_of_another_server(
    project: Path, caller: Caller
) -> None:
    assert await caller.lifespan_continues("startup") == "lifespan.startup.complete"
    assert (project / "data" / "zato-lite.db").exists()
    assert await caller.get("/zato/ping") == (200, {"pong": "zato"})
    assert (await caller.get("/readyz"))[0] == 200
    named = "/zato/api/invoke/hello.hello"
    assert await caller.get(named) == (200, {"hello": "you"})
    assert await caller.get(named, root="/below") == (200, {"hello": "you"})
    assert await caller.lifespan_continues("shutdown") == "lifespan.shutdown.complete"


async def test_a_failed_start_is_reported_to_the_outer_server(
    project: Path, caller: Caller
) -> None:
    (project / "config" / "zato-lite.toml").write_text("[server]\nprot = 1\n")

    assert await caller.lifespan_continues("startup") == "lifespan.startup.failed"
    assert caller.life is not None
    with pytest.raises(ConfigError, match="prot"):
        await caller.life


async def test_without_a_lifespan_the_first_request_opens_the_server(caller: Caller) -> None:
    found = await asyncio.gather(*(caller.get("/zato/ping") for _ in range(3)))

    assert found == [(200, {"pong": "zato"})] * 3
    with pytest.raises(ValueError, match="unsupported ASGI scope type: websocket"):
        await caller.app({"type": "websocket"}, caller.asked.get, caller.told.put)


async def test_an_application_with_websockets_invokes_the_same_services(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZATO_LITE_ADMIN_PASSWORD", SECRET["ZATO_LITE_ADMIN_PASSWORD"])
    monkeypatch.chdir(project)
    (project / "demo").symlink_to(project)
    example = documented("http.md", "WebSockets are for")
    caller = Caller(example["app"])
    received: asyncio.Queue[Any] = asyncio.Queue()
    sent: asyncio.Queue[Any] = asyncio.Queue()
    with pytest.raises(UnavailableError, match="not open"):
        await example["inner"].invoke("hello.hello")

    await caller.lifespan_continues("startup")
    for message in (
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "{}"},
        {"type": "websocket.disconnect"},
    ):
        received.put_nowait(message)
    await example["app"]({"type": "websocket"}, received.get, sent.put)

    assert sent.get_nowait() == {"type": "websocket.accept"}
    assert json.loads(sent.get_nowait()["text"]) == {"hello": "you"}
    assert (await caller.get("/zato/ping"))[0] == 200
    await caller.lifespan_continues("shutdown")
