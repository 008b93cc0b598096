"""Which refusals are written down: anybody can make them, as many as the network carries. Pure."""

_WINDOW_S = 60.0
_EACH = 20
_ALL = 1_000
_ADDRESSES = 10_000


class Refusals:
    """Counts refusals: in a minute, the first 20 of an address are written down, 1,000 in all.

    The others are counted, and told of with the next one that is written down.
    """

    def __init__(self) -> None:
        self._since = float("-inf")
        self._written = 0
        self._of: dict[str, int] = {}
        self._unwritten: dict[str, int] = {}

    def take(self, address: str, now: float) -> int:
        """How many refusals of the address this one stands for; 0 if it is not written down.

        Args:
            address: the client's.
            now: monotonic seconds.
        """
        if now - self._since >= _WINDOW_S:
            self._since, self._written = now, 0
            self._of.clear()
        count = self._of.get(address, 0)
        if count >= _EACH or self._written >= _ALL:
            if len(self._unwritten) < _ADDRESSES:
                self._unwritten[address] = self._unwritten.get(address, 0) + 1
            return 0
        self._of[address] = count + 1
        self._written += 1
        return 1 + self._unwritten.pop(address, 0)


def outcome(status: str, times: int) -> str:
    """What came of it, and of how many more."""
    return status if times <= 1 else f"{status}, and {times - 1} more"
