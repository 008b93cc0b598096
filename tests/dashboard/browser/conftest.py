"""Tests of the dashboard in a browser, on a real server.

Each page of these tests is watched: an error in its console, a report of its policy or a request
to another host fails the test.
"""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from tests.e2e.test_first_start import free_port

ADMIN, PASSWORD = "admin.invoke", "a good password"
NO_BROWSER = (
    "no browser for the tests of the dashboard: apt-get install chromium, or"
    " .venv/bin/playwright install chromium, or set ZATO_LITE_BROWSER to the path of a Chromium"
)

_OK = 200
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_SERVICES = '''
import asyncio

from zato_lite import Service


class Hello(Service):
    async def handle(self):
        self.logger.info("hello")
        self.response.payload = {"ok": True}


class Slow(Service):
    async def handle(self):
        for number in range(600):
            self.logger.info("step %s", number)
            await asyncio.sleep(0.1)


class Fails(Service):
    async def handle(self):
        await asyncio.wait_for(self.connect(), 5)

    async def connect(self):
        raise ConnectionError("partner.example refused the connection")


class Hostile(Service):
    """Hands on what it is given, in its log, its answer and its error."""

    async def handle(self):
        text = self.request.payload["text"]
        self.logger.warning(text)
        self.response.payload = {text: text}
        if self.request.payload.get("fails"):
            raise ValueError(text)
'''


def find_browser(playwright: Playwright) -> str | None:
    """Return the path of a Chromium: the environment's, the system's or Playwright's own."""
    own = playwright.chromium.executable_path
    candidates = (os.environ.get("ZATO_LITE_BROWSER"), *map(shutil.which, _NAMES), own)
    return next((path for path in candidates if path and Path(path).exists()), None)


class Server:
    """A real server on a project of its own."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder, self.port = folder, port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "services").mkdir(exist_ok=True)
        (folder / "services" / "shop.py").write_text(_SERVICES)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [sys.executable, "-m", "zato_lite", "serve", "--no-reload"]
        command += ["--project", str(self.folder), "--port", str(self.port)]
        environ = {**os.environ, "ZATO_LITE_ADMIN_PASSWORD": PASSWORD}
        environ["ZATO_LITE_SERVER__GRACE"] = "0.5"  # for runs of shop.slow
        with (self.folder / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603
                command, stdout=output, stderr=output, env=environ, start_new_session=True
            )
        wait_for(self.is_up, 60)

    def ask(
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, str]:
        """Send a request; return the status, the fields and the body of the response."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode()
        finally:
            connection.close()

    def is_up(self) -> bool:
        """Return True if the server answers."""
        with suppress(OSError):
            return self.ask("GET", "/zato/ping")[0] == _OK
        return False

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the server with a signal."""
        if self._process is not None:
            os.killpg(self._process.pid, number)
            self._process.wait(30)
            self._process = None

    def invoke(self, service: str, payload: Any = None, user: str = ADMIN) -> Any:
        """Invoke a service as a user and return its answer."""
        token = "Basic " + b64encode(f"{user}:{PASSWORD}".encode()).decode()
        status, _, body = self.ask(
            "POST", f"/zato/api/invoke/{service}", json.dumps(payload or {}), Authorization=token
        )
        assert status == _OK, body
        return json.loads(body or "null")

    def job(self, name: str, service: str = "shop.hello", **fields: Any) -> int:
        """Create a job, every minute unless the fields say otherwise; return its id."""
        plain = {"job_type": "interval_based", "minutes": 1, "start_date": "2026-01-01 00:00:00"}
        definition = {"name": name, "service": service, "is_active": True, **plain, **fields}
        return int(self.invoke("zato.scheduler.job.create", definition)["id"])

    def user(self, name: str, *roles: str, patterns: list[str] | None = None) -> None:
        """Create a user with the tests' password."""
        fields = {"name": name, "password": PASSWORD, "roles": list(roles)}
        self.invoke("zato.security.user.create", {**fields, "patterns": patterns or []})


def wait_for(condition: Callable[[], Any], patience: float = 15.0) -> Any:
    """Poll a condition until its value is true; return the value."""
    ends = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < ends, "condition not met in time"
        time.sleep(0.05)
    return found


class Watch:
    """What went wrong in a page, apart from what a test expects."""

    def __init__(self, page: Page, host: str) -> None:
        self.problems: list[str] = []
        self.expected: list[str] = []
        page.on("console", self._report)
        page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        page.on("request", lambda request: self._check(request.url, host))

    def _report(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            place = message.location.get("url", "")
            self.problems.append(f"console {message.type}: {message.text} {place}")

    def _check(self, url: str, host: str) -> None:
        if not url.startswith((host, "data:", "blob:")):
            self.problems.append(f"request off the host: {url}")

    @property
    def unexpected(self) -> list[str]:
        """Return the problems that no test expects."""
        return [p for p in self.problems if not any(text in p for text in self.expected)]


_watches: WeakKeyDictionary[Page, Watch] = WeakKeyDictionary()


def expect_trouble(page: Page, text: str) -> None:
    """Accept problems of a page whose description contains the text."""
    _watches[page].expected.append(text)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Yield a browser; not for longer, since its loop would be in the way of other tests."""
    with sync_playwright() as playwright:
        path = find_browser(playwright)
        if path is None:
            pytest.skip(NO_BROWSER)
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        chromium = playwright.chromium.launch(executable_path=path, args=options)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a server that the tests of a module share; it is not started without a browser."""
    it = Server(tmp_path_factory.mktemp("project"))
    it.start()
    yield it
    it.stop()


@contextmanager
def opened(
    browser: Browser, server: Server, host: str = "", **options: Any
) -> Iterator[tuple[BrowserContext, Page]]:
    """Open a page of a new context and fail if something goes wrong in it.

    Args:
        browser: the browser.
        server: the server.
        host: the only host that may be asked; the server's if it is empty.
        options: of the context.
    """
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 860}, **options})
    page = context.new_page()
    watch = _watches[page] = Watch(page, host or server.url)
    yield context, page
    context.close()
    assert watch.unexpected == []


SIGNED_OUT = "status of 401"
"""Part of the message of the browser's console about the first question who has signed in."""


def sign_in(page: Page, server: Server, path: str = "/", user: str = ADMIN) -> None:
    """Open a page and sign in."""
    expect_trouble(page, SIGNED_OUT)
    page.goto(f"{server.url}/dashboard{path}")
    page.get_by_label("Name").fill(user)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("navigation", name="Pages").wait_for()


def settle(page: Page) -> None:
    """Wait until a page has read its data and shows nothing dimmed."""
    page.wait_for_timeout(250)
    expect(page.locator(".skeleton, .stale, .waiting")).to_have_count(0)


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """Yield a page of a user that has not signed in."""
    with opened(browser, server) as (_, page):
        yield page


@pytest.fixture
def signed_in(page: Page, server: Server) -> Page:
    """Return a page of the admin, on the overview."""
    sign_in(page, server)
    return page
