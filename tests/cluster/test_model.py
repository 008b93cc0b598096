"""The protocol as a model: its invariants hold, and each safeguard is needed for one of them.

`make model` explores more: three nodes, three slots, several crashes.
"""

from typing import Any

import pytest

from tests.cluster import runs, trust
from tests.cluster.explore import Found, explore


def explored(**bounds: Any) -> Found:
    given = runs.Bounds(**bounds)
    return explore(
        runs.start(given),
        lambda state: runs.steps(given, state),
        is_stuck_well=lambda state: runs.is_stuck_well(given, state),
    )


def trusted(*left_out: str, is_prompt: bool = False) -> Found:
    return explore(
        trust.start(is_prompt=is_prompt),
        lambda state: trust.steps(frozenset(left_out), state),
    )


CASES: list[dict[str, Any]] = [
    {},
    {"overlap": "queue"},
    {"overlap": "cancel", "change": ""},
    {"overlap": "queue", "cancels": True, "change": ""},
    {"cancels": True, "endless": True},
    {"slots": 1, "nodes": 3, "cancels": True},
]


@pytest.mark.parametrize("bounds", CASES, ids=str)
def test_every_path_keeps_all_invariants(bounds: dict[str, Any]) -> None:
    found = explored(**bounds)

    assert (found.violation, found.is_exhausted) == ("", True)
    assert found.states > 1_000


SAFEGUARDS: list[tuple[str, str, dict[str, Any]]] = [
    ("lock", "I2", {}),
    ("ahead", "I1", {}),
    ("hold", "I1", {}),
    ("freeze", "I1", {}),
    ("trust", "I2", {"change": ""}),
    ("watch", "I2", {"change": ""}),
    ("stamp", "I4", {"overlap": "queue"}),
    ("outcome", "I4", {}),
    ("start", "I1", {"overlap": "queue"}),
    ("order", "I2", {"overlap": "queue"}),
    ("wish", "I7", {"cancels": True, "change": ""}),
    ("poll", "I7", {"endless": True}),
    ("takeover", "I6", {}),
    ("slot", "I5", {}),
]


@pytest.mark.parametrize(("left_out", "invariant", "bounds"), SAFEGUARDS)
def test_without_a_safeguard_an_invariant_breaks(
    left_out: str, invariant: str, bounds: dict[str, Any]
) -> None:
    found = explored(**bounds, left_out=frozenset({left_out}))

    assert found.violation[:2] == invariant
    assert found.path


def test_the_token_of_results_is_a_second_belt_beside_the_stamp() -> None:
    """Only a node that was buried has an older token, and the stamp refuses all its commits."""
    without_token = explored(overlap="queue", left_out=frozenset({"result"}))
    without_both = explored(overlap="queue", crashes=0, left_out=frozenset({"result", "stamp"}))

    assert (without_token.violation, without_token.is_exhausted) == ("", True)
    assert without_both.violation.startswith("I4")


def test_a_buried_node_does_not_trust_itself() -> None:
    assert trusted()[1:] == ("", (), True)


def test_an_outage_of_the_database_buries_no_node() -> None:
    assert trusted(is_prompt=True)[1:] == ("", (), True)


@pytest.mark.parametrize("left_out", ["compare", "watch", "start", "wrap"])
def test_without_a_rule_of_the_watch_a_node_is_buried_that_trusts_itself(left_out: str) -> None:
    assert trusted(left_out).violation[:2] == "I2"


def test_without_a_fresh_watch_after_an_outage_nodes_are_buried_for_it() -> None:
    assert trusted("afresh", is_prompt=True).violation


def test_every_step_of_the_model_is_taken() -> None:
    taken = set()
    given = runs.Bounds(overlap="queue", cancels=True)

    def steps(state: runs.State) -> runs.Steps:
        for name, following in runs.steps(given, state):
            taken.add(name.rstrip(" 012"))
            yield name, following

    explore(runs.start(given), steps)

    assert {"hold", "revoke", "release", "say begun", "take over", "close", "keep free"} <= taken
    assert {"ask", "change", "ask to cancel", "cancel", "write begin", "gone", "enter"} <= taken
