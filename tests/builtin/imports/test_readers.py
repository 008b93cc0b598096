from typing import Any

import pytest

from zato_lite.builtin.imports import apscheduler, celery, crontab, quartz
from zato_lite.builtin.imports.entry import Options
from zato_lite.errors import BadInputError
from zato_lite.wire import encode

CRONTAB = """\
# m h dom mon dow command
CRON_TZ=Europe/Warsaw
MAILTO=ann@example.com

30 2 * * 1-5  /usr/bin/backup --full
@daily        /usr/bin/rotate %first%second
@reboot       /usr/bin/start
5 4 * *
"""


def test_a_crontab_is_read_line_by_line() -> None:
    backup, rotate, reboot, broken = crontab.read(CRONTAB, Options("ops.run-command"))

    assert backup.fields == {
        "name": "crontab line 5: /usr/bin/backup --full",
        "service": "ops.run-command",
        "job_type": "cron_style",
        "cron_definition": "30 2 * * 1-5",
        "extra": {"command": "/usr/bin/backup --full"},
        "timezone": "Europe/Warsaw",
    }
    assert "variables are not set: MAILTO" in backup.differences
    assert rotate.fields is not None
    assert rotate.fields["extra"] == {"command": "/usr/bin/rotate", "stdin": "first\nsecond"}
    assert (reboot.place, reboot.fields) == ("line 7", None)
    assert broken.fields is None


def test_a_system_crontab_names_the_user_and_its_zone_is_utc() -> None:
    [found] = crontab.read("0 5 * * * root /bin/true", Options("ops.run", with_user=True))

    assert found.fields is not None
    assert found.fields["extra"] == {"user": "root", "command": "/bin/true"}
    assert "evaluated in UTC; cron takes the machine's time zone" in found.differences


def test_celery_schedules_are_seconds_or_crontabs() -> None:
    schedule: dict[str, Any] = {
        "add": {"task": "tasks.add", "schedule": 30.5, "args": [16, 16]},
        "weekly": {
            "task": "tasks.report",
            "schedule": {"minute": "30", "hour": 7, "day_of_week": "1", "day_of_month": "1"},
            "options": {"queue": "slow"},
        },
        "sun": {"task": "tasks.sun", "schedule": {"event": "sunset"}},
        "none": 1,
    }

    add, weekly, sun, none = celery.read(
        encode(schedule).decode(), Options(timezone="Europe/Warsaw")
    )

    assert add.fields == {
        "name": "add",
        "service": "tasks.add",
        "job_type": "interval_based",
        "seconds": 30,
        "milliseconds": 500,
        "timezone": "Europe/Warsaw",
        "extra": {"args": [16, 16]},
    }
    assert weekly.fields is not None
    assert weekly.fields["cron_definition"] == "30 7 1 * 1"
    assert weekly.fields["cron_day_and"] is True
    assert "not carried over: options" in weekly.differences
    assert sun.fields is None
    assert none.fields is None


def test_apscheduler_triggers_become_triggers_of_jobs() -> None:
    jobs = [
        {"id": "a", "func": "app:tick", "trigger": {"type": "interval", "hours": 2, "jitter": 1.5},
         "coalesce": False, "max_instances": 3, "misfire_grace_time": 60},
        {"id": "b", "func": "app:tock", "kwargs": {"x": 1},
         "trigger": {"type": "cron", "hour": "2", "day_of_week": "0-4", "timezone": "UTC"}},
        {"id": "c", "func": "app:once", "trigger": {"type": "date", "run_date": "2027-01-01"}},
        {"id": "d", "func": "app:moon", "trigger": {"type": "lunar"}},
        {"id": "e", "func": "app:none"},
        7,
    ]  # fmt: skip

    interval, cron, date, lunar, none, seven = apscheduler.read(
        encode({"jobs": jobs}).decode(), Options()
    )

    assert interval.fields == {
        "name": "a", "service": "app:tick", "job_type": "interval_based", "hours": 2,
        "jitter_ms": 1500, "catch_up_window_seconds": 60, "on_missed": "run_all",
        "on_overlap": "allow", "max_parallel": 3,
    }  # fmt: skip
    assert cron.fields is not None
    assert cron.fields["cron_definition"] == "0 0 2 * * 1-5"
    assert cron.fields["timezone"] == "UTC"
    assert date.fields is not None
    assert date.fields["start_date"] == "2027-01-01"
    assert [lunar.fields, none.fields, seven.fields] == [None, None, None]


@pytest.mark.parametrize(
    ("of_quartz", "expected"),
    [
        ("0 0 12 ? * MON-FRI", "0 0 12 ? * MON-FRI"),
        ("0 15 10 ? * 6L", "0 15 10 ? * 5L"),
        ("0 15 10 ? * 6#3", "0 15 10 ? * 5#3"),
        ("0 0 8 ? * 1,7 2027", "0 0 8 ? * 0,6 2027"),
    ],
)
def test_weekdays_of_quartz_begin_with_sunday_as_1(of_quartz: str, expected: str) -> None:
    assert quartz.convert(of_quartz)[0] == expected


@pytest.mark.parametrize("broken", ["{", "7", "[]"])
def test_a_file_of_another_kind_is_refused(broken: str) -> None:
    with pytest.raises(BadInputError):
        list(celery.read(broken, Options()))
    with pytest.raises(BadInputError):
        list(apscheduler.read('{"jobs": 1}', Options()))
    with pytest.raises(BadInputError):
        quartz.convert("* * *")


@pytest.mark.parametrize(
    ("begin", "repeated"),
    [
        ("a = 10", "a = a * a"),
        ("a = 10.5", "a = a * a"),
        ("a = 'x'", "a = a + a"),
        ("a = [1]", "a = [a, a]"),
        ("a = {'x': 1}", "a = {'x': a, 'y': a}"),
        ("a = {'x': 1}", "a = dict(x=a, y=a)"),
        ("a = 0x" + "f" * 400_000, "a = a * a"),
        ("a = 1", "a = " + "+".join(["f(1)"] * 400)),
    ],
)
def test_values_of_a_python_file_do_not_grow_without_end(begin: str, repeated: str) -> None:
    schedule = "beat_schedule = {'a': {'task': 't', 'schedule': 10, 'args': [a]}}"
    text = "\n".join([begin, *[repeated] * 50, schedule])

    [entry] = celery.read(text, Options("crm.ok"))

    assert len(str(entry.differences)) < 1_000_000
    if entry.fields is not None:
        assert len(encode(entry.fields)) < 20_000_000


def test_a_field_of_many_spaces_is_read_in_linear_time() -> None:
    trigger = {"trigger": "cron", "hour": "1" + " " * 500_000 + "2"}
    [entry] = apscheduler.read(encode({"jobs": [{"func": "f", **trigger}]}).decode(), Options())

    assert entry.fields is None
