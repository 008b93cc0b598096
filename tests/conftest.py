"""Test speeds by folder, and the profiles of Hypothesis.

Fast tests start no process. Tests of ``tests/e2e``, ``tests/faults`` and
``tests/dashboard/browser`` are marked ``e2e``; those that take minutes are marked ``slow`` by hand
and have a make target of their own.
"""

import gc
import os
import subprocess
from collections.abc import Generator, Iterator
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from tests import postgres

# The duration of an example says nothing while other programs run; and the first text of a fresh
# clone waits a second or two for a table of all characters.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fast", settings.get_profile("steady"), max_examples=25)
settings.load_profile("steady")

import_module("croniter")  # its import runs the process file(1), once

E2E = (Path("e2e"), Path("faults"), Path("dashboard/browser"))


class _Processes:
    """Guard that keeps processes out of the fast tests.

    It is no audit hook: Python 3.11 calls those while it installs a trace function, and another
    thread that begins meanwhile under coverage dies of that. Who waits for it then waits forever.
    """

    allowed = True

    def guard(self, where: object, name: str) -> None:
        start = getattr(where, name)

        @wraps(start)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if not self.allowed:
                raise AssertionError(f"a fast test starts a process ({name}); mark the test e2e")
            return start(*args, **kwargs)

        setattr(where, name, guarded)


_processes = _Processes()
_processes.guard(subprocess.Popen, "_execute_child")
for _each in ("fork", "posix_spawn", "posix_spawnp"):
    _processes.guard(os, _each)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    root = Path(__file__).parent
    for item in items:
        if any(item.path.is_relative_to(root / folder) for folder in E2E):
            item.add_marker(pytest.mark.e2e)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # A worker of xdist cannot send the lone surrogates that tests of hostile texts log.
    report.sections = [
        (name, text.encode("utf-8", "replace").decode()) for name, text in report.sections
    ]
    return report


@pytest.fixture(autouse=True)
def no_processes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a fast test that starts a process."""
    _processes.allowed = any(
        request.node.get_closest_marker(mark) is not None for mark in ("e2e", "slow")
    )
    yield
    _processes.allowed = True


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a PostgreSQL server; all workers of pytest-xdist share it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    _processes.allowed = True
    try:
        with postgres.shared_server(folder) as url:
            yield url
    except postgres.Missing as error:
        pytest.skip(f"PostgreSQL: {error}")


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """Return the URL of an empty schema, which is deleted after the test."""
    schema = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
    yield postgres.in_schema(postgres_server, schema)
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute("SET lock_timeout = '5s'")
        connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how the tests of PostgreSQL ran, or why they did not."""
    reports = [each for found in terminalreporter.stats.values() for each in found]
    chosen = {
        each.nodeid: not each.skipped
        for each in reports
        if isinstance(each, pytest.TestReport) and "postgres" in each.keywords
    }
    if chosen:
        done = f"{sum(chosen.values())} of {len(chosen)} tests"
        terminalreporter.write_line(f"PostgreSQL: {done}; {postgres.description()}")


@pytest.fixture
def without_collector() -> Iterator[None]:
    """Keep the garbage collector out of a test that measures CPU time.

    Its work grows with all that earlier tests of this process left, up to a second.
    """
    gc.disable()
    yield
    gc.enable()
