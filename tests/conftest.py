"""Test speeds by folder, and the profiles of Hypothesis.

Fast tests start no process. Tests of ``tests/e2e`` and ``tests/faults`` are marked ``e2e``; those
that take minutes are marked ``slow`` by hand and have a make target of their own.
"""

import sys
from collections.abc import Generator, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# The duration of an example says nothing while other programs run; and the first text of a fresh
# clone waits a second or two for a table of all characters.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fast", settings.get_profile("steady"), max_examples=25)
settings.load_profile("steady")

import_module("croniter")  # its import runs the process file(1), once

E2E = ("e2e", "faults")
PROCESSES = frozenset({"subprocess.Popen", "os.fork", "os.posix_spawn", "os.exec", "os.spawn"})


class _Processes:
    """Guard that keeps processes out of the fast tests."""

    allowed = True

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in PROCESSES and not self.allowed:
            raise AssertionError(f"a fast test starts a process ({event}); mark the test e2e")


_processes = _Processes()
sys.addaudithook(_processes)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    root = Path(__file__).parent
    for item in items:
        if item.path.relative_to(root).parts[0] in E2E:
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
