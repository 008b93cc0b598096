from typing import Any

import pytest

from tests.builtin.imports.dialects import NOW, ours
from zato_lite.builtin.imports import apscheduler
from zato_lite.builtin.imports.entry import Entry, Options
from zato_lite.wire import encode

OPTIONS = Options(timezone="UTC", now=NOW)


def _read(**job: Any) -> Entry:
    sent = {"id": "a", "func": "demo.ping", **job}
    [found] = apscheduler.read(encode({"jobs": [sent]}).decode(), OPTIONS)
    return found


def _cron(**arguments: Any) -> dict[str, Any]:
    found = _read(trigger="cron", **arguments)
    assert found.fields is not None, found.differences
    return found.fields


@pytest.mark.parametrize(
    ("arguments", "expression"),
    [
        ({"hour": 7, "minute": 30}, "0 30 7 * * *"),
        ({"minute": "*/5"}, "0 */5 * * * *"),
        ({"second": "*/30"}, "*/30 * * * * *"),
        ({"day_of_week": "*/2", "hour": 3}, "0 0 3 * * 0,1,3,5"),
        ({"day_of_week": "0-4", "hour": 3}, "0 0 3 * * 1-5"),
        ({"day_of_week": "5/1", "hour": 3}, "0 0 3 * * 0,6"),
        ({"day_of_week": "sat,sun"}, "0 0 0 * * 0,6"),
        ({"day": "last"}, "0 0 0 l * *"),
        ({"day": "last sun"}, "0 0 0 * * 0l"),
        ({"day": "3rd fri", "hour": 9}, "0 0 9 * * 5#3"),
        ({"day": "15,3rd fri"}, "0 0 0 15 * 5#3"),
        ({"day": "1st mon,last", "hour": 1}, "0 0 1 l * 1#1"),
        ({"day": "*/5,2nd tue"}, "0 0 0 1,6,11,16,21,26,31 * 2#2"),
        ({"day": "1st mon,1st tue", "day_of_week": "tue-fri"}, "0 0 0 * * 2#1"),
        ({"month": "jan-mar"}, "0 0 0 1 1-3 *"),
        ({"year": 2030}, "0 0 0 1 1 * 2030"),
        ({"week": "*", "hour": 4}, "0 0 4 * * *"),
        ({"week": "1-53", "day_of_week": "mon"}, "0 0 0 * * 1"),
    ],
)
def test_fields_mean_what_they_mean_there(arguments: dict[str, Any], expression: str) -> None:
    assert _cron(**arguments)["cron_definition"] == expression


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"week": "1", "day_of_week": "mon"}, "a week of the year has no equivalent"),
        ({"week": "*/2"}, "a week of the year has no equivalent"),
        ({"day": "15,3rd fri", "day_of_week": "fri"}, "on certain days of the week only"),
        ({"day": "1st mon", "day_of_week": "tue"}, "never on the given days of week"),
        ({"day_of_week": "7"}, "0-6"),
        ({"day_of_week": "mon-fri/2"}, "not valid in APScheduler"),
        ({"day": "6th fri"}, "not valid in APScheduler"),
        ({"day": "last funday"}, "not valid in APScheduler"),
        ({"hour": "22-2"}, "not a range"),
        ({"hour": "*/0"}, "higher than 0"),
        ({"minute": "60"}, "0-59"),
        ({"hour": "L"}, "not valid in APScheduler"),
    ],
)
def test_what_has_no_equivalent_is_refused(arguments: dict[str, Any], reason: str) -> None:
    found = _read(trigger="cron", **arguments)

    assert found.fields is None
    assert reason in found.differences[0]


def test_both_day_fields_must_match() -> None:
    fields = _cron(day="1-7", day_of_week="mon")

    assert fields["cron_day_and"] is True
    assert [slot.day <= 7 and slot.weekday() == 0 for slot in ours(fields)] == [True] * 12


@pytest.mark.parametrize("end", ["2027-01-20", "2027-01-20 00:00:00", "2027-01-20T00:00:00Z"])
def test_the_end_date_is_the_last_slot(end: str) -> None:
    cron = _cron(hour=0, end_date=end)
    interval = _read(trigger="interval", days=1, start_date="2027-01-16", end_date=end).fields

    assert interval is not None
    assert {ours(cron)[-1].isoformat(), ours(interval)[-1].isoformat()} == {
        "2027-01-20T00:00:00+00:00"
    }


def test_unknown_keys_are_reported() -> None:
    flat = _read(trigger="interval", hours=1, replace_existing=True, jobstore="redis")
    nested = _read(trigger={"type": "interval", "hours": 1, "months": 2})

    assert "not carried over: jobstore, replace_existing" in flat.differences
    assert nested.fields is None
    assert "months" in nested.differences[0]


@pytest.mark.parametrize("trigger", [None, 7, {"type": "lunar"}, "lunar", [], {"class": "x"}])
def test_triggers_of_other_types_are_refused(trigger: Any) -> None:
    assert _read(trigger=trigger).fields is None


def test_an_interval_keeps_its_parts_of_seconds() -> None:
    fields = _read(trigger="interval", seconds=90.25).fields

    assert fields is not None
    assert (fields["minutes"], fields["seconds"], fields["milliseconds"]) == (1, 30, 250)


def test_policies_are_carried_over() -> None:
    job = {"coalesce": False, "max_instances": 3, "misfire_grace_time": 60, "jitter": 1.5}
    fields = _cron(hour=1, **job)

    assert fields["on_missed"] == "run_all"
    assert (fields["on_overlap"], fields["max_parallel"]) == ("allow", 3)
    assert (fields["catch_up_window_seconds"], fields["jitter_ms"]) == (60, 1500)
