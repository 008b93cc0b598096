"""Redis or Valkey over redis-py: the shared cache, and ``self.kvdb``.

Imported only if one is configured.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import redis
import redis.asyncio
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from zato_lite.errors import ConfigError, OutgoingError, OutgoingTimeoutError
from zato_lite.outgoing.figures import Figures
from zato_lite.outgoing_config import Cache

_PREFIX = "zato-lite:cache"
_PAGE = 1_000
"""Keys of one command."""

_MAX_FOUND = 10_000


class RedisConnection:
    """Pooled connections to one server, which keeps the values of the shared cache.

    Args:
        settings: its settings. password: its password.
        figures: counts its operations.

    Attributes:
        client: for async services. blocking: for blocking ones; it connects when it is used.
        decoding, blocking_decoding: the same, with texts in place of bytes.

    Raises:
        ConfigError: the URL is not valid.
    """

    def __init__(self, settings: Cache, password: str, figures: Figures) -> None:
        self._figures = figures
        self._users = 0
        self._is_idle = asyncio.Event()
        options: dict[str, Any] = {"socket_timeout": settings.timeout}
        options["socket_connect_timeout"] = settings.timeout
        if password:
            options["password"] = password
        try:
            self.client = redis.asyncio.Redis.from_url(settings.url, **options)
            self.blocking = redis.Redis.from_url(settings.url, **options)
            options["decode_responses"] = True
            self.decoding = redis.asyncio.Redis.from_url(settings.url, **options)
            self.blocking_decoding = redis.Redis.from_url(settings.url, **options)
        except ValueError as error:
            raise ConfigError(f"url is not valid: {error}") from error

    async def get(self, cache: str, key: str) -> str | None:
        """Return a value, or None."""
        async with self._counted():
            found = await self.client.get(_name(cache, key))
            return None if found is None else _text(found)

    async def set(self, cache: str, key: str, value: str, seconds: float) -> None:
        """Save a value, for some seconds, or for ever with 0."""
        async with self._counted():
            await self.client.set(_name(cache, key), value, px=_milliseconds(seconds))

    async def delete(self, cache: str, key: str) -> bool:
        """Delete a value; return True if there was one."""
        async with self._counted():
            return bool(await self.client.delete(_name(cache, key)))

    async def expire(self, cache: str, key: str, seconds: float) -> bool:
        """Let a value expire after some seconds, or never with 0; return True if there is one."""
        async with self._counted():
            name = _name(cache, key)
            if (milliseconds := _milliseconds(seconds)) is not None:
                return bool(await self.client.pexpire(name, milliseconds))
            await self.client.persist(name)
            return bool(await self.client.exists(name))

    async def by_prefix(self, cache: str, prefix: str) -> list[tuple[str, str]]:
        """Return the keys that begin with a prefix, in order, and their values."""
        async with self._counted():
            names = (await self._names(cache, prefix))[:_MAX_FOUND]
            values = await self.client.mget(names) if names else []
            return [
                (_key(cache, name), _text(value))
                for name, value in zip(names, values, strict=True)
                if value is not None
            ]

    async def keys(self, cache: str, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix, in order."""
        async with self._counted():
            names = await self._names(cache, prefix)
            return [_key(cache, name) for name in names[:_MAX_FOUND]]

    async def delete_by_prefix(self, cache: str, prefix: str) -> int:
        """Delete the values whose keys begin with a prefix; return their number."""
        async with self._counted():
            names = await self._names(cache, prefix)
            return sum([int(await self.client.unlink(*page)) for page in _pages(names)])

    async def expire_by_prefix(self, cache: str, prefix: str, seconds: float) -> int:
        """Let the values whose keys begin with a prefix expire; return their number."""
        milliseconds = _milliseconds(seconds)
        found = 0
        async with self._counted():
            for page in _pages(await self._names(cache, prefix)):
                async with self.client.pipeline(transaction=False) as commands:
                    commands.execute_command("EXISTS", *page)
                    for name in page:
                        if milliseconds is None:
                            commands.execute_command("PERSIST", name)
                        else:
                            commands.execute_command("PEXPIRE", name, milliseconds)
                    found += int((await commands.execute())[0])
        return found

    async def _names(self, cache: str, prefix: str) -> list[str]:
        pattern = f"{_glob(_name(cache, prefix))}*"
        found = self.client.scan_iter(match=pattern, count=_PAGE)  # some of them twice
        return sorted({_text(name) async for name in found})

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        """Count an operation; raise its error as one of an outgoing connection."""
        self._users += 1
        self._is_idle.clear()
        try:
            with self._figures.counted():
                try:
                    yield
                except RedisTimeoutError as error:
                    raise OutgoingTimeoutError(f"[cache] no answer in time: {error}") from error
                except (RedisError, OSError) as error:
                    raise OutgoingError(f"[cache] {error}") from error
        finally:
            self._users -= 1
            if not self._users:
                self._is_idle.set()

    async def close(self) -> None:
        """Close all connections, after the operations of the shared cache that run now."""
        if self._users:
            await self._is_idle.wait()
        await self.client.aclose()
        await self.decoding.aclose()
        self.blocking.close()
        self.blocking_decoding.close()


def _name(cache: str, key: str) -> str:
    return f"{_PREFIX}:{cache}:{key}"


def _key(cache: str, name: str) -> str:
    return name.removeprefix(_name(cache, ""))


def _pages(names: list[str]) -> Iterator[list[str]]:
    return (names[at : at + _PAGE] for at in range(0, len(names), _PAGE))


def _glob(text: str) -> str:
    """Return a pattern that matches the text itself."""
    return "".join(f"\\{char}" if char in "*?[]\\^" else char for char in text)


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()


def _milliseconds(seconds: float) -> int | None:
    return max(1, round(seconds * 1000)) if seconds else None
