"""Migration 0005: the principals of jobs in an older store, by its audit log."""

import json
from pathlib import Path

import apsw
import pytest

from tests.store.test_migrate import make_store_of_schema
from zato_lite.clock import SystemClock
from zato_lite.store import jobs
from zato_lite.store.sqlite import open_store
from zato_lite.timetable.job import SECOND, Job, OneTime

NOON = 1_800_000_000 * SECOND
CREATE, EDIT, APPLY = (f"zato.scheduler.job.{name}" for name in ("create", "edit", "apply"))
CHECK = "zato.scheduler.job.check-silent"


class OldStore:
    """A store of the schema before, with jobs and an audit log."""

    def __init__(self, path: Path) -> None:
        self.connection = make_store_of_schema(path, newest=4)
        self.seconds = 0

    def add(self, name: str, service: str = "crm.work", **more: int) -> None:
        columns = {"version": 1, "is_declared": 0, **more}
        job = Job(name=name, service=service, trigger=OneTime(start=NOON))
        (job_id,) = next(
            self.connection.execute(
                "INSERT INTO job (name, service, is_active, definition, version, created_at,"
                " is_declared) VALUES (?, ?, 1, ?, ?, ?, ?) RETURNING id",
                (
                    name,
                    service,
                    jobs.encode_job(job),
                    columns["version"],
                    NOON,
                    columns["is_declared"],
                ),
            )
        )
        self.connection.execute(
            "INSERT INTO timer VALUES (?, ?, ?, 0, 0, 0, NULL)", (job_id, NOON, NOON)
        )

    def record(
        self, who: str, action: str, subject: str, outcome: str = "ok", after_s: int = 0
    ) -> None:
        self.connection.execute(
            "INSERT INTO audit (at, who, action, subject, outcome, cid, remote_address)"
            " VALUES (?, ?, ?, ?, ?, '', '')",
            (NOON + after_s * SECOND, who, action, subject, outcome),
        )

    def credential(self, kind: str, name: str) -> None:
        self.connection.execute(
            "INSERT INTO credential VALUES (?, ?, '', '[\"editor\"]', '[]', 1)", (kind, name)
        )


@pytest.fixture
def old(tmp_path: Path) -> OldStore:
    return OldStore(tmp_path / "z.db")


async def principals(tmp_path: Path, old: OldStore) -> dict[str, str]:
    old.connection.close()
    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        rows, _ = await store.read(lambda c: jobs.find(c, "", "", None, 0))
    return {row.job.name: row.job.principal for row in rows}


async def test_the_latest_editor_or_else_the_creator_is_the_principal(
    tmp_path: Path, old: OldStore
) -> None:
    old.credential("user", "ann")
    old.credential("key", "zk")
    for name in ("by ann", "by a key", "edited", "by a deleted user", "refused", "nobody's"):
        old.add(name)
    old.record("ann", CREATE, "by ann")
    old.record("zk", CREATE, "by a key")
    old.record("ann", CREATE, "edited")
    old.record("zk", EDIT, "3 edited", after_s=99)
    old.record("ann", EDIT, "33 another", after_s=99)
    old.record("gone", CREATE, "by a deleted user")
    old.record("ann", CREATE, "refused", outcome="403: no")

    assert await principals(tmp_path, old) == {
        "by ann": "user:ann",
        "by a key": "key:zk",
        "edited": "key:zk",
        "by a deleted user": "user:gone",
        "refused": "",
        "nobody's": "",
    }


async def test_a_creation_that_left_the_job_alone_makes_no_principal(
    tmp_path: Path, old: OldStore
) -> None:
    old.add("of code")
    old.add("first")
    old.record("ann", CREATE, "first")
    old.record("admin", CREATE, "first", after_s=1)
    old.record("admin", CREATE, "of code", after_s=60)

    assert await principals(tmp_path, old) == {"of code": "", "first": "user:ann"}


async def test_a_job_that_another_may_have_changed_by_apply_is_unknown(
    tmp_path: Path, old: OldStore
) -> None:
    old.add("changed", version=2)
    old.add("not changed", version=1)
    old.add("edited since", version=4)
    for name in ("changed", "not changed", "edited since"):
        old.record("ann", CREATE, name)
    old.record("bob", APPLY, "0 created, 2 changed", after_s=10)
    old.record("ann", EDIT, "3 edited since", after_s=20)
    old.record("bob", APPLY, "7 created, 0 changed", after_s=30)

    assert await principals(tmp_path, old) == {
        "changed": "",
        "not changed": "user:ann",
        "edited since": "user:ann",
    }


async def test_declared_jobs_and_the_servers_own_are_of_the_system(
    tmp_path: Path, old: OldStore
) -> None:
    old.add("declared", is_declared=1)
    old.add(CHECK, CHECK)
    old.add("like it", CHECK)

    assert await principals(tmp_path, old) == {
        "declared": "system",
        CHECK: "system",
        "like it": "",
    }


async def test_waiting_runs_without_a_job_go_on_if_their_service_is_the_projects(
    tmp_path: Path, old: OldStore
) -> None:
    for run, service in ((7, "crm.work"), (8, "zato.service.invoke")):
        job = Job(name="", service=service, trigger=OneTime(start=NOON))
        old.connection.execute(
            "INSERT INTO run (id, job_id, number, slot, kind, state, node, token, attempt,"
            " crashes, claimed_at) VALUES (?, 0, ?, 0, 'async', 'claimed', 0, ?, 1, 0, 0)",
            (run, run, run),
        )
        old.connection.execute("INSERT INTO call VALUES (?, ?, '')", (run, jobs.encode_job(job)))
    old.connection.close()

    async with open_store(tmp_path / "z.db", SystemClock()):
        pass

    new = apsw.Connection(str(tmp_path / "z.db"))
    found = {
        run: json.loads(text).get("principal", "")
        for run, text in new.execute("SELECT run_id, definition FROM call")
    }
    new.close()
    assert found == {7: "system", 8: ""}


_COLUMNS = "(kind, name, hash, roles, patterns, is_active)"


async def test_each_change_of_a_credential_is_counted(tmp_path: Path) -> None:
    changes = [
        f"INSERT INTO credential {_COLUMNS} VALUES ('user', 'ann', '', '[]', '[]', 1)",
        f"INSERT OR REPLACE INTO credential {_COLUMNS} VALUES ('user', 'ann', '', '[]', '[]', 0)",
        "UPDATE credential SET roles = '[]'",
        "DELETE FROM credential",
    ]
    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        for change in changes:
            await store.write(lambda c, change=change: list(c.execute(change)))  # type: ignore[misc]

        version = await store.read(
            lambda c: list(c.execute("SELECT value FROM sequence WHERE name = 'credential'"))
        )

    assert version == [(1 + len(changes),)]
