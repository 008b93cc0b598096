"""The guard of conftest.py that keeps processes out of the fast tests."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest


@pytest.mark.parametrize(
    "start",
    [
        lambda: subprocess.run([sys.executable, "--version"], check=True),
        lambda: os.posix_spawn(sys.executable, [sys.executable, "--version"], {}),
    ],
    ids=["Popen", "posix_spawn"],
)
def test_a_fast_test_that_starts_a_process_fails(start: Callable[[], object]) -> None:
    with pytest.raises(AssertionError, match="a fast test starts a process"):
        start()
