"""Tests of the project, as pytest would have them beside ``services``."""

from datetime import timedelta
from typing import Any, assert_type

import msgspec

from zato_lite import Service
from zato_lite.testing import HttpAnswer, LedgerEntry, Run, Sandbox, fails, sandbox, slow


class Reminder(msgspec.Struct):
    customer: int


class Remind(Service[Reminder, bool]):
    async def handle(self) -> bool:
        return self.request.input.customer > 0


async def check_answers(it: Sandbox) -> None:
    assert_type(await it.invoke(Remind, Reminder(1)), bool)
    assert_type(await it.invoke("typed-tests.remind", {"customer": 1}), Any)
    assert_type(await it.as_("operator", patterns=["typed-*"]).invoke(Remind, customer=1), bool)
    assert_type(await it.http.get("/found", params={"a": 1}), HttpAnswer)


async def check_records(it: Sandbox) -> None:
    await it.advance("3d", hours=1)
    await it.advance(timedelta(minutes=1))
    it.crash(at="after_handle", job="reminders")
    assert_type(await it.runs("reminders"), list[Run])
    assert_type(await it.ledger(), list[LedgerEntry])


async def check_fakes() -> None:
    fakes = {Remind: fails(2, then=True), "crm.get": slow("90 s", then={"id": 1})}
    async with sandbox(Remind, services=fakes, every_run_twice=True) as it:
        assert_type(it, Sandbox)
