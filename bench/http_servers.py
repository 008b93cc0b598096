"""Requests a second of zato-lite, of its peers, and of the bare protocol below it.

One server at a time, on one core, wrk on the other; all take turns, several rounds; medians, and
ratios to the bare protocol and to FastAPI. Every answer of a server is checked before it is
measured. zato-lite runs as in production: Basic credentials, the complete path to a service.

    make bench-http ARGS='--rounds 3 --seconds 4 zato-lite bare fastapi'
"""

# ruff: noqa: PLC0415 - each server imports its own framework, and no other

import argparse
import asyncio
import contextlib
import functools
import gc
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

GET_PATH = "/zato/api/invoke/bench.get"
POST_PATH = "/zato/api/invoke/bench.post"
PASSWORD = "secret"  # noqa: S105 - of a server that lives for seconds
BASIC = "Basic " + b64encode(f"admin.invoke:{PASSWORD}".encode()).decode()
ORDER = {
    "id": 123456,
    "customer": {"name": "Jane Doe", "email": "jane@example.com", "tags": ["new", "vip"]},
    "lines": [{"sku": "A-1", "count": 2, "price": 9.5}, {"sku": "B-22", "count": 1, "price": 20}],
    "note": "leave it at the door",
}
BODY = json.dumps(ORDER, separators=(",", ":")).encode()


class Customer(msgspec.Struct):
    name: str
    email: str
    tags: list[str]


class Line(msgspec.Struct):
    sku: str
    count: int
    price: float


class Order(msgspec.Struct):
    id: int
    customer: Customer
    lines: list[Line]
    note: str


class Receipt(msgspec.Struct):
    id: int
    name: str
    total: float
    is_new: bool


def receipt(order: Any) -> Receipt:
    total = sum(line.count * line.price for line in order.lines)
    return Receipt(order.id, order.customer.name, total, "new" in order.customer.tags)


# The servers


def bare_protocol() -> asyncio.Protocol:
    """A protocol on httptools that decodes, answers, and knows nothing else."""
    return _bare()()


@functools.cache
def _bare() -> type[asyncio.Protocol]:
    import httptools

    decoder, encoder = msgspec.json.Decoder(Order), msgspec.json.Encoder()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            self.parser = httptools.HttpRequestParser(self)
            self.url = self.body = b""

        def data_received(self, data: bytes) -> None:
            self.parser.feed_data(data)

        def on_url(self, url: bytes) -> None:
            self.url = url
            self.body = b""

        def on_body(self, body: bytes) -> None:
            self.body += body

        def on_message_complete(self) -> None:
            if self.url == GET_PATH.encode():
                answer = b'{"pong":"zato"}'
            elif self.url == POST_PATH.encode():
                answer = encoder.encode(receipt(decoder.decode(self.body)))
            else:
                answer = b"{}"
            self.transport.write(head % (len(answer), answer))

    return Protocol


def bare(port: int) -> None:
    import uvloop

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_bare(), "127.0.0.1", port)
        await server.serve_forever()

    uvloop.run(main())


@contextlib.asynccontextmanager
async def zato_lite_app() -> AsyncIterator[Any]:
    """The real thing, without the scheduler: credentials, registry, invoker, service."""
    from zato_lite import Service
    from zato_lite.clock import SystemClock
    from zato_lite.http.app import HttpApp
    from zato_lite.http.auth import Authenticator
    from zato_lite.http.first_start import apply_environment
    from zato_lite.http.passwords import Passwords
    from zato_lite.service.invoker import Invoker
    from zato_lite.service.registry import Registry
    from zato_lite.store.accounts import Accounts
    from zato_lite.store.audit import AuditLog
    from zato_lite.store.sessions import Sessions
    from zato_lite.store.sqlite import open_store

    class Get(Service):
        name = "bench.get"

        async def handle(self) -> None:
            self.response.payload = {"pong": "zato"}

    class Post(Service):
        name = "bench.post"
        input = Order
        output = Receipt

        async def handle(self) -> None:
            self.response.payload = receipt(self.request.input)

    registry = Registry()
    for service in (Get, Post):
        registry.add(service)
    clock, passwords = SystemClock(), Passwords()
    async with open_store(":memory:", clock) as store:
        accounts = Accounts(store)
        await apply_environment(accounts, passwords, {"ZATO_LITE_ADMIN_PASSWORD": PASSWORD})
        authenticator = Authenticator(accounts, AuditLog(store), passwords, clock, Sessions(store))
        yield HttpApp(Invoker(registry).begin, registry, authenticator)


def zato_lite(port: int) -> None:
    import uvloop

    from zato_lite.clock import SystemClock
    from zato_lite.http.server import serve

    async def main() -> None:
        async with zato_lite_app() as app:
            gc.collect()
            gc.freeze()  # as `zato-lite serve` does
            gc.set_threshold(50_000, 20, 20)
            async with serve(app.begin, "127.0.0.1", port, clock=SystemClock()):
                await asyncio.Event().wait()

    uvloop.run(main())


def fastapi(port: int) -> None:
    import uvicorn
    from fastapi import FastAPI

    app = FastAPI()
    incoming, outgoing = _pydantic()

    @app.get(GET_PATH)
    async def get() -> dict[str, str]:
        return {"pong": "zato"}

    async def post(order: Any) -> Any:
        return receipt(order)

    post.__annotations__ = {"order": incoming, "return": outgoing}
    app.post(POST_PATH, response_model=outgoing)(_attributes(post, outgoing))
    uvicorn.run(app, port=port, log_level="critical", access_log=False)


def _attributes(post: Any, outgoing: Any) -> Any:
    async def answer(order: Any) -> Any:
        made = await post(order)
        return outgoing(id=made.id, name=made.name, total=made.total, is_new=made.is_new)

    answer.__annotations__ = {**post.__annotations__}
    return answer


def _pydantic() -> tuple[Any, Any]:
    import pydantic

    customer = pydantic.create_model("Customer", name=str, email=str, tags=list[str])
    line = pydantic.create_model("Line", sku=str, count=int, price=float)
    order = pydantic.create_model(
        "Order",
        id=int,
        customer=customer,
        lines=list[line],
        note=str,  # type: ignore[valid-type]
    )
    return order, pydantic.create_model("Receipt", id=int, name=str, total=float, is_new=bool)


def litestar(port: int) -> None:
    import litestar as star
    import uvicorn

    @star.get(GET_PATH)
    async def get() -> dict[str, str]:
        return {"pong": "zato"}

    @star.post(POST_PATH, status_code=200)
    async def post(data: Order) -> Receipt:
        return receipt(data)

    app = star.Litestar([get, post], openapi_config=None)
    uvicorn.run(app, port=port, log_level="critical", access_log=False)


def blacksheep(port: int) -> None:
    import uvicorn
    from blacksheep import Application, Content, Request, Response

    app = Application(show_error_details=False)
    decoder, encoder = msgspec.json.Decoder(Order), msgspec.json.Encoder()

    async def get() -> Response:
        return Response(200, content=Content(b"application/json", b'{"pong":"zato"}'))

    async def post(request: Request) -> Response:
        order = decoder.decode(await request.read() or b"")
        return Response(200, content=Content(b"application/json", encoder.encode(receipt(order))))

    app.router.add_get(GET_PATH, get)
    app.router.add_post(POST_PATH, post)
    uvicorn.run(app, port=port, log_level="critical", access_log=False)


def blacksheep_typed(port: int) -> None:
    """As its manual writes it: a declared model, read and written by the framework."""
    import uvicorn
    from blacksheep import Application, FromJSON

    incoming, outgoing = _pydantic()
    app = Application(show_error_details=False)

    async def get() -> dict[str, str]:
        return {"pong": "zato"}

    async def post(data: Any) -> Any:
        made = receipt(data.value)
        return outgoing(id=made.id, name=made.name, total=made.total, is_new=made.is_new)

    post.__annotations__ = {"data": FromJSON[incoming], "return": outgoing}
    app.router.add_get(GET_PATH, get)
    app.router.add_post(POST_PATH, post)
    uvicorn.run(app, port=port, log_level="critical", access_log=False)


def falcon_media(port: int) -> None:
    """As its manual writes it: the framework reads and writes JSON; typed by msgspec."""
    import falcon.asgi
    import uvicorn

    class Get:
        async def on_get(self, request: Any, response: Any) -> None:
            response.media = {"pong": "zato"}

    class Post:
        async def on_post(self, request: Any, response: Any) -> None:
            order = msgspec.convert(await request.get_media(), Order)
            response.media = msgspec.to_builtins(receipt(order))

    app = falcon.asgi.App()
    app.add_route(GET_PATH, Get())
    app.add_route(POST_PATH, Post())
    uvicorn.run(app, port=port, log_level="critical", access_log=False)


def falcon(port: int) -> None:
    import falcon as bird
    import falcon.asgi
    import uvicorn

    decoder, encoder = msgspec.json.Decoder(Order), msgspec.json.Encoder()

    class Get:
        async def on_get(self, request: Any, response: Any) -> None:
            response.media = {"pong": "zato"}

    class Post:
        async def on_post(self, request: Any, response: Any) -> None:
            order = decoder.decode(await request.stream.read())
            response.content_type = bird.MEDIA_JSON
            response.data = encoder.encode(receipt(order))

    app = falcon.asgi.App()
    app.add_route(GET_PATH, Get())
    app.add_route(POST_PATH, Post())
    uvicorn.run(app, port=port, log_level="critical", access_log=False)


def robyn(port: int) -> None:
    from robyn import Robyn

    app = Robyn(__file__)
    decoder, encoder = msgspec.json.Decoder(Order), msgspec.json.Encoder()

    @app.get(GET_PATH)  # type: ignore[untyped-decorator]
    async def get(request: Any) -> dict[str, str]:
        return {"pong": "zato"}

    @app.post(POST_PATH)  # type: ignore[untyped-decorator]
    async def post(request: Any) -> str:
        return encoder.encode(receipt(decoder.decode(request.body))).decode()

    app.start(host="127.0.0.1", port=port)


SERVERS = {
    "bare": bare,
    "zato-lite": zato_lite,
    "fastapi": fastapi,
    "litestar": litestar,
    "blacksheep": blacksheep,
    "blacksheep-typed": blacksheep_typed,
    "falcon": falcon,
    "falcon-media": falcon_media,
    "robyn": robyn,
}


# Measuring


class Figures(msgspec.Struct):
    """Of one run: requests a second, the 99th percentile in ms, and the server's µs of CPU each.

    The last is what the others on the machine disturb least.
    """

    rate: float
    p99: float
    cpu: float


def measure(name: str, seconds: float, connections: int) -> dict[str, Figures]:
    """Start the server, see that it answers rightly, and measure both requests."""
    port = _free_port()
    server = subprocess.Popen(
        [
            shutil.which("taskset") or "taskset",
            "-c",
            "0",
            sys.executable,
            __file__,
            "--serve",
            name,
            "--port",
            str(port),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait(port)
        assert json.loads(_ask(port, GET_PATH, None)) == {"pong": "zato"}
        assert json.loads(_ask(port, POST_PATH, BODY)) == {
            "id": 123456,
            "name": "Jane Doe",
            "total": 39.0,
            "is_new": True,
        }
        return {
            "GET": _wrk(server.pid, port, GET_PATH, None, seconds, connections),
            "POST": _wrk(server.pid, port, POST_PATH, BODY, seconds, connections),
        }
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wrk(  # noqa: PLR0917
    pid: int, port: int, path: str, body: bytes | None, seconds: float, connections: int
) -> Figures:
    lines = [f'wrk.headers["Authorization"] = "{BASIC}"']
    if body is not None:
        lines += ['wrk.method = "POST"', f"wrk.body = [==[{body.decode()}]==]"]
        lines += ['wrk.headers["Content-Type"] = "application/json"']
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write("\n".join(lines))
        script.flush()
        url = f"http://127.0.0.1:{port}{path}"
        command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", "--latency"]
        command += [f"-d{seconds}s", "-s", script.name, url]
        subprocess.run([*command[:-4], "-d1s", *command[-3:]], capture_output=True, check=True)
        before = _cpu(pid)
        out = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        used = _cpu(pid) - before
    assert "Non-2xx" not in out, out
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", out)
    assert rate, out
    requests = re.search(r"(\d+) requests in", out)
    assert p99, out
    assert requests, out
    scale = {"us": 0.001, "ms": 1, "s": 1000}[p99[2]]
    return Figures(float(rate[1]), float(p99[1]) * scale, used * 1e6 / int(requests[1]))


def _cpu(group: int) -> float:
    """Seconds of CPU that the processes of a group have used."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _ask(port: int, path: str, body: bytes | None) -> bytes:
    headers = {"Authorization": BASIC, "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
        return bytes(answer.read())


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"no server answers on {port}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("servers", nargs="*", default=list(SERVERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--serve")
    parser.add_argument("--port", type=int)
    chosen = parser.parse_args()
    if chosen.serve:
        SERVERS[chosen.serve](chosen.port)
        return
    if not shutil.which("wrk"):
        sys.exit("wrk is needed: apt-get install wrk")
    found: dict[str, list[dict[str, Figures]]] = {name: [] for name in chosen.servers}
    for number in range(chosen.rounds):
        for name in chosen.servers:
            figures = measure(name, chosen.seconds, chosen.connections)
            found[name].append(figures)
            text = "  ".join(
                f"{kind} {one.rate:8,.0f}/s p99 {one.p99:6.2f} ms {one.cpu:6.1f} µs"
                for kind, one in figures.items()
            )
            print(f"{number + 1}  {name:<16} {text}", flush=True)
    _table(found)


def _table(found: dict[str, list[dict[str, Figures]]]) -> None:
    """Medians, and ratios: by rate, and by the CPU time that a request takes."""
    heads = ("/s", "p99 ms", "µs CPU", "of bare", "… by CPU", "FastAPI x", "… by CPU")
    print(f"\n{'median':<21}" + "".join(f"{head:>10}" for head in heads))
    for kind in ("GET", "POST"):
        rates, costs = (
            {
                name: statistics.median(getattr(run[kind], figure) for run in runs)
                for name, runs in found.items()
            }
            for figure in ("rate", "cpu")
        )
        for name, runs in found.items():
            p99 = statistics.median(run[kind].p99 for run in runs)
            cells = [f"{rates[name]:,.0f}", f"{p99:.2f}", f"{costs[name]:.1f}"]
            for other, form in (("bare", ".0%"), ("fastapi", ".1f")):
                is_there = other in rates
                cells.append(format(rates[name] / rates[other], form) if is_there else "-")
                cells.append(format(costs[other] / costs[name], form) if is_there else "-")
            print(f"{kind:<4} {name:<16}" + "".join(f"{cell:>10}" for cell in cells))


if __name__ == "__main__":
    main()
