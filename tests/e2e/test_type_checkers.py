"""``mypy --strict`` and pyright read a user's project that uses all of the framework."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "tests/typed_project"
WRONG = """
from zato_lite import Service
from zato_lite.testing import Sandbox
from typed_plans import Remind


async def check(it: Sandbox) -> str:
    it.crash(at="noon")
    return await it.invoke(Remind, {"customer": 1})


class Wrong(Service[None, int]):
    async def handle(self) -> None:
        self.invoke(Remind, {"customer": 1})
        answer: str = await self.invoke(Remind, {"customer": 1})
        await self.schedule.interval(Remind, name="wrong", minute=5)
        _ = await self.out.rest["crm"].gett("/")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PROJECT, tmp_path / "project"))


def mypy(project: Path) -> str:
    # The framework as mypy sees an installed package: it does not report what is in it.
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--follow-imports=silent",
    ]
    ran = subprocess.run(  # noqa: S603
        [*command, f"--cache-dir={project / 'cache'}", "."],
        cwd=project / "services",
        env={"MYPYPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout + ran.stderr


def pyright(project: Path) -> str:
    config = {"typeCheckingMode": "strict", "extraPaths": [str(ROOT)], "include": ["services"]}
    (project / "pyrightconfig.json").write_text(json.dumps(config))
    ran = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout + ran.stderr


def test_mypy_finds_no_mistake_in_a_project_and_those_of_a_wrong_file(project: Path) -> None:
    assert mypy(project).startswith("Success: no issues found in 5 source files")

    (project / "services/wrong.py").write_text(WRONG)
    found = mypy(project)

    for words in (
        "type[Service[Any, str]]",
        'argument "minute"',
        'no attribute "gett"',
        "Literal['noon']",
        "must be used",
    ):
        assert words in found, found


def test_pyright_finds_no_mistake_in_a_project_and_those_of_a_wrong_file(project: Path) -> None:
    assert pyright(project).startswith("0 errors, 0 warnings")

    (project / "services/wrong.py").write_text(WRONG)
    found = pyright(project)

    for words in ('"str"', 'No overloads for "interval"', "gett", "reportUnusedCoroutine", "noon"):
        assert words in found, found
