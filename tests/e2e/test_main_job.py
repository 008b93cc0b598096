"""Samples of a user under ``zato-lite serve``, on a real port, with a real database."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import naive, until
from tests.faults.process import RefusedError, Server

pytestmark = pytest.mark.e2e
SAMPLES = Path(__file__).parents[2] / "services"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("main-job")
    shutil.copytree(SAMPLES, folder / "services", ignore=shutil.ignore_patterns("__pycache__"))
    server = Server(folder)
    server.start()
    yield server
    server.kill()


def _in(seconds: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)  # noqa: TID251


def _history(server: Server, job_id: int) -> list[dict[str, Any]]:
    rows = server.invoke("zato.scheduler.job.get-history", {"id": job_id})["rows"]
    return [row for row in rows if row["outcome"] != "running"]


def test_the_third_sample_creates_an_hourly_job_that_is_listed_with_its_next_run(
    server: Server,
) -> None:
    server.invoke("cron-demo.my-service")

    [job] = server.invoke("zato.scheduler.job.get-list", {"query": "my-job-1"})
    assert (job["service"], job["cron_definition"]) == ("zato.ping", "@hourly")
    assert datetime.fromisoformat(job["next_run_utc"]).minute == 0


def test_the_second_sample_schedules_a_job_for_the_instant_that_it_names(server: Server) -> None:
    server.invoke("scheduler-demo.scheduler")

    [job] = server.invoke("zato.scheduler.job.get-list", {"query": "user@example.com"})
    assert job["name"].startswith("user@example.com scheduler-demo.scheduler -> scheduler-demo.my")
    assert (job["job_type"], job["next_run_utc"]) == ("one_time", "2027-07-29T11:35:49")


def test_a_one_time_job_runs_at_its_second_with_its_data(server: Server) -> None:
    at = _in(2)
    definition = {
        "cluster_id": 1, "name": "once", "is_active": True, "job_type": "one_time",
        "service": "scheduler-demo.my-target", "start_date": naive(at),
        "extra": '{"zato_embedded": true, "data": {"my.key": "my.value"}}',
    }  # fmt: skip

    job_id = server.invoke("zato.scheduler.job.create", definition)["id"]

    [run] = until(lambda: _history(server, job_id))
    started = datetime.fromisoformat(run["actual_fire_time_iso"])
    assert run["outcome"] == "ok"
    assert timedelta(0) <= started - at < timedelta(seconds=1)
    lines = server.invoke("zato.scheduler.job.get-log-entries", {"id": job_id, "current_run": 1})
    assert "I was invoked with {'my.key': 'my.value'}" in [
        line["message"] for line in lines["entries"]
    ]


def test_an_interval_of_a_second_keeps_to_its_grid(server: Server) -> None:
    definition = {
        "name": "often", "service": "message-receiver.my-service", "job_type": "interval_based",
        "start_date": naive(_in(-100)), "seconds": 1, "extra": "a text",
    }  # fmt: skip

    job_id = server.invoke("zato.scheduler.job.create", definition)["id"]
    runs = until(lambda: (rows := _history(server, job_id))[3:] and rows)

    slots = sorted(datetime.fromisoformat(run["planned_fire_time_iso"]) for run in runs)
    assert all(slot.microsecond == 0 for slot in slots)
    assert {b - a for a, b in pairwise(slots)} == {timedelta(seconds=1)}
    assert all(run["delay_ms"] >= 0 for run in runs)


def test_a_kill_loses_no_job_and_missed_slots_get_one_run(server: Server) -> None:
    at = _in(2)
    once = {
        "name": "meanwhile",
        "service": "zato.ping",
        "job_type": "one_time",
        "start_date": naive(at),
    }
    hourly = {
        "name": "each hour",
        "service": "zato.ping",
        "job_type": "interval_based",
        "hours": 1,
    }
    every_second = {**hourly, "name": "each second", "hours": 0, "seconds": 1}
    second_id = server.invoke("zato.scheduler.job.create", every_second)["id"]
    once_id = server.invoke("zato.scheduler.job.create", once)["id"]
    hourly_id = server.invoke("zato.scheduler.job.create", hourly)["id"]
    server.invoke("zato.scheduler.job.execute", {"job_id": hourly_id})
    [before] = until(lambda: _history(server, hourly_id))
    [listed] = server.invoke("zato.scheduler.job.get-list", {"query": "each hour"})

    server.kill()
    until(lambda: _in(0) > at)
    server.start()

    [run] = until(lambda: _history(server, once_id))
    assert run["outcome"] == "ok"
    assert _history(server, hourly_id) == [before]
    [again] = server.invoke("zato.scheduler.job.get-list", {"query": "each hour"})
    assert again["next_run_utc"] == listed["next_run_utc"]
    missed = server.invoke("zato.scheduler.job.get-ledger", {"id": second_id})["rows"]
    why = server.invoke("zato.scheduler.job.why", {"id": second_id, "at": missed[0]["first_iso"]})
    assert (why["outcome"], missed[0]["outcome"]) == ("missed", "missed")
    until(lambda: _in(-1) > at)
    assert len(_history(server, once_id)) == 1


def test_errors_have_zatos_texts_and_their_status(server: Server) -> None:
    job = {"name": "a", "service": "zato.ping", "job_type": "interval_based", "seconds": 3600}
    server.invoke("zato.scheduler.job.create", job)
    refused = {}
    for name, service, sent in [
        ("exists", "create", job),
        ("type", "create", {**job, "job_type": "lunar"}),
        ("missing", "create", {**job, "name": "b", "service": "no.such"}),
        ("unknown", "delete", {"id": 99}),
    ]:
        with pytest.raises(RefusedError) as caught:
            server.invoke(f"zato.scheduler.job.{service}", sent)
        refused[name] = (caught.value.status, caught.value.body["details"].split(";")[0])

    assert refused == {
        "exists": (409, "Job `a` already exists"),
        "type": (400, "Unrecognized job type [lunar]"),
        "missing": (404, "Service `no.such` does not exist"),
        "unknown": (404, "Job not found"),
    }


def test_sigterm_finishes_running_services_and_exits_with_status_0(server: Server) -> None:
    sleep = {"name": "s", "service": "demo.sleep", "job_type": "one_time", "extra": {"seconds": 1}}
    job_id = server.invoke("zato.scheduler.job.create", sleep)["id"]
    until(lambda: server.invoke("zato.scheduler.job.get-history", {"id": job_id})["rows"])

    code = server.stop()

    assert code == 0
    server.start()
    [run] = _history(server, job_id)
    assert run["outcome"] == "ok"
