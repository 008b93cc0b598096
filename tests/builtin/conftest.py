from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import msgspec
import pytest

from zato_lite import Service
from zato_lite.config import Scheduler, Server, Settings, Store
from zato_lite.service.message import Caller
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


ENGINES = ["memory", pytest.param("postgres", marks=pytest.mark.postgres)]


@asynccontextmanager
async def open_box(
    request: pytest.FixtureRequest, *services: type[Service[Any, Any]]
) -> AsyncIterator[Sandbox]:
    """Open an application with these services over the engine of a fixture's parameter."""
    is_postgres = request.param == "postgres"
    url = request.getfixturevalue("postgres_url") if is_postgres else "sqlite:///:memory:"
    settings = Settings(store=Store(url), server=Server(grace=0.0))
    async with sandbox(*services, clock=ManualClock(START), settings=settings) as opened:
        yield opened


@pytest.fixture(params=ENGINES)
async def box(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    async with open_box(request, Work, Fail) as opened:
        for entry in opened.app.registry:
            if entry.is_internal and entry.output is not None:
                entry.write = partial(checked, entry.output)
        yield opened


def idle_sandbox() -> AbstractAsyncContextManager[Sandbox]:
    """Return an application whose scheduler claims nothing."""
    settings = Settings(
        store=Store("sqlite:///:memory:"),
        server=Server(grace=0.0),
        scheduler=Scheduler(enabled=False),
    )
    return sandbox(clock=ManualClock(START), settings=settings)


def checked(output: Any, payload: Any) -> Any:
    """Return the answer of a built-in service, which has exactly the declared fields."""
    answer = msgspec.to_builtins(payload)
    assert msgspec.to_builtins(msgspec.convert(answer, output)) == answer
    return payload


async def create_job(box: Sandbox, **fields: Any) -> int:
    """Create a job that runs every five minutes; return its id."""
    definition = {
        "name": "often", "service": "crm.work", "job_type": "interval_based",
        "start_date": "2027-01-15T07:00:00", "minutes": 5, "extra": "a text", **fields,
    }  # fmt: skip
    return int((await ask(box, "create", **definition))["id"])


async def ask(box: Sandbox, name: str, /, **sent: Any) -> Any:
    """Invoke one of the services for jobs."""
    return await box.invoke(f"zato.scheduler.job.{name}", sent)


async def outcomes_of(box: Sandbox, job_id: int) -> list[str]:
    """Return the outcomes of a job's runs, oldest first."""
    rows = (await ask(box, "get-history", id=job_id))["rows"]
    return [row["outcome"] for row in rows][::-1]


def caller(name: str, role: str, *patterns: str) -> Caller:
    """Return a user with a role and patterns."""
    return Caller(name, frozenset({role}), patterns, "user")


async def ask_as(who: Caller, box: Sandbox, name: str, /, **sent: Any) -> Any:
    """Invoke a service as a request of this caller would; short names are those of jobs."""
    full = name if name.startswith("zato.") else f"zato.scheduler.job.{name}"
    return await box.app.invoker.invoke(full, sent, caller=who)
