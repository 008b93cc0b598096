import pytest

from zato_lite.errors import TooManyRequestsError
from zato_lite.http.throttle import RANKS, FairQueue, SignIns, Throttle, is_local, network_of


def seconds_blocked(throttle: Throttle, subject: str, now: float) -> float:
    """Return how long the subject has to wait, to the half second."""
    waited = 0.0
    while True:
        try:
            throttle.check(subject, now + waited)
        except TooManyRequestsError:
            waited += 0.5
        else:
            return waited


def test_the_wait_doubles_with_each_failure_beyond_the_allowed_ones() -> None:
    throttle = Throttle()

    waits = []
    for _ in range(12):
        throttle.record_failure("::1", allowed=2, now=0.0)
        waits.append(seconds_blocked(throttle, "::1", 0.0))

    assert waits == [0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


@pytest.mark.parametrize(("pause", "wait"), [(901.0, 0.0), (899.0, 2.0)])
def test_failures_are_forgotten_after_a_quiet_quarter_of_an_hour(
    pause: float, wait: float
) -> None:
    throttle = Throttle()
    throttle.record_failure("::1", allowed=1, now=0.0)

    throttle.record_failure("::1", allowed=1, now=pause)

    assert seconds_blocked(throttle, "::1", pause) == wait


def test_a_success_ends_the_count_of_its_subject_only() -> None:
    throttle = Throttle()
    for subject in ("ann", "bob"):
        throttle.record_failure(subject, allowed=0, now=0.0)

    throttle.record_success("ann")

    assert seconds_blocked(throttle, "ann", 0.0) == 0
    assert seconds_blocked(throttle, "bob", 0.0) == 2


def test_a_full_table_forgets_the_oldest_failure_only() -> None:
    throttle = Throttle(capacity=3)
    for subject in ("a", "b", "c", "a", "d"):
        throttle.record_failure(subject, allowed=0, now=0.0)

    assert [seconds_blocked(throttle, subject, 0.0) for subject in "abcd"] == [4, 0, 2, 2]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::2", "::/64"),
        ("::1", "::1"),
        ("", ""),
        ("unknown", "unknown"),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_the_own_machine_is_local() -> None:
    assert all(is_local(network_of(text)) for text in ("", "::1", "127.0.0.1", "127.9.9.9"))
    assert not any(is_local(network_of(text)) for text in ("::2", "10.0.0.1", "unknown"))


def test_proven_clients_known_names_and_networks_without_failures_come_first() -> None:
    sign_ins = SignIns()
    sign_ins.record_success("ann", "10.0.0.1")
    sign_ins.record_failure("x", "10.0.0.2", 0.0, exists=False)

    ranks = [
        sign_ins.rank(name, network, 1.0, exists=name == "ann")
        for name, network in (
            ("ann", "10.0.0.1"),
            ("ann", "10.0.0.3"),
            ("bob", "10.0.0.3"),
            ("ann", "10.0.0.2"),
            ("bob", "10.0.0.2"),
        )
    ]

    assert ranks == list(range(RANKS))
    assert sign_ins.rank("bob", "10.0.0.2", 1000.0, exists=False) == 2


@pytest.mark.parametrize("exists", [True, False])
def test_names_that_exist_are_throttled_like_those_that_do_not(exists: bool) -> None:
    sign_ins = SignIns()

    refused = 0
    for _ in range(10):
        try:
            sign_ins.check("ann", "10.0.0.1", 0.0)
        except TooManyRequestsError:
            refused += 1
        else:
            sign_ins.record_failure("ann", "10.0.0.1", 0.0, exists=exists)

    assert refused == 4


def drain(queue: FairQueue[str]) -> list[str]:
    """Take all items."""
    taken = []
    while (item := queue.take()) is not None:
        taken.append(item)
    return taken


def test_networks_take_turns() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3", "b1", "c1", "c2"):
        queue.put(item, 0, item[0])

    assert drain(queue) == ["a1", "c1", "a2", "b1", "c2", "a3"]
    assert len(queue) == 0


def test_ranks_come_in_order_and_the_last_is_not_starved() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(20):
        queue.put(f"good {number}", 0, "a")
    for number in range(2):
        queue.put(f"bad {number}", 4, "b")

    taken = drain(queue)

    assert taken[:9] == [*(f"good {n}" for n in range(7)), "bad 0", "good 7"]
    assert taken.index("bad 1") == 15


def test_a_full_queue_drops_from_the_network_that_sends_most() -> None:
    queue: FairQueue[str] = FairQueue(capacity=4, of_network=3)
    for item in ("a1", "a2", "a3"):
        assert queue.put(item, 4, "a") is None

    assert queue.put("a4", 4, "a") == "a4"  # the share of the network is used up
    assert queue.put("b1", 4, "b") is None
    assert queue.put("c1", 4, "c") == "a3"
    assert queue.put("d1", 0, "d") == "a2"
    assert queue.put("e1", 2, "e") is not None
    assert drain(queue)[0] == "d1"


def test_a_full_queue_refuses_the_lowest_rank() -> None:
    queue: FairQueue[str] = FairQueue(capacity=2)
    for item in ("a", "b"):
        queue.put(item, 1, item)

    assert queue.put("c", 2, "c") == "c"
    assert len(queue) == 2


def test_two_networks_that_send_much_have_equal_shares() -> None:
    queue: FairQueue[str] = FairQueue()
    for _ in range(20):
        queue.put("a", 3, "a")
    for _ in range(20):
        queue.put("b", 3, "b")

    taken = drain(queue)

    assert abs(taken[:20].count("a") - 10) <= 1


def test_a_client_that_comes_during_a_flood_is_soon_served() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(200):
        queue.put(f"flood {number}", 1, f"10.0.0.{number}")
    queue.put("right", 1, "192.0.2.1")

    assert drain(queue).index("right") <= 2


def test_the_oldest_is_not_starved_by_ever_new_networks() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(10):
        queue.put(f"old {number}", 1, f"old {number}")

    taken = []
    for number in range(60):
        queue.put(f"new {number}", 1, f"new {number}")
        taken.append(queue.take())

    assert {f"old {number}" for number in range(10)} <= set(taken)
