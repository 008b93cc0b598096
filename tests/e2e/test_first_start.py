"""The first start, on a terminal and without one."""

import http.client
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.e2e.conftest import until

PASSWORD = "a good password"  # noqa: S105
ENVIRONMENT = {key: value for key, value in os.environ.items() if "PASSWORD" not in key}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Started:
    """A server process with its output."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port, self.output = folder, port, folder / "output.txt"

    def shown(self) -> str:
        return self.output.read_text(errors="replace")

    def ask(
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, fields)
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode()
        finally:
            connection.close()

    def is_up(self) -> bool:
        with suppress(OSError):
            return self.ask("GET", "/zato/ping")[0] == 200
        return False


@contextmanager
def serving(folder: Path, *options: str, terminal: bool) -> Iterator[Started]:
    (folder / "services").mkdir(exist_ok=True)
    started = Started(folder, free_port())
    command = [sys.executable, "-m", "zato_lite", "serve", "--no-reload", *options]
    command += ["--project", str(folder), "--port", str(started.port)]
    master, slave = pty.openpty() if terminal else (-1, -1)
    with started.output.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            command,
            stdin=slave if terminal else subprocess.DEVNULL,
            stdout=slave if terminal else output,
            stderr=output,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        if terminal:
            os.close(slave)
            os.set_blocking(master, False)
        try:
            until(started.is_up, 60)
            if terminal:
                until(lambda: read(master, output, "set-password" in started.shown()), 20)
            yield started
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)
            if terminal:
                os.close(master)


def read(master: int, output: object, is_enough: bool) -> bool:
    """Copy the terminal's output to a file."""
    with suppress(OSError):
        output.write(os.read(master, 65536))  # type: ignore[attr-defined]
        output.flush()  # type: ignore[attr-defined]
    return is_enough


def basic(password: str) -> str:
    return "Basic " + b64encode(f"admin.invoke:{password}".encode()).decode()


@pytest.mark.parametrize("options", [[], ["--workers", "2"]])
def test_on_a_terminal_a_link_sets_the_password_once(tmp_path: Path, options: list[str]) -> None:
    with serving(tmp_path, *options, terminal=True) as server:
        [link] = re.findall(r"http://127.0.0.1:\d+(/zato/set-password\?code=\S+)", server.shown())
        form = urlencode(
            {"code": link.partition("=")[2], "password": PASSWORD, "repeated": PASSWORD}
        )
        page = server.ask("GET", link)
        first = server.ask("POST", "/zato/set-password", form)
        second = server.ask("POST", "/zato/set-password", form)
        cookie = (first[1]["Set-Cookie"] or "").partition(";")[0]
        session = server.ask("GET", "/zato/session", Cookie=cookie)
        by_password = server.ask("GET", "/zato/session", Authorization=basic(PASSWORD))
        out = server.ask("DELETE", "/zato/session", Cookie=cookie)
        after = until(
            lambda: server.ask("GET", "/zato/session", Cookie=cookie)[0] == 401 or None, 10
        )

    assert (page[0], first[0], second[0]) == (200, 303, 403)
    assert json.loads(session[2])["name"] == "admin.invoke"
    assert (by_password[0], out[0], after) == (200, 200, True)
    assert not (tmp_path / "data" / "admin-password").exists()


def test_without_a_terminal_the_password_is_in_a_private_file(tmp_path: Path) -> None:
    with serving(tmp_path, terminal=False) as server:
        path = tmp_path / "data" / "admin-password"
        password = path.read_text().strip()
        answer = server.ask("GET", "/zato/session", Authorization=basic(password))
        invoked = subprocess.run(  # noqa: S603
            [
                sys.executable, "-m", "zato_lite", "invoke", "zato.ping", "--password-file",
                str(path), "--url", f"http://127.0.0.1:{server.port}",
            ],
            check=False, capture_output=True, text=True, env=ENVIRONMENT,
        )  # fmt: skip
        wide = [f for f in (tmp_path / "data").rglob("*") if f.stat().st_mode & 0o077]

    assert answer[0] == 200
    assert (invoked.returncode, json.loads(invoked.stdout)) == (0, {"pong": "zato"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert wide == []
    assert str(path) in server.shown()
    assert password not in server.shown()

    path.chmod(0o644)
    with serving(tmp_path, terminal=False) as server:
        assert path.stat().st_mode & 0o777 == 0o600
        assert server.ask("GET", "/zato/session", Authorization=basic(password))[0] == 200
        assert "admin password generated" not in server.shown()
