"""``self.cache``: values that all services of this process share, for a while."""

from collections import OrderedDict
from threading import RLock
from typing import Any

from zato_lite.clock import Clock


class Cache:
    """At most ``limit`` keys; the one least recently used goes first.

    Services in threads use it as well: each method is one step to all others.
    """

    def __init__(self, clock: Clock, limit: int = 10_000) -> None:
        self._clock = clock
        self._limit = limit
        self._kept: OrderedDict[Any, tuple[Any, float | None]] = OrderedDict()
        self._turn = RLock()  # a key's own __eq__ may use the cache

    @property
    def default(self) -> "Cache":
        """The cache itself, under Zato's name."""
        return self

    def get(self, key: Any, default: Any = None) -> Any:
        """What is kept under the key, or the default."""
        with self._turn:
            kept = self._kept.get(key)
            if kept is None:
                return default
            value, until = kept
            if until is not None and until <= self._clock.monotonic():
                del self._kept[key]
                return default
            self._kept.move_to_end(key)
            return value

    def set(self, key: Any, value: Any, expiry: float = 0) -> Any:
        """Keep a value, for ``expiry`` seconds if that is given; returns it."""
        until = self._clock.monotonic() + expiry if expiry else None
        with self._turn:
            self._kept[key] = (value, until)
            self._kept.move_to_end(key)
            while len(self._kept) > self._limit:
                self._kept.popitem(last=False)
        return value

    def delete(self, key: Any) -> None:
        """Keep it no longer."""
        with self._turn:
            self._kept.pop(key, None)

    def clear(self) -> None:
        """Keep nothing."""
        with self._turn:
            self._kept.clear()

    def __contains__(self, key: Any) -> bool:
        return self.get(key, self) is not self

    def __len__(self) -> int:
        return len(self._kept)
