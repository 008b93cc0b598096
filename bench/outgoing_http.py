"""Requests of a server to another one: zato-lite's `self.out.rest`, the bare client, FastAPI.

An endpoint asks an upstream server for a JSON document and answers with it. Three servers take
turns: a service with `self.out.rest`, a service with the bare client library, and FastAPI on
uvicorn with the bare client library. CPU time per request is the server's own, from the kernel.

    python -m bench.outgoing_http --rounds 10 --requests 2000 --peer .venv-bench/bin/python
"""

# ruff: noqa: PLC0415 - each server imports its own framework, and no other

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PASSWORD = "secret-of-a-bench"  # noqa: S105 - of a server that lives for seconds
BASIC = "Basic " + b64encode(f"admin.invoke:{PASSWORD}".encode()).decode()
DOCUMENT = b'{"customers":[{"id":1,"name":"Ann"},{"id":2,"name":"Bob"}],"more":false}'

SERVICES = """
import orjson
from pyreqwest.client import ClientBuilder
from zato_lite import Service

client = None

class Ours(Service):
    name = "bench.ours"

    async def handle(self):
        response = await self.out.rest["crm"].get("/customers", params={"city": "Rome"})
        return response.json()

class Bare(Service):
    name = "bench.bare"

    async def handle(self):
        global client
        client = client or ClientBuilder().build()
        request = client.get("http://127.0.0.1:UPSTREAM/customers").query({"city": "Rome"})
        response = await request.header("X-Zato-CID", self.cid).build().send()
        return orjson.loads(bytes(await response.bytes()))
"""
SETTINGS = """
[server]
port = PORT
[outgoing.rest.crm]
url = "http://127.0.0.1:UPSTREAM"
"""


def upstream(port: int) -> None:
    """Serve the document to every request."""
    import uvloop

    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    answer = head % len(DOCUMENT) + DOCUMENT

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport, self.received = transport, b""

        def data_received(self, data: bytes) -> None:
            self.received += data
            while (end := self.received.find(b"\r\n\r\n")) >= 0:
                self.received = self.received[end + 4 :]
                self.transport.write(answer)  # type: ignore[attr-defined]

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Protocol, "127.0.0.1", port)
        await server.serve_forever()

    uvloop.run(serve())


def fastapi(port: int, other: int) -> None:
    """Serve FastAPI with the bare client."""
    import orjson
    import uvicorn
    from fastapi import FastAPI
    from pyreqwest.client import ClientBuilder

    app = FastAPI()
    clients: list[object] = []

    @app.get("/bare")
    async def bare() -> object:
        if not clients:
            clients.append(ClientBuilder().build())
        request = clients[0].get(f"http://127.0.0.1:{other}/customers")  # type: ignore[attr-defined]
        response = await request.query({"city": "Rome"}).header("X-Zato-CID", "c").build().send()
        return orjson.loads(bytes(await response.bytes()))

    uvicorn.run(app, port=port, log_level="warning", access_log=False)


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def load(port: int, path: str, requests: int, connections: int) -> float:
    """Send requests over some connections; return the seconds."""
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: {BASIC}\r\n\r\n"

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(requests // connections):
            writer.write(head.encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer)
            length = int(answer.lower().partition(b"content-length:")[2].split()[0])
            body = await reader.readexactly(length)
            if b'"Ann"' not in body:
                raise RuntimeError(body)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return time.perf_counter() - began


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@contextmanager
def process(*command: str, **environ: str) -> Iterator[int]:
    started = subprocess.Popen(command, env={**os.environ, **environ})
    try:
        yield started.pid
    finally:
        started.terminate()
        started.wait()


def wait_for(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"nothing listens on port {port}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--peer", default=sys.executable, help="a Python that has FastAPI")
    options = parser.parse_args()
    other, own, fast = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        for place, text in (("config/zato-lite.toml", SETTINGS), ("services/bench.py", SERVICES)):
            path = Path(folder, place)
            path.parent.mkdir()
            filled = text.replace("UPSTREAM", str(other)).replace("PORT", str(own))
            path.write_text(filled, "utf-8")
        serve = ("-m", "zato_lite", "serve", "--project", folder)
        quiet = {"ZATO_LITE_ADMIN_PASSWORD": PASSWORD, "ZATO_LITE_LOG__LEVEL": "WARNING"}
        code = "from bench.outgoing_http import *; "
        with (
            process(sys.executable, "-c", f"{code}upstream({other})"),
            process(sys.executable, *serve, **quiet) as ours,
            process(options.peer, "-c", f"{code}fastapi({fast}, {other})") as peer,
        ):
            for port in (other, own, fast):
                wait_for(port)
            cases = {
                "ours": (ours, own, "/zato/api/invoke/bench.ours"),
                "bare": (ours, own, "/zato/api/invoke/bench.bare"),
                "fastapi": (peer, fast, "/bare"),
            }
            compare(cases, options)


def compare(cases: dict[str, tuple[int, int, str]], options: argparse.Namespace) -> None:
    """Measure the cases in turns and print medians and ratios."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for number in range(options.rounds + 1):
        names = list(cases) if number % 2 else list(cases)[::-1]
        for name in names:
            pid, port, path = cases[name]
            before = cpu_of(pid)
            seconds = asyncio.run(load(port, path, options.requests, options.connections))
            cpu = cpu_of(pid) - before
            if number:  # the first round warms up
                found[name].append((cpu / options.requests * 1e6, options.requests / seconds))
    for name, values in found.items():
        cpu, rate = (statistics.median(each) for each in zip(*values, strict=True))
        print(f"{name:8} {cpu:7.1f} us CPU a request  {rate:7.0f} requests/s")
    for name in ("bare", "fastapi"):
        pairs = list(zip(found["ours"], found[name], strict=True))
        cpu = statistics.median(theirs[0] / ours[0] for ours, theirs in pairs)
        rate = statistics.median(ours[1] / theirs[1] for ours, theirs in pairs)
        print(f"ours / {name}: rate {rate:.2f}, by CPU time {cpu:.2f}")


if __name__ == "__main__":
    main()
