"""``self.cache``: values that all services of this process share."""

from collections import OrderedDict
from threading import RLock
from typing import Any

from zato_lite.clock import Clock


class Cache:
    """Cache of at most ``limit`` keys; it drops the least recently used ones.

    Each method is atomic, as services in threads use the cache too.
    """

    def __init__(self, clock: Clock, limit: int = 10_000) -> None:
        self._clock = clock
        self._limit = limit
        self._values: OrderedDict[Any, tuple[Any, float | None]] = OrderedDict()
        self._lock = RLock()  # a key's own __eq__ may use the cache

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of the key, or the default."""
        with self._lock:
            item = self._values.get(key)
            if item is None:
                return default
            value, until = item
            if until is not None and until <= self._clock.monotonic():
                del self._values[key]
                return default
            self._values.move_to_end(key)
            return value

    def set(self, key: Any, value: Any, expiry: float = 0) -> Any:
        """Store a value, for ``expiry`` seconds if that is given, and return it."""
        until = self._clock.monotonic() + expiry if expiry else None
        with self._lock:
            self._values[key] = (value, until)
            self._values.move_to_end(key)
            while len(self._values) > self._limit:
                self._values.popitem(last=False)
        return value

    def delete(self, key: Any) -> None:
        """Remove the key."""
        with self._lock:
            self._values.pop(key, None)

    def clear(self) -> None:
        """Remove all keys."""
        with self._lock:
            self._values.clear()

    def __contains__(self, key: Any) -> bool:
        return self.get(key, self) is not self

    def __len__(self) -> int:
        return len(self._values)
