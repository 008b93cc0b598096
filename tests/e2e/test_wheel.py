"""The wheel, installed in an environment without the sources, serves the dashboard."""

import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests.e2e.conftest import until
from tests.e2e.test_first_start import Started, free_port

ROOT = Path(__file__).parents[2]
STATIC = "zato_lite/dashboard/static"


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a program without the variables that lead to the sources; return its output."""
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(  # noqa: S603
        command, check=False, cwd=cwd, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel built from the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder)
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of programs of a fresh environment that has the wheel.

    Its third-party packages are those of the tests, so that nothing is downloaded.
    """
    folder = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib"))
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "--quiet")
    run(*pip, "install", "--no-deps", "--no-index", wheel)
    return folder / "bin"


def test_the_wheel_has_all_files_of_the_dashboard(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith(STATIC)}

    files = (path for path in (ROOT / STATIC).rglob("*") if path.is_file())
    assert packed == {path.relative_to(ROOT).as_posix() for path in files}
    assert len(packed) > 90


def test_the_installed_program_serves_the_dashboard(scripts: Path, tmp_path: Path) -> None:
    code = "import zato_lite; print(zato_lite.__file__)"
    where = run(scripts / "python", "-c", code, cwd=tmp_path)
    assert where.startswith(str(scripts.parent))
    run(scripts / "zato-lite", "init", tmp_path, cwd=tmp_path)
    started = Started(tmp_path, free_port())
    command: list[str | Path] = [
        scripts / "zato-lite",
        "serve",
        "--port",
        str(started.port),
        "--project",
        tmp_path,
    ]
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    with started.output.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environ)  # noqa: S603
    try:
        until(started.is_up, 60)
        status, _, page = started.ask("GET", "/dashboard/")
        assert status == 200
        linked = re.findall(r'(?:href|src)="([^"]+)"', page)
        assert any(address.endswith("dist/main.js") for address in linked)
        for address in linked:
            path = urljoin("/dashboard/", address)
            status, headers, body = started.ask("GET", path)
            assert (path, status, body != "") == (path, 200, True)
            assert "immutable" in headers["Cache-Control"]
    finally:
        process.terminate()
        process.wait(30)
