from collections.abc import AsyncIterator

import pytest

from zato_lite import Service
from zato_lite.testing.app import Sandbox, sandbox
from zato_lite.testing.clock import ManualClock
from zato_lite.timetable.zone import parse_moment

START = parse_moment("2027-01-15 08:00:01", None)
"""A Friday."""


class Work(Service):
    name = "crm.work"

    async def handle(self) -> None:
        self.logger.info("Working with %s", self.request.raw_request)
        self.response.payload = {"worked": True}


class Fail(Service):
    name = "crm.fail"

    async def handle(self) -> None:
        raise ValueError("no rows")


@pytest.fixture
async def it() -> AsyncIterator[Sandbox]:
    async with sandbox(Work, Fail, clock=ManualClock(START)) as opened:
        yield opened
