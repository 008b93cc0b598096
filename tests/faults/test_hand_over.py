"""A node that is stopped hands its claims over to another one, which runs them without a wait."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.checker import Due, Gap, Run, grid, violations
from tests.e2e.conftest import naive, until
from tests.faults.process import Server, interval
from zato_lite.store.postgres_others import EXPIRY_S

pytestmark = pytest.mark.postgres

JOBS = 30
PERIOD = 1_000_000


class Node(Server):
    """One of several servers on a database; all write to one file."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder / "project")
        self.url = url
        self.effects = folder.parent / "effects.txt"
        (self.folder / "config").mkdir()
        text = f"[store]\nurl = '{url}'\n"
        (self.folder / "config" / "zato-lite.toml").write_text(text)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(sql.encode()).fetchall()


def test_a_stopped_node_hands_its_claims_over(tmp_path: Path, postgres_url: str) -> None:
    nodes = [Node(tmp_path / name, postgres_url) for name in "ab"]
    for node in nodes:
        node.start()
    left, kept = nodes
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)  # noqa: TID251
    start = int(begin.timestamp()) * 1_000_000
    definitions = [interval(f"mark-{n}", "faults.mark", naive(begin)) for n in range(JOBS)]
    jobs = [kept.invoke("zato.scheduler.job.create", each)["id"] for each in definitions]
    try:
        until(lambda: len(left.seen()) >= 2 * JOBS, 30)
        # Within the half second in which both have claimed the next slots.
        time.sleep((-time.time() + 0.75) % 1)  # noqa: TID251
        stopped_at = time.time_ns() // 1000  # noqa: TID251
        status = left.stop()
        until(lambda: max(each.slot for each in kept.seen()) > stopped_at + 3 * PERIOD, 30)
        last = max(each.slot for each in kept.seen()) - 2 * PERIOD

        def is_over() -> bool:
            runs, _ = kept.history(jobs)
            return all(run.outcome is not None for run in runs if run.slot <= last)

        until(is_over, 30)
        found: tuple[list[Run], list[Gap]] = kept.history(jobs)
    finally:
        for node in nodes:
            node.kill()

    runs = [run for run in found[0] if run.slot <= last]
    effects = [each for each in kept.seen() if each.slot <= last]
    due = [Due(job, list(grid(start, PERIOD, start - 1, last))) for job in jobs]
    after = [each for each in effects if each.slot >= stopped_at - PERIOD]
    assert status == 0
    assert violations(due, runs, found[1], effects) == []
    assert {each.attempt for each in effects} == {1}
    # Without the hand-over, another node would wait for the end of its trust.
    assert max(each.at - each.slot for each in after) < EXPIRY_S * 1_000_000
