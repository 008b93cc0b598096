"""Life of a job of each type, over real HTTP, with a real process and database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import naive, until
from tests.faults.process import RefusedError, Server

pytestmark = pytest.mark.e2e
JOB = "zato.scheduler.job"
SERVICES = """
from zato_lite import Service


class Work(Service):
    async def handle(self):
        self.logger.info('Working on %s', self.request.input)
        if self.request.input == {'fail': True}:
            raise ValueError('no rows')
        self.response.payload = {'worked': True}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("life")
    (folder / "services").mkdir()
    (folder / "services" / "crm.py").write_text(SERVICES)
    server = Server(folder)
    server.start()
    yield server
    server.kill()


def _schedule(kind: str) -> dict[str, Any]:
    now = datetime.now(UTC)  # noqa: TID251 - the server is another process, on the real clock
    match kind:
        case "one_time":
            return {"start_date": naive(now + timedelta(days=1))}
        case "interval_based":
            return {"start_date": naive(now - timedelta(days=1)), "hours": 1}
        case _:
            return {"start_date": naive(now - timedelta(days=1)), "cron_definition": "0 * * * *"}


@pytest.mark.parametrize("kind", ["one_time", "interval_based", "cron_style"])
def test_a_job_is_previewed_created_edited_paused_run_explained_and_deleted(
    server: Server, kind: str
) -> None:
    def ask(operation: str, /, **sent: Any) -> Any:
        return server.invoke(f"{JOB}.{operation}", sent)

    definition = {
        "name": f"life of {kind}", "service": "crm.work", "job_type": kind, "timezone": "UTC",
        "extra": {"rows": 3}, **_schedule(kind),
    }  # fmt: skip

    preview = ask("get-upcoming", **definition, count=3)
    assert ask("validate", **definition)["is_valid"]
    job_id = ask("create", **definition)["id"]
    assert ask("get-upcoming", id=job_id, count=3)["slots"] == preview["slots"]

    ask("edit", id=job_id, max_retries=1, retry_delay_ms=10)
    assert ask("get-by-id", id=job_id)["max_retries"] == 1

    assert ask("pause", id=job_id, note="waiting for the bank")["is_active"] is False
    slot = preview["slots"][0]["slot"]
    assert ask("why", id=job_id, at=slot)["outcome"] == "paused"
    assert ask("resume", id=job_id)["is_active"] is True
    assert ask("why", id=job_id, at=slot)["outcome"] == "not_yet"

    first = ask("execute", id=job_id)["current_run"]
    rows = until(lambda: _ended(ask("get-history", id=job_id)["rows"]))
    assert [(row["current_run"], row["outcome"]) for row in rows] == [(first, "ok")]
    messages = [
        line["message"]
        for line in ask("get-log-entries", job_id=job_id, current_run=first)["entries"]
    ]
    assert "Working on {'rows': 3}" in messages
    assert messages[0].startswith("Job started")

    ask("edit", id=job_id, extra={"fail": True})
    second = ask("execute", id=job_id)["current_run"]
    rows = until(lambda: _ended(ask("get-history", id=job_id, outcomes=["error"])["rows"]))
    detail = ask("get-run-detail", job_id=job_id, current_run=second)
    assert "ValueError: no rows" in rows[0]["error"]
    assert (detail["record"]["attempt"], detail["prev_run"]) == (2, first)

    if kind != "one_time":
        start = datetime.fromisoformat(slot) - timedelta(hours=3)
        ran = ask("backfill", id=job_id, first=start.isoformat(), last=slot)["runs"]
        assert len(ran) == 4
        until(lambda: len(_ended(ask("get-history", id=job_id)["rows"])) == 6)

    ask("delete", id=job_id)
    with pytest.raises(RefusedError) as caught:
        ask("get-by-id", id=job_id)
    assert (caught.value.status, caught.value.body["details"]) == (404, "Job not found")


def _ended(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["outcome"] != "running"]
