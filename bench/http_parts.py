"""CPU time of a request within the server: the complete path, in memory, without sockets.

    .venv/bin/python bench/http_parts.py [--rounds 7]

Requests are handed to connections as the loop hands them over, and answers go to a transport that
drops them. The floor is the bare protocol of ``http_servers.py``. Rounds alternate; medians of the
thread's CPU time. System calls come on top, for both alike.
"""

import argparse
import asyncio
import gc
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.http_servers import BASIC, BODY, GET_PATH, POST_PATH, bare_protocol, zato_lite_app
from zato_lite.clock import SystemClock
from zato_lite.http.parser import Limits
from zato_lite.http.server import Server

GET = (
    f"GET {GET_PATH} HTTP/1.1\r\nHost: 127.0.0.1:17010\r\nAuthorization: {BASIC}\r\n\r\n"
).encode()
POST = (
    f"POST {POST_PATH} HTTP/1.1\r\nHost: 127.0.0.1:17010\r\nAuthorization: {BASIC}\r\n"
    f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
).encode() + BODY


class Drop:
    """A transport that has room for everything."""

    written = b""

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 5) if name == "peername" else None

    def write(self, data: bytes) -> None:
        self.written = data

    def is_closing(self) -> bool:
        return False


async def main(rounds: int, number: int) -> None:
    loop = asyncio.get_running_loop()
    async with zato_lite_app() as app:
        server = Server(app.begin, SystemClock(), Limits())
        makers: dict[str, Callable[[], Any]] = {
            "bare": bare_protocol,
            "zato-lite": server.connect,
        }
        found: dict[str, list[float]] = {}
        for request in (GET, POST):
            for maker in makers.values():
                connection, transport = maker(), Drop()
                connection.connection_made(transport)
                connection.data_received(request)
                while not transport.written:
                    await asyncio.sleep(0.01)
                print(transport.written.decode(), "\n")
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        for _ in range(rounds):
            for kind, request in (("GET", GET), ("POST", POST)):
                for name, maker in makers.items():
                    taken = await spent(loop, maker, request, number)
                    found.setdefault(f"{kind} {name}", []).append(taken)
        for name, taken in sorted(found.items()):
            print(f"{name:16} {statistics.median(taken):8,.0f} ns  (least {min(taken):,.0f})")


async def spent(loop: Any, maker: Callable[[], Any], request: bytes, number: int) -> float:
    """CPU ns a request, over 64 connections in turns, from callbacks as the loop makes them."""
    connections = []
    for _ in range(64):
        connection = maker()
        connection.connection_made(Drop())
        connection.data_received(request)
        connections.append(connection)
    await asyncio.sleep(0.01)
    done = loop.create_future()

    def turn() -> None:
        started = time.thread_time_ns()
        for _ in range(number // 64):
            for connection in connections:
                connection.data_received(bytes(memoryview(request)))
        done.set_result((time.thread_time_ns() - started) / (number // 64 * 64))

    loop.call_soon(turn)
    return float(await done)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--number", type=int, default=20_000)
    options = parser.parse_args()
    uvloop.run(main(options.rounds, options.number))
    os._exit(0)
