"""A thousand slow clients of each kind: checks that they are closed and that others are served.

Kinds: silent ones, ones that send a header every second, a body byte every second, and ones that
ask for much and do not read it. Meanwhile another client asks and notes how long that takes.

    make slow-http ARGS='--clients 1000 --seconds 30'
"""

import argparse
import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

from zato_lite.clock import SystemClock
from zato_lite.http.message import Request, Response
from zato_lite.http.server import serve

BIG = b"x" * 8_000_000
HEAD = b"GET /big HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"

Slow = Callable[[asyncio.StreamWriter], Awaitable[None]]


async def silent(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def slow_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    while True:
        await asyncio.sleep(1)
        writer.write(b"X: y\r\n")
        await writer.drain()


async def slow_body(writer: asyncio.StreamWriter) -> None:
    writer.write(POST)
    while True:
        await asyncio.sleep(1)
        writer.write(b" ")
        await writer.drain()


async def slow_reader(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"\r\n")
    await asyncio.sleep(3600)


KINDS: dict[str, Slow] = {
    "silent": silent,
    "slow headers": slow_headers,
    "slow body": slow_body,
    "slow reader": slow_reader,
}


async def server() -> None:
    async def app(request: Request) -> Response:
        return Response(200, BIG if request.path == "/big" else b"ok")

    async with serve(app, port=0, clock=SystemClock()) as running:
        print(running.port, flush=True)
        await asyncio.Event().wait()


async def held(port: int, kind: Slow, limit: int) -> float:
    """Seconds until the server closed one such client."""
    plug = socket.socket()
    if kind is slow_reader:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plug.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plug, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=plug, limit=limit)
    started = time.monotonic()
    acting = asyncio.ensure_future(kind(writer))
    try:
        if kind is slow_reader:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            while not _is_reset(writer):
                await asyncio.sleep(1)
        else:
            with contextlib.suppress(ConnectionError):
                await reader.read()
        return time.monotonic() - started
    finally:
        acting.cancel()
        writer.close()


def _is_reset(writer: asyncio.StreamWriter) -> bool:
    """Return True if the other side has closed the connection (state of TCP_INFO)."""
    info = writer.get_extra_info("socket").getsockopt(6, 11, 8)
    return bool(info[0] != 1)


async def probe(port: int, waits: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while True:
            started = time.monotonic()
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(2)
            waits.append(time.monotonic() - started)
            await asyncio.sleep(0.02)
    finally:
        writer.close()


async def main(clients: int, seconds: float, kinds: list[str]) -> None:
    command = [sys.executable, __file__, "--serve"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: ASYNC220
    assert process.stdout
    port = int(process.stdout.readline())
    print(f"{'kind':<14} {'closed':>11} {'latest s':>9} {'others p99 ms':>14} {'max ms':>8}")
    try:
        for name in kinds:
            kind = KINDS[name]
            waits: list[float] = []
            probing = asyncio.ensure_future(probe(port, waits))
            tasks = [asyncio.ensure_future(held(port, kind, 1 << 16)) for _ in range(clients)]
            done, left = await asyncio.wait(tasks, timeout=seconds)
            probing.cancel()
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            latest = max((task.result() for task in done if not task.exception()), default=0)
            waits.sort()
            p99 = waits[int(len(waits) * 0.99)] * 1000
            print(
                f"{name:<14} {len(done):>5}/{clients:<5} {latest:>9.1f} {p99:>14.1f} "
                f"{waits[-1] * 1000:>8.1f}",
                flush=True,
            )
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--serve", action="store_true")
    chosen = parser.parse_args()
    if chosen.serve:
        import uvloop

        uvloop.run(server())
    else:
        asyncio.run(main(chosen.clients, chosen.seconds, chosen.kinds))
