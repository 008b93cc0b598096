import pytest

from bench.before_after import Estimate, Result, estimate, interval_rank, per_fire, printed, spent


@pytest.mark.parametrize(
    ("pairs", "rank"), [(6, 1), (9, 2), (10, 2), (12, 3), (15, 4), (20, 6), (30, 10)]
)
def test_the_interval_of_a_median_has_the_ranks_of_the_sign_test(pairs: int, rank: int) -> None:
    assert interval_rank(pairs) == rank


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="too few pairs: 5"):
        interval_rank(5)


def test_the_estimate_is_the_median_of_the_ratios_of_pairs() -> None:
    before = [1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0]
    ratios = [0.9, 0.95, 1.0, 1.0, 1.05, 1.05, 1.1, 1.2, 1.3, 9.0]

    found = estimate(before, [b * ratio for b, ratio in zip(before, ratios, strict=True)])

    assert found == pytest.approx(Estimate(1.05, 0.95, 1.3))
    assert not found.is_slower


def test_a_change_is_slower_if_its_whole_interval_is_above_the_limit() -> None:
    assert Estimate(1.05, 1.04, 1.1).is_slower
    assert not Estimate(1.05, 1.02, 1.1).is_slower


def test_figures_are_read_from_the_rows_that_a_script_prints() -> None:
    result = Result("GET bare  900 ns\nGET zato-lite   7,650 ns  (least 7,000)\n", 3.0)

    assert printed({"GET": "GET zato-lite"})(result, None) == {"GET": 7650.0}
    with pytest.raises(ValueError, match="no row 'POST zato-lite'"):
        printed({"POST": "POST zato-lite"})(result, None)


def test_the_cpu_time_of_the_start_is_subtracted() -> None:
    figures = spent("S1", 1_000)(Result("", 1.5), Result("", 0.5))

    assert figures == pytest.approx({"S1": 1_000_000.0})


def test_the_cpu_time_of_a_run_is_read_from_a_scenario() -> None:
    steady = '{"share": 1.0, "cpu_percent": 10.0, "fired": 4000}'

    assert per_fire("S2")(Result('log\n{"cpu_us_per_fire": 13.5}\n', 0), None) == {"S2": 13_500.0}
    assert per_fire("S3")(Result(steady, 0), None) == pytest.approx({"S3": 100_000.0})
    with pytest.raises(ValueError, match="only 50%"):
        per_fire("S3")(Result('{"share": 0.5}', 0), None)
