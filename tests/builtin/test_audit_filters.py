"""Filters of the audit log, its subjects and recorded changes, and the records of one job."""

from typing import Any

import msgspec
import pytest

from tests.builtin.conftest import ask, ask_as, caller, create_job
from tests.store.test_migrate import make_store_of_schema
from zato_lite.builtin import bulk
from zato_lite.builtin.audit_subject import About, about, concerns
from zato_lite.clock import SystemClock
from zato_lite.errors import BadInputError, ConflictError, ForbiddenError, JobNotFoundError
from zato_lite.store.audit import AuditFilter, AuditLog
from zato_lite.store.sqlite import open_store
from zato_lite.testing.app import Sandbox

JOB = "zato.scheduler.job"
ANN, BOB = caller("ann", "editor"), caller("bob", "operator")
ROOT = caller("root", "admin")


async def log(box: Sandbox, **sent: Any) -> list[tuple[str, str, str]]:
    rows = await box.invoke("zato.audit.get-list", sent)
    return [(row["who"], row["action"].rpartition(".")[2], row["subject"]) for row in rows]


async def work(box: Sandbox) -> tuple[int, int]:
    """Make changes of two jobs by two callers; return the ids of the jobs."""
    first = (await ask_as(ANN, box, "create", **DEFINITION, name="first"))["id"]
    second = (await ask_as(ANN, box, "create", **DEFINITION, name="second"))["id"]
    await ask_as(BOB, box, "pause", id=first, note="moving")
    box.clock.advance(minutes=1)
    await ask_as(BOB, box, "execute", id=second)
    await ask_as(ANN, box, "resume-many", ids=[first, second])
    await ask_as(ANN, box, "zato.scheduler.calendar.create", name="PL")
    return first, second


DEFINITION = {"service": "crm.work", "job_type": "interval_based", "minutes": 5}


async def test_filters_find_records_together(box: Sandbox) -> None:
    first, second = await work(box)

    assert await log(box, who="bob", action=f"{JOB}.pause") == [("bob", "pause", f"{first} first")]
    assert [row[1] for row in await log(box, who="bob")] == ["execute", "pause"]
    assert [row[1] for row in await log(box, kind="calendar")] == ["create"]
    assert [row[1] for row in await log(box, query="FIRST crea")] == ["create"]
    assert [row[1] for row in await log(box, since="2027-01-15T08:00:30", who="bob")] == [
        "execute"
    ]
    assert [row[1] for row in await log(box, until="2027-01-15T08:00:30", who="bob")] == ["pause"]
    assert await log(box, who="bo%") == await log(box, action="%") == []
    assert len(await log(box, kind="job", id=second)) == 3


async def test_records_before_one_continue_a_page(box: Sandbox) -> None:
    await work(box)

    rows = await box.invoke("zato.audit.get-list", {"page_size": 2})
    more = await box.invoke("zato.audit.get-list", {"page_size": 2, "before_id": rows[-1]["id"]})

    assert [row["id"] for row in rows + more] == sorted(
        (r["id"] for r in rows + more), reverse=True
    )
    assert more == await box.invoke("zato.audit.get-list", {"page_size": 2, "page": 2})


async def test_the_records_of_a_job_include_those_of_changes_of_many(box: Sandbox) -> None:
    first, second = await work(box)
    await create_job(box, name=f"{first}0 jobs")

    found = await ask_as(ANN, box, "get-audit", id=first)
    of_second = await ask_as(ANN, box, "get-audit", id=second)

    assert [row["action"].rpartition(".")[2] for row in found] == [
        "resume-many",
        "pause",
        "create",
    ]
    assert [row["who"] for row in found] == ["ann", "bob", "ann"]
    assert [row["about"] for row in of_second] == [
        {"kind": "jobs", "id": None, "name": ""},
        {"kind": "run", "id": second, "name": "1"},
        {"kind": "job", "id": None, "name": "second"},
    ]


async def test_a_change_is_recorded_with_the_fields_before_and_after(box: Sandbox) -> None:
    job_id = await create_job(box)
    await ask_as(ANN, box, "edit", id=job_id, minutes=7, priority=3, extra="x" * 5_000)
    await ask_as(BOB, box, "pause", id=job_id, note="moving")

    [paused, edited] = await ask_as(ANN, box, "get-audit", id=job_id)

    assert (edited["before"]["minutes"], edited["after"]["minutes"]) == (5, 7)
    assert (edited["before"]["priority"], edited["after"]["priority"]) == (None, 3)
    assert len(edited["after"]["extra"]) == 1_001
    assert paused["after"] == {"is_active": False, "pause_note": "moving"}
    assert paused["before"] == {"is_active": True, "pause_note": None}


async def test_subjects_of_a_job_have_its_id_and_its_name(box: Sandbox) -> None:
    job_id = await create_job(box)
    for name, sent in (
        ("pause", {}), ("resume", {}), ("skip-next", {}), ("edit", {"minutes": 6}),
        ("set-active-status", {"is_active": False}),
    ):  # fmt: skip
        await ask_as(ANN, box, name, id=job_id, **sent)

    assert {subject for _, _, subject in await log(box)} == {f"{job_id} often"}


async def test_an_editor_reads_what_was_done_to_jobs_that_it_may_see(box: Sandbox) -> None:
    job_id = await create_job(box)

    with pytest.raises(ForbiddenError):
        await ask_as(caller("c", "editor", "billing.*"), box, "get-audit", id=job_id)
    assert all(
        row["remote_address"] == "" for row in await ask_as(ANN, box, "get-audit", id=job_id)
    )


@pytest.mark.parametrize(
    "sent",
    [
        {"kind": "odd"}, {"id": 0}, {"id": "x"}, {"before_id": -1}, {"since": "soon"},
        {"kind": "user", "id": 3}, {"who": 5}, {"query": "x" * 1_001}, {"subject": "x"},
        {"id": 3, "page": 2},
    ],
)  # fmt: skip
async def test_wrong_filters_are_refused(box: Sandbox, sent: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        await box.invoke("zato.audit.get-list", sent)


@pytest.mark.parametrize("words", ["%' OR 1=1 --", "\\", "_", "%", "\u202e"])
async def test_hostile_words_match_themselves_only(box: Sandbox, words: str) -> None:
    await work(box)

    assert await log(box, query=words) == await log(box, name=words) == []


@pytest.mark.parametrize(
    ("action", "subject", "found"),
    [
        (f"{JOB}.pause", "3", About("job", 3, "")),
        (f"{JOB}.resume", "3 a name, run away", About("job", 3, "a name, run away")),
        (f"{JOB}.execute", "3, run 7", About("run", 3, "7")),
        (f"{JOB}.create", "3", About("job", None, "3")),
        (f"{JOB}.delete", "'often'", About("job", None, "often")),
        (f"{JOB}.pause-many", "2 jobs: 1-2", About("jobs", None, "")),
        (f"{JOB}.retry-many", "1 run: 5", About("runs", None, "")),
        ("zato.security.user.create", "ann", About("user", None, "ann")),
        ("zato.scheduler.pause", "scheduler", About("scheduler", None, "scheduler")),
        ("invoke", "crm.pay", About("service", None, "crm.pay")),
        ("zato.service.edit", "crm.pay", About("service", None, "crm.pay")),
        ("something", "else", About("", None, "else")),
    ],
)
def test_a_subject_says_what_it_is_about(action: str, subject: str, found: About) -> None:
    assert about(action, subject) == found


def test_a_job_is_among_many_by_its_range() -> None:
    many, subject = f"{JOB}.pause-many", "5 jobs: 1-3, 7, 12"

    found = [n for n in range(1, 14) if concerns(many, subject, None, n, "x")]

    assert found == [1, 2, 3, 7, 12]
    changes = [n for n in range(1, 14) if concerns(many, "5 jobs: 1", '{"ids":"2-4, 9"}', n, "x")]
    assert changes == [2, 3, 4, 9]


async def test_records_of_an_older_store_have_no_changes(tmp_path: Any) -> None:
    old = make_store_of_schema(tmp_path / "z.db", newest=12)
    old.execute(
        "INSERT INTO audit (at, who, action, subject, outcome, cid, remote_address)"
        " VALUES (1, 'ann', 'zato.scheduler.job.pause', '3', 'ok', '', '')"
    )
    old.close()

    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        [record] = await AuditLog(store).list()

    assert (record.who, record.changes) == ("ann", None)


async def test_the_records_of_a_deleted_job_stay(box: Sandbox) -> None:
    job_id = await create_job(box)
    await ask_as(ANN, box, "delete", id=job_id)

    found = await ask_as(ANN, box, "get-audit", id=job_id)

    assert [row["action"] for row in found] == [f"{JOB}.delete"]
    with pytest.raises(JobNotFoundError):
        await ask(box, "get-by-id", id=job_id)


async def changed(box: Sandbox, **filters: Any) -> list[tuple[Any, Any]]:
    """Return the recorded changes, the oldest first."""
    rows = await box.invoke("zato.audit.get-list", filters)
    return [(row["before"], row["after"]) for row in rows][::-1]


async def test_changes_of_calendars_have_their_fields_before_and_after(box: Sandbox) -> None:
    calendar = "zato.scheduler.calendar"

    await ask_as(ANN, box, f"{calendar}.create", name="PL", weekdays=[6], yearly=["12-25"])
    await ask_as(ANN, box, f"{calendar}.edit", name="PL", weekdays=[5, 6], yearly=["12-25"])
    await ask_as(ANN, box, f"{calendar}.rename", name="PL", new_name="EU")
    await ask_as(ANN, box, f"{calendar}.delete", name="EU")

    fields = {"name": "EU", "weekdays": [5, 6], "yearly": ["12-25"]}
    new = {"name": "PL", "weekdays": [6], "yearly": ["12-25"]}
    assert await changed(box, kind="calendar") == [
        (dict.fromkeys(new), new),
        ({"weekdays": [6]}, {"weekdays": [5, 6]}),
        ({"name": "PL"}, {"name": "EU"}),
        (fields, dict.fromkeys(fields)),
    ]


async def test_a_pause_of_all_jobs_is_recorded_with_its_note(box: Sandbox) -> None:
    for name in ("pause", "pause", "resume", "resume"):
        sent = {"note": "upgrade"} if name == "pause" else {}
        await ask_as(ROOT, box, f"zato.scheduler.{name}", **sent)

    running = {"is_paused": False, "note": None}
    paused = {"is_paused": True, "note": "upgrade"}
    assert await changed(box, kind="scheduler") == [
        (running, paused),
        (None, None),
        (paused, running),
        (None, None),
    ]


async def test_a_switch_of_a_service_is_recorded_before_and_after(box: Sandbox) -> None:
    for is_active in (False, False, True):
        await ask_as(ROOT, box, "zato.service.edit", name="crm.work", is_active=is_active)

    rows = await box.invoke("zato.audit.get-list", {"kind": "service", "name": "crm.work"})

    assert [(row["before"], row["after"]) for row in rows][::-1] == [
        ({"is_active": True}, {"is_active": False}),
        (None, None),
        ({"is_active": False}, {"is_active": True}),
    ]


async def test_changes_of_users_have_their_rights_without_secrets(box: Sandbox) -> None:
    user, secret = "zato.security.user", "correct horse battery"

    await ask_as(ROOT, box, f"{user}.create", name="eve", password=secret, patterns=["crm.*"])
    await ask_as(ROOT, box, f"{user}.edit", name="eve", roles=["editor"], is_active=False)
    await ask_as(ROOT, box, f"{user}.edit", name="eve", password=f"{secret}!")
    await ask_as(ROOT, box, f"{user}.delete", name="eve")

    new = {"roles": ["viewer"], "patterns": ["crm.*"], "is_active": True}
    old = {"roles": ["editor"], "patterns": ["crm.*"]}
    assert await changed(box, kind="user") == [
        (dict.fromkeys(new), new),
        ({"roles": ["viewer"], "is_active": True}, {"roles": ["editor"], "is_active": False}),
        ({"password": None}, {"password": "changed"}),
        (old, dict.fromkeys(old)),
    ]
    rows = await box.app.audit_log.list()
    assert not any(secret in (row.changes or "") for row in rows)


async def test_changes_of_many_jobs_have_what_all_of_them_got(box: Sandbox) -> None:
    ids = [await create_job(box, name=name) for name in ("a", "b", "c")]
    until = "2027-01-16T08:00:00+00:00"

    await ask_as(ANN, box, "pause-many", ids=ids, note="moving of 3", until=until)
    await ask_as(ANN, box, "resume-many", ids=ids[:2])
    await ask_as(ANN, box, "skip-many", ids=ids, count=2)
    await ask_as(ANN, box, "delete-many", ids=ids[2:])

    assert await changed(box, kind="jobs") == [
        (None, {"is_active": False, "pause_note": "moving of 3", "pause_until": until}),
        (None, {"is_active": True}),
        (None, {"skip_next": 2}),
        (None, None),
    ]
    found = await ask_as(ANN, box, "get-audit", id=ids[0])
    actions = [row["action"].rpartition(".")[2] for row in found]
    assert actions == ["skip-many", "resume-many", "pause-many"]


async def test_ids_that_are_too_many_for_a_record_are_cut_between_two_of_them(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [await create_job(box, name=f"j{number}") for number in range(13)]
    monkeypatch.setattr(bulk, "_MAX_IDS_TEXT", len("1, 13") - 1)

    await ask_as(ANN, box, "pause-many", ids=[ids[0], ids[12]])

    [record] = await box.app.audit_log.list(wanted=AuditFilter(action=f"{JOB}.pause-many"))
    assert msgspec.json.decode(record.changes or "")["ids"] == "1"


def test_numbers_in_a_note_are_not_ids() -> None:
    changes = '{"ids":"1-2","after":{"pause_note":"ticket 7"}}'

    found = [concerns(f"{JOB}.pause-many", "2 jobs: 1-2", changes, it, "") for it in (1, 7)]

    assert found == [True, False]


async def test_refusals_of_others_have_no_words_for_callers_with_patterns(box: Sandbox) -> None:
    target = await create_job(box, name="mine")
    await create_job(box, name="secret", service="crm.fail", on_success_job="mine")
    confined = caller("robot", "editor", "crm.work", "zato.*")
    for who in (ANN, confined):
        with pytest.raises(ConflictError):
            await ask_as(who, box, "delete", id=target)

    own, others = (await ask_as(confined, box, "get-audit", id=target))[:2]
    [_, whole] = (await ask_as(ANN, box, "get-audit", id=target))[:2]

    assert own["outcome"].startswith("409: job `mine` is called back by a job of another service")
    assert others["outcome"] == "409"
    assert "called back by `secret`" in whole["outcome"]
