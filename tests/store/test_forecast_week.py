"""A week as it was forecast and as it then was: real claims and completions, in virtual time."""

import heapq
import random
from typing import Any

import pytest

from zato_lite.store import claim, job_figures, jobs
from zato_lite.store.attempts import AttemptResult
from zato_lite.store.completion import complete_attempts
from zato_lite.store.connection import connect
from zato_lite.store.job_insert import JobGroup, insert_jobs
from zato_lite.store.migrate import migrate
from zato_lite.timetable.forecast import MINUTE, ForecastJob, forecast
from zato_lite.timetable.job import DAY, SECOND, Cron, Instant, Interval, Job
from zato_lite.timetable.outcome import NextStep

START = 1_800_000_000 * SECOND
JOBS = 500
HOUR = 60 * MINUTE
_LEARNED = 2 * DAY
_CRONS = ("{m} * * * *", "{m} {h} * * *", "{m} {h},{l} * * mon-fri", "{m} */4 * * *")


def _make_jobs(chosen: random.Random) -> list[Job]:
    made = []
    for number in range(JOBS):
        hour = chosen.randrange(12)
        text = chosen.choice(_CRONS).format(m=chosen.randrange(60), h=hour, l=hour + 12)
        trigger: Any = Cron(start=START - DAY, expression=text, timezone="Europe/Warsaw")
        if number % 3:
            minutes = chosen.choice([60, 90, 120, 240, 720])
            start = START - DAY + chosen.randrange(minutes * 60) * SECOND
            trigger = Interval(start=start, minutes=minutes)
        made.append(
            Job(
                name=f"j{number}",
                service="s",
                trigger=trigger,
                on_overlap="allow" if number % 5 == 0 else "skip",
            )
        )
    return made


class World:
    """A store whose runs take random times, and the seconds in flight of each hour."""

    def __init__(self, seed: int = 20261128) -> None:
        self.connection = connect(":memory:")
        migrate(self.connection, START)
        self._random = random.Random(seed)
        insert_jobs(self.connection, [JobGroup(_make_jobs(self._random))], START)
        self._median = {
            job_id: self._random.lognormvariate(5, 1.2) for job_id in range(1, JOBS + 1)
        }
        self._ending: list[tuple[Instant, int, Any]] = []
        self.in_flight: dict[int, float] = {}

    def run(self, until: Instant, now: Instant) -> None:
        """Claim and complete what is due, one instant after the other."""
        connection = self.connection
        while True:
            due = claim.next_due(connection, now)
            ends = self._ending[0][0] if self._ending else until
            now = min(ends, due if due is not None else until)
            if now >= until:
                return
            while self._ending and self._ending[0][0] <= now:
                at, _, attempt = heapq.heappop(self._ending)
                result = AttemptResult(attempt, NextStep("ok"), "ok", at)
                complete_attempts(connection, [result], now, 1)
            for attempt in claim.claim(connection, now, now, 1, limit=1_000).attempts:
                self._start(attempt, now)

    def _start(self, attempt: Any, now: Instant) -> None:
        took = self._median[attempt.job_id] * self._random.lognormvariate(0, 0.25)
        attempt.started_at = now
        ended = now + round(took * SECOND)
        heapq.heappush(self._ending, (ended, attempt.run_id, attempt))
        at = now
        while at < ended:
            hour = at // HOUR
            edge = min(ended, (hour + 1) * HOUR)
            self.in_flight[hour] = self.in_flight.get(hour, 0.0) + (edge - at) / HOUR
            at = edge

    def reseed(self, seed: int) -> None:
        """Have the runs from now on take other random times."""
        self._random = random.Random(seed)

    def hours(self, start: Instant, days: int) -> list[float]:
        """Return the mean of runs in flight, hour by hour, as it was."""
        first = start // HOUR
        return [self.in_flight.get(hour, 0.0) for hour in range(first, first + days * 24)]

    def predicted(self, start: Instant, days: int) -> list[float]:
        """Return the forecast of the mean of runs in flight, hour by hour."""
        ids = range(1, JOBS + 1)
        latest = job_figures.latest_runs(self.connection, ids)
        found = [
            ForecastJob(
                jobs.state_of(row),
                [it.duration_us for it in latest.get(row.id, ()) if it.duration_us is not None],
            )
            for row in jobs.get_by_ids(self.connection, ids)
        ]
        return [*forecast(found, start, days * 24 * 60, 60, {}).load.concurrent]


def test_the_runs_in_flight_of_a_week_are_within_a_tenth_of_the_forecast() -> None:
    world = World()
    begin = START + _LEARNED
    world.run(begin, START)

    expected = world.predicted(begin, 7)
    world.run(begin + 7 * DAY, begin)

    actual = world.hours(begin, 7)
    wrong = [
        (hour, was, said)
        for hour, (was, said) in enumerate(zip(actual, expected, strict=True))
        if abs(was - said) > 0.1 * was
    ]
    assert min(actual) > 1
    assert sum(actual) == pytest.approx(sum(expected), rel=0.05)
    assert wrong == []


def _distance(first: list[float], second: list[float]) -> float:
    """Return the root of the mean square of the differences, by the mean of the first."""
    squares = [(one - other) ** 2 for one, other in zip(first, second, strict=True)]
    return float((sum(squares) / len(squares)) ** 0.5 / (sum(first) / len(first)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 3, 5])
def test_a_forecast_differs_from_a_week_hardly_more_than_two_weeks_from_each_other(
    seed: int,
) -> None:
    begin, weeks = START + _LEARNED, list[list[float]]()
    expected = list[float]()
    for chance in (1, 2):
        world = World(seed)
        world.run(begin, START)
        expected = world.predicted(begin, 7)
        world.reseed(chance)
        world.run(begin + 7 * DAY, begin)
        weeks.append(world.hours(begin, 7))

    by_chance = _distance(weeks[0], weeks[1]) / 2**0.5
    for actual in weeks:
        within = [abs(was - said) <= 0.1 * was for was, said in zip(actual, expected, strict=True)]
        assert sum(within) >= 0.98 * len(within)
        assert _distance(actual, expected) < 1.3 * by_chance
