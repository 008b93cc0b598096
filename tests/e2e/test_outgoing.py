"""Outgoing connections of a real server: from its settings, to another server, reloaded."""

import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import until
from tests.faults.process import Server

SERVICES = """
from zato_lite import Service

class Ask(Service):
    name = "own.ask"
    async def handle(self):
        return (await self.out.rest["crm"].get("/customers")).json()
"""


class Other(ThreadingHTTPServer):
    """A server that answers with the credentials of the request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f'{{"by": "{self.headers["Authorization"]}"}}'.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def other() -> Iterator[Other]:
    server = Other()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_connection_is_replaced_at_a_reload(
    tmp_path: Path, other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_TOKEN", "one")
    server = Server(tmp_path)
    (tmp_path / "services" / "own.py").write_text(SERVICES)
    (tmp_path / "config").mkdir()
    settings = tmp_path / "config" / "zato-lite.toml"
    text = f'[outgoing.rest.crm]\nurl = "{other.url}"\nauth = "bearer"\n'
    settings.write_text(f'{text}secret = "${{CRM_TOKEN}}"\n')
    server.start()
    assert server.process is not None
    try:
        assert server.invoke("own.ask") == {"by": "Bearer one"}

        settings.write_text(f'{text}secret = "two"\n')
        server.process.send_signal(signal.SIGHUP)
        until(lambda: server.invoke("own.ask") == {"by": "Bearer two"})
        settings.write_text(text)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "connections not replaced" in (tmp_path / "output.txt").read_text())

        assert server.invoke("own.ask") == {"by": "Bearer two"}
        assert server.stop() == 0
        output = (tmp_path / "output.txt").read_text()
        assert "[outgoing.rest.crm] secret is missing; auth = 'bearer' needs it" in output
        assert '"need_a_restart":[]' in output
    finally:
        server.kill()
