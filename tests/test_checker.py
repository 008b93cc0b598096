from hypothesis import given
from hypothesis import strategies as st

from tests.checker import Due, Effect, Gap, Run, Violation, grid, violations

SECOND = 1_000_000


def kinds(found: list[Violation]) -> list[str]:
    return [violation.kind for violation in found]


def ran(slot: int, *, attempt: int = 1, token: int = 1, outcome: str | None = "ok") -> Run:
    return Run(1, slot, attempt, token, slot + 300, outcome)


def test_a_grid_has_its_slots_after_the_first_bound_and_up_to_the_second() -> None:
    assert list(grid(start=10, period=5, after=10, until=25)) == [15, 20, 25]
    assert list(grid(start=10, period=5, after=9, until=14)) == [10]
    assert list(grid(start=10, period=5, after=-100, until=9)) == []


def test_slots_with_a_run_or_in_the_ledger_are_accounted_for() -> None:
    due = [Due(1, [10, 20, 30, 40])]
    runs = [ran(10), ran(40)]
    gaps = [Gap(1, 20, 30, 2, "missed")]

    assert violations(due, runs, gaps) == []


def test_a_slot_with_neither_is_unaccounted() -> None:
    found = violations([Due(1, [10, 20])], [ran(10)])

    assert found == [Violation("unaccounted", 1, 20, "neither a run nor a ledger entry")]


def test_a_slot_with_two_runs_is_doubled() -> None:
    assert kinds(violations([Due(1, [10])], [ran(10), ran(10)])) == ["doubled"]


def test_a_slot_with_a_run_and_a_ledger_entry_is_doubled() -> None:
    found = violations([Due(1, [10])], [ran(10)], [Gap(1, 10, 10, 1, "missed")])

    assert kinds(found) == ["doubled"]


def test_a_run_without_a_slot_is_invented() -> None:
    assert kinds(violations([Due(1, [10])], [ran(10), ran(15)])) == ["invented"]


def test_a_ledger_entry_with_a_wrong_count_is_miscounted() -> None:
    found = violations([Due(1, [10, 20])], [], [Gap(1, 10, 20, 3, "missed")])

    assert kinds(found) == ["miscounted"]


def test_a_run_that_never_ended_is_lost() -> None:
    assert kinds(violations([Due(1, [10])], [ran(10, outcome=None)])) == ["lost"]


def test_a_run_before_its_slot_is_early() -> None:
    found = violations([Due(1, [10])], [Run(1, 10, 1, 1, 9, "ok")])

    assert found == [Violation("early", 1, 10, "started 1 µs before its slot")]


def test_a_service_that_began_before_its_slot_is_early() -> None:
    found = violations([Due(1, [10])], [ran(10)], effects=[Effect(1, 10, 1, 1, 8)])

    assert kinds(found) == ["early"]


def test_an_attempt_that_began_twice_under_one_token_is_doubled_and_stale() -> None:
    effects = [Effect(1, 10, 1, 1, 11), Effect(1, 10, 1, 1, 12)]

    found = violations([Due(1, [10])], [ran(10)], effects=effects)

    assert kinds(found) == ["doubled", "stale"]


def test_a_second_attempt_under_a_new_token_after_a_crash_is_right() -> None:
    effects = [Effect(1, 10, 1, 7, 11), Effect(1, 10, 2, 8, 99)]

    found = violations([Due(1, [10])], [ran(10, attempt=2, token=8)], effects=effects)

    assert found == []


def test_a_result_with_an_older_token_than_the_latest_is_stale() -> None:
    effects = [Effect(1, 10, 1, 7, 11), Effect(1, 10, 2, 8, 99)]

    found = violations([Due(1, [10])], [ran(10, token=7)], effects=effects)

    assert kinds(found) == ["stale"]


def test_an_effect_without_a_run_in_the_store_is_unrecorded() -> None:
    found = violations(
        [Due(1, [10])], [], [Gap(1, 10, 10, 1, "missed")], [Effect(1, 10, 1, 1, 11)]
    )

    assert kinds(found) == ["unrecorded"]


def test_a_run_that_is_ok_without_its_service_having_run_is_invented() -> None:
    assert kinds(violations([Due(1, [10])], [ran(10)], effects=[])) == ["invented"]


def test_a_run_that_failed_before_its_service_began_needs_no_effect() -> None:
    assert violations([Due(1, [10])], [ran(10, outcome="error")], effects=[]) == []


@given(
    start=st.integers(0, 100 * SECOND),
    period=st.integers(1, 10) | st.integers(SECOND, 10 * SECOND),
    length=st.integers(1, 60),
    fates=st.lists(st.sampled_from(["run", "gap"]), min_size=60, max_size=60),
    drop=st.integers(0, 59),
)
def test_a_complete_history_is_clean_and_with_one_result_missing_it_is_not(
    start: int, period: int, length: int, fates: list[str], drop: int
) -> None:
    slots = list(grid(start, period, start - 1, start + (length - 1) * period))
    answers: list[Run | Gap] = [
        ran(slot) if fate == "run" else Gap(1, slot, slot, 1, "missed")
        for slot, fate in zip(slots, fates, strict=False)
    ]

    def check(kept: list[Run | Gap]) -> list[Violation]:
        runs = [answer for answer in kept if isinstance(answer, Run)]
        gaps = [answer for answer in kept if isinstance(answer, Gap)]
        return violations([Due(1, slots)], runs, gaps)

    assert len(slots) == length
    assert check(answers) == []
    left_out = drop % length
    assert kinds(check(answers[:left_out] + answers[left_out + 1 :])) == ["unaccounted"]
