from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from zato_lite.builtin.definition import edited, fields, read
from zato_lite.builtin.definition_many import BATCH_SIZE as AT_ONCE
from zato_lite.builtin.definition_many import read_many
from zato_lite.errors import BadInputError
from zato_lite.timetable.job import Cron, Interval, Job, OneTime
from zato_lite.timetable.zone import parse_moment

NOW = parse_moment("2026-11-23 12:00:00", None)
CRON = {
    "name": "nightly",
    "service": "a.b",
    "job_type": "cron_style",
    "cron_definition": "0 2 * * *",
}
EVERY = {"name": "often", "service": "a.b", "job_type": "interval_based", "minutes": 5}
ONCE = {"name": "once", "service": "a.b", "job_type": "one_time"}
RICH: dict[str, Any] = {
    **CRON,
    "cron_definition": "H 2 * * mon-fri",
    "is_active": False,
    "start_date": "2026-12-01T00:00:00+01:00",
    "end_date": "2027-12-01T00:00:00+01:00",
    "timezone": "Europe/Warsaw",
    "cron_day_and": True,
    "dst_gap": "skip",
    "dst_fold": "both",
    "extra": "a=1",
    "repeats": 7,
    "on_missed": "run_all",
    "catch_up_window_seconds": 60,
    "catch_up_rate": 2.5,
    "on_overlap": "allow",
    "max_parallel": 3,
    "max_execution_time_ms": 1000,
    "max_retries": 2,
    "retry_delay_ms": 10,
    "retry_backoff": 1.5,
    "retry_max_delay_ms": 100,
    "retry_jitter": 0.5,
    "on_crash": "fail",
    "max_crashes": 1,
    "jitter_ms": 5,
    "priority": -1,
    "max_concurrent": 4,
    "calendar": "PL",
    "on_excluded": "next_day",
    "on_success_service": "a.c",
    "on_success_job": "other",
    "on_error_service": "a.d",
    "on_error_job": "another",
    "pause_note": "waiting for the bank",
    "pause_until": "2027-01-01T00:00:00+01:00",
    "pause_after_failures": 3,
    "skip_next": 1,
    "keep_runs": 10,
    "keep_days": 1.5,
}


def _wrong(sent: Any) -> list[str]:
    with pytest.raises(BadInputError) as caught:
        read(sent, NOW)
    return [error.message for error in caught.value.errors]


def test_each_type_has_its_trigger() -> None:
    assert read(ONCE, NOW) == Job(name="once", service="a.b", trigger=OneTime(start=NOW))
    assert read(EVERY, NOW).trigger == Interval(start=NOW, minutes=5)
    assert read(CRON, NOW).trigger == Cron(start=NOW, expression="0 2 * * *", seed="nightly")


@pytest.mark.parametrize(
    "definition", [ONCE, EVERY, CRON, RICH], ids=["once", "often", "nightly", "rich"]
)
def test_the_fields_of_a_job_define_it_again(definition: dict[str, Any]) -> None:
    job = read(definition, NOW)

    assert read(fields(job), 0) == job
    assert read(fields(job, aware=True), 0) == job


def test_every_sent_field_is_shown() -> None:
    assert fields(read(RICH, NOW)) == RICH


def test_a_naive_date_is_in_the_jobs_zone_and_without_one_in_utc() -> None:
    in_zone = read({**CRON, "start_date": "2026-12-01 00:00:00", "timezone": "Asia/Tokyo"}, NOW)
    in_utc = read({**CRON, "start_date": "2026-12-01 00:00:00"}, NOW)

    assert fields(in_zone)["start_date"] == "2026-12-01T00:00:00+09:00"
    assert fields(in_utc)["start_date"] == "2026-12-01T00:00:00"


def test_error_texts_are_those_of_zato() -> None:
    assert _wrong({**CRON, "job_type": "lunar"}) == [
        "Unrecognized job type [lunar]; use one_time, interval_based or cron_style"
    ]
    assert _wrong({**EVERY, "minutes": 0}) == [
        "At least one of ['weeks', 'days', 'hours', 'minutes', 'seconds'] must be given"
    ]
    assert _wrong({"cluster_id": 1}) == [
        "Missing required input element: name",
        "Missing required input element: job_type",
        "Missing required input element: service",
    ]


def test_every_wrong_field_is_named_with_its_value_and_what_is_allowed() -> None:
    messages = _wrong({**RICH, **{field: {"x": 1} for field in RICH if field != "job_type"}})

    named = {message.split(":")[0] for message in messages}
    assert set(RICH) - {"job_type", "extra"} - named <= {"cron_definition"}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("every", "0s", "every: '0s' is not allowed; a period of at least a millisecond"),
        ("every", "1000000000000s", "An interval is at most a century"),
        ("start_date", "9999-12-31", "years are from 1 to 8999"),
    ],
)
def test_a_limit_is_named(field: str, value: str, words: str) -> None:
    definition = {**EVERY, "minutes": None, "every": "5 min", "timezone": "America/Lima"}

    [message] = _wrong({**definition, field: value})

    assert words in message


def test_a_wrong_zone_hides_no_wrong_expression() -> None:
    messages = _wrong({**CRON, "timezone": "Mars", "cron_definition": "61 * * * *"})

    assert len(messages) == 2


@pytest.mark.parametrize("field", ["on_success_job", "on_error_job"])
def test_a_job_does_not_call_itself_back(field: str) -> None:
    with pytest.raises(BadInputError, match="would never end"):
        _read_all([{**EVERY, "name": "other", field: "often"}, {**EVERY, field: "often"}])


def test_an_unknown_field_is_refused_with_the_nearest_name() -> None:
    assert _wrong({**ONCE, "jitter": 5}) == [
        "'jitter' is not a known field; did you mean 'jitter_ms'?"
    ]


def test_fractions_of_a_second_are_milliseconds() -> None:
    trigger = read({**EVERY, "minutes": None, "seconds": "1.25"}, NOW).trigger

    assert trigger == Interval(start=NOW, seconds=1, milliseconds=250)


def test_values_may_be_sent_as_text_as_in_zato() -> None:
    assert read({**EVERY, "minutes": "5", "is_active": "False", "repeats": "0"}, NOW) == Job(
        name="often", service="a.b", trigger=Interval(start=NOW, minutes=5), is_active=False
    )


def test_extra_that_is_not_text_is_stored_as_json() -> None:
    assert read({**ONCE, "extra": {"a": [1]}}, NOW).extra == '{"a":[1]}'


def test_an_edit_changes_the_sent_fields_and_null_clears_one() -> None:
    before = read(RICH, NOW)

    after = edited(before, {"id": 1, "priority": 7, "calendar": None, "pause_note": ""}, NOW)

    assert after == msgspec.structs.replace(before, priority=7, calendar=None)


def test_an_edited_interval_is_replaced_whole() -> None:
    after = edited(read({**EVERY, "seconds": 30}, NOW), {"hours": 1}, 0)

    assert after.trigger == Interval(start=NOW, hours=1)


def test_an_edit_may_change_the_type() -> None:
    after = edited(read(EVERY, NOW), {"job_type": "cron_style", "cron_definition": "@daily"}, 0)

    assert after.trigger == Cron(start=NOW, expression="@daily", seed="often")


def test_a_renamed_job_keeps_the_minute_that_h_gave_it() -> None:
    after = edited(read({**CRON, "cron_definition": "H * * * *"}, NOW), {"name": "renamed"}, 0)

    assert after.name == "renamed"
    assert isinstance(after.trigger, Cron)
    assert after.trigger.seed == "nightly"


def test_definitions_that_are_alike_are_read_as_if_alone() -> None:
    definitions = [
        {**kind, "name": f"{kind['name']}-{n}", "extra": extra}
        for kind in (ONCE, EVERY, CRON)
        for n in range(3)
        for extra in (None, "x", {"n": 1})
    ]

    assert _read_all(definitions) == [read(each, NOW) for each in definitions]


def test_errors_of_many_definitions_name_the_position() -> None:
    with pytest.raises(BadInputError) as caught:
        _read_all(
            [ONCE, {**ONCE, "name": ""}, 7, {**ONCE, "name": "a\0"}, {**EVERY, "seconds": [1]},
             {**ONCE, "extra": "\ud800"}]
        )  # fmt: skip

    assert [error.field for error in caught.value.errors] == [
        "jobs[1].name", "jobs[2].", "jobs[3].name", "jobs[4].seconds", "jobs[5].extra"
    ]  # fmt: skip


def test_batches_of_definitions_are_read_as_if_alone() -> None:
    rows = [
        {**kind, "name": f"  {kind['name']} ž {n} ", "extra": extra}
        for kind in (EVERY, CRON, RICH)
        for extra in (None, "x", {"n": 1}, "", "ZATO_NONE")
        for n in range(AT_ONCE)
    ]

    assert _read_all(rows) == [read(each, NOW) for each in rows]


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"minutes": True}, "minutes"),
        ({"name": "ZATO_NONE"}, "name"),
        ({"name": "a\0"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": None}, "name"),
        ({"extra": "\ud800"}, "extra"),
        ({"extra": "x" * 500_001}, "extra"),
        ({"is_active": 7}, "is_active"),
        ({"priority": float("nan")}, "priority"),
        ({"often": 1}, "often"),
        ({"start_date": "soon"}, "start_date"),
        ({"start_date": 7}, "start_date"),
        ({"start_date": "0001-01-01"}, "start_date"),
        ({"start_date": "9500-01-01"}, "start_date"),
        ({"name": "back"}, "on_success_job"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 9])
def test_a_wrong_definition_among_many_that_are_alike_is_found(
    change: dict[str, Any], wrong: str, place: int
) -> None:
    rows = [{**EVERY, "minutes": 1, "on_success_job": "back", "name": f"n{n}"} for n in range(300)]
    rows[place].update(change)

    with pytest.raises(BadInputError) as caught:
        _read_all(rows)

    assert [error.field for error in caught.value.errors] == [f"jobs[{place}].{wrong}"]


@pytest.mark.parametrize("kind", [EVERY, ONCE, CRON, {**EVERY, "end_date": "2027-01-02"}])
@pytest.mark.parametrize("timezone", [None, "Europe/Warsaw"])
def test_definitions_with_different_starts_are_read_as_if_alone(
    kind: dict[str, Any], timezone: str | None
) -> None:
    starts = [f"2026-12-{day + 1:02} 0{n % 9}:00:0{n % 7}" for day in range(31) for n in range(31)]
    starts[3], starts[4], starts[5] = "", "ZATO_NONE", "2026-12-01T00:00:00+05:00"
    rows = [
        {**kind, "name": f"n{n}", "start_date": start, "timezone": timezone}
        for n, start in enumerate(starts)
    ]

    assert _read_all(rows) == [read(each, NOW) for each in rows]


def test_1_is_not_true_among_definitions_that_are_alike() -> None:
    rows = [{**EVERY, "name": f"n{n}", "max_retries": 1} for n in range(AT_ONCE)]
    rows[7]["max_retries"] = 1.0
    rows[8]["is_active"] = 1

    assert _read_all(rows) == [read(each, NOW) for each in rows]


def _read_all(definitions: Sequence[Any]) -> list[Job]:
    return [job for part in read_many(definitions, NOW) for job in part.jobs]
