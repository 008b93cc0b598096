"""Writes the files that APScheduler, RedBeat and Django produce themselves, once and by hand.

.venv/bin/python -m tests.builtin.imports.make_files
"""

# ruff: noqa: PLC0415 - run by hand; each part needs another tool

import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

FOLDER = Path(__file__).parent / "files"
WARSAW = ZoneInfo("Europe/Warsaw")


def _aps(name: str, add: Callable[[Any], Any], zone: Any = "UTC") -> None:
    from apscheduler.schedulers.background import BackgroundScheduler

    scheduler = BackgroundScheduler(timezone=zone)
    add(scheduler)
    scheduler.start(paused=True)
    for job in scheduler.get_jobs():
        if job.id.startswith("paused"):
            job.pause()
    written = io.StringIO()
    scheduler.export_jobs(written)
    scheduler.shutdown(wait=False)
    (FOLDER / "apscheduler" / f"{name}.json").write_text(written.getvalue() + "\n")


def apscheduler() -> None:
    from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
    from apscheduler.triggers.combining import OrTrigger
    from apscheduler.triggers.cron import CronTrigger
    from apscheduler.triggers.interval import IntervalTrigger

    func = "time:sleep"

    def jobs(*triggers: Any, **more: Any) -> Callable[[Any], None]:
        def add(scheduler: Any) -> None:
            for number, trigger in enumerate(triggers):
                scheduler.add_job(func, trigger, id=f"job-{number}", args=[1], **more)

        return add

    nightly = CronTrigger(hour=3, minute=30, timezone="UTC")
    _aps("nightly", jobs(nightly, CronTrigger(minute="*/5", timezone="UTC")))
    _aps("weekday-steps", jobs(CronTrigger(day_of_week="*/2", hour=3, timezone="UTC")))
    days = [
        CronTrigger(day=day, hour=6, timezone="UTC") for day in ("last", "last sun", "3rd fri")
    ]
    _aps("positions", jobs(*days, CronTrigger(day="1st mon,3rd mon,15", timezone="UTC")))
    crontab = CronTrigger.from_crontab("0 9-17/2 1-7 * mon-fri", timezone="UTC")
    _aps("from-crontab", jobs(crontab, CronTrigger.from_crontab("15,45 * * * *", timezone="UTC")))
    _aps("weeks", jobs(CronTrigger(week=1, day_of_week="mon", timezone="UTC"), nightly))
    end = datetime(2027, 3, 4, tzinfo=UTC)
    ends = [CronTrigger(hour=0, end_date=end, timezone="UTC")]
    ends.append(
        CronTrigger(hour="*/6", start_date=datetime(2027, 2, 1, 6, tzinfo=UTC), end_date=end)
    )
    _aps(
        "end-dates",
        jobs(
            *ends,
            IntervalTrigger(days=1, start_date=datetime(2026, 1, 4, tzinfo=UTC), end_date=end),
        ),
    )
    start = datetime(2026, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)
    spans = [
        IntervalTrigger(minutes=7, start_date=start),
        IntervalTrigger(weeks=1, hours=3, start_date=start),
    ]
    _aps("intervals", jobs(*spans, IntervalTrigger(seconds=0.25, start_date=start)))
    dates = [datetime(2027, 6, 1, 12, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=WARSAW)]
    _aps(
        "dates",
        lambda s: [s.add_job(func, "date", run_date=d, id=f"d{n}") for n, d in enumerate(dates)],
    )
    _aps(
        "paused",
        lambda s: [s.add_job(func, nightly, id="paused-1"), s.add_job(func, nightly, id="on")],
    )
    policies = {"misfire_grace_time": 300, "coalesce": False, "max_instances": 3}
    _aps("policies", jobs(nightly, **policies))
    _aps("no-limit-of-grace", jobs(nightly, misfire_grace_time=None))
    _aps("jitter", jobs(CronTrigger(hour=4, jitter=120, timezone="UTC")))
    both = OrTrigger([nightly, IntervalTrigger(days=1, timezone="UTC")])
    _aps(
        "combined", jobs(both, CalendarIntervalTrigger(months=1, hour=3, timezone="UTC"), nightly)
    )
    values = {
        "kwargs": {
            "at": start,
            "every": timedelta(minutes=5),
            "on": date(2027, 1, 1),
            "x": [1, {"y": None}],
        }
    }
    _aps("arguments", lambda s: s.add_job(func, nightly, args=[1, "a"], id="arguments", **values))
    _aps(
        "objects",
        lambda s: [
            s.add_job(func, nightly, args=[FOLDER], id="a"),
            s.add_job(func, nightly, id="b", args=[UTC]),
        ],
    )
    _aps(
        "executors",
        lambda s: (
            s.add_executor("threadpool", "slow"),
            s.add_job(func, nightly, id="a", executor="slow"),
        ),
    )
    tokyo = CronTrigger(hour=7, day_of_week="sat,sun", timezone="Asia/Tokyo")
    _aps(
        "zones",
        jobs(
            tokyo,
            CronTrigger(hour=5, timezone=timezone(timedelta(hours=5))),
            CronTrigger(hour=2, minute=30, timezone=WARSAW),
        ),
    )
    names = ["sync", "sync", "report"]
    _aps("same-names", lambda s: [s.add_job(func, nightly, name=name) for name in names])
    years = [
        CronTrigger(year="2027-2035", month="*/2", timezone="UTC"),
        CronTrigger(year="*/2", month=2, day=29, timezone="UTC"),
    ]
    _aps("years", jobs(*years, CronTrigger(second="*/20", timezone="UTC")))
    later = datetime(2027, 5, 1, 3, 30, tzinfo=UTC)
    _aps(
        "postponed", jobs(nightly, IntervalTrigger(hours=5, start_date=start), next_run_time=later)
    )


def redbeat() -> None:
    from celery.schedules import crontab, schedule
    from redbeat.decoder import RedBeatJSONEncoder
    from redbeat.schedules import rrule

    def write(name: str, content: Any) -> None:
        text = json.dumps(content, cls=RedBeatJSONEncoder, indent=1)
        (FOLDER / "celery" / f"{name}.json").write_text(f"{text}\n")

    def entry(name: str, when: Any, **more: Any) -> dict[str, Any]:
        options = {"queue": "slow"} if more.get("options") is None else more["options"]
        base = {"name": name, "task": f"tasks.{name}", "args": [1], "kwargs": {"a": "b"}}
        return {**base, "options": options, "schedule": when, "enabled": True, **more}

    write("redbeat-interval", entry("ping", schedule(timedelta(seconds=90)), options={}))
    write(
        "redbeat-crontab",
        entry("report", crontab(minute="*/15", hour="8-18", day_of_week="mon-fri")),
    )
    off = entry("off", schedule(10, relative=True), enabled=False, options={})
    write("redbeat-list", [entry("a", crontab(0, 3, day_of_month="1,15")), off])
    meta = {"last_run_at": datetime(2026, 1, 1, tzinfo=UTC), "total_run_count": 5}
    text = json.dumps(entry("stored", crontab(hour=[1, 2])), cls=RedBeatJSONEncoder)
    hashes = {
        "redbeat:stored": {"definition": text, "meta": json.dumps(meta, cls=RedBeatJSONEncoder)}
    }
    write("redbeat-hashes", hashes)
    write(
        "redbeat-rrule",
        [
            entry("r", rrule("DAILY", dtstart=datetime(2027, 1, 1, tzinfo=UTC))),
            entry("s", crontab()),
        ],
    )


def django() -> None:
    import django as framework
    from django.conf import settings

    databases = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    settings.configure(INSTALLED_APPS=["django_celery_beat"], DATABASES=databases, USE_TZ=True)
    framework.setup()
    from django.core import serializers
    from django.core.management import call_command
    from django_celery_beat import models as m

    call_command("migrate", verbosity=0)
    minutes = m.IntervalSchedule.objects.create(every=10, period="minutes")
    days = m.IntervalSchedule.objects.create(every=3, period="days")
    night = m.CrontabSchedule.objects.create(minute="30", hour="2", timezone="Asia/Tokyo")
    weekly = m.CrontabSchedule.objects.create(
        minute="0", hour="*/4", day_of_week="1-5", timezone="UTC"
    )
    clock = m.ClockedSchedule.objects.create(clocked_time=datetime(2027, 6, 1, 12, tzinfo=UTC))
    solar = m.SolarSchedule.objects.create(event="sunset", latitude="51.5", longitude="0")

    def write(name: str, *tasks: dict[str, Any]) -> None:
        m.PeriodicTask.objects.all().delete()
        for number, task in enumerate(tasks):
            m.PeriodicTask.objects.create(name=f"{name} {number}", task="app.tasks.work", **task)
        rows = [
            row
            for model in (
                m.IntervalSchedule,
                m.CrontabSchedule,
                m.ClockedSchedule,
                m.SolarSchedule,
                m.PeriodicTask,
                m.PeriodicTasks,
            )
            for row in model.objects.all()
        ]
        text = serializers.serialize("json", rows, indent=1)
        (FOLDER / "celery" / f"django-{name}.json").write_text(f"{text}\n")

    write(
        "intervals",
        {"interval": minutes, "args": "[1, 2]"},
        {"interval": days, "kwargs": '{"a": 1}', "enabled": False},
    )
    write(
        "crontabs",
        {"crontab": night, "queue": "slow", "priority": 3},
        {"crontab": weekly, "description": "Every four hours"},
    )
    write("clocked", {"clocked": clock, "one_off": True}, {"solar": solar})
    first, last = datetime(2027, 2, 1, tzinfo=UTC), datetime(2027, 3, 1, tzinfo=UTC)
    write(
        "limits",
        {"crontab": weekly, "start_time": first, "expires": last},
        {"interval": minutes, "one_off": True, "expire_seconds": 30},
    )


if __name__ == "__main__":
    apscheduler()
    redbeat()
    django()
