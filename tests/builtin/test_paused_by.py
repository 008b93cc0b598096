"""Author of a job's pause, and the version of its definition."""

from pathlib import Path
from typing import Any

from tests.builtin.conftest import START, ask, ask_as, caller, create_job
from tests.store.test_migrate import make_store_of_schema
from zato_lite.clock import SystemClock
from zato_lite.store import jobs
from zato_lite.store.sqlite import open_store
from zato_lite.testing.app import Sandbox
from zato_lite.timetable.job import Job, OneTime

ANN, BOB = caller("ann", "editor"), caller("bob", "operator")


async def pause_of(box: Sandbox, job_id: int) -> tuple[str, str | None]:
    job = await ask(box, "get-by-id", id=job_id)
    return job["paused_by"], job["paused_since"]


async def test_a_pause_has_its_author_and_start_until_it_ends(box: Sandbox) -> None:
    job_id = await create_job(box)

    await ask_as(BOB, box, "pause", id=job_id, note="until Monday")
    paused = await pause_of(box, job_id)
    await ask_as(ANN, box, "edit", id=job_id, minutes=7)
    after_edit = await pause_of(box, job_id)
    await ask_as(ANN, box, "resume", id=job_id)

    assert paused == ("user:bob", "2027-01-15T08:00:01+00:00")
    assert after_edit == paused
    assert await pause_of(box, job_id) == ("", None)


async def test_each_way_to_pause_a_job_records_the_author(box: Sandbox) -> None:
    job_id = await create_job(box)
    ways: list[tuple[str, dict[str, Any]]] = [
        ("pause", {"id": job_id}),
        ("pause-many", {"ids": [job_id]}),
        ("set-active-status", {"id": job_id, "is_active": False}),
        ("edit", {"id": job_id, "is_active": False}),
        ("apply", {"jobs": [{**DEFINITION, "is_active": False}]}),
    ]

    for name, sent in ways:
        await ask_as(ANN, box, name, **sent)
        found, _ = await pause_of(box, job_id)
        await ask(box, "resume", id=job_id)
        assert (name, found) == (name, "user:ann")


DEFINITION = {
    "name": "often", "service": "crm.work", "job_type": "interval_based", "extra": "a text",
    "start_date": "2027-01-15T07:00:00", "minutes": 5,
}  # fmt: skip


async def test_a_new_note_has_its_own_author(box: Sandbox) -> None:
    job_id = await create_job(box)

    await ask_as(BOB, box, "pause", id=job_id)
    await ask_as(ANN, box, "pause", id=job_id, note="the invoice system moves")

    assert (await pause_of(box, job_id))[0] == "user:ann"


async def test_a_job_that_pauses_after_failures_is_paused_by_the_system(box: Sandbox) -> None:
    job_id = await create_job(box, service="crm.fail", pause_after_failures=1)

    await box.advance(minutes=5)

    assert (await pause_of(box, job_id))[0] == "system"


async def test_a_job_created_paused_is_paused_by_its_creator(box: Sandbox) -> None:
    created = await ask_as(ANN, box, "create", **DEFINITION, is_active=False)

    assert (await pause_of(box, created["id"]))[0] == "user:ann"


async def test_a_pause_that_ends_at_its_time_leaves_no_author(box: Sandbox) -> None:
    job_id = await create_job(box)

    await ask_as(BOB, box, "pause", id=job_id, until="2027-01-15T08:12:00")
    await box.advance(minutes=20)

    assert await pause_of(box, job_id) == ("", None)


async def test_the_version_grows_with_each_change(box: Sandbox) -> None:
    job_id = await create_job(box)

    first = (await ask(box, "get-by-id", id=job_id))["version"]
    await ask(box, "edit", id=job_id, minutes=7)
    [listed] = await ask(box, "get-list")

    assert (first, listed["version"]) == (1, 2)


async def test_a_pause_of_an_older_store_has_no_author(tmp_path: Path) -> None:
    old = make_store_of_schema(tmp_path / "z.db", newest=8)
    job = Job(name="old", service="crm.work", trigger=OneTime(start=START), is_active=False)
    old.execute(
        "INSERT INTO job (name, service, is_active, definition, version, created_at)"
        " VALUES ('old', 'crm.work', 0, ?, 1, 0)",
        (jobs.encode_job(job),),
    )
    old.execute("INSERT INTO timer VALUES (1, NULL, 0, 0, 0, 0, 7)")
    old.close()

    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        row = await store.read(lambda c: jobs.get(c, 1))

    assert (row.paused_by, row.paused_since, row.job) == ("", 7, job)
