"""Throttle of sign-ins: who has to wait after failures, and who is checked first. Pure."""

from collections import OrderedDict, deque
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from math import ceil
from typing import Generic, NamedTuple, TypeVar

from zato_lite.errors import TooManyRequestsError

_FORGOTTEN_S = 900.0
_MAX_WAIT_S = 300.0
_MAX_LOCAL_WAIT_S = 10.0
"""Longest wait for this machine's own addresses: no program on it can keep the admin out."""

_FAILURES = 5
_FAILURES_AFTER_SUCCESS = 100
"""Failures of a name from a network before it waits; the limit of NIST SP 800-63B, 3.2.2, where
the same name has signed in from there."""

_MAX_SUBJECTS = 10_000
_MAX_NAME = 200

RANKS = 5
_FAIR_SHARE = 8
"""Every eighth turn is for the lowest rank, so that it is slowed and never starved."""

Item = TypeVar("Item")


class _Failures(NamedTuple):
    """Consecutive failures of a subject, and the time before which no attempt is made."""

    failures: int
    blocked_until: float


class Throttle:
    """Counts consecutive failures by subject, such as an address; times are monotonic seconds.

    When the table is full, the subject whose last failure is the longest ago is forgotten.
    """

    def __init__(self, capacity: int = _MAX_SUBJECTS) -> None:
        self._capacity = capacity
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def check(self, subject: str, now: float) -> None:
        """Refuse an attempt that comes too early.

        Raises:
            TooManyRequestsError: the subject has to wait; with the seconds.
        """
        failures = self._failures.get(subject)
        if failures is not None and failures.blocked_until > now:
            seconds = ceil(failures.blocked_until - now)
            raise TooManyRequestsError(
                "Too many failed attempts; try again later", retry_after=seconds
            )

    def has_failed(self, subject: str, now: float) -> bool:
        """Return True if the subject has failed within the last quarter of an hour."""
        failures = self._failures.get(subject)
        return failures is not None and failures.blocked_until >= now - _FORGOTTEN_S

    def record_failure(
        self, subject: str, allowed: int, now: float, longest: float = _MAX_WAIT_S
    ) -> None:
        """Record a failure; beyond the allowed ones, the wait doubles with each."""
        last = self._failures.pop(subject, None)
        is_first = last is None or last.blocked_until < now - _FORGOTTEN_S
        count = 1 if last is None or is_first else last.failures + 1
        excess = count - allowed
        wait = min(2.0 ** min(excess, 20), longest) if excess > 0 else 0.0
        if len(self._failures) >= self._capacity:
            self._failures.popitem(last=False)
        self._failures[subject] = _Failures(count, now + wait)

    def record_success(self, subject: str) -> None:
        """Forget the failures of a subject."""
        self._failures.pop(subject, None)


class SignIns:
    """History of sign-ins by password: decides whether a guess has to wait, and its rank.

    A guess counts against its name and its network together. Failures with other names, or from
    other networks, never make a sign-in wait. Names that exist and names that do not are counted
    alike, in tables of their own: a flood of made-up names displaces none that exists.
    """

    def __init__(self, capacity: int = _MAX_SUBJECTS) -> None:
        self._known, self._unknown = Throttle(5 * capacity), Throttle(capacity)
        self._networks = Throttle(capacity)
        self._capacity = capacity
        self._proven: OrderedDict[str, None] = OrderedDict()

    def check(self, name: str, network: str, now: float) -> None:
        """Refuse a guess that comes too early.

        Raises:
            TooManyRequestsError: the name has to wait, from this network.
        """
        subject = _subject(name, network)
        self._known.check(subject, now)
        self._unknown.check(subject, now)

    def rank(self, name: str, network: str, now: float, *, exists: bool) -> int:
        """Return the rank of a guess: 0 is checked first, ``RANKS - 1`` last."""
        if _subject(name, network) in self._proven:
            return 0
        return (1 if exists else 2) + (2 if self._networks.has_failed(network, now) else 0)

    def record_failure(self, name: str, network: str, now: float, *, exists: bool) -> None:
        """Record a wrong guess."""
        subject = _subject(name, network)
        allowed = _FAILURES_AFTER_SUCCESS if subject in self._proven else _FAILURES
        longest = _MAX_LOCAL_WAIT_S if is_local(network) else _MAX_WAIT_S
        table = self._known if exists else self._unknown
        table.record_failure(subject, allowed, now, longest)
        self._networks.record_failure(network, allowed, now)

    def record_success(self, name: str, network: str) -> None:
        """Record a correct password."""
        subject = _subject(name, network)
        self._known.record_success(subject)
        self._unknown.record_success(subject)
        self._proven.pop(subject, None)
        self._proven[subject] = None
        if len(self._proven) > self._capacity:
            self._proven.popitem(last=False)


class FairQueue(Generic[Item]):
    """Queue by rank, and within a rank in turns by network, whatever each of them sends.

    Every other turn of a rank is for the latest network that waits for its first turn: a client
    that comes during a flood does not wait until the flood before it has drained.
    """

    def __init__(self, capacity: int = 1024, of_network: int = 64) -> None:
        self._capacity, self._of_network = capacity, of_network
        self._ranks: list[_Rank[Item]] = [_Rank() for _ in range(RANKS)]
        self._size = self._taken = 0

    def __len__(self) -> int:
        return self._size

    def put(self, item: Item, rank: int, network: str) -> Item | None:
        """Add an item; return the one that has to leave for it, which may be itself."""
        if self._ranks[rank].count(network) >= self._of_network:
            return item
        displaced = None
        if self._size >= self._capacity:
            if (lowest := self._rank_in_use(reversed(range(RANKS)))) < rank:
                return item
            displaced = self._ranks[lowest].drop()
            self._size -= 1
        self._ranks[rank].put(item, network)
        self._size += 1
        return displaced

    def take(self) -> Item | None:
        """Remove and return the next item; None if there are none."""
        if not self._size:
            return None
        self._taken += 1
        self._size -= 1
        is_lowest = self._taken % _FAIR_SHARE == 0
        ranks = range(RANKS)
        return self._ranks[self._rank_in_use(reversed(ranks) if is_lowest else ranks)].take()

    def _rank_in_use(self, order: Iterable[int]) -> int:
        return next(rank for rank in order if self._ranks[rank])


class _Rank(Generic[Item]):
    """Waiting items by network: networks before their first turn, and those after it."""

    def __init__(self) -> None:
        self._new: OrderedDict[str, deque[Item]] = OrderedDict()
        self._served: OrderedDict[str, deque[Item]] = OrderedDict()
        self._turns = 0

    def __bool__(self) -> bool:
        return bool(self._new or self._served)

    def count(self, network: str) -> int:
        """Return the number of the network's items."""
        return len(self._new.get(network) or self._served.get(network) or ())

    def put(self, item: Item, network: str) -> None:
        """Add an item."""
        places = self._served if network in self._served else self._new
        places.setdefault(network, deque()).append(item)

    def take(self) -> Item:
        """Remove an item: in turn the oldest new network's, the latest's, a served one's."""
        self._turns += 1
        is_new = bool(self._new and (self._turns % 3 or not self._served))
        places = self._new if is_new else self._served
        network, waiting = places.popitem(last=is_new and self._turns % 2 == 0)
        item = waiting.popleft()
        if waiting:
            self._served[network] = waiting  # at the end: the other networks come first
        return item

    def drop(self) -> Item:
        """Remove the newest item of the network with the most items."""
        network = max((*self._new, *self._served), key=self.count)
        places = self._new if network in self._new else self._served
        item = places[network].pop()
        if not places[network]:
            del places[network]
        return item


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:_MAX_NAME]
    if isinstance(found, IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return "::1" if found.is_loopback else f"{IPv6Address(int(found) >> 64 << 64)}/64"


def is_local(network: str) -> bool:
    """Return True for this machine's own addresses and for unix sockets."""
    return network in {"", "::1"} or network.startswith("127.")


def _subject(name: str, network: str) -> str:
    return f"{name[:_MAX_NAME]}\0{network}"
