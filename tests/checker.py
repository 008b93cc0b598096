"""Checker of histories: matches due slots to runs and the ledger.

In the manner of Jepsen's checker for Chronos: what was due is computed apart from the program
under test, what happened is read from its store and from what the services themselves wrote down
outside of it. Everything here is pure; every test that crashes something ends in ``violations``.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

Kind = Literal[
    "early", "lost", "doubled", "unaccounted", "invented", "stale", "unrecorded", "miscounted"
]


class Due(NamedTuple):
    """Slots of one job that the history has to account for."""

    job: int
    slots: Sequence[int]


class Run(NamedTuple):
    """Run in the store: its last attempt and its outcome, None while running."""

    job: int
    slot: int
    attempt: int
    token: int
    started_at: int | None
    outcome: str | None


class Gap(NamedTuple):
    """Ledger row: ``number`` slots from ``first`` to ``last`` without a run."""

    job: int
    first: int
    last: int
    number: int
    outcome: str


class Effect(NamedTuple):
    """Record that a service writes outside of the store as its first statement."""

    job: int
    slot: int
    attempt: int
    token: int
    at: int


class Violation(NamedTuple):
    """Violation of a rule, and its place."""

    kind: Kind
    job: int
    slot: int
    words: str


def grid(start: int, period: int, after: int, until: int) -> range:
    """Return the slots of an interval in (after, until]."""
    steps = max(0, (after - start) // period + 1)
    return range(start + steps * period, until + 1, period)


def violations(
    due: Iterable[Due],
    runs: Iterable[Run],
    gaps: Iterable[Gap] = (),
    effects: Iterable[Effect] | None = None,
) -> list[Violation]:
    """Return all violations of a history without open runs.

    Args:
        due: the slots to account for; runs and gaps of other slots of these jobs are invented.
        runs: scheduled runs only, of these jobs.
        gaps: ledger rows of these jobs.
        effects: None where the services wrote nothing down.
    """
    runs, gaps, due = list(runs), list(gaps), list(due)
    found = list(_accounts(due, runs, gaps))
    for run in runs:
        found += _of_run(run)
    if effects is not None:
        found += _of_effects(runs, list(effects))
    return sorted(found, key=lambda violation: (violation.job, violation.slot))


def _accounts(due: list[Due], runs: list[Run], gaps: list[Gap]) -> Iterator[Violation]:
    """Check that each due slot has exactly one result, a run or a ledger entry."""
    answers: dict[int, Counter[int]] = defaultdict(Counter)
    for run in runs:
        answers[run.job][run.slot] += 1
    wanted = {job: frozenset(slots) for job, slots in due}
    for gap in gaps:
        inside = [slot for slot in wanted.get(gap.job, ()) if gap.first <= slot <= gap.last]
        if len(inside) != gap.number:
            words = f"the ledger counts {gap.number} {gap.outcome}, there are {len(inside)}"
            yield Violation("miscounted", gap.job, gap.first, words)
        answers[gap.job].update(inside)
    for job, slots in wanted.items():
        for slot in sorted(slots | answers[job].keys()):
            times = answers[job][slot]
            if slot not in slots:
                yield Violation("invented", job, slot, "a run at a moment that is no slot")
            elif not times:
                yield Violation("unaccounted", job, slot, "neither a run nor a ledger entry")
            elif times > 1:
                yield Violation("doubled", job, slot, f"accounted for {times} times")


def _of_run(run: Run) -> Iterator[Violation]:
    if run.outcome is None:
        yield Violation("lost", run.job, run.slot, f"attempt {run.attempt} never came to an end")
    if run.started_at is not None and run.started_at < run.slot:
        early = run.slot - run.started_at
        yield Violation("early", run.job, run.slot, f"started {early} µs before its slot")


def _of_effects(runs: list[Run], effects: list[Effect]) -> Iterator[Violation]:
    """Check that effects agree with the store and that tokens only grow."""
    by_slot: dict[tuple[int, int], list[Effect]] = defaultdict(list)
    for effect in effects:
        by_slot[effect.job, effect.slot].append(effect)
    recorded = {(run.job, run.slot): run for run in runs}
    for (job, slot), seen in by_slot.items():
        run = recorded.get((job, slot))
        if run is None:
            yield Violation("unrecorded", job, slot, "a service ran, and the store knows no run")
        yield from _of_attempts(job, slot, sorted(seen, key=lambda effect: effect.at), run)
    for job, slot in recorded.keys() - by_slot.keys():
        if recorded[job, slot].outcome == "ok":
            yield Violation("invented", job, slot, "the run is ok, and its service never ran")


def _of_attempts(job: int, slot: int, seen: list[Effect], run: Run | None) -> Iterator[Violation]:
    if seen[0].at < slot:
        early = slot - seen[0].at
        yield Violation("early", job, slot, f"the service began {early} µs before its slot")
    for attempt, times in Counter(effect.attempt for effect in seen).items():
        if times > 1:
            yield Violation("doubled", job, slot, f"attempt {attempt} began {times} times")
    tokens = [effect.token for effect in seen]
    if any(later <= earlier for earlier, later in pairwise(tokens)):
        yield Violation("stale", job, slot, f"tokens do not grow: {tokens}")
    if run is not None and run.outcome is not None and run.token < max(tokens):
        words = f"settled under token {run.token}, and {max(tokens)} was handed out"
        yield Violation("stale", job, slot, words)
