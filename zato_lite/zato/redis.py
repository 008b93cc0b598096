"""``self.kvdb``, ``self.redis`` and ``self.cache`` of services written for Zato."""

from typing import Any

from zato_lite.outgoing.connections import Connections
from zato_lite.service.base import InvokerPort
from zato_lite.service.kvdb import RedisOf
from zato_lite.service.outgoing_call import Resolve
from zato_lite.service.shared_cache import BlockingCaches
from zato_lite.zato.not_offered import lacking


class ZatoKvdb(RedisOf):
    """Redis or Valkey: ``self.kvdb.conn.get("key")``, or ``self.kvdb.get("key")``.

    Values are texts, as in Zato; in an async ``handle`` the methods are awaited.
    """

    __slots__ = ("_in_thread",)

    def __init__(self, connections: Connections, *, in_thread: bool) -> None:
        super().__init__(connections)
        self._in_thread = in_thread

    @property
    def conn(self) -> Any:
        """Return the client of redis-py."""
        found = self._connection()
        return found.blocking_decoding if self._in_thread else found.decoding

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "lua_container":
            raise lacking("self", "kvdb", name)
        return getattr(self.conn, name)


class ZatoCaches(BlockingCaches):
    """``self.cache``: with ``[cache] url`` the client of Redis, else values of this process."""

    __slots__ = ("_kvdb",)

    def __init__(self, invoker: InvokerPort, resolve: Resolve, *, in_thread: bool) -> None:
        super().__init__(invoker.cache, invoker.shared_cache, invoker.max_cached, resolve)
        has_redis = "cache" in invoker.connections.redis.shared
        self._kvdb = ZatoKvdb(invoker.connections, in_thread=in_thread) if has_redis else None

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key; of this process, the default if there is none."""
        return super().get(key, default) if self._kvdb is None else self._kvdb.conn.get(key)

    def set(self, key: Any, value: Any, expiry: float = 0, *, ex: float = 0, **more: Any) -> Any:
        """Store a value, for some seconds if ``expiry`` or ``ex`` is given."""
        seconds = expiry or ex
        if self._kvdb is None:
            if more:
                raise TypeError(f"self.cache.set: {', '.join(more)} needs Redis; set [cache] url")
            return super().set(key, value, seconds)
        return self._kvdb.conn.set(key, value, ex=seconds or None, **more)

    def delete(self, key: Any, *more: Any) -> Any:
        """Remove keys."""
        if self._kvdb is not None:
            return self._kvdb.conn.delete(key, *more)
        for each in (key, *more):
            super().delete(each)
        return None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or self._kvdb is None:
            raise AttributeError(f"self.cache.{name} needs Redis or Valkey; set [cache] url")
        return getattr(self._kvdb.conn, name)
