"""The dashboard behind a proxy that adds a prefix to the path."""

import http.client
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, expect

from tests.dashboard.browser.conftest import (
    PASSWORD,
    SIGNED_OUT,
    Server,
    expect_trouble,
    opened,
)

PREFIX = "/ops/scheduler"


class Forwarder(BaseHTTPRequestHandler):
    """Forwards requests below a prefix to another port, and their responses as they come."""

    target = 0

    def forward(self) -> None:
        if not self.path.startswith(f"{PREFIX}/"):
            self.send_error(404, "outside of the prefix")
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.target, timeout=30)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            path = self.path.removeprefix(PREFIX)
            connection.request(self.command, path, body or None, dict(self.headers))
            response = connection.getresponse()
            self.send_response(response.status)
            for name, value in response.getheaders():
                if name.lower() not in {"transfer-encoding", "connection"}:
                    self.send_header(name, value)
            self.end_headers()
            while piece := response.read1(65536):
                self.wfile.write(piece)
                self.wfile.flush()
        except OSError:
            self.close_connection = True  # the browser or the server has gone
        finally:
            connection.close()

    do_GET = do_POST = do_DELETE = forward  # noqa: N815 - names of http.server

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def proxy(server: Server) -> Iterator[str]:
    Forwarder.target = server.port
    with ThreadingHTTPServer(("127.0.0.1", 0), Forwarder) as it:
        it.daemon_threads = True
        it.block_on_close = False
        thread = threading.Thread(target=it.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{it.server_port}{PREFIX}"
        it.shutdown()


def test_it_works_below_the_prefix_of_a_proxy(
    browser: Browser, server: Server, proxy: str
) -> None:
    server.job("billing.tick", minutes=None, seconds=1)
    front = proxy.removesuffix(PREFIX)
    with opened(browser, server, host=front) as (_, page):
        expect_trouble(page, SIGNED_OUT)

        page.goto(f"{proxy}/")
        expect(page).to_have_url(f"{proxy}/dashboard/login")
        page.get_by_label("Name").fill("admin.invoke")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")

        expect(page).to_have_url(f"{proxy}/dashboard/")
        expect(page.locator("button.live")).to_have_text("Live")
        page.locator(".lane-names a").click()
        expect(page).to_have_url(re.compile(rf"^{proxy}/dashboard/jobs/\d+$"))
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_contain_text("billing.tick")
