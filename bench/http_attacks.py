"""Endless parts of requests on four connections: the server's CPU time, another client's waits.

    make attack-http ARGS='--megabytes 16 --seconds 5'

Each attack sends that many megabytes over four connections, and connects again when it is
refused. It is repeated, every tenth of a second, until the other client has asked often enough for
a 99th percentile. The server's CPU time, of one attack, is its process's, so it includes system
calls; the other client's waits are compared with those of the same run without an attack.
"""

import argparse
import asyncio
import contextlib
import subprocess
import sys
import time
from pathlib import Path

from bench.http_slow_clients import probe

PING = b"GET /zato/ping HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /zato/ping HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
ATTACKS = {
    "none": (b"", b""),
    "header name": (PING, b"a"),
    "header value": (PING + b"A: ", b"a"),
    "chunk extension": (CHUNKED + b"1;a=", b"a"),
    "trailer": (CHUNKED + b"0\r\nA: ", b"a"),
    "trailer name": (CHUNKED + b"0\r\n", b"a"),
    "body": (POST + b"Content-Length: 1000000\r\n\r\n", b"a"),
    "body in chunks": (CHUNKED, b"1000\r\n" + b"a" * 4096 + b"\r\n"),
    "body in small chunks": (CHUNKED, b"1\r\na\r\n"),
    "empty lines": (b"", b"\r\n"),
    "pipelined garbage": (PING + b"\r\n", b"\x00\xff"),
}
CONNECTIONS = 4
PIECE = 65_536
PAUSE_S = 0.1


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def attack(port: int, start: bytes, unit: bytes, size: int) -> int:
    """Send the bytes, on a new connection after each refusal; return the number of these."""
    piece = unit * (PIECE // len(unit) + 1)
    sent, refused = 0, 0
    while sent < size:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionError):
            writer.write(start)
            while sent < size and not reader.at_eof():
                writer.write(piece)
                sent += len(piece)
                await writer.drain()
        refused += 1
        writer.transport.abort()
    return refused


async def measure(port: int, pid: int, name: str, size: int, seconds: float) -> None:
    """Attack for at least these seconds, in whole rounds; print the figures of a round."""
    start, unit = ATTACKS[name]
    command = [sys.executable, __file__, "--probe", str(port)]
    prober = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: ASYNC220
    assert prober.stdout
    await asyncio.to_thread(prober.stdout.readline)
    before, begun, refused, rounds = cpu_seconds(pid), time.monotonic(), 0, 0
    while time.monotonic() - begun < seconds:
        rounds += 1
        if unit:
            tasks = (attack(port, start, unit, size // CONNECTIONS) for _ in range(CONNECTIONS))
            refused += sum(await asyncio.gather(*tasks))
        await asyncio.sleep(PAUSE_S)
    used = cpu_seconds(pid) - before
    output = await asyncio.to_thread(prober.communicate)
    waits = sorted(float(line) for line in output[0].split())
    p99 = waits[int(len(waits) * 0.99)] * 1000
    print(
        f"{name:<22} {rounds:>6} {used / rounds:>8.2f} {refused // rounds:>8} {len(waits):>6} "
        f"{p99:>8.1f} {waits[-1] * 1000:>8.1f}",
        flush=True,
    )


async def main(megabytes: int, seconds: float) -> None:
    command = [sys.executable, str(Path(__file__).with_name("http_slow_clients.py")), "--serve"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: ASYNC220
    assert process.stdout
    port = int(process.stdout.readline())
    print(
        f"{'attack':<22} {'rounds':>6} {'CPU s':>8} {'refused':>8} {'asked':>6} "
        f"{'p99 ms':>8} {'max ms':>8}"
    )
    try:
        for name in ATTACKS:
            await measure(port, process.pid, name, megabytes * 1_000_000, seconds)
    finally:
        process.kill()
        process.wait()


async def probe_until_eof(port: int) -> None:
    """Ask the server from another process until the input is closed; print the waits."""
    waits: list[float] = []
    probing = asyncio.ensure_future(probe(port, waits))
    await asyncio.sleep(0.5)
    waits.clear()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    probing.cancel()
    print(*waits, sep="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each attack, at least")
    parser.add_argument("--probe", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.probe:
        asyncio.run(probe_until_eof(options.probe))
    else:
        asyncio.run(main(options.megabytes, options.seconds))
