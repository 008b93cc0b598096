"""Exploration of a model: visits every state within its bounds, breadth first."""

import sys
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple, TypeVar

State = TypeVar("State", bound=Hashable)


class Violation(Exception):  # noqa: N818 - the model's word
    """A step of the model breaks an invariant."""


class Found(NamedTuple):
    """The result of an exploration.

    Attributes:
        states: number of different states.
        violation: the invariant that does not hold, with ``path`` to it; empty if all hold.
        is_exhausted: every reachable state was visited.
    """

    states: int
    violation: str
    path: tuple[str, ...]
    is_exhausted: bool


def explore(
    start: State,
    steps: Callable[[State], Iterable[tuple[str, State]]],
    *,
    is_stuck_well: Callable[[State], str] = lambda _: "",
    is_over: Callable[[int], bool] = lambda _: False,
) -> Found:
    """Visit the states that steps lead to, up to the first violation.

    Args:
        start: the first state.
        steps: yields the names and the results of the steps that are possible in a state.
        is_stuck_well: returns why a state without further progress is wrong; else an empty text.
        is_over: returns True if no more states shall be visited, given their number.
    """
    seen: dict[int, tuple[int, str] | None] = {hash(start): None}
    waiting = deque([start])
    while waiting:
        state = waiting.popleft()
        here = hash(state)
        if is_over(len(seen)):
            return Found(len(seen), "", (), is_exhausted=False)
        try:
            for name, following in steps(state):
                key = hash(following)
                if key not in seen:
                    seen[key] = (here, sys.intern(name))
                    waiting.append(following)
            wrong = is_stuck_well(state)
        except Violation as violation:
            wrong = str(violation)
        if wrong:
            return Found(len(seen), wrong, tuple(_path(seen, here)), is_exhausted=False)
    return Found(len(seen), "", (), is_exhausted=True)


def _path(seen: dict[int, tuple[int, str] | None], key: int) -> list[str]:
    names = []
    while (entry := seen[key]) is not None:
        key, name = entry
        names.append(name)
    return names[::-1]
