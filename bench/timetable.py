"""Cost of the timetable: `next` against croniter and cronsim, planning and outcomes.

Run by hand: ``make bench-timetable``. Each figure is the median of several alternating runs, the
peers in the same process; absolute figures differ between machines, ratios hardly.
"""

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from croniter import croniter
from cronsim import CronSim

from zato_lite.errors import BadInputError
from zato_lite.timetable import trigger as triggers
from zato_lite.timetable.cron import parse
from zato_lite.timetable.job import SECOND, Cron, Interval, Job, OneTime
from zato_lite.timetable.job_plan import JobState
from zato_lite.timetable.outcome import next_step
from zato_lite.timetable.plan import plan
from zato_lite.timetable.trigger import check, next_after
from zato_lite.timetable.zone import parse_moment, to_datetime

NOW = parse_moment("2026-11-23T12:00:00Z")
EXPRESSIONS = (
    "* * * * *",
    "*/5 * * * *",
    "0 3 * * *",
    "30 2 * * mon-fri",
    "0 0 1 * *",
    "0 0 29 2 *",
    "0 0 * * 0",
    "15 10 L * *",
    "0 */6 * * *",
    "0 9-17 * * 1-5",
)
ROUNDS = 5


def timed(work: Callable[[], Any], count: int) -> float:
    begin = time.thread_time()
    work()
    return (time.thread_time() - begin) / count * 1e6


def median(*works: Callable[[], Any], count: int, before: Callable[[], Any]) -> list[float]:
    """µs for each piece of work, taken in turns."""
    figures: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for figure, work in zip(figures, works, strict=True):
            before()
            figure.append(timed(work, count))
    return [statistics.median(figure) for figure in figures]


def next_slots(zone: str | None) -> None:
    print(f"\nnext, µs, zone {zone or 'UTC'}: ours (uncached, cached), croniter, cronsim")
    chance = random.Random(1)  # noqa: S311 - repeatable on purpose
    ratios = []
    for expression in EXPRESSIONS:
        moments = [NOW + chance.randrange(300 * 86_400) * SECOND for _ in range(300)]
        walls = [to_datetime(moment, zone) for moment in moments]
        cron = Cron(start=0, expression=expression, timezone=zone)
        for moment in moments:
            next_after(cron, moment)
        peers: dict[str, list[Any]] = {}

        def prepare(
            expression: str = expression,
            walls: list[Any] = walls,
            peers: dict[str, list[Any]] = peers,
        ) -> None:
            triggers.clear_cache()
            peers["cronsim"] = [CronSim(expression, wall) for wall in walls]
            peers["croniter"] = [croniter(expression, wall) for wall in walls]

        def ours(cron: Cron = cron, moments: list[int] = moments) -> None:
            for moment in moments:
                next_after(cron, moment)

        def shared(cron: Cron = cron) -> None:
            for _ in range(300):
                next_after(cron, NOW)

        own, cached, theirs, sim = median(
            ours,
            shared,
            lambda peers=peers: [each.get_next() for each in peers["croniter"]],
            lambda peers=peers: [next(each) for each in peers["cronsim"]],
            count=300,
            before=prepare,
        )
        ratios.append(own / sim)
        figures = f"{own:7.2f} {cached:6.2f} {theirs:8.1f} {sim:7.1f}"
        print(f"  {expression:18} {figures}   x{own / sim:.2f}")
    print(f"  ours / cronsim: median {statistics.median(ratios):.2f}, worst {max(ratios):.2f}")


def planning() -> None:
    print("\nplan of 10,000 due jobs, µs a job")
    interval = [
        JobState(n, Job(name=f"{n}", service="s", trigger=Interval(start=NOW, seconds=1)), NOW)
        for n in range(10_000)
    ]
    once = [
        JobState(n, Job(name=f"{n}", service="s", trigger=OneTime(start=NOW)), NOW - 1)
        for n in range(10_000)
    ]
    hourly = Cron(start=0, expression="0 * * * *", timezone="Europe/Warsaw")
    shared = [Job(name=f"{n}", service="s", trigger=hourly) for n in range(10_000)]
    cron = [JobState(n, job, NOW - 1) for n, job in enumerate(shared)]
    busy = [
        JobState(state.id, state.job, state.cursor, in_flight=1, run_number=3)
        for state in interval
    ]
    late = NOW + 86_400 * SECOND
    cases = {
        "interval, one slot due": (interval, NOW + SECOND),
        "one-time": (once, NOW),
        "cron, shared": (cron, NOW),
        "interval, in flight": (busy, NOW + SECOND),
        "interval, a day missed": (interval, late),
    }
    for name, (states, now) in cases.items():
        (cost,) = median(
            lambda states=states, now=now: [plan(state, now, {}) for state in states],
            count=len(states),
            before=lambda: None,
        )
        print(f"  {name:28} {cost:6.2f}")


def settling() -> None:
    job = Job(name="j", service="s", trigger=OneTime(start=NOW), max_retries=3)
    for outcome in ("ok", "error"):
        (cost,) = median(
            lambda outcome=outcome: [next_step(job, outcome, 1, 0, 0, NOW) for _ in range(10_000)],
            count=10_000,
            before=lambda: None,
        )
        print(f"  settle, {outcome:20} {cost:6.2f}")


def refusing() -> None:
    print("\nrefusal of what never comes, ms, first time")
    for expression in ("0 0 31 2 *", "0 0 30 2 fri#5", "0 0 0 31 4 ? 2027-2099"):
        cron = Cron(start=NOW, expression=expression, timezone="Europe/Warsaw", day_and=True)
        parse.cache_clear()
        begin = time.thread_time()
        try:
            check(cron, NOW)
        except BadInputError:
            print(f"  {expression:28} {(time.thread_time() - begin) * 1e3:6.2f}")


if __name__ == "__main__":
    next_slots(None)
    next_slots("Europe/Warsaw")
    planning()
    settling()
    refusing()
