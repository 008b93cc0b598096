"""Stream counter: limits how many event streams a caller and a server have at a time."""

from collections.abc import AsyncIterator
from typing import Self
from weakref import WeakSet

from zato_lite.errors import TooManyRequestsError
from zato_lite.http.message import close_stream

_RETRY_S = 30


class CountedStream:
    """A stream that counts until it is closed, or dropped before it began."""

    def __init__(self, pieces: AsyncIterator[bytes], streams: "WeakSet[CountedStream]") -> None:
        self._pieces, self._streams = pieces, streams

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._pieces)

    async def aclose(self) -> None:
        """Close the stream, and count it no longer."""
        self._streams.discard(self)
        await close_stream(self._pieces)


class StreamCounter:
    """Counts the open streams by caller."""

    def __init__(self, per_caller: int = 20, total: int = 200) -> None:
        self._per_caller, self._total = per_caller, total
        self._by_caller: dict[str, WeakSet[CountedStream]] = {}

    def check(self, principal: str) -> None:
        """Refuse a further stream of a caller that has too many, or if the server has.

        Raises:
            TooManyRequestsError: with the seconds after which to try again.
        """
        for name in [name for name, streams in self._by_caller.items() if not streams]:
            del self._by_caller[name]
        if len(self._by_caller.get(principal, ())) >= self._per_caller:
            raise TooManyRequestsError(
                f"too many event streams of one caller: {self._per_caller} are open",
                retry_after=_RETRY_S,
            )
        if sum(map(len, self._by_caller.values())) >= self._total:
            raise TooManyRequestsError(
                f"too many event streams: {self._total} are open", retry_after=_RETRY_S
            )

    def count(self, principal: str, pieces: AsyncIterator[bytes]) -> CountedStream:
        """Return the stream, counted for its caller.

        Raises:
            TooManyRequestsError: see ``check``.
        """
        self.check(principal)
        streams = self._by_caller.setdefault(principal, WeakSet())
        stream = CountedStream(pieces, streams)
        streams.add(stream)
        return stream
