"""A real server in a thread of the tests' process, and the command line against it."""

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest
from click.testing import CliRunner

from zato_lite.app import App, open_app
from zato_lite.cli.main import cli, sentence_of, status_of
from zato_lite.config import Server, Services, Settings, Store
from zato_lite.errors import ZatoLiteError
from zato_lite.log import RunCapture
from zato_lite.server import open_server

PASSWORD = "a long password"  # noqa: S105
SERVICES = '''
import msgspec
from zato_lite import Service


class Order(msgspec.Struct):
    id: int
    paid: bool = False
    note: str = ""


class Pay(Service[Order, Order]):
    """Pay an order.

    It is paid at most once.
    """

    async def handle(self):
        self.logger.info("Paying")
        self.logger.warning("Order %s", self.request.input.id)
        self.response.payload = self.request.input


class Fail(Service):
    async def handle(self):
        raise ValueError("no money")


class Slow(Service):
    async def handle(self):
        await self.sleep(60)


class Echo(Service):
    async def handle(self):
        self.response.payload = self.request.payload
'''


class Ran(NamedTuple):
    """What a command has printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The output as JSON."""
        assert self.status == 0, self.err
        return json.loads(self.out)


class Running:
    """A server in a thread."""

    def __init__(self, project: Path, certificate: str = "", key: str = "") -> None:
        self.project = project
        self._certificate, self._key = certificate, key
        self.url = ""
        self._opened: Future[None] = Future()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self.app: App
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        self._opened.result(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        settings = Settings(
            store=Store("sqlite:///data/zato-lite.db"),
            server=Server(grace=0.0, port=0, certificate=self._certificate, key=self._key),
            services=Services(reload=False),
        )
        environ = {"ZATO_LITE_ADMIN_PASSWORD": PASSWORD}
        try:
            async with (
                open_app(self.project, settings) as app,
                open_server(app, environ) as server,
            ):
                self.app, self.url = app, server.url
                self._opened.set_result(None)
                await self._stop.wait()
        except BaseException as error:
            if not self._opened.done():
                self._opened.set_exception(error)
            raise

    def ask(self, service: str, payload: Any = None) -> Any:
        """Invoke a service on behalf of the system."""
        call = self.app.invoker.invoke(service, payload)
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(20)

    def job(self, name: str, service: str = "shop.echo", **fields: Any) -> int:
        """Create a job that is due in far future, unless the fields say otherwise."""
        due = {"job_type": "one_time", "start_date": "2099-01-01"}
        made = self.ask(
            "zato.scheduler.job.create", {**due, "name": name, "service": service, **fields}
        )
        return int(made["id"])

    def run(self, *arguments: str, **more: Any) -> Ran:
        """Run a command against the server."""
        return run(
            *arguments, **{"ZATO_LITE_URL": self.url, "ZATO_LITE_PASSWORD": PASSWORD, **more}
        )


def run(*arguments: str, stdin: str | None = None, **environ: str | None) -> Ran:
    """Run a command in this process."""
    names = ("URL", "USER", "PASSWORD", "PASSWORD_FILE", "API_KEY", "CA", "ADMIN_PASSWORD")
    env = {f"ZATO_LITE_{name}": None for name in names} | environ
    result = CliRunner().invoke(cli, arguments, input=stdin, env=env)
    error = result.exception
    if isinstance(error, ZatoLiteError | OSError):
        return Ran(
            status_of(error), result.stdout, f"{result.stderr}zato-lite: {sentence_of(error)}\n"
        )
    if error is not None and not isinstance(error, SystemExit):
        raise error
    return Ran(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of a project with the services above."""
    project = tmp_path_factory.mktemp("shop")
    (project / "services").mkdir()
    (project / "services" / "shop.py").write_text(SERVICES)
    capture = RunCapture()
    logging.getLogger().addHandler(capture)
    logging.getLogger("shop").setLevel("INFO")
    with Running(project) as running:
        yield running
    logging.getLogger().removeHandler(capture)
