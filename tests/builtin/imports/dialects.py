"""Random schedules in the dialects of other tools, and what the tools themselves make of them."""

import os
import random
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from zato_lite.builtin.definition import read
from zato_lite.errors import BadInputError
from zato_lite.timetable.job import Job
from zato_lite.timetable.trigger import next_after
from zato_lite.timetable.zone import parse_moment, to_datetime

SAMPLE = int(os.environ.get("ZATO_LITE_IMPORT_ORACLE", "60"))
"""Random schedules of each dialect; `make oracle-imports` takes 10,000."""

NOW = parse_moment("2027-01-15 08:00:00.5", None)
START = to_datetime(NOW)
SLOTS = 12

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
FROM_SUNDAY = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
FROM_MONDAY = (*FROM_SUNDAY[1:], "sun")


def ours(fields: Mapping[str, Any], count: int = SLOTS) -> list[datetime]:
    """Return the next slots of an imported job, in UTC; none if it would be refused for that."""
    try:
        trigger = read({"start_date": "2000-01-01", **fields}, NOW).trigger
    except BadInputError as error:
        if re.search("It would never run|must be later than|never matches", str(error)):
            return []
        raise
    found: list[datetime] = []
    moment = NOW
    while len(found) < count and (slot := next_after(trigger, moment)) is not None:
        found.append(to_datetime(slot))
        moment = slot
    return found


def job_of(fields: Mapping[str, Any]) -> Job | str:
    """Return the job of an entry, or the sentence with which its creation is refused."""
    try:
        return read({**fields}, NOW)
    except BadInputError as error:
        return str(error)


def chain(step: Callable[[datetime], datetime | None], count: int = SLOTS) -> list[datetime]:
    """Return the next slots of a tool, in UTC, from the function that finds one after another."""
    found: list[datetime] = []
    moment = START
    while len(found) < count and (slot := step(moment)) is not None:
        found.append(slot.astimezone(UTC))
        moment = slot
    return found


def field(
    chance: random.Random,
    low: int,
    high: int,
    *,
    names: Sequence[str] = (),
    single_steps: bool = True,
    wraps: bool = False,
    any_sign: str = "*",
) -> str:
    """Return a random field of a cron expression that a dialect allows."""

    def number() -> str:
        value = chance.randint(low, high)
        return names[value - low] if names and chance.random() < 0.3 else str(value)

    def item() -> str:
        kind = chance.randrange(5)
        first, last = sorted(chance.sample(range(low, high + 1), 2))
        if kind == 0:
            return number()
        if kind == 1:
            ends = (last, first) if wraps and chance.random() < 0.3 else (first, last)
            return "-".join(names[n - low] if names and kind == 1 else str(n) for n in ends)
        if kind == 2:
            return f"{first}-{last}/{chance.randint(1, last - first)}"
        if kind == 3 and single_steps:
            return f"{first}/{chance.randint(1, max(1, high - first))}"
        return f"{any_sign}/{chance.randint(2, max(2, (high - low) // 2))}"

    if chance.random() < 0.35:
        return any_sign
    return ",".join(item() for _ in range(chance.choice([1, 1, 1, 2, 3])))


def crontab_line(chance: random.Random) -> str:
    """Return five fields as Debian's cron accepts them."""
    fields = [
        field(chance, 0, 59, single_steps=False),
        field(chance, 0, 23, single_steps=False),
        field(chance, 1, 28, single_steps=False),
        field(chance, 1, 12, names=MONTHS, single_steps=False),
        field(chance, 0, 6, names=FROM_SUNDAY, single_steps=False),
    ]
    return " ".join(fields)


def croniter_slots(expression: str, *, both: bool, timezone: Any = UTC) -> list[datetime]:
    """Return the next slots as croniter finds them."""
    from croniter import croniter  # noqa: PLC0415

    sets, _ = croniter.expand(expression)
    days = expression.split()
    if not both and ["*"] in (sets[2], sets[4]):  # croniter takes 1-31 for *, crons do not
        expression = f"{days[0]} {days[1]} * {days[3]} *"
    found = croniter(expression, START.astimezone(timezone), day_or=not both)
    return [found.get_next(datetime).astimezone(UTC) for _ in range(SLOTS)]


def celery_arguments(chance: random.Random) -> dict[str, Any]:
    """Return the arguments of Celery's crontab: texts, numbers and lists."""
    found: dict[str, Any] = {}
    for name, low, high, names in (
        ("minute", 0, 59, ()),
        ("hour", 0, 23, ()),
        ("day_of_month", 1, 28, ()),
        ("month_of_year", 1, 12, MONTHS),
        ("day_of_week", 0, 6, FROM_SUNDAY),
    ):
        kind = chance.random()
        if kind < 0.25:
            continue
        if kind < 0.4:
            found[name] = chance.randint(low, high)
        elif kind < 0.5:
            found[name] = sorted(chance.sample(range(low, high + 1), 3))
        else:
            found[name] = field(chance, low, high, names=names, single_steps=False, wraps=True)
    return found


def celery_slots(arguments: Mapping[str, Any]) -> list[datetime]:
    """Return the next slots as Celery finds them."""
    from celery import Celery  # noqa: PLC0415
    from celery.schedules import crontab  # noqa: PLC0415

    app = Celery(set_as_current=False)
    app.conf.timezone = "UTC"
    schedule = crontab(**arguments, nowfun=lambda: START, app=app)

    def step(last: datetime) -> datetime:
        before, delta, _ = schedule.remaining_delta(last)
        found: datetime = before + delta
        return found

    return chain(step)


def aps_arguments(chance: random.Random) -> dict[str, Any]:
    """Return the arguments of APScheduler's CronTrigger."""
    found: dict[str, Any] = {}
    for name, low, high, names in (
        ("month", 1, 12, MONTHS),
        ("day", 1, 28, ()),
        ("day_of_week", 0, 6, FROM_MONDAY),
        ("hour", 0, 23, ()),
        ("minute", 0, 59, ()),
        ("second", 0, 59, ()),
    ):
        if chance.random() < 0.45:
            found[name] = field(chance, low, high, names=names)
    if chance.random() < 0.3:
        found["day"] = ",".join(_position(chance) for _ in range(chance.choice([1, 1, 2])))
    if chance.random() < 0.1:
        found["year"] = chance.choice(["2027-2035", "2027,2029", "*/2", "2028/3"])
    if chance.random() < 0.1:
        days = chance.randrange(400)
        found["end_date"] = (START + timedelta(days=days)).replace(microsecond=0, second=0)
    if chance.random() < 0.1:
        found["start_date"] = START + timedelta(days=chance.randrange(40))
    return found or {"hour": "3"}


def _position(chance: random.Random) -> str:
    if chance.random() < 0.3:
        return chance.choice(["last", "15", "1-7", "*/9"])
    which = chance.choice(["1st", "2nd", "3rd", "4th", "last"])
    return f"{which} {chance.choice(FROM_MONDAY)}"


def aps_slots(trigger: Any, count: int = SLOTS) -> list[datetime]:
    """Return the next slots as a trigger of APScheduler finds them."""
    previous: datetime | None = None

    def step(last: datetime) -> datetime | None:
        nonlocal previous
        previous = trigger.get_next_fire_time(previous, last)
        return previous

    return chain(step, count)


def calendar_expression(chance: random.Random) -> str:
    """Return an expression of systemd's OnCalendar."""
    weekday = ""
    if chance.random() < 0.4:
        days = sorted(chance.sample(range(7), chance.randint(1, 3)))
        names = [FROM_MONDAY[day].capitalize() for day in days]
        weekday = f"{names[0]}..{names[-1]} " if chance.random() < 0.4 else f"{','.join(names)} "
    year = chance.choice(["*"] * 8 + ["2027..2031", "2027/2", "2028,2030"])
    month = _part(chance, 1, 12)
    if chance.random() < 0.25:
        last = chance.randint(1, 20)
        day = "~" + chance.choice([f"{last}", f"{last}/1", f"{last}/3", f"{last}..{last + 2}"])
    else:
        day = f"-{_part(chance, 1, 28)}"
    time = f"{_part(chance, 0, 23)}:{_part(chance, 0, 59)}"
    second = chance.choice(["", ":00", f":{_part(chance, 0, 59)}"])
    zone = chance.choice(["", "", " UTC"])
    return f"{weekday}{year}-{month}{day} {time}{second}{zone}"


def _part(chance: random.Random, low: int, high: int) -> str:
    if chance.random() < 0.35:
        return "*"

    def item() -> str:
        first, last = sorted(chance.sample(range(low, high + 1), 2))
        step = chance.randint(1, max(1, high - first))
        return chance.choice([f"{first}", f"{first}..{last}", f"{first}/{step}"])

    return ",".join(item() for _ in range(chance.choice([1, 1, 2, 3])))
