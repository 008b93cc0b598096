"""Arbitrary input is accepted or refused with a reason, and quickly."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zato_lite.errors import BadInputError
from zato_lite.timetable.cron import every, parse
from zato_lite.timetable.describe import describe
from zato_lite.timetable.job import SECOND, Cron, Interval, Job, OneTime
from zato_lite.timetable.trigger import check, next_after, previous_before
from zato_lite.timetable.upcoming import upcoming
from zato_lite.timetable.zone import check_zone, parse_moment

NOON = parse_moment("2026-11-23T12:00:00Z")
FIELDS = st.text("0123456789*,-/LW#?Hh()sunfrijan@ \u0661\u00b2", max_size=8)
QUICK = settings(max_examples=300)


def refused(question: Callable[[], object]) -> BadInputError | None:
    """Return the ``BadInputError`` that a call raises, or None; other errors propagate."""
    try:
        question()
    except BadInputError as refusal:
        return refusal
    return None


@QUICK
@given(expression=st.lists(FIELDS, min_size=1, max_size=7).map(" ".join))
def test_any_expression_is_parsed_or_refused(expression: str) -> None:
    trigger = Cron(start=NOON, expression=expression, timezone="Europe/Warsaw")

    refusal = refused(lambda: check(trigger, NOON))

    if refusal is not None:
        assert [each.field for each in refusal.errors] == ["cron_definition"]
        return
    slot = next_after(trigger, NOON - 1)
    assert slot is not None
    assert previous_before(trigger, slot + 1) == slot
    assert describe(trigger)


@QUICK
@given(text=st.text(max_size=30))
def test_any_text_is_parsed_as_a_moment_or_refused(text: str) -> None:
    refusal = refused(lambda: parse_moment(text, "Europe/Warsaw"))

    assert refusal is None or "is not a valid date and time" in str(refusal)


@settings(max_examples=50)
@given(name=st.text(max_size=30) | st.text("./aE", max_size=20))
def test_any_zone_name_is_accepted_or_refused(name: str) -> None:
    refusal = refused(lambda: check_zone(name))

    assert refusal is None or [each.field for each in refusal.errors] == ["timezone"]


@pytest.mark.parametrize(
    ("trigger", "field"),
    [
        (OneTime(start=10**18), "start_date"),
        (OneTime(start=-(10**18)), "start_date"),
        (OneTime(start=NOON, end=2**63), "end_date"),
        (Interval(start=NOON, weeks=10**12), "weeks"),
        (Cron(start=NOON, expression="@every 999999999w"), "cron_definition"),
        (Cron(start=NOON, expression="1," * 10**6 + "1 * * * *"), "cron_definition"),
        (Cron(start=NOON, expression="@daily", timezone="E" * 10**6), "timezone"),
    ],
    ids=["late", "early", "late end", "period", "@every", "long", "long zone"],
)
def test_out_of_range_dates_and_long_texts_are_refused_briefly(trigger: Any, field: str) -> None:
    with pytest.raises(BadInputError) as caught:
        check(trigger, NOON)

    assert caught.value.errors[0].field == field
    assert len(str(caught.value)) < 300


def test_slots_end_before_the_last_datetime() -> None:
    job = Job(name="j", service="s", trigger=Interval(start=NOON, weeks=5_000))

    coming = upcoming(job, NOON, 1_000)

    assert 70 < len(coming) < 80


def test_the_month_cache_of_an_expression_is_bounded() -> None:
    expression = parse("0 0 29 2 *")

    for year in range(200):
        assert expression.next(year * 366 * 86_400) is not None

    assert len(expression._cached_days) <= 1_200


def test_only_an_every_macro_has_a_period() -> None:
    assert every("* * * * *") is None
    assert every("@every 1h 30m") == 5_400 * SECOND
