"""Bodies that are larger than the memory for them: up and down through a real server."""

import http.client
import os
import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import until
from tests.faults.process import PASSWORD, Server

MB = 1_048_576
PIECE = b"x" * MB
ALLOWED = 20 * MB
SERVICES = """
from collections.abc import AsyncIterator

import msgspec

from zato_lite import BodyLimits, FileAnswer, Service, UploadedFile

PIECE = b"x" * 65_536


class Sent(msgspec.Struct):
    file: UploadedFile


class Raw(Service):
    body_limits = BodyLimits(size=2**31, is_streamed=True)

    async def handle(self):
        size = 0
        async for piece in self.request.stream:
            size += len(piece)
        return {"size": size}


class Form(Service[Sent, dict[str, int]]):
    body_limits = BodyLimits(size=2**31)

    async def handle(self):
        return {"size": self.request.input.file.size}


class Down(Service):
    async def handle(self):
        for _ in range(self.request.input.pieces):
            yield PIECE


class File(Service):
    async def handle(self):
        return FileAnswer(self.request.input.path)
"""
TOKEN = "Basic " + b64encode(f"admin.invoke:{PASSWORD}".encode()).decode()
KIND = "multipart/form-data; boundary=edge"
BEGIN = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
END = b"\r\n--edge--\r\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    it = Server(tmp_path)
    (tmp_path / "services" / "large.py").write_text(SERVICES)
    it.start()
    yield it
    it.kill()


class Memory:
    """The growth of a process, by the kernel's mark of its highest resident memory."""

    def __init__(self, server: Server) -> None:
        assert server.process is not None
        self._folder = Path(f"/proc/{server.process.pid}")
        (self._folder / "clear_refs").write_text("5")  # forget the earlier peak
        self._before = self._bytes("VmHWM")

    def _bytes(self, name: str) -> int:
        lines = (self._folder / "status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024

    @property
    def growth(self) -> int:
        """Return the bytes of the peak above the start."""
        return self._bytes("VmHWM") - self._before


def pieces(megabytes: int, *, is_form: bool = False) -> Iterator[bytes]:
    if is_form:
        yield BEGIN
    for _ in range(megabytes):
        yield PIECE
    if is_form:
        yield END


def ask(
    server: Server, service: str, body: Iterator[bytes] | bytes, kind: str = "application/json"
) -> tuple[int, http.client.HTTPResponse]:
    """Send a body, chunked if it is an iterator; return the bytes of the answer and itself."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
    headers = {"Authorization": TOKEN, "Content-Type": kind}
    connection.request("POST", f"/zato/api/invoke/large.{service}", body, headers)
    response = connection.getresponse()
    size = 0
    while data := response.read(MB):
        size += len(data)
    connection.close()
    return size, response


def exchange(server: Server, megabytes: int, folder: Path) -> dict[str, int]:
    """Send and receive this much in each way; return the growth of the server by way."""
    file = folder / "large.bin"
    with file.open("wb") as target:
        for piece in pieces(megabytes):
            target.write(piece)
    growth = {}
    for way, body, kind in (
        ("raw", pieces(megabytes), "application/octet-stream"),
        ("form", pieces(megabytes, is_form=True), KIND),
        ("down", b'{"pieces": %d}' % (megabytes * 16), "application/json"),
        ("file", b'{"path": "%b"}' % os.fsencode(file), "application/json"),
    ):
        memory, began = Memory(server), time.monotonic()
        size, response = ask(server, way, body, kind)
        assert response.status == 200
        if way in {"down", "file"}:
            assert size == megabytes * MB
        growth[way] = memory.growth
        rate = megabytes / (time.monotonic() - began)
        print(f"{way}: {rate:.0f} MB/s, {growth[way] / MB:.1f} MB more")  # noqa: T201 - for -s
    return growth


def test_bodies_of_100_mb_need_no_memory(server: Server, tmp_path: Path) -> None:
    ask(server, "raw", pieces(1))  # loads what is loaded once

    growth = exchange(server, 100, tmp_path)

    assert {way for way, more in growth.items() if more > ALLOWED} == set()
    assert [*(tmp_path / "data" / "uploads").rglob("1")] == []


@pytest.mark.slow
def test_bodies_of_a_gigabyte_need_no_memory(server: Server, tmp_path: Path) -> None:
    ask(server, "raw", pieces(1))

    growth = exchange(server, 1024, tmp_path)

    assert {way for way, more in growth.items() if more > ALLOWED} == set()


def test_an_upload_that_a_crash_breaks_off_is_removed_at_the_next_start(
    server: Server, tmp_path: Path
) -> None:
    uploads = tmp_path / "data" / "uploads"
    client = socket.create_connection(("127.0.0.1", server.port))
    head = (
        f"POST /zato/api/invoke/large.form HTTP/1.1\r\nHost: localhost\r\nContent-Type: {KIND}\r\n"
    )
    client.sendall(f"{head}Authorization: {TOKEN}\r\nContent-Length: 90000000\r\n\r\n".encode())
    client.sendall(BEGIN + PIECE)
    until(lambda: [*uploads.glob("*/1")])
    assert uploads.stat().st_mode & 0o777 == 0o700

    server.kill()
    assert [*uploads.glob("*/1")] != []
    server.start()

    assert [*uploads.iterdir()] == []
    client.close()
