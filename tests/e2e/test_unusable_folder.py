"""A folder that the server may not use is an error in words, without a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

AS_ANOTHER_USER = """
import encodings.idna, os, pkgutil, sys
from importlib import import_module, readers, resources
import zato_lite.main
from zato_lite.cli.main import main

for name in ("builtin", "cli", "http", "store"):
    package = import_module(f"zato_lite.{name}")
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        import_module(module.name)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
main(sys.argv[1:])
"""
"""The command as a user without rights; its modules come first, which that user may not read."""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", AS_ANOTHER_USER, *arguments],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project whose folders others may see and not write to."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o1000:
            break
        folder.chmod(folder.stat().st_mode | 0o055)
    (tmp_path / "services").mkdir(mode=0o755)
    return tmp_path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("case", ["none", "unwritable", "unreadable", "file", "other's file"])
@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["db", "check"], ["db", "backup"]])
def test_a_folder_that_cannot_be_used_is_refused_in_words(
    project: Path, case: str, command: list[str]
) -> None:
    data = project / "data"
    if case == "file":
        data.touch()
    elif case != "none":
        data.mkdir(mode=0o700 if case == "unreadable" else 0o755)
    if case == "other's file":
        (data / "zato-lite.db").touch(0o600)

    ended = run(project, *command)

    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr + ended.stdout
    [line] = [line for line in ended.stderr.splitlines() if line.startswith("zato-lite: ")]
    assert "data" in line
