from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from zato_lite.clock import SystemClock
from zato_lite.errors import BadInputError, JobExistsError, ZatoLiteError
from zato_lite.store import calendars, job_insert, jobs
from zato_lite.store.migrate import migrations
from zato_lite.store.ports import Connection, Database
from zato_lite.store.sqlite import open_store
from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.job import SECOND, Cron, Instant, Interval, Job, OneTime, Trigger

NOW = 1_800_000_000 * SECOND
HOURLY = Interval(start=NOW + 60 * SECOND, hours=1)
COUNT = 100

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "declared": {"is_declared": True},
    "watched": {"alert_after_intervals": 3},
    "paused": {"is_active": False, "pause_until": NOW + SECOND},
    "spread": {"jitter_ms": 60_000},
    "counted": {"repeats": 5},
    "with a calendar": {"calendar": "holidays", "extra": '{"a": "\\"b\\"\n"}'},
}
NAMES = {
    "plain": "n{}",
    "foreign": "žluťoučký 🐎 {}",
    "quoted": 'he said "{}"',
    "escaped": "back\\slash {}",
    "of two lines": "one\ntwo {}",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
async def test_bulk_insertion_equals_single_insertions(
    database: Database, kind: str, name: str
) -> None:
    named = [(NAMES[name].format(n), f"{name} {n}") for n in range(COUNT)]
    many = [job(own, **KINDS[kind]) for own, _ in named]

    answers = await keep(database, [many])
    together = await kept(database)
    await database.write(lambda c: [jobs.delete(c, job_id, NOW) for job_id in answers[0]])
    for new_job in many:
        await keep(database, [[new_job]])

    assert [row["name"] for row in together] == [own for own, _ in named]
    assert _but_for_ids(await kept(database)) == _but_for_ids(together)


async def test_many_different_jobs_are_inserted(database: Database) -> None:
    triggers: list[Trigger] = [
        HOURLY,
        OneTime(start=NOW + SECOND),
        Cron(start=NOW, expression="H 2 * * *", seed="x"),
    ]
    many = [
        job(f"n{n}", trigger=triggers[n % 3], service=f"s{n % 5}", is_active=n % 7 > 0)
        for n in range(COUNT)
    ]

    [answer] = await keep(database, [many])

    rows = await database.read(lambda c: [jobs.get(c, job_id) for job_id in answer])
    assert [row.job for row in rows] == many


async def test_uniform_jobs_with_different_triggers_have_different_due_times(
    database: Database,
) -> None:
    many = [job(f"n{n}", trigger=OneTime(start=NOW + n * SECOND)) for n in range(COUNT)]

    group = job_insert.JobGroup(many, [job_insert.prepare(many)])
    created = await database.write(lambda c: job_insert.insert_jobs(c, [group], NOW))

    rows = await kept(database)
    assert [row["next_at"] for row in rows] == [NOW + n * SECOND for n in range(COUNT)]
    assert created.next_due == NOW


@pytest.mark.parametrize("place", [0, 40, COUNT - 1])
async def test_a_group_is_inserted_all_or_none(database: Database, place: int) -> None:
    await keep(database, [[job("taken")]])
    many = [job(f"n{n}") for n in range(COUNT)]
    many[place] = job("taken")

    [refused] = await _answers(database, [many])

    assert str(refused) == "Job `taken` already exists"
    assert [row["name"] for row in await kept(database)] == ["taken"]


async def test_groups_of_one_transaction_fail_independently(database: Database) -> None:
    first, second = ([job(f"{name}{n}") for n in range(COUNT)] for name in "ab")

    answers = await _answers(database, [first, [*second, job("a7")], [job("b7")], second])

    assert [type(answer) for answer in answers] == [list, JobExistsError, list, JobExistsError]
    assert len(await kept(database)) == COUNT + 1


async def test_a_duplicate_name_within_a_group_is_refused(database: Database) -> None:
    many = [job(f"n{n}") for n in range(COUNT)]

    [refused] = await _answers(database, [[*many, job("n40"), job("n3")]])

    assert str(refused) == "Job `n40` already exists"


def test_text_that_is_not_valid_unicode_is_refused_before_the_write() -> None:
    many = [job(f"n{n}", extra="\udce9" if n == COUNT // 2 else None) for n in range(COUNT)]

    with pytest.raises(BadInputError, match="unpaired surrogate"):
        job_insert.prepare(many)


async def test_jobs_of_the_first_schema_get_the_new_columns(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    written = [
        job("plain", extra='"is_declared":true, "alert_after_intervals":3'),
        job("declared", is_declared=True),
        job("watched", alert_after_intervals=3),
    ]
    _make_first_schema(path, written)

    async with open_store(path, SystemClock()) as store:
        declared = await store.read(jobs.list_declared)
        watched = await store.read(jobs.list_watched)

    assert [row.job.name for row in declared] == ["declared"]
    assert [watched_row.row.job.name for watched_row in watched] == ["watched"]


async def test_an_edit_updates_the_is_watched_column(database: Database) -> None:
    await keep(database, [[job("x")]])

    await database.write(
        lambda c: jobs.edit(c, 1, lambda _: job("x", alert_after_intervals=3), NOW)
    )
    watched = await database.read(jobs.list_watched)
    await database.write(lambda c: jobs.edit(c, 1, lambda _: job("x"), NOW))

    assert [watched_row.row.job.name for watched_row in watched] == ["x"]
    assert await database.read(jobs.list_watched) == []


def job(name: str, *, trigger: Trigger = HOURLY, service: str = "a.b", **more: Any) -> Job:
    return Job(name=name, service=service, trigger=trigger, **more)


async def keep(database: Database, groups: Sequence[Sequence[Job]]) -> list[Sequence[int]]:
    answers = await _answers(database, groups)
    return [answer for answer in answers if not isinstance(answer, ZatoLiteError)]


async def _answers(
    database: Database, groups: Sequence[Sequence[Job]]
) -> list[list[int] | ZatoLiteError]:
    wanted = [
        job_insert.JobGroup(group, [job_insert.prepare(group)] if len(group) > 1 else ())
        for group in groups
    ]

    def work(connection: Connection) -> list[list[int] | ZatoLiteError]:
        calendars.save_calendar(connection, Calendar(name="holidays", dates=(date(2027, 1, 15),)))
        return job_insert.insert_jobs(connection, wanted, NOW).results

    return await database.write(work)


async def kept(database: Database) -> list[dict[str, Any]]:
    """Return all columns of all jobs and timers, after a full check of the database."""

    def read_rows(connection: Connection) -> list[dict[str, Any]]:
        columns = _columns(connection)
        rows = connection.execute(
            "SELECT * FROM job JOIN timer ON job_id = id WHERE deleted_at IS NULL ORDER BY id"
        )
        return [dict(zip(columns, row, strict=True)) for row in rows]

    return await database.read(read_rows)


def _columns(connection: Connection) -> list[str]:
    if connection.dialect == "sqlite":
        assert list(connection.execute("PRAGMA integrity_check")) == [("ok",)]
        return [row[1] for table in ("job", "timer")
                for row in connection.execute(f"PRAGMA table_info({table})")]  # fmt: skip
    select = """SELECT column_name FROM information_schema.columns
        WHERE table_schema = current_schema() AND table_name = ? ORDER BY ordinal_position"""
    return [row[0] for table in ("job", "timer") for row in connection.execute(select, (table,))]


def _but_for_ids(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Remove ids, and the jitter that depends on them."""
    without = {"id", "job_id"}
    if rows and "jitter_ms" in rows[0]["definition"]:
        without.add("next_at")
    return [{key: value for key, value in row.items() if key not in without} for row in rows]


def _make_first_schema(path: Path, written: Sequence[Job]) -> None:
    connection = apsw.Connection(str(path))
    first = migrations()[0]
    connection.execute(first.sql)
    connection.execute(
        "CREATE TABLE migration (number INTEGER PRIMARY KEY, name TEXT, checksum TEXT,"
        " taken_at INTEGER)"
    )
    connection.execute("INSERT INTO migration VALUES (1, ?, ?, 0)", (first.name, first.checksum))
    at: Instant = NOW
    for number, old_job in enumerate(written, 1):
        text = msgspec.json.encode(old_job).decode()
        connection.execute(
            "INSERT INTO job (id, name, service, is_active, definition, version, created_at)"
            " VALUES (?, ?, ?, 1, ?, 1, ?)",
            (number, old_job.name, old_job.service, text, at),
        )
        connection.execute(
            "INSERT INTO timer (job_id, next_at, cursor, started, number) VALUES (?, ?, 0, 0, 0)",
            (number, at),
        )
    connection.close()
