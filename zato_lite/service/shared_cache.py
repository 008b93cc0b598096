"""``self.cache.default``: values that services share on all nodes, in the store or in Redis."""

from base64 import b64decode, b64encode
from collections.abc import Coroutine
from math import inf
from typing import Any, Protocol

from zato_lite.errors import UnavailableError
from zato_lite.service.cache import Cache
from zato_lite.service.outgoing_call import Resolve
from zato_lite.service.payload import plain
from zato_lite.service.sync_aware import blocking
from zato_lite.wire import decode, encode

_MAX_KEY = 1_000
_BYTES = "b:"
"""Beginning of a value that stands for bytes; JSON begins in another way."""


class CacheStore(Protocol):
    """Values by cache and key, as texts. Seconds of 0 stand for no limit."""

    async def get(self, cache: str, key: str) -> str | None:
        """Return a value, or None."""
        ...

    async def set(self, cache: str, key: str, value: str, seconds: float) -> None:
        """Save a value for some seconds."""
        ...

    async def delete(self, cache: str, key: str) -> bool:
        """Delete a value; return True if there was one."""
        ...

    async def expire(self, cache: str, key: str, seconds: float) -> bool:
        """Let a value expire after some seconds; return True if there is one."""
        ...

    async def by_prefix(self, cache: str, prefix: str) -> list[tuple[str, str]]:
        """Return the keys that begin with a prefix, in order, and their values."""
        ...

    async def keys(self, cache: str, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix, in order."""
        ...

    async def delete_by_prefix(self, cache: str, prefix: str) -> int:
        """Delete the values whose keys begin with a prefix; return their number."""
        ...

    async def expire_by_prefix(self, cache: str, prefix: str, seconds: float) -> int:
        """Let the values whose keys begin with a prefix expire; return their number."""
        ...


class SharedCacheCalls:
    """Common part of ``SharedCache`` and ``BlockingSharedCache``."""

    __slots__ = ("_max_value", "_resolve", "_store", "name")

    def __init__(
        self, name: str, store: CacheStore | None, max_value: int, resolve: Resolve
    ) -> None:
        if store is None:
            raise UnavailableError("the shared cache needs a store; none is configured")
        self.name = name
        self._store, self._max_value, self._resolve = store, max_value, resolve

    async def _get(self, key: str, default: Any) -> Any:
        found = await self._store.get(self.name, _checked(key))
        return default if found is None else _value(found)

    async def _set(self, key: str, value: Any, expiry: float) -> Any:
        text, size = _text(_checked(key), value)
        if size > self._max_value:
            raise ValueError(
                f"cache: the value of {key!r} has {size} bytes; [cache] max_value allows"
                f" {self._max_value}"
            )
        await self._store.set(self.name, key, text, _seconds(key, expiry))
        return value

    async def _by_prefix(self, prefix: str) -> dict[str, Any]:
        found = await self._store.by_prefix(self.name, prefix)
        return {key: _value(text) for key, text in found}

    async def _clear(self) -> None:
        await self._store.delete_by_prefix(self.name, "")


class SharedCache(SharedCacheCalls):
    """Values by key: JSON, models, or bytes. ``expiry`` is in seconds; 0 stands for no limit."""

    __slots__ = ()

    def get(self, key: str, default: Any = None) -> Coroutine[Any, Any, Any]:
        """Return the value of a key, or the default."""
        return self._resolve(self._get(key, default))

    def set(
        self, key: str, value: Any, expiry: float = 0, *, ex: float = 0
    ) -> Coroutine[Any, Any, Any]:
        """Store a value and return it; ``ex`` is another name of ``expiry``."""
        return self._resolve(self._set(key, value, expiry or ex))

    def delete(self, key: str) -> Coroutine[Any, Any, bool]:
        """Delete a key; return True if it had a value."""
        return self._resolve(self._store.delete(self.name, _checked(key)))

    def expire(self, key: str, expiry: float) -> Coroutine[Any, Any, bool]:
        """Let a key expire after some seconds; return True if it has a value."""
        seconds = _seconds(_checked(key), expiry)
        return self._resolve(self._store.expire(self.name, key, seconds))

    def keys(self, prefix: str = "") -> Coroutine[Any, Any, list[str]]:
        """Return the keys that begin with a prefix, in order, at most 10,000."""
        return self._resolve(self._store.keys(self.name, prefix))

    def get_by_prefix(self, prefix: str) -> Coroutine[Any, Any, dict[str, Any]]:
        """Return the values whose keys begin with a prefix, by key, at most 10,000."""
        return self._resolve(self._by_prefix(prefix))

    def delete_by_prefix(self, prefix: str) -> Coroutine[Any, Any, int]:
        """Delete the keys that begin with a prefix; return their number."""
        return self._resolve(self._store.delete_by_prefix(self.name, prefix))

    def expire_by_prefix(self, prefix: str, expiry: float) -> Coroutine[Any, Any, int]:
        """Let the keys that begin with a prefix expire after some seconds; return their number."""
        seconds = _seconds(prefix, expiry)
        return self._resolve(self._store.expire_by_prefix(self.name, prefix, seconds))

    def clear(self) -> Coroutine[Any, Any, None]:
        """Delete all keys of this cache."""
        return self._resolve(self._clear())


class BlockingSharedCache(SharedCacheCalls):
    """``SharedCache`` for blocking services."""

    __slots__ = ()

    get = blocking(SharedCache.get)
    set = blocking(SharedCache.set)
    delete = blocking(SharedCache.delete)
    expire = blocking(SharedCache.expire)
    keys = blocking(SharedCache.keys)
    get_by_prefix = blocking(SharedCache.get_by_prefix)
    delete_by_prefix = blocking(SharedCache.delete_by_prefix)
    expire_by_prefix = blocking(SharedCache.expire_by_prefix)
    clear = blocking(SharedCache.clear)


class ServiceCache:
    """Common part of ``Caches`` and ``BlockingCaches``: the values of this process."""

    __slots__ = ("_local", "_max_value", "_resolve", "_store")

    def __init__(
        self, local: Cache, store: CacheStore | None, max_value: int, resolve: Resolve
    ) -> None:
        self._local, self._store = local, store
        self._max_value, self._resolve = max_value, resolve

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key in this process, or the default."""
        return self._local.get(key, default)

    def set(self, key: Any, value: Any, expiry: float = 0) -> Any:
        """Store a value in this process, for ``expiry`` seconds if that is given; return it."""
        return self._local.set(key, value, expiry)

    def delete(self, key: Any) -> None:
        """Remove a key of this process."""
        self._local.delete(key)

    def clear(self) -> None:
        """Remove all keys of this process."""
        self._local.clear()

    def __contains__(self, key: Any) -> bool:
        return key in self._local

    def __len__(self) -> int:
        return len(self._local)


class Caches(ServiceCache):
    """Values of this process, and by ``default`` and ``get_cache`` those that all nodes share."""

    __slots__ = ()

    @property
    def default(self) -> SharedCache:
        """Return the shared cache ``default``."""
        return self.get_cache("default")

    def get_cache(self, *name: str) -> SharedCache:
        """Return a shared cache by its name: ``"crm"``, or with a kind, ``"builtin", "crm"``."""
        return SharedCache(name[-1], self._store, self._max_value, self._resolve)


class BlockingCaches(ServiceCache):
    """``Caches`` for blocking services."""

    __slots__ = ()

    @property
    def default(self) -> BlockingSharedCache:
        """Return the shared cache ``default``."""
        return self.get_cache("default")

    def get_cache(self, *name: str) -> BlockingSharedCache:
        """Return a shared cache by its name: ``"crm"``, or with a kind, ``"builtin", "crm"``."""
        return BlockingSharedCache(name[-1], self._store, self._max_value, self._resolve)


def _checked(key: str) -> str:
    if type(key) is not str or not 0 < len(key) <= _MAX_KEY or "\0" in key:
        raise ValueError(f"cache: key {key!r:.100} is not valid; use 1 to {_MAX_KEY} characters")
    return key


def _seconds(key: str, expiry: Any) -> float:
    if not isinstance(expiry, int | float):
        kind = type(expiry).__name__
        raise TypeError(f"cache: expiry of {key!r} is a {kind}; use a number of seconds")
    if not expiry >= 0 or expiry == inf:
        problem = "negative" if expiry < 0 else "not a number of seconds"
        raise ValueError(f"cache: expiry {expiry!r} of {key!r} is {problem}; use seconds")
    return expiry


def _text(key: str, value: Any) -> tuple[str, int]:
    """Return the text that stands for a value, and the bytes that count for it."""
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        return _BYTES + b64encode(data).decode(), len(data)
    try:
        data = encode(value, plain)
    except TypeError as error:
        raise TypeError(f"cache: the value of {key!r} has no JSON form: {error}") from error
    return data.decode(), len(data)


def _value(text: str) -> Any:
    return b64decode(text[len(_BYTES) :]) if text.startswith(_BYTES) else decode(text)
