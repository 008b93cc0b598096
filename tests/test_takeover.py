"""The measure of ``make chaos``: how late slots were because a node died."""

import pytest

from tests.checker import Effect
from tests.faults.chaos import report_takeovers
from tests.faults.takeover import SECOND, Death, Takeover, measured

AT = 1_000 * SECOND


def takeover(
    *effects: tuple[int, float, float],
    slots: frozenset[tuple[int, int]] = frozenset(),
    taken_over: frozenset[tuple[int, int]] = frozenset(),
    ignored: tuple[int, ...] = (),
    control: float = 0.003,
    is_still: bool = False,
) -> Takeover:
    """Return what is measured of services that began: the job, its slot, and the start."""
    seen = [Effect(job, _at(slot), 1, 1, _at(began)) for job, slot, began in effects]
    return measured(Death(AT, slots, is_still), seen, taken_over, ignored, control)


def _at(seconds: float) -> int:
    return AT + round(seconds * SECOND)


def test_a_run_of_the_dead_node_counts_from_the_death() -> None:
    seen = takeover((1, -0.4, 6.0), (2, 0.5, 0.6), slots=frozenset({(1, _at(-0.4))}))

    assert (seen.claimed.seconds, seen.claimed.slot) == (6.0, (1, _at(-0.4)))
    assert seen.unclaimed.seconds == 0.1
    assert seen.is_within


def test_a_job_that_waits_behind_a_run_of_the_dead_node_is_not_unclaimed() -> None:
    seen = takeover((1, -0.4, 6.0), (1, 0.6, 6.1), slots=frozenset({(1, _at(-0.4))}))

    assert seen.unclaimed.seconds == 0.0


def test_a_slot_of_a_commit_that_postgres_made_after_the_death_was_claimed() -> None:
    seen = takeover((1, 0.5, 6.0), (1, 1.5, 6.1), taken_over=frozenset({(1, _at(0.5))}))

    assert (seen.claimed.seconds, seen.unclaimed.seconds) == (5.5, 0.0)


def test_late_slots_of_other_jobs_and_late_takeovers_are_beyond_the_bounds() -> None:
    late = takeover((3, 2.0, 3.5), (3, 3.0, 3.1))
    dead = takeover((1, -0.4, 6.6), slots=frozenset({(1, _at(-0.4))}))

    assert (late.unclaimed.seconds, late.unclaimed.slot) == (1.5, (3, _at(2.0)))
    assert not late.is_within
    assert not dead.is_within


def test_a_node_that_stands_still_may_hold_the_locks_of_its_claim_for_two_seconds() -> None:
    late = takeover((3, 0.1, 2.2), is_still=True)
    later = takeover((3, 0.1, 3.2), is_still=True)

    assert late.is_within
    assert later.beyond == [(3.1, (3, _at(0.1)))]
    assert not takeover((3, 0.1, 2.2)).is_within


def test_only_starts_after_the_death_and_slots_of_the_window_count() -> None:
    seen = takeover(
        (1, -0.4, -0.3), (1, -0.4, 6.0), (4, 9.0, 12.0), (5, 1.0, 9.0),
        slots=frozenset({(1, _at(-0.4))}), ignored=(5,),
    )  # fmt: skip

    assert (seen.claimed.seconds, seen.unclaimed.seconds) == (6.0, 0.0)


def test_a_busy_machine_is_named() -> None:
    assert takeover(control=0.3).is_busy
    assert "on a busy machine" in str(takeover(control=0.3))
    assert not takeover().is_busy


def test_takeovers_beyond_the_bounds_count_unless_the_machine_was_busy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    late = ((3, 2.0, 3.5),)

    beyond = report_takeovers([takeover(), takeover(*late), takeover(*late, control=0.3)])

    assert beyond == 1
    said = capsys.readouterr().out
    assert "3 deaths: 1 of 2 takeovers within bounds; on a busy machine 0 of 1" in said
    assert "others p50 1.50 s, at most 1.50 s" in said
    assert report_takeovers([]) == 0
