import asyncio
import os
import random

import pytest

from tests.http.conftest import Running
from tests.http.test_hostile_requests import TABLE, get
from zato_lite.clock import SystemClock

SEEDS = [row.sent for row in TABLE.values() if len(row.sent) < 5000]
PIECES = [b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"%", b"chunked", b"\xff", b"0", b"HTTP/1.1"]


def nonsense(chance: random.Random) -> bytes:
    """Return one or two requests with random changes."""
    data = bytearray(chance.choice(SEEDS))
    if chance.random() < 0.3:
        data += chance.choice(SEEDS)
    for _ in range(chance.randrange(6)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(4):
            case 0:
                data[at:at] = chance.choice(PIECES)
            case 1:
                del data[at : at + chance.randrange(1, 20)]
            case 2:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case _:
                data[at:at] = data[: chance.randrange(1, 40)]
    return bytes(data)


async def send_mutated(run: Running, data: bytes, chance: random.Random) -> list[int]:
    """Send the bytes in pieces; return the statuses until one side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", run.server.port)
    at, answered = 0, b""
    try:
        while at < len(data):
            step = chance.randrange(1, len(data) + 1)
            writer.write(data[at : at + step])
            at += step
            await writer.drain()
        writer.write_eof()
        async with asyncio.timeout(5):
            answered = await reader.read()
    except ConnectionError:
        pass
    finally:
        writer.close()
    return [int(part[:3]) for part in answered.split(b"HTTP/1.1 ")[1:]]


async def fuzz(run: Running, seconds: float, seed: int) -> int:
    """Send nonsense for some seconds; return the number of requests."""
    chance, clock, count = random.Random(seed), SystemClock(), 0
    end = clock.monotonic() + seconds
    while clock.monotonic() < end:
        data = nonsense(chance)
        statuses = await send_mutated(run, data, chance)
        assert not [status for status in statuses if status == 500 or status < 100], data
        count += 1
    return count


async def sane(run: Running) -> None:
    """Check that the server answers, and holds only that connection."""
    client = await run.connect()
    client.send(get())
    assert (await client.answer())[0] == 200
    while len(run.server.connections) > 1:  # noqa: ASYNC110
        await asyncio.sleep(0)


async def test_a_little_nonsense_breaks_nothing(started: Running) -> None:
    assert await fuzz(started, 1.0, 1) > 50

    await sane(started)


@pytest.mark.slow
async def test_much_nonsense_breaks_nothing(started: Running) -> None:
    seconds = float(os.environ.get("FUZZ_SECONDS", "60"))
    counts = await asyncio.gather(*(fuzz(started, seconds, n) for n in range(8)))
    print(f"\n{sum(counts):,} requests")  # noqa: T201

    await sane(started)
