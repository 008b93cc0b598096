"""Completion: only results that end a run have consequences."""

from collections.abc import Sequence

import pytest

from zato_lite.store.attempts import AttemptResult, ClaimedAttempt
from zato_lite.store.claim import claim
from zato_lite.store.completion import CompletionResult, complete_attempts
from zato_lite.store.job_insert import JobGroup, insert_jobs
from zato_lite.store.ports import Database
from zato_lite.store.sql import fetch_value
from zato_lite.timetable.job import SECOND, Instant, Job, OneTime
from zato_lite.timetable.outcome import Callback, NextStep

NOW = 1_800_000_000 * SECOND
NODE = 1


async def _claimed(database: Database, count: int) -> Sequence[ClaimedAttempt]:
    new = [Job(name=f"j{n}", service="s", trigger=OneTime(start=NOW)) for n in range(count)]
    await database.write(lambda c: insert_jobs(c, [JobGroup(new)], NOW - SECOND))
    claimed = await database.write(lambda c: claim(c, NOW, NOW, NODE, limit=100))
    return claimed.attempts


def _ok(attempt: ClaimedAttempt, finished_at: Instant = NOW) -> AttemptResult:
    step = NextStep("ok", callbacks=(Callback("service", "notice"),))
    return AttemptResult(attempt, step, "ok", finished_at)


async def _complete(database: Database, *results: AttemptResult) -> CompletionResult:
    return await database.write(lambda c: complete_attempts(c, results, NOW, NODE))


async def _callbacks(database: Database) -> int:
    return await database.read(
        lambda c: int(fetch_value(c, "SELECT count(*) FROM run WHERE kind = 'callback'"))
    )


@pytest.mark.parametrize("count", [1, 2, 40])
async def test_results_that_are_saved_already_have_no_effect_again(
    database: Database, count: int
) -> None:
    results = [_ok(attempt) for attempt in await _claimed(database, count)]

    first = await _complete(database, *results)
    second = await _complete(database, *results)

    assert (len(first.callbacks), len(second.callbacks)) == (count, 0)
    assert (first.refused, second.refused) == ([], [])
    assert await _callbacks(database) == count


async def test_of_a_group_only_the_new_results_have_an_effect(database: Database) -> None:
    saved, other, new = await _claimed(database, 3)
    await _complete(database, _ok(saved), _ok(other))
    late = _ok(other, finished_at=NOW + SECOND)

    completed = await _complete(database, _ok(saved), late, _ok(new))

    assert [callback.path for callback in completed.callbacks] == [(new.job.name,)]
    assert completed.refused == [late]
    assert await _callbacks(database) == 3


async def test_of_two_results_of_a_run_the_one_with_the_latest_token_is_saved(
    database: Database,
) -> None:
    (attempt,) = await _claimed(database, 1)
    retry = AttemptResult(attempt, NextStep(None, retry_at=NOW), "error", NOW, "broken")
    (again,) = (await _complete(database, retry)).next_attempts

    completed = await _complete(database, _ok(attempt), _ok(again))

    assert [result.attempt.token for result in completed.refused] == [attempt.token]
    assert len(completed.callbacks) == 1
