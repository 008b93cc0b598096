"""``self.kvdb``: the client of Redis or Valkey, if the shared cache is there."""

from typing import TYPE_CHECKING

from zato_lite.errors import UnknownConnectionError
from zato_lite.outgoing.connections import Connections

if TYPE_CHECKING:  # an extra
    import redis
    import redis.asyncio

    from zato_lite.outgoing.redis import RedisConnection


class RedisOf:
    """Common part of ``Kvdb`` and ``BlockingKvdb``."""

    __slots__ = ("_connections",)

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def _connection(self) -> "RedisConnection":
        shared = self._connections.redis.shared.get("cache")
        if shared is None:
            raise UnknownConnectionError("self.kvdb needs Redis or Valkey; set [cache] url")
        return shared.connection


class Kvdb(RedisOf):
    """Redis or Valkey: ``await self.kvdb.conn.get("key")``."""

    __slots__ = ()

    @property
    def conn(self) -> "redis.asyncio.Redis":
        """Return the client of redis-py, whose methods are awaited."""
        return self._connection().client


class BlockingKvdb(RedisOf):
    """``Kvdb`` for blocking services."""

    __slots__ = ()

    @property
    def conn(self) -> "redis.Redis":
        """Return the client of redis-py."""
        return self._connection().blocking
