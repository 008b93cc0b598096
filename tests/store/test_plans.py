"""Query plans: what is asked of a million jobs reads indexes, or each table once, in its order."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from zato_lite.store import jobs
from zato_lite.store.attention import find_troubles
from zato_lite.store.calendars import jobs_using
from zato_lite.store.connection import connect
from zato_lite.store.figures import FiguresQuery, count_outcomes
from zato_lite.store.job_filter import JobFilter, Page, count_jobs, count_states, find_page
from zato_lite.store.migrate import migrate
from zato_lite.store.ports import Connection
from zato_lite.store.selection import RunSelection, Selection, select_runs
from zato_lite.store.status import read_status
from zato_lite.store.visibility import ALL_VISIBLE, Visible

NOW = 1_800_000_000_000_000
BILLING = Visible(" AND service IN (?)", ("billing.sync",))


class Planned:
    """``Connection`` to an empty store that records the plan of each statement."""

    dialect = "sqlite"

    def __init__(self) -> None:
        self._connection = connect(":memory:")
        migrate(self._connection, 0)
        self.steps: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Iterator[Sequence[Any]]:
        plan = self._connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
        self.steps += [row[3] for row in plan]
        return iter(self._connection.execute(statement, values))


def _plan(query: Callable[[Any], object]) -> list[str]:
    connection = Planned()
    query(connection)
    return connection.steps


_OF_A_SERVICE = JobFilter(service="billing.sync")
_BY_SERVICE = FiguresQuery(NOW - 1_000, NOW, 100, 10, group="service")


@pytest.mark.parametrize(
    "query",
    [
        lambda c: count_jobs(c, _OF_A_SERVICE, NOW),
        lambda c: count_jobs(c, JobFilter(service="billing.*", words="sync"), NOW),
        lambda c: count_jobs(c, JobFilter(state="active", words="sync"), NOW),
        lambda c: count_jobs(c, JobFilter(), NOW, BILLING),
        lambda c: find_page(c, _OF_A_SERVICE, Page("name"), NOW),
        lambda c: find_page(c, _OF_A_SERVICE, Page("next"), NOW),
        lambda c: find_page(c, JobFilter(), Page("name"), NOW, BILLING),
        lambda c: jobs.find(c, "", "billing.sync", 200, 0),
        lambda c: find_troubles(
            c, "undeployed", NOW, 20, undeployed=["billing.sync"], visible=ALL_VISIBLE
        ),
        lambda c: count_outcomes(c, _BY_SERVICE, NOW),
        lambda c: count_outcomes(c, _BY_SERVICE, NOW, BILLING),
    ],
    ids=[
        "service",
        "pattern",
        "active",
        "confined",
        "page by name",
        "page by next",
        "confined page",
        "jobs of a service",
        "undeployed",
        "figures by service",
        "confined figures by service",
    ],
)
def test_what_is_in_no_index_is_read_from_the_table_in_its_order(
    query: Callable[[Connection], object],
) -> None:
    steps = _plan(query)

    assert any(step in {"SCAN j", "SCAN job"} for step in steps), steps
    assert not any("INDEX job_name" in step for step in steps), steps
    assert "SCAN t" not in steps


@pytest.mark.parametrize(
    ("wanted", "sort", "index"),
    [
        (JobFilter(), "name", "j USING INDEX job_name"),
        (JobFilter(words="billing"), "name", "j USING INDEX job_name"),
        (JobFilter(), "next", "t USING COVERING INDEX timer_next"),
        (JobFilter(state="active"), "name", "j USING INDEX job_name"),
    ],
    ids=["by name", "words", "by next", "active"],
)
def test_pages_of_all_jobs_are_read_in_the_order_of_an_index(
    wanted: JobFilter, sort: Any, index: str
) -> None:
    first, *_ = [
        step
        for step in _plan(lambda c: find_page(c, wanted, Page(sort), NOW))
        if step.startswith(("SCAN j", "SEARCH t ", "SCAN t ", "USE")) and "paused" not in step
    ]

    assert index in first


def test_words_of_names_are_looked_for_in_the_index_of_names() -> None:
    steps = _plan(lambda c: count_jobs(c, JobFilter(words="billing"), NOW))

    assert steps == ["SCAN j USING INDEX job_name"]


def test_states_of_few_jobs_are_counted_by_their_indexes() -> None:
    steps = _plan(lambda c: count_states(c, JobFilter(), NOW))

    scans = [step for step in steps if step.startswith("SCAN")]
    assert scans
    assert all("INDEX" in step or step == "SCAN timer" for step in scans), scans


def test_missed_jobs_are_counted_without_their_rows() -> None:
    steps = _plan(lambda c: count_jobs(c, JobFilter(state="missed"), NOW))

    assert any(step.startswith("SEARCH t ") for step in steps), steps
    assert not any(step.startswith(("SCAN", "SEARCH j ")) for step in steps), steps


def test_the_status_reads_the_next_slot_from_the_index() -> None:
    steps = _plan(lambda c: read_status(c, NOW))

    assert "SEARCH t USING COVERING INDEX timer_next (next_at>?)" in steps
    assert "SEARCH t" not in steps


def test_the_latest_missed_slots_are_read_in_their_order() -> None:
    steps = _plan(
        lambda c: find_troubles(c, "missed", NOW, 20, undeployed=(), visible=ALL_VISIBLE)
    )

    assert "SEARCH l USING INDEX ledger_outcome (outcome=? AND last>?)" in steps
    assert not any("TEMP B-TREE" in step for step in steps if "ORDER" in step)


def test_jobs_of_a_calendar_are_read_from_its_index() -> None:
    steps = _plan(lambda c: jobs_using(c, "PL", 200, None))

    reads = [step for step in steps if step.startswith(("SCAN job", "SEARCH job"))]
    assert reads == ["SEARCH job USING INDEX job_calendar (calendar=?)"] * 2


@pytest.mark.parametrize(
    ("selection", "index"),
    [
        (RunSelection((), Selection(filter=JobFilter())), "run_open"),
        (RunSelection((), Selection(filter=JobFilter()), ["error"]), "run_outcome_slot"),
        (RunSelection((), Selection(filter=JobFilter()), ["ok"], since=NOW), "run_outcome_slot"),
        (RunSelection([7], Selection()), "INTEGER PRIMARY KEY"),
    ],
    ids=["in flight", "failed", "since", "by id"],
)
def test_runs_to_change_are_read_before_their_jobs(selection: RunSelection, index: str) -> None:
    steps = _plan(lambda c: select_runs(c, selection, NOW))

    reads = [step for step in steps if step.startswith(("SCAN", "SEARCH"))]
    assert reads[0].split()[1] == "r"
    assert index in reads[0]
    assert "SCAN j" not in steps


@pytest.mark.parametrize("outcomes", [[], ["ok"]], ids=["in flight", "ok"])
def test_runs_of_named_jobs_are_read_after_their_jobs(outcomes: list[str]) -> None:
    selection = RunSelection((), Selection(ids=[1, 2]), outcomes)

    steps = _plan(lambda c: select_runs(c, selection, NOW))

    assert not any(step.startswith("SCAN r") for step in steps), steps


def test_late_jobs_of_a_timeline_are_read_from_the_index_of_next_slots() -> None:
    steps = _plan(lambda c: find_page(c, JobFilter(), Page("attention", limit=200), NOW))

    assert "SEARCH t USING INDEX timer_next (next_at<?)" in [
        step.replace("COVERING ", "") for step in steps
    ]
    assert "SCAN j" not in steps
