"""While 200 addresses guess passwords, the right one is answered soon, and a key at once."""

import asyncio
import itertools
import json
import logging
import time
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.process import PASSWORD, Server

ADDRESSES = 200
SIGN_INS = 10
LIMIT_S = 2.0

Guess = Callable[[int], tuple[str, str, str]]
"""Returns the address, the name and the password of a guess."""


def made_up(number: int) -> tuple[str, str, str]:
    return f"127.1.0.{number % ADDRESSES + 1}", f"user {number}", "wrong"


def of_the_admin(number: int) -> tuple[str, str, str]:
    return f"127.1.0.{number % ADDRESSES + 1}", "admin.invoke", f"wrong {number}"


def from_ever_new_addresses(number: int) -> tuple[str, str, str]:
    return f"127.{2 + number // 62_500 % 200}.{number // 250 % 250}.{number % 250 + 1}", "x", "y"


SIGN_IN = json.dumps({"username": "admin.invoke", "password": PASSWORD}).encode()


async def ask(port: int, address: str, credentials: str, body: bytes = b"") -> int:
    """Show the session, or sign in with a body, from an address; return the status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        head = f"{'POST' if body else 'GET'} /zato/session HTTP/1.1\r\nHost: localhost\r\n"
        head += f"Authorization: {credentials}\r\n" if credentials else ""
        head += f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()


def basic(name: str, password: str) -> str:
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()


async def guess(port: int, guesses: Iterator[tuple[str, str, str]], seen: Counter[int]) -> None:
    for address, name, password in guesses:
        with suppress(OSError, IndexError):
            seen[await ask(port, address, basic(name, password))] += 1


@asynccontextmanager
async def flood(port: int, make: Guess, seen: Counter[int]) -> AsyncIterator[None]:
    guesses = map(make, itertools.count())
    tasks = [asyncio.create_task(guess(port, guesses, seen)) for _ in range(ADDRESSES)]
    await asyncio.sleep(1)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.slow
@pytest.mark.parametrize("has_history", [False, True])
@pytest.mark.parametrize("make", [made_up, of_the_admin, from_ever_new_addresses])
async def test_the_right_password_is_answered_soon(
    tmp_path: Path, make: Guess, has_history: bool
) -> None:
    server = Server(tmp_path)
    await asyncio.to_thread(server.start)
    try:
        key = server.invoke("zato.security.key.create", {"roles": ["viewer"]})["key"]
        if has_history:
            assert await ask(server.port, "127.0.0.1", "", SIGN_IN) == 200
        else:  # a restart forgets it
            server.stop()
            await asyncio.to_thread(server.start)
        seen: Counter[int] = Counter()
        waits: dict[str, list[float]] = {"password": [], "key": []}
        async with flood(server.port, make, seen):
            for number in range(SIGN_INS):
                address = "127.0.0.1" if has_history else f"127.0.1.{number + 1}"
                for kind, sent in (("password", ("", SIGN_IN)), ("key", (f"Bearer {key}",))):
                    began = time.monotonic()
                    assert await ask(server.port, address, *sent) == 200
                    waits[kind].append(time.monotonic() - began)
                await asyncio.sleep(0.2)
        shown = {kind: f"max {max(found):.3f} s" for kind, found in waits.items()}
        figures = f"{make.__name__}, history {has_history}: {shown}, guesses {dict(seen)}"
        logging.getLogger(__name__).warning(figures)
        assert max(waits["password"]) < LIMIT_S
    finally:
        server.kill()
