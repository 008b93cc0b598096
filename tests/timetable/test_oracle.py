import os
import random
from bisect import bisect_left, bisect_right
from datetime import UTC, datetime, timedelta

import pytest

from tests.timetable.oracle import CATEGORIES, Oracle
from zato_lite.timetable.job import SECOND, Cron
from zato_lite.timetable.trigger import check, count_between, next_after, previous_before
from zato_lite.timetable.zone import to_datetime

SAMPLE = int(os.environ.get("ZATO_LITE_ORACLE", "12"))
"""Expressions of each category; `make oracle` takes 400."""


def _instant(wall: datetime) -> int:
    return (wall.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )


def _differences(expression: str, chance: random.Random, *, day_and: bool) -> list[str]:
    start = datetime(2026, 1, 1) + timedelta(seconds=chance.randrange(3 * 365 * 86_400))  # noqa: DTZ001
    until = start + timedelta(days=chance.choice([3, 40, 500]))
    oracle = Oracle(expression, day_and=day_and)
    trigger = Cron(start=0, expression=expression, day_and=day_and)
    slots = [_instant(wall) for wall in oracle.between(start, until)]
    first, last = _instant(start), _instant(until)

    if slots:
        check(trigger, first)
    wrong = []
    if (counted := count_between(trigger, first, last)) != len(slots):
        wrong.append(f"{expression}: counted {counted}, not {len(slots)}")
    moments = [first, *chance.sample(slots, min(len(slots), 20)), *slots[:20], *slots[-20:]]
    moments += [chance.randint(first, last) for _ in range(10)]
    for moment in moments:
        after, before = next_after(trigger, moment), previous_before(trigger, moment)
        place, place_before = bisect_right(slots, moment), bisect_left(slots, moment)
        if place < len(slots) and after != slots[place]:
            wrong.append(f"{expression}: after {to_datetime(moment)} comes {after}")
        if place == len(slots) and after is not None and after <= last:
            wrong.append(f"{expression}: after {to_datetime(moment)} there is {after}")
        if place_before > 0 and before != slots[place_before - 1]:
            wrong.append(f"{expression}: before {to_datetime(moment)} was {before}")
        if place_before == 0 and before is not None and before > first:
            wrong.append(f"{expression}: before {to_datetime(moment)} there was {before}")
    return wrong


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_expression_agrees_with_the_oracle(category: str) -> None:
    chance = random.Random(f"{category} 2026")
    wrong = []

    for _ in range(SAMPLE):
        expression = CATEGORIES[category](chance)
        wrong += _differences(expression, chance, day_and=chance.random() < 0.2)

    assert wrong == []


def test_slots_are_whole_seconds() -> None:
    trigger = Cron(start=5, expression="* * * * * *")

    assert next_after(trigger, 3) == SECOND
