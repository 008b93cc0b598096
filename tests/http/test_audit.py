from base64 import b64encode

from tests.http.conftest import Ask
from zato_lite.http.app import HttpApp
from zato_lite.http.audit import RefusalCounter, describe_refusals
from zato_lite.store.audit import AuditLog


def test_the_first_refusals_of_a_minute_are_recorded_and_the_others_counted() -> None:
    refusals = RefusalCounter()

    counts = [refusals.count("::1", second / 10) for second in range(100)]

    assert counts == [1] * 20 + [0] * 80
    assert refusals.count("::2", 10.0) == 1
    assert refusals.count("::1", 60.0) == 81
    assert refusals.count("::1", 60.0) == 1


def test_refusals_of_many_addresses_are_limited_in_all() -> None:
    refusals = RefusalCounter()

    written = sum(refusals.count(f"10.0.{n // 256}.{n % 256}", 1.0) for n in range(30_000))

    assert written == 1_000
    assert len(refusals._by_address) <= 1_000
    assert len(refusals._unrecorded) <= 10_000


def test_a_record_says_how_many_refusals_it_stands_for() -> None:
    assert describe_refusals("401", 1) == "401"
    assert describe_refusals("401", 81) == "401, and 80 more"


async def test_a_flood_of_refusals_does_not_fill_the_audit_log(
    ask: Ask, app: HttpApp, audit_log: AuditLog
) -> None:
    login = b'{"username": "ann", "password": "wrong"}'
    for number in range(60):
        wrong = b"Basic " + b64encode(b"ann:%d" % number)
        await ask("POST", "/zato/api/invoke/echo", b"{}", auth=wrong)
        await ask("POST", "/zato/session", login, auth=None)
    await app.audit.flush()

    assert len(await audit_log.list(limit=1_000)) == 20
