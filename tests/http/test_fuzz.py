import asyncio
import os
import random
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.http.conftest import BASIC, Running, running
from tests.http.test_hostile_requests import TABLE, get
from tests.http.test_uploads import EDGE, IMAGE, YEAR, Album, Plain, Raw, Refusing, form
from zato_lite.clock import SystemClock
from zato_lite.http.app import HttpApp
from zato_lite.http.auth import Authenticator
from zato_lite.http.uploads import UploadFolder
from zato_lite.service.invoker import Invoker
from zato_lite.service.registry import Registry

SEEDS = [row.sent for row in TABLE.values() if len(row.sent) < 5000]
PIECES = [b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"%", b"chunked", b"\xff", b"0", b"HTTP/1.1"]

STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Z]")  # an answer may show parts of the request

_HOST = b"Host: localhost\r\n"
_FORM = form(YEAR, (IMAGE[0], b"x" * 200), (b'name="more"; filename=""', b""))
_PLAIN = b"POST /plain HTTP/1.1\r\n" + _HOST + b"Content-Length: 2\r\n\r\n[]"
_CHUNKED_FORM = b"".join(
    b"%x\r\n%b\r\n" % (len(piece), piece)
    for piece in (_FORM[at : at + 90] for at in range(0, len(_FORM), 90))
)
_BODIES = (
    b"Content-Length: 11\r\n\r\nhello world",
    b"Content-Length: 11\r\nExpect: 100-continue\r\n\r\nhello world",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX: y\r\n\r\n",
    b"Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 3\r\n\r\nabc",
    b"Content-Type: multipart/form-data; boundary=%b\r\nContent-Length: %d\r\n\r\n%b"
    % (EDGE, len(_FORM), _FORM),
    b"Content-Type: multipart/form-data; boundary=%b\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % (EDGE, _CHUNKED_FORM),
)
STREAMED = [
    b"POST /%b HTTP/1.1\r\n%b%b" % (path, _HOST, body) + behind
    for path in (b"raw", b"albums/t", b"refusing")
    for body in _BODIES
    for behind in (b"", _PLAIN)
]
"""Bodies that are read while they arrive, as they are and before another request."""


@pytest.fixture
async def uploading(
    authenticator: Authenticator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Running]:
    monkeypatch.setattr(Album, "kept", tmp_path / "kept")
    registry, folder = Registry(), UploadFolder(tmp_path / "uploads")
    for cls in (Raw, Album, Refusing, Plain):
        registry.add(cls)
    app = HttpApp(Invoker(registry).begin, registry, authenticator, uploads=folder)
    async with running(app.begin, plan_body=app.plan_body) as run:
        yield run
    left = [*tmp_path.rglob("[0-9]")]  # noqa: ASYNC240 - of a few files
    folder.close()
    assert left == []


def admitted(data: bytes) -> bytes:
    """Return requests with a password."""
    return data.replace(_HOST, _HOST + b"Authorization: %b\r\n" % BASIC)


def nonsense(chance: random.Random, seeds: Sequence[bytes] = SEEDS) -> bytes:
    """Return one or two requests with random changes."""
    data = bytearray(chance.choice(seeds))
    if chance.random() < 0.3:
        data += chance.choice(seeds)
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
    return [int(status) for status in STATUS_LINE.findall(answered)]


async def fuzz(run: Running, seconds: float, seed: int, seeds: Sequence[bytes] = SEEDS) -> int:
    """Send nonsense for some seconds; return the number of requests."""
    chance, clock, count = random.Random(seed), SystemClock(), 0
    end = clock.monotonic() + seconds
    while clock.monotonic() < end:
        data = nonsense(chance, seeds)
        if seeds is STREAMED:  # admitted whatever is changed, as wrong passwords would wait
            data = admitted(data)
        statuses = await send_mutated(run, data, chance)
        assert not [status for status in statuses if status == 500 or status < 100], data
        count += 1
    return count


async def sane(run: Running, request: bytes = get()) -> None:
    """Check that the server answers, and holds only that connection."""
    client = await run.connect()
    client.send(request)
    assert (await client.answer())[0] == 200
    while len(run.server.connections) > 1:  # noqa: ASYNC110
        await asyncio.sleep(0)


async def test_a_little_nonsense_breaks_nothing(started: Running) -> None:
    assert await fuzz(started, 1.0, 1) > 50

    await sane(started)


async def test_a_little_nonsense_in_streamed_bodies_breaks_nothing(uploading: Running) -> None:
    assert await fuzz(uploading, 1.0, 1, STREAMED) > 50

    await sane(uploading, admitted(_PLAIN))


@pytest.mark.slow
async def test_much_nonsense_breaks_nothing(started: Running) -> None:
    seconds = float(os.environ.get("FUZZ_SECONDS", "60"))
    counts = await asyncio.gather(*(fuzz(started, seconds, n) for n in range(8)))
    print(f"\n{sum(counts):,} requests")  # noqa: T201

    await sane(started)


@pytest.mark.slow
async def test_much_nonsense_in_streamed_bodies_breaks_nothing(uploading: Running) -> None:
    seconds = float(os.environ.get("FUZZ_SECONDS", "60"))
    counts = await asyncio.gather(*(fuzz(uploading, seconds, n, STREAMED) for n in range(8)))
    print(f"\n{sum(counts):,} requests with streamed bodies")  # noqa: T201

    await sane(uploading, admitted(_PLAIN))
