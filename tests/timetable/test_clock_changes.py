"""Clock changes: the table of Debian's cron, and each policy."""

from pathlib import Path
from typing import Any

import pytest

from zato_lite.timetable.job import SECOND, Cron, Interval
from zato_lite.timetable.trigger import (
    clock_effects,
    count_between,
    next_after,
    previous_before,
    slots_between,
)
from zato_lite.timetable.zone import parse_moment, to_datetime, to_text

DAY = 86_400 * SECOND


def local(expression: str, zone: str, day: str, **policies: Any) -> list[str]:
    """Return the slots of a local day, with their offsets."""
    begin = parse_moment(f"{day} 00:00:00", zone) - 1
    until = parse_moment(f"{day} 23:59:59", zone, fold="last")
    trigger = Cron(start=0, expression=expression, timezone=zone, **policies)

    slots = list(slots_between(trigger, begin, until))

    backwards, moment = [], until + 1
    while (moment := previous_before(trigger, moment) or 0) > begin:
        backwards.append(moment)
    assert backwards == slots[::-1]
    assert count_between(trigger, begin, until) == len(slots)
    return [to_datetime(slot, zone).strftime("%H:%M%z") for slot in slots]


@pytest.mark.parametrize(
    ("expression", "policies", "slots"),
    [
        ("30 2 * * *", {}, ["03:00+0200"]),
        ("30 2 * * *", {"gap": "skip"}, []),
        ("30 2 * * *", {"gap": "shift"}, ["03:30+0200"]),
        ("0,30 2 * * *", {}, ["03:00+0200"]),
        ("0,30 2 * * *", {"gap": "shift"}, ["03:00+0200", "03:30+0200"]),
        ("0,30 2,3 * * *", {"gap": "shift"}, ["03:00+0200", "03:30+0200"]),
        ("30 2,3 * * *", {}, ["03:00+0200", "03:30+0200"]),
        ("15 3 * * *", {}, ["03:15+0200"]),
        ("*/20 2 * * *", {}, []),
        (
            "*/20 1-3 * * *",
            {},
            [
                "01:00+0100",
                "01:20+0100",
                "01:40+0100",
                "03:00+0200",
                "03:20+0200",
                "03:40+0200",
            ],
        ),
        ("30 1-3 * * *", {}, ["01:30+0100", "03:00+0200", "03:30+0200"]),
        ("30 1-3/1 * * *", {}, ["01:30+0100", "03:00+0200", "03:30+0200"]),
        ("30 1-3 * * *", {"gap": "skip"}, ["01:30+0100", "03:30+0200"]),
        ("15-30/15 2 * * *", {}, ["03:00+0200"]),
        ("*/15 30 2 * * *", {}, ["03:00+0200"]),
        ("0 1,2,3 * * *", {}, ["01:00+0100", "03:00+0200"]),
    ],
)
def test_spring_in_warsaw(expression: str, policies: dict[str, Any], slots: list[str]) -> None:
    assert local(expression, "Europe/Warsaw", "2027-03-28", **policies) == slots


@pytest.mark.parametrize(
    ("expression", "policies", "slots"),
    [
        ("30 2 * * *", {}, ["02:30+0200"]),
        ("30 2 * * *", {"fold": "last"}, ["02:30+0100"]),
        ("30 2 * * *", {"fold": "both"}, ["02:30+0200", "02:30+0100"]),
        ("0 3 * * *", {}, ["03:00+0100"]),
        ("0 2,3 * * *", {"fold": "last"}, ["02:00+0100", "03:00+0100"]),
        ("0 1-3 * * *", {}, ["01:00+0200", "02:00+0200", "03:00+0100"]),
        ("30 2-3 * * *", {}, ["02:30+0200", "03:30+0100"]),
        ("30 2,3 * * *", {}, ["02:30+0200", "03:30+0100"]),
        ("30 2-3/1 * * *", {}, ["02:30+0200", "03:30+0100"]),
        ("1,31 1-2 * * *", {}, ["01:01+0200", "01:31+0200", "02:01+0200", "02:31+0200"]),
        ("0-30/30 2 * * *", {}, ["02:00+0200", "02:30+0200"]),
        ("H(30-30) H(2-2)/5 * * *", {}, ["02:30+0200"]),
        ("0 2/5 * * *", {"fold": "last"}, [f"{h:02}:00+0100" for h in (2, 7, 12, 17, 22)]),
        # The policy gives a range the cadence of a ``*``.
        (
            "30 2-3 * * *",
            {"fold": "both", "gap": "skip"},
            [
                "02:30+0200",
                "02:30+0100",
                "03:30+0100",
            ],
        ),
        # A field that begins with ``*``, whatever follows, keeps real time.
        (
            "*,5 2 * * *",
            {"fold": "first"},
            [f"02:{m:02}{offset}" for offset in ("+0200", "+0100") for m in range(60)],
        ),
        (
            "30 */2 * * *",
            {},
            [
                "00:30+0200",
                "02:30+0200",
                "02:30+0100",
                *(f"{h:02}:30+0100" for h in range(4, 24, 2)),
            ],
        ),
        ("*/30 2 * * *", {}, ["02:00+0200", "02:30+0200", "02:00+0100", "02:30+0100"]),
    ],
)
def test_autumn_in_warsaw(expression: str, policies: dict[str, Any], slots: list[str]) -> None:
    assert local(expression, "Europe/Warsaw", "2027-10-31", **policies) == slots


def documented() -> list[tuple[str, str, str]]:
    """Return the rows of the table in the documentation."""
    text = (Path(__file__).parents[2] / "docs" / "timetable.md").read_text()
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    found = [(row[1].strip(" `"), row[2].strip(), row[3].strip()) for row in rows if len(row) == 5]
    return [row for row in found if "* * *" in row[0]]


@pytest.mark.parametrize(("expression", "spring", "autumn"), documented())
def test_the_table_in_the_documentation_is_true(expression: str, spring: str, autumn: str) -> None:
    for day, words in (("2027-03-28", spring), ("2027-10-31", autumn)):
        slots = [slot[:5] for slot in local(expression, "Europe/Warsaw", day)]
        slots = [slot for slot in slots if "01:00" <= slot < "04:00"]
        assert " ".join(slots) == words.replace("none", "")


def test_the_documentation_has_a_table() -> None:
    assert len(documented()) == 8


@pytest.mark.parametrize(
    ("day", "hours"), [("2027-03-28", 23), ("2027-10-31", 25), ("2027-07-01", 24)]
)
def test_an_hourly_job_keeps_real_time(day: str, hours: int) -> None:
    assert len(local("0 * * * *", "Europe/Warsaw", day)) == hours


@pytest.mark.parametrize(
    ("zone", "day", "expression", "policies", "slots"),
    [
        ("America/New_York", "2027-03-14", "30 2 * * *", {}, ["03:00-0400"]),
        ("America/New_York", "2027-03-14", "30 2 * * *", {"gap": "shift"}, ["03:30-0400"]),
        ("America/New_York", "2027-11-07", "30 1 * * *", {}, ["01:30-0400"]),
        ("America/New_York", "2027-11-07", "30 1 * * *", {"fold": "last"}, ["01:30-0500"]),
        ("Australia/Lord_Howe", "2027-10-03", "15 2 * * *", {}, ["02:30+1100"]),
        ("Australia/Lord_Howe", "2027-10-03", "15 2 * * *", {"gap": "shift"}, ["02:45+1100"]),
        ("Australia/Lord_Howe", "2027-10-03", "15 2 * * *", {"gap": "skip"}, []),
        ("Australia/Lord_Howe", "2027-04-04", "45 1 * * *", {}, ["01:45+1100"]),
        ("Australia/Lord_Howe", "2027-04-04", "45 1 * * *", {"fold": "last"}, ["01:45+1030"]),
        ("Australia/Lord_Howe", "2027-04-04", "15 1 * * *", {"fold": "both"}, ["01:15+1100"]),
        # Ramadan: the clock goes back in the middle of February, and forward again in March.
        ("Africa/Casablanca", "2026-02-15", "30 2 * * *", {}, ["02:30+0100"]),
        (
            "Africa/Casablanca",
            "2026-02-15",
            "30 2 * * *",
            {"fold": "both"},
            ["02:30+0100", "02:30+0000"],
        ),
        ("Africa/Casablanca", "2026-03-22", "30 2 * * *", {}, ["03:00+0100"]),
        # Until 2018 the clock was put forward at midnight: the day began at 01:00.
        ("America/Sao_Paulo", "2018-11-04", "0 0 * * *", {}, ["01:00-0200"]),
        ("America/Sao_Paulo", "2018-11-04", "0 0 * * *", {"gap": "skip"}, []),
        ("America/Sao_Paulo", "2018-02-17", "30 23 * * *", {}, ["23:30-0200"]),
        ("America/Sao_Paulo", "2018-02-17", "30 23 * * *", {"fold": "last"}, ["23:30-0300"]),
    ],
)
def test_clock_changes_in_other_zones(
    zone: str, day: str, expression: str, policies: dict[str, Any], slots: list[str]
) -> None:
    assert local(expression, zone, day, **policies) == slots


@pytest.mark.parametrize(
    ("gap", "slots"),
    [
        ("run_after", ["29 09:00", "31 00:00", "31 09:00"]),
        ("skip", ["29 09:00", "31 09:00"]),
        ("shift", ["29 09:00", "31 09:00"]),
    ],
)
def test_the_day_that_samoa_skipped(gap: Any, slots: list[str]) -> None:
    zone = "Pacific/Apia"
    trigger = Cron(start=0, expression="0 9 * * *", timezone=zone, gap=gap)
    begin = parse_moment("2011-12-29", zone)
    until = parse_moment("2011-12-31 23:00", zone)

    found = list(slots_between(trigger, begin, until))

    assert [to_datetime(slot, zone).strftime("%d %H:%M") for slot in found] == slots
    assert count_between(trigger, begin, until) == len(found)


def test_an_interval_ignores_clock_changes() -> None:
    start = parse_moment("2027-03-27 02:30", "Europe/Warsaw")
    trigger = Interval(start=start, days=1, timezone="Europe/Warsaw")

    slot = next_after(trigger, start)

    assert slot is not None
    assert to_text(slot, "Europe/Warsaw") == "2027-03-28 03:30:00 Europe/Warsaw"


@pytest.mark.parametrize(
    ("policies", "remarks"),
    [
        (
            {},
            [
                "2027-03-28 02:30:00 does not exist in Europe/Warsaw: runs at 03:00:00",
                "2027-10-31 02:30:00 comes twice in Europe/Warsaw: runs the first time",
            ],
        ),
        (
            {"gap": "skip", "fold": "last"},
            [
                "2027-03-28 02:30:00 does not exist in Europe/Warsaw: skipped",
                "2027-10-31 02:30:00 comes twice in Europe/Warsaw: runs the second time",
            ],
        ),
        (
            {"gap": "shift", "fold": "both"},
            [
                "2027-03-28 02:30:00 does not exist in Europe/Warsaw: runs at 03:30:00",
                "2027-10-31 02:30:00 comes twice in Europe/Warsaw: runs both times",
            ],
        ),
    ],
)
def test_a_remark_describes_the_effect_of_a_clock_change(
    policies: dict[str, Any], remarks: list[str]
) -> None:
    begin = parse_moment("2027-01-01")
    trigger = Cron(start=0, expression="30 2 * * *", timezone="Europe/Warsaw", **policies)

    found = list(clock_effects(trigger, begin, begin + 365 * DAY))

    assert [effect.words for effect in found] == remarks


def test_a_cadence_and_a_trigger_without_a_zone_have_no_remarks() -> None:
    begin = parse_moment("2027-01-01")
    rhythm = Cron(start=0, expression="*/5 * * * *", timezone="Europe/Warsaw")
    without = Cron(start=0, expression="30 2 * * *")

    assert list(clock_effects(rhythm, begin, begin + 365 * DAY)) == []
    assert list(clock_effects(without, begin, begin + 365 * DAY)) == []
