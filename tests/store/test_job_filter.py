"""Filters and counts of jobs: what indexes say is what a look at each job says."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.test_migrate import make_store_of_schema
from zato_lite.clock import SystemClock
from zato_lite.store.connection import connect
from zato_lite.store.job_filter import (
    LATE,
    JobFilter,
    Page,
    StateCounts,
    count_jobs,
    count_states,
    find_page,
)
from zato_lite.store.job_insert import JobGroup, insert_jobs
from zato_lite.store.jobs import encode_job
from zato_lite.store.migrate import migrate
from zato_lite.store.ports import Connection
from zato_lite.store.sqlite import open_store
from zato_lite.store.visibility import ALL_VISIBLE, visible_jobs
from zato_lite.timetable.job import DAY, SECOND, Interval, Job

NOW = 1_800_000_000 * SECOND
_RUN = """INSERT INTO run (id, job_id, number, slot, kind, state, node, token, attempt, crashes,
    claimed_at, started_at, finished_at, outcome)
    VALUES (?1, ?2, ?3, ?4, 'scheduled', ?5, 1, ?1, 1, 0, ?4, ?4, ?4, ?6)"""
_MISSED = """INSERT INTO ledger (job_id, outcome, first, last, count, reason, number)
    VALUES (?1, 'missed', ?2, ?2, 1, '', 0)"""

_states = st.fixed_dictionaries(
    {
        "is_active": st.booleans(),
        "failures": st.integers(0, 2),
        "is_running": st.booleans(),
        "missed_ago": st.sampled_from([None, 1, 3, 30]),  # hours
        "ran_ago": st.sampled_from([None, 2]),
        "due_ago": st.sampled_from([-60, 1, 60]),  # seconds
    }
)


def _store(jobs: list[dict[str, Any]]) -> Connection:
    connection = connect(":memory:")
    migrate(connection, 0)
    trigger = Interval(start=NOW, hours=1)
    made = [
        Job(name=f"j{n}", service=f"s.{n % 3}", trigger=trigger, is_active=job["is_active"])
        for n, job in enumerate(jobs)
    ]
    if made:
        insert_jobs(connection, [JobGroup(made)], NOW - DAY)
    hour = 3_600 * SECOND
    for number, job in enumerate(jobs, 1):
        due = NOW - job["due_ago"] * SECOND - LATE
        connection.execute(
            "UPDATE timer SET failures = ?, next_at = ? WHERE job_id = ?",
            (job["failures"], due if job["is_active"] else None, number),
        )
        if job["missed_ago"] is not None:
            connection.execute(_MISSED, (number, NOW - job["missed_ago"] * hour))
        if job["ran_ago"] is not None:
            slot = NOW - job["ran_ago"] * hour
            connection.execute(_RUN, (2 * number, number, 1, slot, "done", "ok"))
        if job["is_running"]:
            slot = NOW - 40 * hour  # before any missed one
            connection.execute(_RUN, (2 * number + 1, number, 2, slot, "claimed", None))
    return connection


def _is_missed(job: dict[str, Any]) -> bool:
    missed, ran = job["missed_ago"], job["ran_ago"]
    return missed is not None and missed <= 24 and (ran is None or ran > missed)


@given(st.lists(_states, max_size=12))
def test_the_counts_by_index_are_those_of_each_job(jobs: list[dict[str, Any]]) -> None:
    connection = _store(jobs)

    by_index = count_states(connection, JobFilter(), NOW)
    by_scan = count_states(connection, JobFilter(service="*"), NOW)

    active = [job for job in jobs if job["is_active"]]
    assert (
        by_index
        == by_scan
        == StateCounts(
            len(jobs),
            len(active),
            len(jobs) - len(active),
            sum(job["failures"] > 0 for job in active),
            sum(job["is_running"] for job in jobs),
            sum(map(_is_missed, jobs)),
            sum(job["due_ago"] > 0 for job in active),
        )
    )


@given(
    st.lists(_states, max_size=12),
    st.sampled_from(["name", "next", "last", "failed", "duration", "attention"]),
    st.sampled_from(["asc", "desc"]),
    st.sampled_from([None, "active", "paused", "failing", "running", "missed", "late"]),
)
def test_pages_have_each_job_once_and_as_many_as_counted(
    jobs: list[dict[str, Any]], sort: Any, direction: Any, state: Any
) -> None:
    connection, wanted = _store(jobs), JobFilter(state=state)

    pages = [
        find_page(connection, wanted, Page(sort, direction, 5, offset), NOW)
        for offset in range(0, 15, 5)
    ]

    found = [row.id for page in pages for row in page]
    assert len(found) == len(set(found)) == count_jobs(connection, wanted, NOW)
    counts = count_states(connection, wanted, NOW)
    assert len(found) == getattr(counts, state or "all")


_filters = st.builds(
    JobFilter,
    words=st.sampled_from(["", "J", "1", "j 1"]),
    service=st.sampled_from(["", "s.1", "S.*", "s.9"]),
    state=st.sampled_from([None, "active", "paused", "failing", "late"]),
    tag=st.just(""),
    next_before=st.sampled_from([None, NOW]),
)


def _shows(wanted: JobFilter, number: int, job: dict[str, Any], permitted: str) -> bool:
    """Return True if a filter shows a job of ``_store`` to a caller."""
    name, service = f"j{number - 1}", f"s.{(number - 1) % 3}"
    is_late = job["is_active"] and job["due_ago"] > 0
    states = {
        "active": job["is_active"],
        "paused": not job["is_active"],
        "failing": job["is_active"] and job["failures"] > 0,
        "late": is_late,
    }
    return (
        all(word.lower() in name for word in wanted.words.split())
        and fnmatchcase(service, wanted.service.lower() or "*")
        and (wanted.state is None or states[wanted.state])
        and (wanted.next_before is None or (job["is_active"] and _due(job) < wanted.next_before))
        and fnmatchcase(service, permitted)
    )


def _due(job: dict[str, Any]) -> int:
    return int(NOW - job["due_ago"] * SECOND - LATE)


def _in_order(jobs: list[dict[str, Any]], sort: str, *, is_up: bool) -> list[int]:
    """Return the numbers of all jobs in an order; those without the value are last."""

    def key(number: int) -> tuple[Any, ...]:
        job = jobs[number - 1]
        due = _due(job) if job["is_active"] else None
        value = due if sort == "next" else job["failures"] or None
        value = value if is_up or value is None else -value
        return value is None, value or 0, due is None, due or 0, number

    numbers = range(1, len(jobs) + 1)
    if sort == "name":
        return sorted(numbers, key=lambda number: f"j{number - 1}", reverse=not is_up)
    return sorted(numbers, key=key)


@given(
    st.lists(_states, max_size=12),
    _filters,
    st.sampled_from(["*", "s.1", "s.9"]),
    st.sampled_from(["name", "next", "failed"]),
    st.booleans(),
)
def test_a_page_has_what_a_look_at_each_job_says_in_its_order(
    jobs: list[dict[str, Any]], wanted: JobFilter, permitted: str, sort: Any, is_up: bool
) -> None:
    connection = _store(jobs)
    visible = ALL_VISIBLE
    if permitted != "*":
        visible = visible_jobs(connection, lambda service: service == permitted)

    page = Page(sort, "asc" if is_up else "desc", 3, 1)
    found = [row.id for row in find_page(connection, wanted, page, NOW, visible)]
    total = count_jobs(connection, wanted, NOW, visible)

    shown = [
        number
        for number in _in_order(jobs, sort, is_up=is_up)
        if _shows(wanted, number, jobs[number - 1], permitted)
    ]
    assert (found, total) == (shown[1:4], len(shown))


@pytest.mark.parametrize(("outcome", "failures"), [("error", 1), ("ok", 0), ("cancelled", 1)])
async def test_jobs_of_an_older_store_whose_latest_run_failed_are_failing(
    tmp_path: Path, outcome: str, failures: int
) -> None:
    old = make_store_of_schema(tmp_path / "z.db", newest=9)
    job = Job(name="j", service="s", trigger=Interval(start=NOW, hours=1))
    old.execute(
        "INSERT INTO job (id, name, service, is_active, definition, version, created_at)"
        " VALUES (1, 'j', 's', 1, ?, 1, 0)",
        (encode_job(job),),
    )
    old.execute("INSERT INTO timer (job_id, cursor, started, number) VALUES (1, 0, 2, 2)")
    old.execute(_RUN, (1, 1, 1, NOW, "done", "error"))
    old.execute(_RUN, (2, 1, 2, NOW + SECOND, "done", outcome))
    old.execute(_MISSED, (1, NOW))
    old.close()

    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        [row] = await store.read(lambda c: find_page(c, JobFilter(), Page(), NOW))
        counts = await store.read(lambda c: count_states(c, JobFilter(), NOW))

    assert (row.failures, counts.failing, counts.all) == (failures, failures, 1)
