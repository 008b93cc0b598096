from msgspec.structs import replace

from zato_lite.store.audit import AuditLog, AuditRecord
from zato_lite.store.ports import Database


async def test_audit_records_are_listed_newest_first(database: Database) -> None:
    audit_log = AuditLog(database)
    create = AuditRecord("ann", "create", "job 1", "ok", "c", "::1", 1)
    delete = AuditRecord("ann", "delete", "job 1", "ok", "c", "::1", 2)

    await audit_log.record(create)
    await audit_log.record(delete)

    assert await audit_log.list(limit=1) == [replace(delete, id=2)]
    assert await audit_log.list(limit=1, offset=1) == [replace(create, id=1)]


async def test_audit_records_have_no_control_or_direction_characters(database: Database) -> None:
    audit_log = AuditLog(database)
    bad = "a\x00\n\x1b[31m\u202e\u2028\u200b\ud800b é\xa0ü"
    shown = "a\\x00\\n\\x1b[31m\\u202e\\u2028\\u200b\\ud800b é\xa0ü"

    await audit_log.record(
        AuditRecord(bad, bad, bad, bad, bad, bad, 1, '{"note":["a\\u001b","b"]}')
    )

    [found] = await audit_log.list()
    assert {found.who, found.action, found.subject, found.outcome} == {shown}
    assert {found.cid, found.remote_address} == {shown}
    assert found.changes == '{"note":["a\\u001b","b"]}'
