"""Values at the edges, which every store keeps, or refuses, alike."""

import msgspec
import pytest

from zato_lite.errors import BadInputError
from zato_lite.store import enqueue, history, jobs
from zato_lite.store.audit import AuditLog, AuditRecord
from zato_lite.store.job_insert import JobGroup, insert_jobs, prepare
from zato_lite.store.ports import Connection, Database
from zato_lite.store.sql import fetch_value
from zato_lite.timetable.job import SECOND, Job, OneTime

NOW = 1_800_000_000 * SECOND
NULLS = {"name": "a\0b", "extra": "\0", "pause_note": 'quoted "\0"', "service": "back\\\0"}


def _job(**fields: str) -> Job:
    values = {"name": "j", "service": "s", **fields}
    return msgspec.convert({**values, "trigger": OneTime(start=NOW)}, Job, from_attributes=True)


@pytest.mark.parametrize("field", NULLS)
async def test_a_definition_with_a_null_character_is_refused(
    database: Database, field: str
) -> None:
    (job_id,) = await _insert(database, _job())
    new = _job(**{field: NULLS[field]})

    with pytest.raises(BadInputError, match="null character"):
        prepare([new])
    with pytest.raises(BadInputError, match="null character"):
        await database.write(lambda c: jobs.edit(c, job_id, lambda _: new, NOW))
    with pytest.raises(BadInputError, match="null character"):
        await database.write(lambda c: enqueue.enqueue_call(c, new, NOW, 1))

    assert (await database.read(lambda c: jobs.get(c, job_id))).job == _job()
    assert await database.read(lambda c: fetch_value(c, "SELECT count(*) FROM run")) == 0


@pytest.mark.parametrize(
    "extra",
    [
        "\\u0000",
        '{"a": "\\u0000"}',
        "\\\\u0000",
        "\x01\x1f\x7f\u2028\uffff\U0001f40e",
        "'; DROP TABLE job; -- ?1 $1 %s {rows} \"",
        "{1,NULL}",
        "žluťoučký kůň",
        "x" * 500_000,
    ],
)
async def test_a_text_is_read_as_it_was_written(database: Database, extra: str) -> None:
    job = _job(name=f"j {extra[:100]}", extra=extra)
    (job_id,) = await _insert(database, job)

    found = await database.read(lambda c: jobs.get(c, job_id))
    by_name = await database.read(lambda c: jobs.get_by_names(c, [job.name, "other"]))

    assert found.job == job
    assert [row.id for row in by_name] == [job_id]


async def test_the_greatest_and_least_numbers_are_kept(database: Database) -> None:
    (job_id,) = await _insert(database, _job())

    def write(connection: Connection) -> None:
        row = jobs.get(connection, job_id)
        edges = msgspec.structs.replace(row, next_at=2**63 - 1, cursor=-(2**63), number=2**53 + 1)
        jobs.write_timer(connection, edges)

    await database.write(write)

    row = await database.read(lambda c: jobs.get(c, job_id))
    assert (row.next_at, row.cursor, row.number) == (2**63 - 1, -(2**63), 2**53 + 1)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**70])
async def test_a_number_of_more_than_64_bits_is_refused(database: Database, number: int) -> None:
    with pytest.raises(OverflowError):
        await database.read(lambda c: history.run_by_id(c, number))


async def test_the_audit_log_escapes_null_characters(database: Database) -> None:
    log = AuditLog(database)

    await log.record(AuditRecord("ann", "a", "sub\0ject", "400: a\0b"))

    (record,) = await log.list()
    assert (record.subject, record.outcome) == ("sub\\x00ject", "400: a\\x00b")


async def _insert(database: Database, *new: Job) -> list[int]:
    inserted = await database.write(lambda c: insert_jobs(c, [JobGroup(new)], NOW - SECOND))
    (ids,) = inserted.results
    assert isinstance(ids, list)
    return ids
